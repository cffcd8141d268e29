"""Reservations: who is expected where, until when, and which EVSEs are kept for them (H01 to H04).

A reservation names an EVSE, a connector type, or neither. One that names no EVSE keeps none in particular; what is
kept is the least that is needed: an EVSE is Reserved when, with it taken by somebody else, the reservations that name
no EVSE could no longer all be served by the free ones that are left (H01.FR.07, FR.09, FR.20, FR.24).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from agent.core.availability import OUT_OF_SERVICE
from agent.core.context import Context
from agent.core.evse import Evse, Token
from agent.core.operators import Owned
from agent.core.outbox import Outbox
from config_keys import reservation as keys
from config_keys.values import Refusal

TABLE = "reservations"
TIMER = "reservations"
ANY_GROUP = "*"
"""The group of a token that has still to be asked for (H03.FR.08)."""
TRIES = 3
"""Times that the end of a reservation is told to a CSMS that does not answer."""


class Reservation(NamedTuple):
    """One reservation; `expires` is UTC ms. `kind` is a connector type such as cType2."""

    id: int
    token: Token
    group: str | None
    evse: int | None
    kind: str | None
    expires: int

    def suits(self, evse: Evse) -> bool:
        """Whether it can be used at an EVSE."""
        if self.evse is not None and self.evse != evse.id:
            return False
        return self.kind is None or any(connector.kind == self.kind for connector in evse.site.connectors)

    def is_for(self, token: Token, group: str | None) -> bool:
        """H03.FR.01 to FR.06: the token itself, or one of its group."""
        if self.token.same(token):
            return True
        if self.group is None or group is None:
            return False
        return group == ANY_GROUP or self.group.lower() == group.lower()

    def data(self) -> dict[str, Any]:
        """What is kept of it."""
        return {"token": list(self.token), "group": self.group, "evse": self.evse, "type": self.kind,
                "expires": self.expires}  # fmt: skip

    @classmethod
    def of(cls, id: int, data: Mapping[str, Any]) -> Reservation:
        """From what was kept."""
        return cls(id, Token(*data["token"]), data["group"], data["evse"], data["type"], data["expires"])


class Answer(NamedTuple):
    """ReserveNowStatus, and why it is not Accepted."""

    status: str
    refusal: Refusal | None = None


class Reservations(Owned):
    """All that stand, and what of those that ended the CSMS has not been told. Survives restarts (B01.FR.13)."""

    TABLES, BELONGINGS = (TABLE,), ("_all", "_ended", "_tries")

    def __init__(self, evses: Mapping[int, Evse], outbox: Outbox, stored: Mapping[str, Any]) -> None:
        self._evses = evses
        self._outbox = outbox
        self.load(stored)

    def load(self, *tables: Mapping[str, Any]) -> None:
        """What was kept."""
        [stored] = tables
        self._all = {int(id): Reservation.of(int(id), e) for id, e in stored.items() if "ended" not in e}
        self._ended = {int(id): str(entry["ended"]) for id, entry in stored.items() if "ended" in entry}
        """Id: Expired or Removed, until the CSMS knows."""
        self._tries: dict[int, int] = {}

    def __iter__(self) -> Any:
        return iter(self._all.values())

    # ---------------------------------------------------------------------------------------- the CSMS's will

    def reserve(self, cx: Context, wanted: Reservation) -> Answer:
        """H01: a known id is replaced; what is not Accepted changes nothing."""
        refusal = self._refusal(cx, wanted)
        if refusal is not None:
            return Answer("Rejected", refusal)
        old = self._all.pop(wanted.id, None)
        status = self._judge(wanted)
        if status == "Accepted":
            self._all[wanted.id] = wanted
            self._ended.pop(wanted.id, None)
            cx.put(TABLE, str(wanted.id), wanted.data())
        elif old is not None:
            self._all[old.id] = old
        self._mark()
        return Answer(status)

    def cancel(self, cx: Context, id: int) -> bool:
        """H02: False when there is none with this id."""
        if self._all.pop(id, None) is None:
            return False
        cx.put(TABLE, str(id), None)
        self._mark()
        return True

    def _refusal(self, cx: Context, wanted: Reservation) -> Refusal | None:
        utc = cx.utc()
        if not cx.keys[keys.ENABLED]:
            return Refusal("NotEnabled", "ReservationCtrlr.Enabled is false (H01.FR.01)")
        if utc is None or wanted.expires <= utc:
            return Refusal("InvalidValue", "expiryDateTime has passed")
        if wanted.evse is None and not cx.keys[keys.NON_EVSE_SPECIFIC]:
            return Refusal("UnsupportedParam", "evseId is missing, NonEvseSpecific is false (H01.FR.19)")
        if wanted.evse is not None and wanted.evse not in self._evses:
            return Refusal("UnknownEvse", f"there is no EVSE {wanted.evse}")
        if not self._suitable(wanted):
            return Refusal("UnknownConnectorType", f"no {wanted.kind} there")
        return None

    def _suitable(self, wanted: Reservation) -> list[Evse]:
        return [evse for evse in self._evses.values() if wanted.suits(evse)]

    def _judge(self, wanted: Reservation) -> str:
        """Whether there is room for one more, else why not (H01.FR.04, FR.06, FR.11, FR.12, FR.14, FR.23)."""
        free, places = self._free(), [r for r in self._all.values() if r.evse is None]
        targets = self._suitable(wanted)
        if wanted.evse is not None:
            room = targets[0].id in free and not _is_needed(targets[0].id, free, places)
        else:
            room = _served([*places, wanted], free.values()) > _served(places, free.values())
        if room:
            return "Accepted"
        states = {_state(evse) for evse in targets}
        if states <= {"Faulted"}:
            return "Faulted"
        return "Unavailable" if states <= {"Unavailable", "Faulted"} else "Occupied"

    # ---------------------------------------------------------------------------------------- who may charge

    def admits(self, evse: Evse, token: Token, group: str | None) -> bool:
        """Whether a token may begin at an EVSE (F01.FR.21, FR.22): it is not kept, or kept for this token."""
        return not evse.reserved or self.match(evse, token, group) is not None

    def match(self, evse: Evse, token: Token, group: str | None) -> Reservation | None:
        """The reservation that a token uses at an EVSE: one for this EVSE before one for any."""
        found = [r for r in self._all.values() if r.suits(evse) and r.is_for(token, group)]
        if any(r.evse == evse.id for r in self._all.values()):
            found = [r for r in found if r.evse == evse.id]
        found = [r for r in found if r.evse is not None or self._spares(r, evse)]
        return min(found, key=lambda r: (r.evse is None, r.kind is None, r.expires), default=None)

    def _spares(self, reservation: Reservation, evse: Evse) -> bool:
        """The others that name no EVSE can still be served when this one is used here (H01.FR.09)."""
        others = [r for r in self._all.values() if r.evse is None and r is not reservation]
        free = self._free()
        return _served(others, [e for e in free.values() if e is not evse]) == _served(others, free.values())

    def use(self, cx: Context, evse: Evse, token: Token, group: str | None) -> int | None:
        """H03.FR.09: somebody was let in here; the reservation that was his is used. Returns its id."""
        used = self.match(evse, token, group)
        if used is None:
            return None
        self.cancel(cx, used.id)
        cx.note("reservation", f"reservation {used.id} is used at EVSE {evse.id}")
        return used.id

    # ---------------------------------------------------------------------------------------- time and faults

    def settle(self, cx: Context) -> None:
        """At the end of a step: what has expired or lost its EVSE ends, the rest keeps what it needs."""
        if self._all:
            self._expire(cx)
            self._lose(cx)
        self._mark()
        for id, status in self._ended.items():
            if self._outbox.online and not self._outbox.has_call("ReservationStatusUpdate"):
                self._outbox.call("ReservationStatusUpdate", {"id": id, "status": status}, "reservation", id=id)

    def told(self, cx: Context, id: int) -> None:
        """The CSMS knows that it ended, or does not want to."""
        self._tries.pop(id, None)
        if self._ended.pop(id, None) is not None:
            cx.put(TABLE, str(id), None)

    def unanswered(self, cx: Context, id: int, *, refused: bool) -> None:
        """It is told again, unless the CSMS wants none of it or is silent too often."""
        self._tries[id] = self._tries.get(id, 0) + self._outbox.online
        if refused or self._tries[id] >= TRIES:
            self.told(cx, id)

    def _expire(self, cx: Context) -> None:
        """H04.FR.01. Without a clock nothing expires."""
        utc = cx.utc()
        if utc is None:
            return
        for reservation in [r for r in self._all.values() if r.expires <= utc]:
            self._end(cx, reservation, "Expired")
        if self._all:
            cx.timers.set(TIMER, cx.ms + min(r.expires for r in self._all.values()) - utc)
        else:
            cx.forget(TIMER)

    def _lose(self, cx: Context) -> None:
        """H01.FR.16, FR.17: its EVSE is Faulted or Unavailable; of those that name none the youngest goes."""
        for reservation in list(self._all.values()):
            if reservation.evse is not None and _is_lost(self._evses[reservation.evse]):
                self._end(cx, reservation, "Removed")
        free, places = self._free(), [r for r in self._all.values() if r.evse is None]
        for reservation in reversed(places):
            others = [r for r in places if r is not reservation]
            if any(map(_is_lost, self._suitable(reservation))) and _served(places, free.values()) < len(places):
                self._end(cx, reservation, "Removed")
                places = others

    def _end(self, cx: Context, reservation: Reservation, status: str) -> None:
        del self._all[reservation.id]
        self._ended[reservation.id] = status
        cx.put(TABLE, str(reservation.id), {"ended": status})
        cx.note("reservation", f"reservation {reservation.id} is {status}")

    # ---------------------------------------------------------------------------------------- what is kept

    def _free(self) -> dict[int, Evse]:
        """EVSEs that no reservation names and nobody uses; a stranger's car does not free a kept one (G01.FR.09)."""
        named = {r.evse for r in self._all.values()}
        return {
            evse.id: evse
            for evse in self._evses.values()
            if evse.id not in named and not _is_lost(evse) and (_state(evse) == "Available" or _is_kept(evse))
        }

    def _mark(self) -> None:
        if not self._all:
            for evse in self._evses.values():
                evse.reserved = False
            return
        named = {r.evse for r in self._all.values()}
        free, places = self._free(), [r for r in self._all.values() if r.evse is None]
        for evse in self._evses.values():
            kept = bool(places) and evse.id in free and _is_needed(evse.id, free, places)
            evse.reserved = evse.id in named or kept


