"""The retention of loose plugs: locked before current flows, released at a normal end, kept for its owner else."""

from __future__ import annotations

from agent.core.context import Context
from agent.core.evse import Evse, Token
from config_keys import comm
from hal.ports import SetLock
from state_machines.reasons import Cause

Place = tuple[int, int]
"""EVSE and connector."""
LOCKED_STATES = ("ready", "powered", "pausing", "stopping")


class Locks:
    """Commands the lock of each EVSE with a socket; fixed cables have none."""

    def __init__(self) -> None:
        self._told: dict[Place, tuple[bool, int]] = {}
        """What each was told, and in which step."""
        self._owner: dict[Place, Token] = {}
        """Whose cable stays locked until that token is presented (E05.FR.11, E09.FR.03, E10.FR.01)."""

    def restarted(self, evse: Evse) -> None:
        """The device was heard anew: it is told again."""
        self._told = {place: told for place, told in self._told.items() if place[0] != evse.id}

    def unrecorded(self, evse: Evse, step: int) -> None:
        """The batch of `step` was lost, and with it what was to be energised since: it is told again."""
        self._told = {
            place: told for place, told in self._told.items() if place[0] != evse.id or told[1] < step
        }

    def settle(self, cx: Context, evse: Evse) -> None:
        """Lock or release as the session asks; never release under voltage."""
        if evse.capabilities is None or not evse.capabilities.lock:
            return
        in_use = evse.session.state in LOCKED_STATES or evse.contactor.may_carry
        for plug in evse.plugs.values():
            place = (evse.id, plug.id)
            wanted = (in_use and plug is evse.plug) or place in self._owner
            told = self._told.get(place)
            if plug.cable == "socket" and (told is None or told[0] != wanted):
                self._told[place] = (wanted, cx.step)
                cx.energise(SetLock(evse.id, cx.step, plug.id, wanted))

    def ended(self, cx: Context, evse: Evse, cause: Cause, token: Token | None) -> None:
        """An authorization has ended: not by its owner means that the cable waits for its owner."""
        if token is not None and cause is Cause.DEAUTHORIZED and evse.needs_lock:
            self._owner[evse.id, evse.plug.id] = token

    def unplugged(self, cx: Context, evse: Evse, token: Token | None) -> None:
        """The car's end was pulled: the station's end is freed by key, or by the owner's token."""
        if token is not None and not cx.keys[comm.UNLOCK_ON_EV_SIDE_DISCONNECT] and evse.needs_lock:
            self._owner[evse.id, evse.plug.id] = token

    def keeps(self, evse: Evse) -> bool:
        """A cable waits in the socket for its owner."""
        return any(place[0] == evse.id for place in self._owner)

    def presented(self, cx: Context, token: Token) -> bool:
        """The owner of a held cable is here: it is released. True when it was held for this token."""
        held = [place for place, owner in self._owner.items() if owner.same(token)]
        for place in held:
            del self._owner[place]
        return bool(held)

    def open_all(self) -> None:
        """Somebody who may stop everything is here: no cable waits for its owner any longer (C16)."""
        self._owner.clear()
