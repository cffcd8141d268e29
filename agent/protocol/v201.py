"""The message, data and enumeration types of OCPP 2.0.1 from the `ocpp` package, without the rest of it.

Running the package's own `__init__` would load jsonschema, asyncio and its charge point. An empty stand-in of
the same name lets the four modules of types load alone, and then makes room so that others can import the
real one. Import this after the Boot frame: building the types takes some 75 ms.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any


@contextmanager
def _without_running(package: str) -> Iterator[None]:
    """Modules of `package` can be imported inside, though its `__init__` does not run."""
    if package in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"no package {package}", name=package)
    stand_in = ModuleType(package)
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = stand_in
    try:
        yield
    finally:
        del sys.modules[package]


with _without_running("ocpp.v201"):
    from ocpp.v201 import call, call_result, datatypes, enums

__all__ = ["REQUESTS", "RESPONSES", "call", "call_result", "datatypes", "enums"]


def _messages(module: ModuleType) -> dict[str, type[Any]]:
    """The dataclasses that a module defines, by action."""
    return {name: it for name, it in vars(module).items() if isinstance(it, type) and is_dataclass(it)}


REQUESTS: dict[str, type[Any]] = _messages(call)
"""The type of the request of each action."""
RESPONSES: dict[str, type[Any]] = _messages(call_result)
"""The type of the response of each action."""
