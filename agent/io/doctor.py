"""Why there is no CSMS: every step from this board to an accepted station is tried, up to the first that fails.

It uses the very code with which the agent connects, and needs no agent. Nothing is changed at the CSMS but that it
sees a BootNotification.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agent.core.effects import Connect
from agent.core.instant import parse_rfc3339
from agent.io import dial, tls
from agent.io.revocation import Records

WITHIN_S, BOOT_WITHIN_S = 8.0, 20.0
CLOCK_OFF_S = 300.0
"""So much two clocks may differ before certificates and timestamps suffer."""
CREDENTIALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
NO_SUBPROTOCOL = (HTTPStatus.BAD_REQUEST, HTTPStatus.UPGRADE_REQUIRED)


class Finding(NamedTuple):
    """One step: whether it went well, what was found, and what to do about it."""

    step: str
    ok: bool
    found: str
    advice: str = ""


class Trouble(Exception):
    """The step that fails, what was found, and what to do."""

    def __init__(self, step: str, found: str, advice: str) -> None:
        super().__init__(found)
        self.finding = Finding(step, False, found, advice)


async def examine(order: Connect, home: Path, station: Mapping[str, str], talks: bool = True) -> list[Finding]:
    """Walk the way to the CSMS of `order`; certificates are below `home`, `station` is what BootNotification tells.

    Without `talks` it ends before the WebSocket: a second one of the same identity would end the agent's.
    """
    walk = _Walk(order, home, station)
    try:
        walk.clock()
        await walk.dns()
        await walk.tcp()
        await walk.tls()
        if talks:
            await walk.websocket()
    except Trouble as trouble:
        walk.found.append(trouble.finding)
    return walk.found


class _Walk:
    """One way to one CSMS."""

    def __init__(self, order: Connect, home: Path, station: Mapping[str, str]) -> None:
        self._order = order
        self._home = home
        self._station = station
        url = urlsplit(order.url)
        self._secure = url.scheme == "wss"
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._secure else 80)
        self._addresses: list[str] = []
        self.found: list[Finding] = []

    def _good(self, step: str, found: str) -> None:
        self.found.append(Finding(step, True, found))

    # ---------------------------------------------------------------------------------------- below the WebSocket

    def clock(self) -> None:
        """A clock before the build of this software, or before the last time that was known."""
        now = time.time()
        if now * 1000 < self._order.floor_ms:
            raise Trouble("clock", f"the clock of this board says {_date(now)}, and it was later than that before",
                          "set it (timedatectl set-time), and look at the battery of its RTC and at NTP")  # fmt: skip
        self._good("clock", _date(now))

    async def dns(self) -> None:
        try:
            self._addresses = [str(ipaddress.ip_address(self._host))]
            return self._good("DNS", f"{self._host} is an address")
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WITHIN_S):
                rows = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except TimeoutError:
            advice = "look at the network of this board: cable, modem, ip route, /etc/resolv.conf"
            raise Trouble("DNS", f"no name server answers within {WITHIN_S:g} s", advice) from None
        except (OSError, UnicodeError) as error:
            raise Trouble("DNS", f"there is no host {self._host} ({getattr(error, 'strerror', None) or error})",
                          "compare the name in the network profile with what the operator of the CSMS gave you, and "
                          f"ask the name server: resolvectl query {self._host}") from None  # fmt: skip
        self._addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        self._good("DNS", f"{self._host} is {', '.join(self._addresses)}")

    async def tcp(self) -> None:
        reasons = []
        for address in self._addresses:
            try:
                async with asyncio.timeout(WITHIN_S):
                    _, writer = await asyncio.open_connection(address, self._port)
            except TimeoutError:
                reasons.append(f"{address} port {self._port}: no answer within {WITHIN_S:g} s")
            except OSError as error:
                reasons.append(f"{address} port {self._port}: {os.strerror(error.errno) if error.errno else error}")
            else:
                writer.close()
                return self._good("TCP", f"{address} port {self._port} answers")
        raise Trouble("TCP", "; ".join(reasons),
                      "compare the port with what the operator of the CSMS gave you; a firewall or the SIM card's "
                      "contract may block it; refused means that the host is there and nothing listens")  # fmt: skip

    async def tls(self) -> None:
        if not self._secure:
            if self._order.security_profile > 1:
                raise Trouble("TLS", f"security profile {self._order.security_profile} with a ws:// address",
                              "use the wss:// address of the CSMS")  # fmt: skip
            return self._good("TLS", "none: ws:// is not encrypted")
        error: Exception | None = None
        for roots in tls.root_sets(self._order, self._home):
            try:
                return self._good("TLS", await self._handshake(roots))
            except (ssl.SSLError, tls.Unprepared, OSError, TimeoutError) as failed:
                error = failed
        raise self._untrusted(error)

    async def _handshake(self, roots: str) -> str:
        records = tls.records(self._order, self._home)
        attempt = partial(self._shake_hands, roots, records)
        told = await (records.settle(attempt) if records is not None else attempt())
        known = records.words() if records is not None else "revocation is not looked for (RevocationCheck is Off)"
        return f"{told}, by a root of {roots}; {known}"

    async def _shake_hands(self, roots: str, records: Records | None) -> str:
        context = tls.context(self._order, self._home, roots, records)
        async with asyncio.timeout(WITHIN_S):
            _, writer = await asyncio.open_connection(
                self._host, self._port, ssl=context, server_hostname=self._host
            )
        told = tls.described(writer.transport)
        writer.close()
        return told

    def _untrusted(self, error: BaseException | None) -> Trouble:
        assert error is not None
        flaw = tls.flaw_of(error)
        event, words = flaw or ("", dial.reason_of(error, WITHIN_S))
        return Trouble("TLS", words, ADVICE.get(event, ADVICE[""]))

    # ---------------------------------------------------------------------------------------- the WebSocket

    async def websocket(self) -> None:
        """Path, subprotocol and credentials are judged by the one answer to the upgrade."""
        try:
            dialled = await dial.dial(
                self._order, self._home, ping_s=0, pong_wait_s=WITHIN_S, open_timeout_s=WITHIN_S, close_timeout_s=2.0
            )
        except Exception as error:  # whatever a server or a proxy does is a finding
            raise self._turned_away(error) from error
        socket_ = dialled.websocket
        try:
            self._good("path", dial.address(self._order.url, self._order.identity))
            self._good("subprotocol", str(socket_.subprotocol))
            self._good("credentials", "not needed" if self._order.password is None else "the password is taken")
            self._compare_clocks(socket_.response.headers.get("Date") if socket_.response else None)
            await self._boot(socket_)
        finally:
            await socket_.close(1000, "doctor")

    def _turned_away(self, error: BaseException) -> Trouble:
        status, words = dial.status_of(error), dial.reason_of(error, WITHIN_S)
        if tls.flaw_of(error) is not None:
            return self._untrusted(error)
        if status in CREDENTIALS:
            return Trouble("credentials", words,
                           f"the CSMS does not know the identity {self._order.identity} with this password (or expects "
                           "a client certificate): set the password there and here to the same one")  # fmt: skip
        if status in NO_SUBPROTOCOL or isinstance(error, dial.Refusal) or "subprotocol" in words:
            return Trouble("subprotocol", words,
                           "the CSMS has to speak OCPP 2.0.1: ask its operator for the address for 2.0.1")  # fmt: skip
        if status == HTTPStatus.NOT_FOUND:
            return Trouble("path", f"{words}: {dial.address(self._order.url, self._order.identity)}",
                           "compare the path in the network profile and the identity behind it with what the operator "
                           "of the CSMS gave you")  # fmt: skip
        if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Trouble("path", words, "the CSMS has trouble of its own; try again later, or tell its operator")
        return Trouble("path", words, "what answers there takes no WebSocket: compare host, port and path")

    def _compare_clocks(self, date: str | None) -> None:
        """The server's Date header, where it is one."""
        try:
            off_s = time.time() - parsedate_to_datetime(date or "").timestamp()
        except (ValueError, TypeError, IndexError):
            return
        if abs(off_s) > CLOCK_OFF_S:
            raise _clocks_differ(off_s)

    async def _boot(self, websocket: Any) -> None:
        """B01: the CSMS says whether it takes this station."""
        number = f"doctor-{secrets.token_hex(8)}"
        boot = {"reason": "Unknown", "chargingStation": dict(self._station)}
        try:
            async with asyncio.timeout(BOOT_WITHIN_S):
                await websocket.send(json.dumps([2, number, "BootNotification", boot]))
                answer = await _answer(websocket, number)
        except TimeoutError:
            raise Trouble("boot", f"BootNotification is not answered within {BOOT_WITHIN_S:g} s", BOOT_ADVICE) from None
        except dial.ConnectionClosed as closed:
            raise Trouble("boot", dial.reason_of(closed, BOOT_WITHIN_S), BOOT_ADVICE) from None
        if answer[0] != 3 or not isinstance(answer[2], dict):
            raise Trouble("boot", f"the CSMS answers with an error: {answer[2:4]}", BOOT_ADVICE)
        status = str(answer[2].get("status"))
        if status == "Rejected":
            raise Trouble("boot", "the CSMS rejects this station", BOOT_ADVICE)
        self._good("boot", status if status == "Accepted" else f"{status}: the CSMS lets the station wait")
        self._compare_times(answer[2].get("currentTime"))

    def _compare_times(self, told: Any) -> None:
        try:
            off_s = time.time() - parse_rfc3339(told) / 1000
        except (ValueError, TypeError):
            return
        if abs(off_s) > CLOCK_OFF_S:
            raise _clocks_differ(off_s)


