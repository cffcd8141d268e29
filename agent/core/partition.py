"""Which small mappings belong to an operator, and what they are called for each (agent.core.operators)."""

from __future__ import annotations

FIRST = ""
"""The operator whose CSMS the station has met first: its mappings have the plain names."""
OWNED = frozenset({"local_list", "cache", "profiles", "relative", "costs", "displays", "reservations"})
"""Mappings of which each operator has its own."""


def place(table: str, operator: str) -> str:
    """The name of an operator's mapping."""
    return f"{table}@{operator}" if operator and table in OWNED else table


def is_owned(table: str) -> bool:
    """Whether this is some operator's mapping."""
    return table.split("@", maxsplit=1)[0] in OWNED
