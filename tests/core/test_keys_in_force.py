"""What can be written has an effect: every writable key of a station is read by its code, or refused with a reason."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import config_keys
from agent.core.charger import Charger
from agent.core.site import Connector, EvseSite, Network, Site
from config_keys.key import Key
from config_keys.not_in_force import NOT_IN_FORCE
from tests.marks import req

ROOT = Path(__file__).resolve().parent.parent.parent
READERS = ("agent", "state_machines", "hal")

def _named() -> dict[Key[Any], tuple[str, str]]:
    """Key -> module and name in `config_keys`."""
    found: dict[Key[Any], tuple[str, str]] = {}
    for module in config_keys.__all__:
        for name, value in vars(importlib.import_module(f"config_keys.{module}")).items():
            if isinstance(value, Key):
                found.setdefault(value, (module, name))
    return found


def _mentioned() -> set[tuple[str, str]]:
    """Every `module.NAME` and every imported NAME in the code of the product, as (module, name)."""
    found: set[tuple[str, str]] = set()
    for path in (path for folder in READERS for path in (ROOT / folder).rglob("*.py")):
        found |= set(_names_in(ast.parse(path.read_text("utf-8"))))
    return found


def _names_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    known_as = {a.asname: a.name for node in imports if node.module == "config_keys" for a in node.names if a.asname}
    for node in imports:
        if (node.module or "").startswith("config_keys."):
            yield from (((node.module or "").rpartition(".")[2], alias.name) for alias in node.names)
    for found in ast.walk(tree):
        if isinstance(found, ast.Attribute) and isinstance(found.value, ast.Name):
            yield known_as.get(found.value.id, found.value.id), found.attr


def _everything() -> Charger:
    """A station with all that can be built in."""
    whole = EvseSite(1, 32, 3, connectors=(Connector(1, cable="socket"),), bay_detector=True, signing_meter=True)
    network = Network("ws://csms", "id", "password-password")
    return Charger(Site("v", "m", "s", "1", (whole,), network, sftp=True), {}, {})


@req("B05.FR.10")
def test_every_key_that_can_be_written_is_read() -> None:
    names, mentioned, keys = _named(), _mentioned(), _everything().keys
    idle = [
        key.name
        for key in keys.declared()
        if keys.is_writable(key) and keys.places(key) and names[key] not in mentioned
    ]
    assert idle == [], "read them, or give the reason in config_keys/not_in_force.py"


def test_a_key_that_is_read_is_in_force() -> None:
    names, mentioned = _named(), _mentioned()
    stale = [key.name for key in NOT_IN_FORCE if names[key] in mentioned]
    assert stale == [], "they are read now: delete their lines in config_keys/not_in_force.py"


@req("B05.FR.09")
def test_what_would_have_no_effect_is_refused_with_the_reason() -> None:
    keys = _everything().keys
    for key, reason in NOT_IN_FORCE.items():
        for place in keys.places(key):
            refusal = keys.check(key, keys.text(key, *place) or "1", *place)
            assert refusal is not None and (refusal.reason_code, refusal.info) == ("ReadOnly", reason)
