"""Connector status, from plug, faults and the CSMS's will, never from the transaction (G01, G03, G04, B04, bug 24)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.metering import stamp
from agent.core.outbox import Outbox
from agent.core.resets import Verdict
from config_keys import comm, physical

Place = tuple[int, int]
TABLE = "inoperative"
"""Where it is kept what the CSMS has taken out of service: `0` (the station), `1` (an EVSE), `1.1` (a connector)."""
OUT_OF_SERVICE = "out of service by the CSMS"
MOST_USABLE_FIRST = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")


class Availability:
    """What each connector is, and what the CSMS was told of it."""

    def __init__(self, evses: Mapping[int, Evse], outbox: Outbox, stored: Mapping[str, Any]) -> None:
        self._evses = evses
        self._outbox = outbox
        self._out = set(stored)
        self._told: dict[Place, str] = {}
        self._seen: dict[Place, str] = {}
        self._since_ms: dict[Place, int] = {}

    # ---------------------------------------------------------------------------------------- the CSMS's will

    def change(self, cx: Context, evse_id: int | None, connector_id: int | None, *, operative: bool) -> Verdict:
        """ChangeAvailabilityRequest; while somebody charges it is Scheduled (G03.FR.05, G04.FR.06)."""
        places = self._named(evse_id, connector_id)
        if not places:
            known = evse_id in self._evses
            return Verdict("Rejected", "UnknownConnectorId" if known else "UnknownEvse", "there is no such place")
        name = _name(evse_id, connector_id)
        if (name in self._out) == operative:
            self._out ^= {name}
            cx.put(TABLE, name, None if operative else True)
            cx.note("status", f"{name}: {'operative' if operative else 'inoperative'} by the CSMS")
            self._enable(cx)
        for place in places:
            self.void(place)
            self._close(self._evses[place[0]])
        waits = any(self._waits(evse, connector) for evse, connector in places)
        return Verdict("Scheduled" if waits else "Accepted")

    def start(self, cx: Context) -> None:
        """What was out of service before the restart still is (G03.FR.08, G04.FR.09)."""
        self._enable(cx)

    def _enable(self, cx: Context) -> None:
        """Enabled of station, EVSE and connector: operative, at their own level and above."""
        cx.keys.put(physical.STATION_ENABLED, "0" not in self._out)
        for evse, connector in self._places():
            cx.keys.put(physical.EVSE_ENABLED, self._out.isdisjoint((_name(None, None), _name(evse, None))), evse)
            cx.keys.put(physical.CONNECTOR_ENABLED, not self._is_out(evse, connector), evse, connector)

    def _places(self) -> Iterator[Place]:
        return ((evse.id, plug.id) for evse in self._evses.values() for plug in evse.site.connectors)

    def _named(self, evse_id: int | None, connector_id: int | None) -> list[Place]:
        return [p for p in self._places() if evse_id in (None, p[0]) and connector_id in (None, p[1])]

    def _is_out(self, evse: int, connector: int) -> bool:
        if not self._out:
            return False
        return not self._out.isdisjoint((_name(None, None), _name(evse, None), _name(evse, connector)))

    def _waits(self, evse: int, connector: int) -> bool:
        """Out of service as soon as the session that uses it has ended."""
        return self._is_out(evse, connector) and not self._evses[evse].plugs[connector].closed

    def _close(self, evse: Evse) -> None:
        """A connector closes when nobody uses it; an EVSE without an operative one takes nobody new."""
        for plug in evse.plugs.values():
            is_out = self._is_out(evse.id, plug.id)
            plug.closed = is_out and (plug.closed or not evse.uses(plug))
        if evse.plug.closed and not evse.connected:
            evse.connector = next((plug.id for plug in evse.plugs.values() if not plug.closed), evse.connector)
        if self._out and all(self._is_out(evse.id, plug.id) for plug in evse.site.connectors):
            evse.closed_for.add(OUT_OF_SERVICE)
        else:
            evse.closed_for.discard(OUT_OF_SERVICE)

    # ---------------------------------------------------------------------------------------- what is

    def status(self, evse: Evse, connector: int | None = None) -> str | None:
        """Status of a connector (None: the one in use or used last); None until the hardware has been heard."""
        plug = evse.plug if connector is None else evse.plugs[connector]
        if evse.fault is not None or plug.pilot in ("E", "F"):
            return "Faulted"
        if all(other.pilot is None for other in evse.plugs.values()):
            return None
        if evse.unprotected or plug.closed:
            return "Unavailable"
        if evse.reserved:
            return "Reserved"
        if plug.is_occupied:
            return "Occupied"
        return "Unavailable" if evse.closed_for else "Available"

    def settle(self, cx: Context) -> None:
        """At the end of a step: tell what has changed, if the CSMS can be told."""
        for evse in self._evses.values() if self._out else ():
            self._close(evse)
        for place in self._places():
            status = self.status(self._evses[place[0]], place[1])
            if status is None:
                continue
            if self._seen.get(place) != status:
                self._seen[place] = status
                self._since_ms[place] = cx.ms
                self._publish(cx, place, status)
                cx.note("status", f"EVSE {place[0]}, connector {place[1]} is {status}")
            if self._outbox.online and self._told.get(place) != status and self._is_stable(cx, place, status):
                self._told[place] = status
                data = {"evse": place[0], "connector": place[1], "status": status, "at": stamp(cx, cx.ms)}
                self._outbox.call("StatusNotification", data, "status", place=list(place))

    def _is_stable(self, cx: Context, place: Place, status: str) -> bool:
        """MinimumStatusDuration: a change is told when it has lasted; a fault, and what was never told, at once."""
        left_ms = self._since_ms[place] + cx.keys[comm.MINIMUM_STATUS_DURATION] * 1000 - cx.ms
        if left_ms <= 0 or status == "Faulted" or place not in self._told:
            return True
        cx.after(f"status{place[0]}.{place[1]}", left_ms / 1000)
        return False

    def _publish(self, cx: Context, place: Place, status: str) -> None:
        """AvailabilityState of the connector and the station: what one could still use decides of the whole."""
        cx.keys.put(physical.CONNECTOR_AVAILABILITY_STATE, status, *place)
        whole = min(self._seen.values(), key=MOST_USABLE_FIRST.index)
        cx.keys.put(physical.STATION_AVAILABILITY_STATE, whole)

    # ---------------------------------------------------------------------------------------- what was told

    def reconnected(self, cx: Context, offline_ms: int) -> None:
        """B04: after a long absence all connectors are told again, after a short one only those that changed."""
        if offline_ms > cx.keys[comm.OFFLINE_THRESHOLD] * 1000:
            self.tell_all()

    def tell_all(self) -> None:
        """B01.FR.05: every connector's status is due again."""
        self._told.clear()

    def tell(self, evse_id: int | None, connector_id: int | None) -> bool:
        """The status of a connector (None: of all) is asked for; False when there is no such place."""
        places = self._named(evse_id, connector_id)
        for place in places:
            self.void(place)
        return bool(places)

    def void(self, place: Place) -> None:
        """The CSMS does not know the status of a connector."""
        self._told.pop(place, None)


def _name(evse: int | None, connector: int | None) -> str:
    return str(evse or 0) if connector is None else f"{evse}.{connector}"
