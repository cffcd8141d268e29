"""Available and Enabled of every controller that does not declare them itself.

An inventory without them breaks backends that ask a controller for `Available` before anything else (bug 25).
"""

from __future__ import annotations

from typing import Any

from config_keys.key import RO, Key, Scope, key
from config_keys.registry import components, of_component
from config_keys.types import Boolean


def complete() -> None:
    """Declare what is missing; called once, when all else is declared."""
    for component in components():
        theirs = of_component(component)
        declared = {own.variable for own in theirs}
        if component.endswith("Ctrlr") or "Enabled" in declared:
            _add(component, _scope(theirs), declared)


def _add(component: str, scope: Scope, declared: set[str]) -> None:
    about: dict[str, Any] = {"access": RO, "default": True, "scope": scope}
    if "Available" not in declared:
        key(f"{component}.Available", Boolean(), doc="The component exists and is configured.", **about)
    if "Enabled" not in declared:
        key(f"{component}.Enabled", Boolean(), doc="It cannot be switched off.", **about)


def _scope(theirs: tuple[Key[Any], ...]) -> Scope:
    """A component that has something for the whole station belongs to the station."""
    scopes = [own.scope for own in theirs]
    return "station" if "station" in scopes else scopes[0]
