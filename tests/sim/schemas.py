"""The official OCPP 2.0.1 schemas as judge of every frame, through jsonschema (not the agent's validator)."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft6Validator


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


def complaint(name: str, payload: Any) -> str | None:
    """What is wrong with `payload` as message `name` (such as "HeartbeatRequest"); None when it is valid."""
    validator = _validator(name)
    if validator is None:
        return f"there is no message {name}"
    error = next(validator.iter_errors(payload), None)
    return None if error is None else f"{name}: {error.json_path}: {error.message[:200]}"
