"""Write docs/config-keys.md and docs/config-keys.json from the declarations in `config_keys`.

`python -m docs.generate.keys` writes them; with `--check` it exits 1 when one is stale.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config_keys import registry
from config_keys.key import RO, Key
from config_keys.not_in_force import NOT_IN_FORCE
from config_keys.types import MemberList, String
from docs.generate import write_or_check

DOCS = Path(__file__).resolve().parent.parent
ABSENT = DOCS / "generate" / "absent_variables.tsv"
"""Variables of the standard that this station does not have, with the reason."""

INTRODUCTION = """\
# Configuration keys

Every setting of chargerd, generated from `config_keys/` by `python -m docs.generate.keys`. Each is a variable
of the OCPP 2.0.1 device model: a CSMS reads and writes it with GetVariables and SetVariables, a field
engineer with `chargerctl config`; an installer presets any of them, read-only ones too, in `[keys]` of
`board.toml`.

- **Name** is Component.Variable[Instance]. Keys of an EVSE or connector take its number in presets and on the
  command line: `EVSE.Power@1`, `Connector.AvailabilityState@1.1`; a preset without it counts for all.
- **Origin**: *OCPP* is a name of the standard, *own* is ours.
- **Default** is what holds without a preset; a dash means no value.
- **Access**: RO read-only, RW read and write, WO write-only.
- **Reboot**: a new value is used from the next start on. **Kept**: the value survives a restart.
- **Only**: where the variable exists, when it does not everywhere.
- **Risk** of a wrong value: *current* that may flow, *reach* of the station for its CSMS, *access* to charging, *money*
  that is counted.
