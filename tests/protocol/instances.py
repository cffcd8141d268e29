"""Payloads made from the official schemas, whole, minimal or wrong in one place."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from docs.generate.validators import schema_files

Schema = dict[str, Any]
WRONG_DATES = ("banana", "2026-13-01T00:00:00Z", "2026-01-31", "2026-01-31T12:00:00", "2026-02-29T12:00:00Z")


@cache
def schemas() -> dict[str, Schema]:
    """Every official schema by message name, such as ResetRequest."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8-sig")) for path in schema_files()}


def resolve(root: Schema, node: Schema) -> Schema:
    """The schema that `node` refers to, or `node` itself."""
    while "$ref" in node:
        node = root["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node


def instance(root: Schema, node: Schema, random: Random, optional: float = 1.0) -> Any:
    """A valid value; an optional property is present with probability `optional`."""
    node = resolve(root, node)
    if "enum" in node:
        return random.choice(node["enum"])
    match node.get("type"):
        case "object":
            return _object(root, node, random, optional)
        case "array":
            most = min(node.get("maxItems", 2), 2)
            return [instance(root, node["items"], random, optional) for _ in range(random.randint(1, most))]
        case "integer":
            return random.randint(int(node.get("minimum", 0)), int(node.get("maximum", 1000)))
        case "number":
            return random.choice([1, 2.5, 16.25])
        case "boolean":
            return random.choice([True, False])
        case "string" if node.get("format") == "date-time":
            return random.choice(["2026-01-31T12:00:00Z", "2028-02-29T23:59:59.123+02:00"])
        case "string":
            return "x" * random.randint(1, min(node.get("maxLength", 50), 50))
    return {"any_Thing": [1, {"X-Api": None}], "associated": "soc"}


def _object(root: Schema, node: Schema, random: Random, optional: float) -> dict[str, Any]:
    made = {}
    for name, member in node.get("properties", {}).items():
        required = name in node.get("required", ())
        if required or random.random() < optional:
            value = instance(root, member, random, optional)
            if required or value != {}:  # an empty optional object says nothing and is never written
                made[name] = value
    return made if "additionalProperties" in node else {**made, "other_key": {"a_b_": [1.5]}}


def mutations(root: Schema, payload: Any) -> Iterator[tuple[str, Any]]:
    """What was done, and a copy of the payload with one thing changed; some stay valid."""
    for path, node, value in list(_places(root, root, payload, ())):
        for name, other in _variants(node, value):
            yield f"{'.'.join(map(str, path))}: {name}", _replaced(payload, path, other)


def _places(root: Schema, node: Schema, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    node = resolve(root, node)
    yield path, node, value
    if node.get("type") == "object":
        for name in value.keys() & node.get("properties", {}).keys():
            yield from _places(root, node["properties"][name], value[name], (*path, name))
    elif node.get("type") == "array":
        for index, item in enumerate(value):
            yield from _places(root, node["items"], item, (*path, index))


def _variants(node: Schema, value: Any) -> Iterator[tuple[str, Any]]:
    others: list[Any] = [None, True, 7, 1.0, 1.5, "text", [], {}]
    for other in others:
        yield f"becomes {other!r}", other
    if node.get("type") == "object":
        for name in value:
            yield f"lacks {name}", {k: v for k, v in value.items() if k != name}
        yield "has an unknown property", {**value, "unknown": 1}
    elif node.get("type") == "array":
        yield "is long", value * (min(node.get("maxItems", 1), 5) + 1)
    elif node.get("type") == "string":
        yield "is at its longest", "y" * node.get("maxLength", 1)
        yield "is too long", "y" * (node.get("maxLength", 10_000) + 1)
        yield from ((f"is {date}", date) for date in WRONG_DATES if node.get("format") == "date-time")
    elif "minimum" in node or "maximum" in node:
        yield "is too small", node.get("minimum", 0) - 1
        yield "is too big", node.get("maximum", 0) + 1


def _replaced(payload: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    changed = copy.deepcopy(payload)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = other
    return changed
