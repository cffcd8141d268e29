"""Connector status, from plug and faults only, never from the transaction (G01, B04, bug 24 of real chargers)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.metering import stamp
from agent.core.outbox import Outbox
from config_keys import comm, physical

Place = tuple[int, int]
MOST_USABLE_FIRST = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")


class Availability:
    """What each connector is, and what the CSMS was told of it."""

    def __init__(self, evses: Mapping[int, Evse], outbox: Outbox) -> None:
        self._evses = evses
        self._outbox = outbox
        self._told: dict[Place, str] = {}
        self._seen: dict[Place, str] = {}

    def status(self, evse: Evse) -> str | None:
        """Status of an EVSE's connector; None until the hardware has been heard."""
        if evse.fault is not None:
            return "Faulted"
        if evse.pilot is None:
            return None
        if evse.unprotected:
            return "Unavailable"
        left_behind = evse.plug.cable == "socket" and evse.cable_amps is not None
        return "Occupied" if evse.connected or left_behind else "Available"

    def settle(self, cx: Context) -> None:
        """At the end of a step: tell what has changed, if the CSMS can be told."""
        for evse in self._evses.values():
            status, place = self.status(evse), (evse.id, evse.site.connectors[0].id)
            if status is None:
                continue
            if self._seen.get(place) != status:
                self._seen[place] = status
                self._publish(cx, place, status)
                cx.note("status", f"EVSE {evse.id} is {status}")
            if self._outbox.online and self._told.get(place) != status:
                self._told[place] = status
                data = {"evse": place[0], "connector": place[1], "status": status, "at": stamp(cx, cx.ms)}
                self._outbox.call("StatusNotification", data, "status", place=list(place))

    def _publish(self, cx: Context, place: Place, status: str) -> None:
        """AvailabilityState of the connector and the station: what one could still use decides of the whole."""
        cx.keys.put(physical.CONNECTOR_AVAILABILITY_STATE, status, *place)
        whole = min(self._seen.values(), key=MOST_USABLE_FIRST.index)
        cx.keys.put(physical.STATION_AVAILABILITY_STATE, whole)

    def reconnected(self, cx: Context, offline_ms: int) -> None:
        """B04: after a long absence all connectors are told again, after a short one only those that changed."""
        if offline_ms > cx.keys[comm.OFFLINE_THRESHOLD] * 1000:
            self.tell_all()

    def tell_all(self) -> None:
        """B01.FR.05: every connector's status is due again."""
        self._told.clear()

    def void(self, place: Place) -> None:
        """A status never reached the CSMS."""
        self._told.pop(place, None)
