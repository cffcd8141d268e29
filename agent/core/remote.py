"""Start, stop and unlock from afar: what is refused, and why (F01, F02, F03, F05)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from agent.core.authorization import Authorizer
from agent.core.context import Context
from agent.core.evse import Authorization, Evse, Token
from agent.core.locks import Locks
from agent.core.profiles import TX, Profile
from agent.core.registration import Registration
from agent.core.reservations import Reservations
from agent.core.schedules import Schedules
from state_machines.reasons import Cause


class RemoteStart(NamedTuple):
    """What the CSMS asks for."""

    id: int
    token: Token
    evse: int | None
    group: str | None = None
    profile: Profile | None = None


class Verdict(NamedTuple):
    """Accepted when `reason` is None; else OCPP's reasonCode and a plain sentence."""

    reason: str | None = None
    info: str = ""
    transaction_id: str | None = None


class Unlocking(NamedTuple):
    """How UnlockConnector went: OCPP's status, and of a refusal its reasonCode and a plain sentence."""

    status: str
    code: str = ""
    info: str = ""


OPEN = Unlocking("Unlocked")
STUCK = Unlocking("UnlockFailed", "InternalError", "the lock did not open in time")


class Remote:
    """The CSMS's hand on the charger."""

    def __init__(
        self,
        evses: Mapping[int, Evse],
        authorizer: Authorizer,
        schedules: Schedules,
        registration: Registration,
        reservations: Reservations,
        locks: Locks,
    ) -> None:
        self._evses = evses
        self._authorizer = authorizer
        self._schedules = schedules
        self._registration = registration
        self._reservations = reservations
        self._locks = locks

    def start(self, cx: Context, wanted: RemoteStart) -> Verdict:
        """RequestStartTransaction."""
        evse = self._pick(cx, wanted)
        refusal = self._refuse(cx, wanted, evse)
        if refusal is not None:
            return refusal
        assert evse is not None
        profile = replace(wanted.profile, evse=evse.id) if wanted.profile is not None else None
        refused = self._schedules.check_new(cx, profile) if profile is not None else None
        if refused is not None:
            return Verdict(*refused)
        running = evse.tx.id if evse.tx is not None and not evse.tx_blocks else None
        self._authorizer.grant_remotely(
            cx, evse, Authorization(wanted.token, Cause.REMOTE_START, wanted.group, wanted.id, profile=profile)
        )
        return Verdict(transaction_id=running)

    def stop(self, cx: Context, transaction_id: str) -> Verdict:
        """RequestStopTransaction (F03.FR.07, FR.08)."""
        if not self._registration.is_accepted:
            return Verdict("CSNotAccepted", "not accepted by the CSMS yet (B02.FR.05)")
        evse = next((e for e in self._evses.values() if e.tx is not None and e.tx.id == transaction_id), None)
        if evse is None or evse.tx is None or evse.tx.ending is not None:
            return Verdict("TxNotFound", "that transaction is not running")
        self._authorizer.stop(cx, evse, Cause.STOPPED_REMOTELY)
        return Verdict()

    def unlock(
        self, cx: Context, evse_id: int, connector_id: int, done: Callable[[Context, Unlocking], None]
    ) -> Unlocking | None:
        """UnlockConnector: why it is not tried, or None and how it went to `done`."""
        evse = self._evses.get(evse_id)
        plug = evse.plugs.get(connector_id) if evse is not None else None
        if evse is None or plug is None:
            return Unlocking("UnknownConnector", "NotFound", "there is no such connector (F05.FR.03)")
        if self._locks.in_use(evse, plug):
            return Unlocking("OngoingAuthorizedTransaction", "TxInProgress", "somebody charges there (F05.FR.02)")
        if plug.cable != "socket":
            return Unlocking("UnlockFailed", "FixedCable", "the cable is part of the station")
        if evse.capabilities is None or not evse.capabilities.lock:
            return Unlocking("UnlockFailed", "UnsupportedRequest", "no lock that could be commanded")
        self._locks.open(cx, evse, plug, lambda cx, is_open: done(cx, OPEN if is_open else STUCK))
        return None

    def _pick(self, cx: Context, wanted: RemoteStart) -> Evse | None:
        if wanted.evse is not None:
            return self._evses.get(wanted.evse)
        free = [e for e in self._evses.values() if self._authorizer.may_begin(cx, e, wanted.token, wanted.group)]
        return min(free, key=lambda e: (not e.connected, not e.reserved), default=None)

    def _refuse(self, cx: Context, wanted: RemoteStart, evse: Evse | None) -> Verdict | None:
        if not self._registration.is_accepted:
            return Verdict("CSNotAccepted", "not accepted by the CSMS yet (B02.FR.05)")
        if evse is None:
            return Verdict("UnknownEvse" if wanted.evse is not None else "NotFound", "no such EVSE, or none is free")
        if self._authorizer.is_master(cx, wanted.group):
            return Verdict("InvalidIdToken", "a master pass never starts (C16.FR.03)")
        if evse.fault is not None:
            return Verdict("InternalError", f"EVSE {evse.id} is Faulted: {evse.fault} (F01.FR.23)")
        if evse.closed_for:
            return Verdict("NotEnabled", f"EVSE {evse.id} is Unavailable: {', '.join(sorted(evse.closed_for))}")
        if evse.authorization is not None or evse.next is not None:
            return Verdict("TxInProgress", f"EVSE {evse.id} has an authorised transaction (F01.FR.24)")
        if not self._reservations.admits(evse, wanted.token, wanted.group):
            return Verdict("InvalidIdToken", f"EVSE {evse.id} is reserved for somebody else (F01.FR.21, F01.FR.22)")
        if not self._authorizer.may_begin(cx, evse, wanted.token, wanted.group):
            return Verdict("TxInProgress", f"EVSE {evse.id} is not free for that token (C01.FR.23)")
        if wanted.profile is not None and (wanted.profile.purpose != TX or wanted.profile.tx_id is not None):
            return Verdict("InvalidProfile", "expected a TxProfile without transactionId (F01.FR.09, FR.11)")
        return None