ADVICE = {
    tls.CSMS: "install the root of the CSMS (InstallCertificate, or a file below certificates/CSMSRootCertificate), or "
    "have the operator renew a certificate that has expired, was revoked or names another host; where nobody tells "
    "whether it was revoked, see that this board reaches the address (SecurityCtrlr.RevocationCheck)",
    tls.VERSION: "the operator of the CSMS has to offer TLS 1.2 or newer",
    tls.SUITE: "the operator of the CSMS has to offer a suite with forward secrecy (ECDHE with AES-GCM)",
    tls.STATION: "the CSMS wants a certificate of this station that it can check: install one, or use another security "
    "profile",
    "": "see that host and port are those of the wss:// address, and that the root of the CSMS is installed",
}
"""By the security event that the flaw is."""
BOOT_ADVICE = "see that the CSMS has this station in its list, under this identity, for OCPP 2.0.1 and switched on"


def _clocks_differ(off_s: float) -> Trouble:
    direction = "ahead of" if off_s > 0 else "behind"
    return Trouble("clock", f"the clock of this board is {abs(off_s):.0f} s {direction} that of the CSMS",
                   "set it (timedatectl), and look at NTP; certificates are judged by it")  # fmt: skip


async def _answer(websocket: Any, number: str) -> list[Any]:
    """The answer to our CALL; what the CSMS asks meanwhile it may ask the agent."""
    while True:
        try:
            message = json.loads(await websocket.recv())
        except (ValueError, RecursionError):
            continue
        if isinstance(message, list) and len(message) >= 3 and message[0] in (3, 4) and message[1] == number:
            return message


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
