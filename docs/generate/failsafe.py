"""Write docs/failsafe.md, the failsafe table, and docs/fallback.md, the page that a site planner can sign.

`python -m docs.generate.failsafe` writes them; with `--check` it exits 1 when one is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.core.failsafe_table import MEANING, SILENCES, STANDING, Row, blocks, tech_code
from config_keys import comm, failsafe, limits, site, tx
from config_keys.key import Key
from hal import profile
from hal.board import Pace as BoardPace
from hal.guard import LEASE_MS
from hal.power_stage import Pace as ControllerPace

DOCS = Path(__file__).resolve().parent.parent
PROFILES = DOCS.parent / "hal" / "profiles"
FALLBACK = (DOCS / "generate" / "fallback.template.md").read_text(encoding="utf-8")
TABLE = """\
# Failsafe

Generated from `agent/core/failsafe_table.py` by `python -m docs.generate.failsafe`. The station acts on this
table: what stands here is what it does. Keys are in [config-keys.md](config-keys.md), what each fault means for people
in [fault-codes.md](fault-codes.md), and what a site has to reckon with in [fallback.md](fallback.md).

The actions, from the slightest to the gravest:

{actions}

It clears

* **gone**: with its cause.
* **unplug**: when its cause is gone and the car was unplugged; what the contactor did also by a reset of the EVSE.
  What the hardware or the meter found is kept over a restart.
* **service**: the device keeps it until a technician has mended it.

A connector is Faulted by STOP and TRIP only: less current, and a pause, are no fault. Whatever lowers the current is
named in `LimitCtrlr.EffectiveLimitReason` and by `chargerctl why`; a pause shows as chargingState SuspendedEVSE.

## Faults

| condition | code | after | action | clears | connector | event | stoppedReason |
|---|---|---|---|---|---|---|---|
{faults}

## Silences and heat

The CSMS sees a lower `Current.Offered`, `EffectiveLimitReason`, and a TransactionEvent when charging pauses or goes on.

| condition | claim | after | action | current | it ends |
|---|---|---|---|---|---|
{silences}
"""


def _after(row: Row) -> str:
    if isinstance(row.grace, Key):
        return f"{row.grace.default} s (`{row.grace.name}`)"
    return f"{row.grace:g} s" if row.grace else "at once"


def _action(row: Row) -> str:
    """The default action and those that its key picks."""
    if row.choice is None:
        return row.action.name
    picks = ", ".join(f"{value}: {action.name}" for value, action in row.choices.items())
    return f"{row.choices[str(row.choice.default)].name} (`{row.choice.name}`: {picks})"


def _current(row: Row) -> str:
    amps = f"{row.amps.default:f} A (`{row.amps.name}`)" if isinstance(row.amps, Key) else ""
    amps = f"{row.amps:g} A" if isinstance(row.amps, float) else amps
    return "; ".join(part for part in (amps, row.by) if part)


def _fault(code: str, row: Row) -> str:
    action = "; ".join(part for part in (_action(row), _current(row)) if part)
    event = f"{tech_code(code)} at `{row.shows[0].name}`, severity {row.severity}"
    cells = (row.says, code, _after(row), action, row.clears, "Faulted" if blocks(code) else "", event, row.stopped)
    return f"| {' | '.join(cells)} |"


def _silence(claim: str, row: Row) -> str:
    cells = (row.says, claim, _after(row), _action(row), _current(row), "when it is over")
    return f"| {' | '.join(cells)} |"


def _facts() -> Mapping[str, Any]:
    """The figures of the fallback page, from where the code has them."""
    keys = {
        "grace": site.OFFLINE_GRACE, "mode": site.FALLBACK_MODE, "offline": site.OFFLINE_LIMIT,
        "boot": site.BOOT_LIMIT, "meter_grace": site.METER_SILENT_GRACE, "meter_amps": site.METER_LOST_LIMIT,
        "meter_action": failsafe.METER_LOST_ACTION, "device": site.DEVICE_FAILSAFE,
        "resume": site.RESUME_TIMEOUT, "stagger": site.STAGGER_RANDOM_RANGE, "ping": comm.WEB_SOCKET_PING_INTERVAL,
        "pong": comm.WEB_SOCKET_PONG_TIMEOUT,
        "patience": site.STOP_PATIENCE, "spacing": site.INCREASE_SPACING, "before": tx.TX_BEFORE_ACCEPTED_ENABLED,
        "resumes": site.RESUME_TRANSACTIONS_ON_BOOT, "installation": site.INSTALLATION_MAX_CURRENT,
        "hold": failsafe.RECOVER_HOLD, "circuit": limits.CIRCUIT_L1,
        "expired": failsafe.PROFILE_EXPIRED_LIMIT, "over_grace": failsafe.OVER_CURRENT_GRACE,
    }  # fmt: skip
    values = {name: key.type.format(key.default) for name, key in keys.items()}
    names = {f"{name}_key": f"`{key.name}`" for name, key in keys.items()}
    built_in = {
        "lease": LEASE_MS / 1000, "board_silent": BoardPace().silent_s, "board_timeout": BoardPace().timeout_s,
        "controller_silent": ControllerPace().silent_s,
    }  # fmt: skip
    figures = {name: f"{value:g}" for name, value in built_in.items()}
    return {**values, **names, **figures, "controllers": _controllers()}


def _controllers() -> str:
    """The watchdog times of the smart controllers that we have profiles of."""
    found = [profile.load(path.stem) for path in sorted(PROFILES.glob("*.toml"))]
    return ", ".join(f"{p.watchdog.timeout_s:g} s ({p.vendor} {p.model})" for p in found if p.watchdog is not None)


def texts() -> dict[str, str]:
    """Both files by name."""
    table = TABLE.format(
        actions="\n".join(f"{int(action) + 1}. **{action.name}**: {MEANING[action]}" for action in MEANING),
        faults="\n".join(_fault(code, row) for code, row in STANDING.items()),
        silences="\n".join(_silence(claim, row) for claim, row in SILENCES.items()),
    )
    return {"failsafe.md": table, "fallback.md": FALLBACK.format(**_facts())}


def main(argv: Sequence[str]) -> int:
    """Write the files, or check them."""
    if "--check" not in argv:
        for name, text in texts().items():
            (DOCS / name).write_text(text, encoding="utf-8")
        return 0
    stale = [n for n, text in texts().items() if not (DOCS / n).exists() or (DOCS / n).read_text("utf-8") != text]
    for name in stale:
        print(f"{name} is stale: run python -m docs.generate.failsafe", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
