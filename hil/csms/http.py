"""A small HTTP server for JSON, one request a connection. For benches on loopback only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BODY_LIMIT = 1024 * 1024
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 500: "Internal Server Error"}

Route = Callable[[Mapping[str, str], Mapping[str, Any]], Awaitable[Any]]
"""Takes the query and the JSON body (empty without one) and returns what is sent back as JSON."""


class HttpError(Exception):
    """Ends a request with this status and `{"error": message}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def serve_json(routes: Mapping[str, Route], host: str, port: int) -> asyncio.Server:
    """Serve `routes`, whose keys are like "GET /frames"; ValueError of a route is a 400."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            status, body = await _handle(routes, reader)
            writer.write(_response(status, body))
            await writer.drain()
        writer.close()

    return await asyncio.start_server(connected, host, port)


async def _handle(routes: Mapping[str, Route], reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    try:
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        body = await _body(head, reader)
        url = urlsplit(target)
        route = routes.get(f"{method} {url.path}")
        if route is None:
            raise HttpError(404, f"no {method} {url.path}; there are {sorted(routes)}")
        return 200, await route(dict(parse_qsl(url.query)), body)
    except HttpError as error:
        return error.status, {"error": str(error)}
    except (ValueError, KeyError, TypeError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}


async def _body(head: str, reader: asyncio.StreamReader) -> dict[str, Any]:
    headers = [line.partition(":") for line in head.split("\r\n")[1:]]
    length = next((int(value) for name, _, value in headers if name.lower() == "content-length"), 0)
    if length > BODY_LIMIT:
        raise HttpError(400, f"body of {length} bytes; at most {BODY_LIMIT}")
    body = json.loads(await reader.readexactly(length)) if length else {}
    if not isinstance(body, dict):
        raise HttpError(400, "the body must be a JSON object")
    return body


def _response(status: int, body: Any) -> bytes:
    content = json.dumps(body, default=str).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content