def _is_kept(evse: Evse) -> bool:
    return evse.reserved and evse.authorization is None and evse.next is None


def _state(evse: Evse) -> str:
    """What an EVSE would be without reservations; what is not known yet counts as free."""
    if evse.fault is not None:
        return "Faulted"
    if _is_lost(evse):
        return "Unavailable"
    return "Occupied" if evse.occupied or evse.is_busy else "Available"


def _is_lost(evse: Evse) -> bool:
    return evse.fault is not None or evse.unprotected or OUT_OF_SERVICE in evse.closed_for


def _is_needed(evse_id: int, free: Mapping[int, Evse], places: Collection[Reservation]) -> bool:
    """Whether the reservations that name no EVSE could be served worse without this one."""
    others = [evse for id, evse in free.items() if id != evse_id]
    return _served(places, others) < _served(places, free.values())


def _served(places: Iterable[Reservation], free: Iterable[Evse]) -> int:
    """How many of these reservations can be served at once: a maximum matching, by augmenting paths."""
    given: dict[int, Reservation] = {}
    evses = list(free)

    def serve(reservation: Reservation, tried: set[int]) -> bool:
        for evse in evses:
            if reservation.suits(evse) and evse.id not in tried:
                tried.add(evse.id)
                if evse.id not in given or serve(given[evse.id], tried):
                    given[evse.id] = reservation
                    return True
        return False

    return sum(serve(reservation, set()) for reservation in places)
