"""The official OCPP 2.0.1 schemas as judge of every frame, through jsonschema (not the agent's validator).

jsonschema is slow, so a payload is looked at once per shape: two payloads that differ only in moments, ids and
the size of numbers get the same verdict.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft6Validator

_VARIES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_verdicts: dict[tuple[str, Any], str | None] = {}


def complaint(name: str, payload: Any) -> str | None:
    """What is wrong with `payload` as message `name` (such as "HeartbeatRequest"); None when it is valid."""
    key = (name, _shape(payload))
    if key not in _verdicts:
        _verdicts[key] = _judge(name, payload)
    return _verdicts[key]


def _judge(name: str, payload: Any) -> str | None:
    validator = _validator(name)
    if validator is None:
        return f"there is no message {name}"
    error = next(validator.iter_errors(payload), None)
    return None if error is None else f"{name}: {error.json_path}: {error.message[:200]}"


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((name, _shape(part)) for name, part in value.items())
    if isinstance(value, list):
        return ("list", *map(_shape, value))
    if isinstance(value, str):
        return (len(value),) if _VARIES.fullmatch(value) else value
    if isinstance(value, bool) or value is None:
        return (value,)
    return (type(value), value < 0)


def _folder() -> Path:
    spec = find_spec("ocpp")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "v201" / "schemas"


@cache
def _validator(name: str) -> Draft6Validator | None:
    path = _folder() / f"{name}.json"
    if not path.exists():
        return None
    return Draft6Validator(json.loads(path.read_text(encoding="utf-8-sig")))
