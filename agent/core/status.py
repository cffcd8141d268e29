"""The whole state of the station for people: what `chargerctl status` and the bench read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.core.context import Context
from agent.core.evse import TOO_SOON, Evse
from agent.core.instant import rfc3339
from agent.core.main_meter import MainMeter
from agent.core.plugs import Plug
from config_keys import security
from hal.ports import Reading

if TYPE_CHECKING:
    from agent.core.charger import Charger

UNRECORDED = "the store takes nothing, and nothing is energised that is not recorded"


def describe(charger: Charger, cx: Context) -> dict[str, Any]:
    """One JSON object: station, clock, link, registration, queue, store, EVSEs, faults."""
    utc = cx.utc()
    return {
        "station": {
            "vendor": charger.site.vendor, "model": charger.site.model, "serial": charger.site.serial,
            "firmware": charger.site.firmware, "boot_id": cx.boot_id, "boot_reason": charger.registration.reason,
            "uptime_s": cx.ms // 1000,
        },
        "clock": {"utc": None if utc is None else rfc3339(utc), "source": charger.durable.clock.source},
        "link": {
            "state": charger.link.state if charger.has_csms else "standalone",
            "url": charger.link.entry.profile.url if charger.link.entry else None,
            "slot": charger.link.entry.slot if charger.link.entry else None,
            "identity": charger.keys.get(security.IDENTITY),
            "connection": charger.link.connection, "reason": charger.link.reason,
            "for_s": (cx.ms - charger.link.since_ms) // 1000,
        },
        "operator": {"name": charger.operators.name, "events_for_others": charger.outbox.for_others},
        "registration": charger.registration.state,
        "online": charger.outbox.online,
        "queue": {"events": charger.outbox.events_waiting, "set_aside": charger.outbox.set_aside},
        "declined": charger.outbox.declined.names(),
        "store": charger.store_state,
        "log": {"state": charger.uploads.state, "last": charger.uploads.last},
        "main_meter": None if charger.main_meter is None else main_meter(cx, charger.main_meter),
        "evses": [_evse(charger, cx, evse) for evse in charger.evses.values()],
        "faults": faults(charger),
    }  # fmt: skip


def faults(charger: Charger) -> list[dict[str, Any]]:
    """Every fault that stands, by the codes of docs/fault-codes.md; those of the station itself are at EVSE 0."""
    standing = charger.monitoring.faults.standing()
    return [{"evse": evse, "code": code, "detail": detail} for (evse, code), detail in standing.items()]


def obstacle(charger: Charger, cx: Context, evse: Evse) -> str | None:
    """What keeps an EVSE from power, in plain words; a full flash shows itself as nothing else than waiting."""
    found = evse.obstacle(cx)
    held = found in (None, TOO_SOON) and not charger.can_store and evse.contactor.state != "closed"
    return UNRECORDED if held else found


def _waits_for(charger: Charger, cx: Context, evse: Evse) -> str | None:
    found = obstacle(charger, cx, evse)
    return found if found == UNRECORDED else evse.waits_for


def _evse(charger: Charger, cx: Context, evse: Evse) -> dict[str, Any]:
    verdict = charger.limits.verdicts.get(evse.id)
    return {
        "id": evse.id,
        "status": charger.availability.status(evse),
        "connectors": [_connector(charger, evse, plug) for plug in evse.plugs.values()],
        "pilot": evse.pilot,
        "contactor": evse.contactor.state,
        "session": evse.session.state,
        "authorised": evse.authorization is not None,
        "obstacle": _waits_for(charger, cx, evse) if evse.session.state == "ready" else None,
        "limit": None if verdict is None else {"amps": verdict.amps, "owner": verdict.owner},
        "commanded_amps": evse.commanded_amps,
        "applied_amps": evse.applied_amps,
        "phases": evse.phases_closed,
        "temperatures": evse.temperatures,
        "meter": meter(cx, evse),
        "transaction": transaction(evse),
    }


def _connector(charger: Charger, evse: Evse, plug: Plug) -> dict[str, Any]:
    status = charger.availability.status(evse, plug.id)
    return {"id": plug.id, "status": status, "cable_amps": plug.cable_amps, "locked": plug.locked}


def transaction(evse: Evse) -> dict[str, Any] | None:
    """The running transaction, or None."""
    running = evse.tx
    if running is None:
        return None
    state = running.charging_state if running.recovered_by_ms is None else "Recovering"
    return {
        "id": running.id, "evse": evse.id, "state": state, "seq": running.next_seq,
        "token": running.token.value if running.token else None, "started": running.started.get("utc"),
        "begin_wh": begin_wh(running.began), "ending": running.ending is not None,
    }  # fmt: skip


def begin_wh(value: dict[str, Any] | None) -> str | None:
    """The import register of a kept meter value, as exact text."""
    rows = value["values"] if value else ()
    return next((row[3] for row in rows if row[0] == "Energy.Active.Import.Register" and row[1] is None), None)


def meter(cx: Context, evse: Evse) -> dict[str, Any] | None:
    """The newest reading and its age; values as exact text by quantity and phase."""
    return None if evse.reading is None else _reading(cx, evse.reading, "meter" in evse.silent)


def main_meter(cx: Context, main: MainMeter) -> dict[str, Any]:
    """The newest reading of the main meter, and what ails it."""
    reading = None if main.reading is None else _reading(cx, main.reading, main.silent)
    return {"reading": reading, "silent": main.silent, "faults": dict(main.faults)}


def _reading(cx: Context, reading: Reading, silent: bool) -> dict[str, Any]:
    values: dict[str, dict[str, str]] = {}
    for (quantity, phase), value in reading.values.items():
        values.setdefault(quantity, {})["total" if phase == 0 else f"L{phase}"] = f"{value:f}"
    return {"age_ms": cx.ms - reading.mono_ms, "silent": silent, "serial": reading.serial,
            "values": values}  # fmt: skip
