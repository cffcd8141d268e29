"""From a meter's reading to sampled values: one canonical table of measurand, unit, phases and label (J.1, bug 27)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.main_meter import MainMeter
from config_keys import sampled
from hal.ports import Quantity

FRESH_MS = 10_000
"""A reading older than this is no value (bug 6 of real chargers); it is never re-stamped."""

ALIGNED_MS = 2_000
"""A reading so near to a boundary of the clock on the wall is told as the value of that boundary."""


class Measurand(NamedTuple):
    """How a measurand is measured and labelled; `labels` are the phase names for L1 to L3."""

    quantity: Quantity
    unit: str
    labels: tuple[str, str, str]
    total: bool = True
    sums: bool = False
    """The total is the sum of the phases where the meter has none."""


_LINES = ("L1", "L2", "L3")
_NEUTRAL = ("L1-N", "L2-N", "L3-N")
MEASURANDS: Mapping[str, Measurand] = {
    "Energy.Active.Import.Register": Measurand("energy_import_wh", "Wh", _LINES),
    "Energy.Active.Export.Register": Measurand("energy_export_wh", "Wh", _LINES),
    "Power.Active.Import": Measurand("power_w", "W", _LINES, sums=True),
    "Current.Import": Measurand("current_a", "A", _LINES, total=False),
    "Voltage": Measurand("voltage_v", "V", _NEUTRAL, total=False),
    "Frequency": Measurand("frequency_hz", "Hz", _LINES),
    "Power.Factor": Measurand("power_factor", "", _LINES),
}
OFFERED = "Current.Offered"

Values = list[list[Any]]
Value = dict[str, Any]
"""Rows of [measurand, phase label or None, unit, value as exact text]."""


def measure(cx: Context, at: Evse | MainMeter, measurands: Iterable[str]) -> Values:
    """What the newest reading says of these measurands; what was not read is absent, never zero.

    Of Energy.Active.Import.Register only the total, where there is one and RegisterValuesWithoutPhases says so.
    """
    rows: Values = []
    totals_only = cx.keys[sampled.REGISTER_VALUES_WITHOUT_PHASES]
    for name in measurands:
        if name == OFFERED and isinstance(at, Evse):
            rows.append([name, None, "A", f"{at.commanded_amps or 0:.1f}"])
        elif (spec := MEASURANDS.get(name)) is not None:
            rows.extend(_rows(at, name, spec, totals_only and spec.quantity == "energy_import_wh"))
    return rows


def _rows(at: Evse | MainMeter, name: str, spec: Measurand, totals_only: bool) -> Values:
    reading = at.reading.values if at.reading is not None else {}
    rows: Values = []
    total = reading.get((spec.quantity, 0))
    by_phase = [(phase, reading[spec.quantity, phase]) for phase in (1, 2, 3) if (spec.quantity, phase) in reading]
    if total is None and spec.sums and len(by_phase) == (at.site.phases if isinstance(at, Evse) else at.phases):
        total = sum((value for _, value in by_phase), Decimal(0))
    if total is not None and spec.total:
        rows.append([name, None, spec.unit, f"{total:f}"])
    for phase, value in () if totals_only and total is not None else by_phase:
        rows.append([name, spec.labels[phase - 1], spec.unit, f"{value:f}"])
    return rows


def stamp(cx: Context, mono_ms: int) -> dict[str, Any]:
    """When something was: monotonic ms and boot, and UTC ms if known now (else it is assigned at sending)."""
    return {"mono": mono_ms, "boot": cx.boot_id, "utc": cx.clock.utc_of(cx.now, mono_ms)}


def in_order(plain: Value | None, signed: Value | None) -> tuple[Value | None, Value | None]:
    """Two values of an end as they were read, where one boot has read both: current may have flowed between them."""
    if plain and signed and plain.get("boot") == signed.get("boot") and signed["mono"] < plain["mono"]:
        return signed, plain
    return plain, signed


def sample(cx: Context, evse: Evse, measurands: Iterable[str], context: str) -> dict[str, Any] | None:
    """A sampled meter value of the newest reading, stamped with the reading's own time.

    None without a fresh reading, and while SampledDataCtrlr.Enabled is false.
    """
    if not cx.keys[sampled.ENABLED]:
        return None
    if not is_fresh(cx, evse) and not (context == "Transaction.End" and is_final(evse)):
        return None
    assert evse.reading is not None
    values = measure(cx, evse, measurands)
    return {**stamp(cx, evse.reading.mono_ms), "context": context, "values": values} if values else None


def of_boundary(cx: Context, at: Evse | MainMeter, measurands: Iterable[str], utc_ms: int) -> dict[str, Any] | None:
    """What the newest reading says for the boundary `utc_ms` of the clock on the wall; None without a fresh one.

    Every meter's value bears the boundary itself (J01, TC_J_01); a reading that is further away keeps its own moment.
    """
    values = measure(cx, at, measurands) if at.reading is not None and is_fresh(cx, at) else []
    if not values or at.reading is None:
        return None
    stamped = stamp(cx, at.reading.mono_ms)
    if is_at(stamped, utc_ms):
        stamped |= {"mono": cx.ms, "utc": utc_ms}
    return {**stamped, "context": "Sample.Clock", "values": values}


def is_at(stamped: Mapping[str, Any], utc_ms: int) -> bool:
    """What was read so near to a moment of the clock on the wall is told as read at it."""
    return stamped["utc"] is not None and abs(stamped["utc"] - utc_ms) <= ALIGNED_MS


def last_known(
    cx: Context, evse: Evse, measurands: Iterable[str], began: dict[str, Any] | None
) -> dict[str, Any] | None:
    """What a meter that fell silent since `began` had counted until then, with the moment of that reading."""
    reading = evse.reading
    if reading is None or not began or not cx.keys[sampled.ENABLED]:
        return None
    if began["boot"] == cx.boot_id and reading.mono_ms <= began["mono"]:
        return None
    values = measure(cx, evse, measurands)
    return {**stamp(cx, reading.mono_ms), "context": "Interruption.Begin", "values": values} if values else None


def is_fresh(cx: Context, at: Evse | MainMeter) -> bool:
    """Whether the newest reading may stand for now."""
    return at.reading is not None and cx.ms - at.reading.mono_ms <= FRESH_MS


def is_final(evse: Evse) -> bool:
    """Whether nothing can have flowed since the newest reading: however old it is, it tells the end."""
    opened_ms = evse.contactor.opened_ms
    return evse.reading is not None and not evse.contactor.may_carry and evse.reading.mono_ms >= opened_ms > 0


def energy_wh(evse: Evse) -> str | None:
    """The import register of the newest reading as exact text, or None."""
    total = evse.reading.values.get(("energy_import_wh", 0)) if evse.reading is not None else None
    return None if total is None else f"{total:f}"


def resolve(cx: Context, stamped: dict[str, Any] | None) -> bool:
    """Give a stamp its UTC now that UTC is known; True when it had none.

    A moment of an earlier boot whose clock was never set lies before this boot: it gets this boot's first moment.
    """
    if not stamped or stamped.get("utc") is not None:
        return False
    stamped["utc"] = cx.clock.utc_of(cx.now, stamped["mono"] if stamped["boot"] == cx.boot_id else 0)
    return stamped["utc"] is not None
