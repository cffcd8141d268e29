"""The meter at the station's inlet: what all of it takes from the grid (evseId 0; J01.FR.03, J01.FR.04)."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.core.context import Context
from hal.ports import Reading

FROM_THE_GRID = "Inlet"
"""Where it measures, in OCPP's words (J01.FR.09); meters of EVSEs measure at the Outlet, which needs no word."""


@dataclass(slots=True)
class MainMeter:
    """What was last heard of it."""

    phases: int
    """How many phases it has, to sum them up where it shows no total."""
    id: int = 0
    """Its evseId on the wire."""
    reading: Reading | None = None
    silent: bool = False
    faults: dict[str, str] = field(default_factory=dict)
    """Code -> detail of what makes its readings doubtful."""

    def heard(self, cx: Context, code: str, detail: str, *, stands: bool) -> None:
        """A fault begins or is over; nothing stops for it."""
        if stands:
            self.faults[code] = detail
        else:
            self.faults.pop(code, None)
        cx.note("meter", f"main meter: {code} {detail if stands else 'is over'}".strip(), "error" if stands else "info")