- **Also known as** lists the OCPP 1.6 key (it is understood wherever a name is) and names that vendors use.
"""

HEAD = (
    "Name", "Origin", "Meaning", "Unit", "Type", "Range", "Default", "Access", "Reboot", "Kept", "Scope",
    "Only", "Risk", "Also known as", "Since",
)  # fmt: skip
RISKS = {
    "current": (
        "LimitCtrlr", "FallbackCtrlr", "SmartChargingCtrlr", "PhaseSwitchCtrlr", "RecoveryCtrlr", "SafetyCtrlr",
    ),
    "reach": ("OCPPCommCtrlr", "SecurityCtrlr", "ClockCtrlr"),
    "access": (
        "AuthCtrlr", "AuthCacheCtrlr", "LocalAuthListCtrlr", "FreeCharging", "RfidCtrlr", "TokenReader",
        "ReservationCtrlr",
    ),
    "money": ("SampledDataCtrlr", "AlignedDataCtrlr", "TxCtrlr", "TariffCostCtrlr"),
}  # fmt: skip
"""What suffers from a wrong value, by component."""


def risk(key: Key[Any]) -> str:
    """What a wrong value of a setting can spoil; empty for what cannot be written."""
    if key.access is RO:
        return ""
    return next((what for what, components in RISKS.items() if key.component in components), "")


def reachability() -> dict[str, Any]:
    """How much of what can be set at all a CSMS can set, and why the rest is locked."""
    locked = {key.name: key.locked for key in registry.all_keys() if key.locked}
    locked |= {key.name: reason for key, reason in NOT_IN_FORCE.items()}
    settings = [key.name for key in registry.all_keys() if key.access is not RO or key.name in locked]
    return {"settings": len(settings), "over_ocpp": len(settings) - len(locked), "locked": locked}


def value_range(key: Key[Any]) -> str:
    """What values fit, short enough for a table cell."""
    if isinstance(key.type, String):
        size = (
            f"{key.type.min_len} to {key.type.max_len}" if key.type.min_len else f"up to {key.type.max_len}"
        )
        return f"{key.type.form + ', ' if key.type.form else ''}{size} characters"
    if key.type.values_list:
        least = (
            f" (at least {key.type.min_items})"
            if isinstance(key.type, MemberList) and key.type.min_items
            else ""
        )
        return ", ".join(key.type.values_list) + least
    low, high = key.type.min_limit, key.type.max_limit
    if low is None and high is None:
        return ""
    if high is None:
        return f"{low} or more"
    return f"up to {high}" if low is None else f"{low} to {high}"


def describe(key: Key[Any]) -> dict[str, Any]:
    """One key as plain data, for the JSON document."""
    return {
        "name": key.name,
        "component": key.component,
        "component_instance": key.component_instance,
        "variable": key.variable,
        "instance": key.instance,
        "standard": key.standard,
        "description": key.doc,
        "unit": key.unit,
        "type": key.type.name,
        "min": key.type.min_limit,
        "max": key.type.max_limit,
        "values": list(key.type.values_list),
        "range": value_range(key),
        "default": None if key.default is None else key.type.format(key.default),
        "access": key.access.value,
        "locked": key.locked,
        "only": key.only,
        "risk": risk(key),
        "not_in_force": NOT_IN_FORCE.get(key),
        "reboot": key.reboot,
        "persistent": key.persistent,
        "scope": key.scope,
        "monitored": key.monitored,
        "secret": key.secret,
        "alias16": key.alias16,
        "aliases": list(key.aliases),
        "since": key.since,
    }


def _row(key: Key[Any]) -> str:
    access = RO if key in NOT_IN_FORCE else key.access
    default = "-" if key.default is None else key.type.format(key.default) or "(empty)"
    cells = (
        f"`{key.name}`",
        "OCPP" if key.standard else "own",
        " ".join(filter(None, (key.doc, key.locked or NOT_IN_FORCE.get(key)))),
        key.unit,
        key.type.name,
        value_range(key),
        default,
        access.name,
        "yes" if key.reboot else "",
        "yes" if key.persistent else "",
        key.scope,
        key.only or "",
        risk(key),
        ", ".join([f"1.6 {key.alias16}"] * bool(key.alias16) + list(key.aliases)),
        key.since,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _reach() -> list[str]:
    score = reachability()
    count = f"{score['over_ocpp']} of {score['settings']} settings ({score['over_ocpp'] / score['settings']:.0%})"
    lines = [f"Over OCPP a CSMS can set {count}. The others:", ""]
    lines += ["| Setting | Why it is locked |", "|---|---|"]
    return [*lines, *(f"| `{name}` | {reason} |" for name, reason in score["locked"].items()), ""]


def markdown() -> str:
    """The whole reference, one table per component."""
    lines = [INTRODUCTION, *_reach()]
    for component in sorted(registry.components(), key=str.lower):
        lines += [f"## {component}", "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
        lines += [_row(key) for key in registry.of_component(component)]
        lines.append("")
    lines += [*_absent_table(), ""]
    return "\n".join(lines)


def absent() -> list[tuple[str, tuple[str, ...], str]]:
    """Component, variables (with [instance], or `*` for all) and why the station does not have them."""
    with ABSENT.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return [(component, tuple(variables.split(",")), reason) for component, variables, reason in rows]


def why_absent(component: str, variable: str, instance: str) -> str | None:
    """The reason why there is no such variable; None when none is given."""
    names = {"*", variable, f"{variable}[{instance}]"}
    return next((why for of, variables, why in absent() if of == component and names & set(variables)), None)


def _absent_table() -> list[str]:
    lines = ["## What there is not", "", "Variables of the standard's list that this station does not have.", ""]
    lines += ["| Component | Variables | Why |", "|---|---|---|"]
    return [*lines, *(f"| {of} | {', '.join(names).replace('*', 'all')} | {why} |" for of, names, why in absent())]


def documents() -> dict[Path, str]:
    """Path and text of each document."""
    whole = {"reachability": reachability(), "keys": [describe(key) for key in registry.all_keys()]}
    return {
        DOCS / "config-keys.md": markdown(),
        DOCS / "config-keys.json": json.dumps(whole, indent=1, default=float) + "\n",
    }


def main(argv: Sequence[str]) -> int:
    """Write the documents, or check them."""
    return write_or_check("keys", documents(), argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
