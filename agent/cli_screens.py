"""Answers of the agent as text for people: pure functions from the JSON of a verb to lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

GOOD, BAD, CARE, BOLD = "32", "31", "33", "1"
_TONES = {
    "open": GOOD, "accepted": GOOD, "ok": GOOD, "Available": GOOD, "charging": GOOD, "Charging": GOOD,
    "rejected": BAD, "Faulted": BAD, "Unavailable": CARE, "welded": BAD, "failed": BAD, "dead": BAD,
    "full": BAD, "pending": CARE, "waiting": CARE, "dialling": CARE,
}  # fmt: skip


def status(data: Mapping[str, Any]) -> str:
    """The status screen."""
    station, link, clock = data["station"], data["link"], data["clock"]
    head = f"{station['vendor']} {station['model']}"
    lines = [
        f"{_paint(head, BOLD)}  serial {station['serial']}  firmware {station['firmware']}",
        _row("Up", f"{duration(station['uptime_s'])}, started by {station['boot_reason']}"),
        _row("Clock", f"{clock['utc']} (from {_source(clock)})" if clock["utc"] else "UTC not known"),
        _row("CSMS", _link(link)),
    ]
    if link["state"] != "standalone":
        lines.append(_row("Boot", f"{_tone(data['registration'])}, {_queue(data['queue'])}"))
    lines.append(_row("Store", _tone(data["store"])))
    lines.append(_row("Faults", _paint("; ".join(map(fault, data["faults"])), BAD) or "none"))
    for evse in data["evses"]:
        lines += ["", *_evse(evse)]
    return "\n".join(lines)


def why(data: Iterable[Mapping[str, Any]]) -> str:
    """Per EVSE the winning limit, what stands in the way, and all claims, lowest first."""
    lines: list[str] = []
    for evse in data:
        lines.append(_paint(f"EVSE {evse['evse']}: {amps(evse['amps'])} because of {evse['owner']}", BOLD))
        on = f" on {evse['phases']} phases" if evse.get("phases") else ""
        lines.append(_row("Commanded", amps(evse["commanded_amps"]) + on))
        lines.append(_row("Session", evse["session"]))
        if evse.get("obstacle"):
            lines.append(_row("Obstacle", _paint(evse["obstacle"], CARE)))
        lines += [_row("Claim" if n == 0 else "", _claim(claim)) for n, claim in enumerate(evse["claims"])]
    return "\n".join(lines)


def verdict(ok: bool, what: str, found: str) -> str:
    """One line of an examination."""
    return f"{_paint('ok  ', GOOD) if ok else _paint('FAIL', BAD)}  {what:12} {found}"


def value(data: Mapping[str, Any]) -> str:
    """The bare value, for scripts."""
    return str(data["value"])


def written(data: Mapping[str, Any]) -> str:
    """What became of a write."""
    later = " (used from the next start on)" if data["status"] == "RebootRequired" else ""
    return f"{data['name']} = {data['value']}{later}"


def variables(data: Iterable[Mapping[str, Any]]) -> str:
    """One line per variable."""
    cells = [
        (v["name"], f"{v['value']} {v['unit']}".strip(), v["access"], "reboot" if v["reboot"] else "",
         v["alias16"] or "", v["doc"]) for v in data
    ]  # fmt: skip
    return _table(("NAME", "VALUE", "ACCESS", "NEEDS", "1.6 NAME", "MEANING"), cells)


def diff(data: Iterable[Mapping[str, Any]]) -> str:
    """What is in force beside what it is compared with."""
    rows = list(data)
    if not rows:
        return "no difference"
    other = "file" if "file" in rows[0] else "factory"
    cells = [(row["name"], _shown(row["value"]), _shown(row[other])) for row in rows]
    return _table(("NAME", "IN FORCE", other.upper()), cells)


def exported(data: Mapping[str, Any]) -> str:
    """The export itself, or where it was written."""
    if "file" in data:
        return f"{data['settings']} settings written to {data['file']}"
    return json.dumps(data, indent=2, ensure_ascii=False)


def imported(data: Mapping[str, Any]) -> str:
    """What a file changes."""
    cells = [
        (c["name"], _shown(c["old"]), _shown(c["value"]), "after a reboot" if c["status"] == "RebootRequired" else "")
        for c in data["changed"]
    ]
    lines = [_table(("NAME", "BEFORE", "NOW", ""), cells)] if cells else []
    lines += [f"left out: {name}" for name in data["left_out"]]
    return "\n".join([*lines, f"{len(cells)} changed, {data['unchanged']} as before"])


def _shown(value: str | None) -> str:
    """An empty value can be seen."""
    return "(none)" if value is None else value or "(empty)"


def transactions(data: Mapping[str, Any]) -> str:
    """Running transactions, then ended ones."""
    cells = [(t["id"], t["evse"], t["state"], kwh(t["begin_wh"]), "", "", t["seq"]) for t in data["running"]]
    cells += [
        (t["id"], t["evse"], f"ended: {t['reason']}", kwh(t["begin_wh"]), kwh(t["end_wh"]), t["undelivered"],
         t["events"]) for t in data["ended"]
    ]  # fmt: skip
    return _table(("TRANSACTION", "EVSE", "STATE", "BEGIN", "END", "UNDELIVERED", "EVENTS"), cells)


def meters(data: Any) -> str:
    """Readings per EVSE; whatever a device said itself when it was asked directly."""
    if not isinstance(data, list) or any("reading" not in meter for meter in data):
        return rows(data)
    lines = []
    for meter in data:
        lines.append(_paint(f"EVSE {meter['evse']}" if meter["evse"] else "main meter", BOLD))
        reading = meter["reading"]
        lines += [_row(*line) for line in _readings(reading)] if reading else ["  no reading yet"]
    return "\n".join(lines)


def faults(data: Iterable[Mapping[str, Any]]) -> str:
    """One line per fault."""
    return "\n".join(_paint(fault(one), BAD) for one in data) or "no faults"


def pairs(data: Mapping[str, Any]) -> str:
    """Names and values."""
    return "\n".join(_row(name.replace("_", " "), str(item)) for name, item in data.items())


def rows(data: Any) -> str:
    """A list of objects as a table, an object as pairs, anything else as it is."""
    if isinstance(data, Mapping):
        return pairs(data)
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        return str(data)
    names = tuple(dict.fromkeys(name for item in data for name in item))
    return _table(
        tuple(n.upper().replace("_", " ") for n in names), [[i.get(n, "") for n in names] for i in data]
    )


def frame(data: Mapping[str, Any]) -> str:
    """One OCPP frame with time and direction."""
    arrow = _paint(data["dir"], GOOD if data["dir"] == ">" else CARE)
    return f"{str(data['ts'])[11:23]} #{data['connection']} {arrow} {data['frame']}"


def duration(seconds: float) -> str:
    """So long, in the two largest units."""
    whole = int(seconds)
    for size, name, small, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // small} {below}"
    return f"{whole} s"


def amps(value: float | None) -> str:
    """A current."""
    return "-" if value is None else f"{value:g} A"


def kwh(watt_hours: str | None) -> str:
    """An energy register, to the watt-hour."""
    try:
        return "" if watt_hours is None else f"{Decimal(watt_hours) / 1000:.3f} kWh"
    except InvalidOperation:
        return watt_hours or ""


def _evse(evse: Mapping[str, Any]) -> list[str]:
    status_, pilot = _tone(evse["status"] or "not known yet"), f"pilot {evse['pilot'] or '?'}"
    facts = ", ".join((status_, pilot, f"contactor {_tone(evse['contactor'])}", evse["session"]))
    lines = [f"{_paint('EVSE ' + str(evse['id']), BOLD)}  {facts}"]
    limit = evse["limit"]
    if limit:
        spread = f"commanded {amps(evse['commanded_amps'])}, applied {amps(evse['applied_amps'])}"
        phases = f", {evse['phases']} phases" if evse["phases"] else ""
        lines.append(_row("Limit", f"{amps(limit['amps'])} because of {limit['owner']} ({spread}{phases})"))
    if evse.get("obstacle"):
        lines.append(_row("Obstacle", _paint(str(evse["obstacle"]), CARE)))
    lines.append(_row("Transaction", _running(evse)))
    if evse["meter"]:
        lines += [_row(*line) for line in _readings(evse["meter"])]
    else:
        lines.append(_row("Meter", "no reading yet"))
    return lines


def _running(evse: Mapping[str, Any]) -> str:
    running = evse["transaction"]
    if not running:
        return "none, authorised" if evse["authorised"] else "none"
    meter = evse["meter"] or {}
    register = meter.get("values", {}).get("energy_import_wh", {}).get("total")
    drawn = ""
    if register is not None and running["begin_wh"] is not None:
        drawn = f", {kwh(str(Decimal(register) - Decimal(running['begin_wh'])))}"
    token = f", token {running['token']}" if running["token"] else ""
    return f"{running['id']} {_tone(running['state'])}{drawn}{token}"


def _readings(reading: Mapping[str, Any]) -> list[tuple[str, str]]:
    age = f"{reading['age_ms'] / 1000:.1f} s old"
    values: Mapping[str, Mapping[str, str]] = reading["values"]
    energy = values.get("energy_import_wh", {}).get("total")
    power = values.get("power_w", {}).get("total")
    shown = [kwh(energy), f"{Decimal(power):.0f} W" if power is not None else "", age]
    if reading["silent"]:
        shown.append(_paint("silent", BAD))
    lines = [("Meter", ", ".join(filter(None, shown)))]
    phases = [f"{p} {_phase(values, p)}" for p in ("L1", "L2", "L3") if _phase(values, p)]
    return [*lines, ("", "   ".join(phases))] if phases else lines


def _phase(values: Mapping[str, Mapping[str, str]], phase: str) -> str:
    units = (("current_a", "A", 2), ("voltage_v", "V", 1))
    parts = [(values.get(name, {}).get(phase), unit, digits) for name, unit, digits in units]
    return " ".join(f"{Decimal(text):.{digits}f} {unit}" for text, unit, digits in parts if text is not None)


def _source(clock: Mapping[str, Any]) -> str:
    return "the system" if clock["source"] == "none" else f"the {clock['source'].upper()}"


def _link(link: Mapping[str, Any]) -> str:
    if link["state"] == "standalone":
        return "none configured, standalone"
    where = f"{link['url']} as {link['identity']}"
    if link["state"] == "open":
        return f"{_paint('connected', GOOD)} for {duration(link['for_s'])}, {where}"
    return f"{_paint(link['state'], CARE)} for {duration(link['for_s'])}: {link['reason']}, {where}"


def _queue(queue: Mapping[str, Any]) -> str:
    aside = _paint(f", {queue['set_aside']} set aside", CARE) if queue["set_aside"] else ""
    return f"{queue['events']} events waiting{aside}"


def fault(one: Mapping[str, Any]) -> str:
    """A fault in one line."""
    detail = f" ({one['detail']})" if one.get("detail") else ""
    where = f"EVSE {one['evse']}" if one["evse"] else "station"
    return f"{where}: {one['code']}{detail}"


def _claim(claim: Mapping[str, Any]) -> str:
    reason = f": {claim['why']}" if claim["why"] else ""
    return f"{amps(claim['amps']):>6}  {claim['owner']}{_end(claim)}{reason}"


def _end(claim: Mapping[str, Any]) -> str:
    """Until when a claim holds, and what it becomes."""
    if "then" not in claim:
        return ""
    held = f"until {claim['until']}" if "until" in claim else f"for {duration(claim['left_s'])}"
    return f" {held}, then {amps(claim['then'])}"


def _row(name: str, text: str) -> str:
    return f"  {name:<12} {text}"


def _table(head: tuple[str, ...], cells: Iterable[Iterable[Any]]) -> str:
    """Columns as wide as their widest cell; the last one is not padded."""
    lines = [list(head), *([str(cell) for cell in row] for row in cells)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _tone(word: Any) -> str:
    text = str(word)
    return _paint(text, _TONES[text]) if text in _TONES else text


def _paint(text: str, tone: str) -> str:
    """Colour on a terminal that wants it (https://no-color.org)."""
    if not text or "NO_COLOR" in os.environ or not sys.stdout.isatty():
        return text
    return f"\x1b[{tone}m{text}\x1b[0m"
