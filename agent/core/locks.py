"""The retention of loose plugs: locked before current flows, released at a normal end, kept for its owner else.

What the hardware does not report is not believed: a lock that does not move has failed (G05), is told again and
again, and a release that the CSMS asks for is answered when the lock has answered (F05).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agent.core.context import Context
from agent.core.evse import Evse, Token
from agent.core.plugs import Plug
from agent.core.settings import Tables
from config_keys import comm
from hal.ports import SetLock
from state_machines.reasons import Cause

TABLE = "cables"
Place = tuple[int, int]
"""EVSE and connector."""
LOCKED_STATES = ("ready", "powered", "pausing", "stopping")
TRAVEL_S = 5.0
"""How long a lock may take, its telegrams included; Phoenix Contact and Walther drives need below 1 s."""
AGAIN_S = {True: 5.0, False: 30.0}
"""When a lock that did not close (a driver stands there and pushes) or open is told again; later each time."""
SLOWEST = 12
"""Times AGAIN_S: the longest wait, so that a stuck drive does not wear itself out."""


class Told(NamedTuple):
    """What a lock was told, in which step, and when it must have obeyed."""

    locked: bool
    step: int
    until_ms: int
    tries: int = 0
    """How often it has not obeyed."""


class Asked(NamedTuple):
    """A release that the CSMS waits for."""

    step: int
    until_ms: int
    done: Callable[[Context, bool], None]


class Locks:
    """Commands the lock of each EVSE with a socket; fixed cables have none."""

    def __init__(self, stored: Tables) -> None:
        self._told: dict[Place, Told] = {}
        held = {_place(name): entry for name, entry in stored.get(TABLE, {}).items()}
        self._owner = {place: Token(*entry[:2]) for place, entry in held.items()}
        """Whose cable stays locked until that token is presented, also after a restart (E05.FR.11, E09.FR.03,
        E10.FR.01)."""
        self._telling = {place for place, entry in held.items() if entry[2]}
        """Cables of before the restart that told what they are: one that tells nothing any more has gone."""
        self._asked: dict[Place, list[Asked]] = {}
        self._applied: dict[int, int] = {}
        """EVSE: the newest step whose lock command the device has taken."""

    def restarted(self, evse: Evse) -> None:
        """The device was heard anew: it is told again."""
        self._told = {place: told for place, told in self._told.items() if place[0] != evse.id}

    def unrecorded(self, evse: Evse, step: int) -> None:
        """The batch of `step` was lost, and with it what was to be energised since: it is told again."""
        self._told = {
            place: told for place, told in self._told.items() if place[0] != evse.id or told.step < step
        }

    def settle(self, cx: Context, evse: Evse) -> None:
        """Lock or release as the session asks; never release under voltage."""
        if evse.capabilities is None:
            return
        for plug in evse.plugs.values():
            if plug.cable != "socket" or not evse.capabilities.lock:
                self._keep(cx, evse, plug, None)
                continue
            self._follow(cx, evse, plug)
            if self._asked:
                self._report(cx, evse, plug)

    def _follow(self, cx: Context, evse: Evse, plug: Plug) -> None:
        told_before = plug.pilot is not None and (evse.id, plug.id) in self._telling
        if (plug.tells or told_before) and not plug.is_occupied and "proximity" not in evse.faults:
            self._keep(cx, evse, plug, None)
        wanted = self.in_use(evse, plug) or (evse.id, plug.id) in self._owner
        told = self._told.get((evse.id, plug.id))
        if told is None or told.locked != wanted:
            plug.lock_fails = False
            self._tell(cx, evse, plug, wanted, TRAVEL_S)
        elif (plug.locked is True) == wanted:
            plug.lock_fails = False
        elif cx.ms >= told.until_ms and not evse.silent:
            plug.lock_fails = True
            cx.note("lock", f"EVSE {evse.id}: connector {plug.id} does not {'lock' if wanted else 'open'}", "warning")
            tries = told.tries + 1
            self._tell(cx, evse, plug, wanted, AGAIN_S[wanted] * min(tries, SLOWEST), tries)

    def _tell(self, cx: Context, evse: Evse, plug: Plug, locked: bool, within_s: float, tries: int = 0) -> None:
        self._told[evse.id, plug.id] = Told(locked, cx.step, cx.ms + round(within_s * 1000), tries)
        cx.after(f"lock{evse.id}.{plug.id}", within_s)
        cx.energise(SetLock(evse.id, cx.step, plug.id, locked))

    def in_use(self, evse: Evse, plug: Plug) -> bool:
        """Somebody charges there, or is about to or after a restart might go on, or a welded contactor keeps what was
        locked live: it stays locked."""
        if _may_go_on(evse, plug):
            return True
        if plug is evse.plug:
            return evse.session.state in LOCKED_STATES or evse.contactor.may_carry
        told = self._told.get((evse.id, plug.id))
        return evse.contactor.state == "welded" and (plug.locked is True or (told is not None and told.locked))

    # ---------------------------------------------------------------------------------------- the CSMS asks

    def open(self, cx: Context, evse: Evse, plug: Plug, done: Callable[[Context, bool], None]) -> None:
        """F05: try to release the plug, also without a cable (F05.FR.06), and for nobody any longer.

        `done` hears later whether it is open. Only when it is not in use.
        """
        assert not self.in_use(evse, plug), "a release under somebody's charging"
        place = (evse.id, plug.id)
        self._keep(cx, evse, plug, None)
        self._tell(cx, evse, plug, False, TRAVEL_S)
        self._asked.setdefault(place, []).append(Asked(cx.step, cx.ms + round(TRAVEL_S * 1000), done))

    def applied(self, evse: Evse, step: int) -> None:
        """The device has taken a lock command."""
        self._applied[evse.id] = max(step, self._applied.get(evse.id, 0))

    def _report(self, cx: Context, evse: Evse, plug: Plug) -> None:
        place = (evse.id, plug.id)
        for asked in self._asked.pop(place, ()):
            taken = self._applied.get(evse.id, 0) >= asked.step
            is_open = taken and plug.locked is not True
            if is_open or cx.ms >= asked.until_ms:
                asked.done(cx, is_open)
            else:
                self._asked.setdefault(place, []).append(asked)

    # ---------------------------------------------------------------------------------------- whose it is

    def ended(self, cx: Context, evse: Evse, cause: Cause, token: Token | None) -> None:
        """An authorization has ended: not by its owner means that the cable waits for its owner."""
        if token is not None and cause is Cause.DEAUTHORIZED:
            self._hold(cx, evse, token)

    def unplugged(self, cx: Context, evse: Evse, token: Token | None) -> None:
        """The car's end was pulled: the station's end is freed by key, or by the owner's token."""
        if token is not None and not cx.keys[comm.UNLOCK_ON_EV_SIDE_DISCONNECT]:
            self._hold(cx, evse, token)

    def _hold(self, cx: Context, evse: Evse, owner: Token) -> None:
        """After a restart it may be unknown yet whether there is a lock: it is held if one comes."""
        plug = evse.plugs.get(evse.tx.connector, evse.plug) if evse.tx is not None else evse.plug
        if plug.cable == "socket" and (evse.capabilities is None or evse.capabilities.lock):
            self._keep(cx, evse, plug, owner)

    def _keep(self, cx: Context, evse: Evse, plug: Plug, owner: Token | None) -> None:
        """Whose the cable is from now on; written down, for a restart frees nobody's cable."""
        place = evse.id, plug.id
        if owner is None:
            self._free(cx, place)
        elif self._owner.get(place) != owner:
            self._owner[place] = owner
            tells = plug.tells or (evse.tx is not None and evse.tx.cable is not None)
            cx.put(TABLE, _name(place), [*owner, tells])

    def _free(self, cx: Context, place: Place) -> None:
        if self._owner.pop(place, None) is not None:
            cx.put(TABLE, _name(place), None)

    def keeps(self, evse: Evse) -> bool:
        """A cable waits in the socket for its owner."""
        return any((evse.id, connector) in self._owner for connector in evse.plugs)

    def presented(self, cx: Context, token: Token) -> bool:
        """The owner of a held cable is here: it is released. True when it was held for this token."""
        held = [place for place, owner in self._owner.items() if owner.same(token)]
        for place in held:
            self._free(cx, place)
        return bool(held)

    def open_all(self, cx: Context) -> None:
        """Somebody who may stop everything is here: no cable waits for its owner any longer (C16)."""
        for place in tuple(self._owner):
            self._free(cx, place)


def _name(place: Place) -> str:
    """Of a place's entry in the store."""
    return f"{place[0]} {place[1]}"


def _place(name: str) -> Place:
    """EVSE and connector, of an entry's name."""
    evse, connector = map(int, name.split())
    return evse, connector


def _may_go_on(evse: Evse, plug: Plug) -> bool:
    """Somebody charged there before the restart, and it is not known yet whether he still does."""
    before = evse.tx
    if before is None or before.recovered_by_ms is None or before.connector != plug.id:
        return False
    return before.token is not None and before.stop_reason is None
