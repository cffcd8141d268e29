"""Who may charge: a token is presented, judged by what is known of it, and acted upon (C01 to C16, F01).

What happens is in one table, `state_machines.decision`. Here its facts are gathered and its decisions carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from agent.core.cache import Cache
from agent.core.context import Context
from agent.core.evse import Authorization, Evse, Token
from agent.core.keypad import Keypad
from agent.core.known import Info, Known, look_up, policy
from agent.core.locallist import LocalList
from agent.core.locks import Locks
from agent.core.outbox import Outbox
from agent.core.profiles import Profile
from agent.core.reservations import ANY_GROUP, Reservations
from agent.core.schedules import Schedules
from agent.core.transaction import Halt, Transaction
from agent.core.transactions import GONE, Transactions
from config_keys import auth, site, tx
from state_machines.decision import Decision, Facts, decide
from state_machines.reasons import Cause

NO_AUTHORIZATION = "NoAuthorization"
Kind = Literal["card", "remote", "central", "free"]
Here = Literal["nobody", "same", "group", "others"]
Place = Literal["waiting", "free", "none"]
UNKNOWN_BUT_ALLOWED: Info = {"status": "Accepted"}
"""What holds of a token that is let in without being known."""


class Presented(NamedTuple):
    """A token at the EVSEs that may be meant, the one that was meant then, and what a remote start asked for.

    Plain data, so that it survives the question to the CSMS.
    """

    token: Token
    kind: Kind
    places: tuple[int, ...]
    target: int | None
    remote: Mapping[str, Any] | None = None
    car: int | None = None
    """Which car stood at the one that was meant: it counts for no later one."""

    def data(self) -> dict[str, Any]:
        """As the context of a call."""
        return {"token": list(self.token), "kind": self.kind, "places": list(self.places), "target": self.target,
                "remote": self.remote, "car": self.car}  # fmt: skip

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Presented:
        """From the context of a call."""
        token, places = Token(*data["token"]), tuple(data["places"])
        return cls(token, data["kind"], places, data["target"], data["remote"], data["car"])


class Authorizer:
    """Turns presented tokens into authorizations of EVSEs."""

    def __init__(
        self,
        evses: Mapping[int, Evse],
        outbox: Outbox,
        transactions: Transactions,
        listed: LocalList,
        cache: Cache,
        open_for_business: Callable[[Context], bool],
        locks: Locks,
        schedules: Schedules,
        reservations: Reservations,
    ) -> None:
        self._evses = evses
        self._outbox = outbox
        self._transactions = transactions
        self._listed = listed
        self._cache = cache
        self._open_for_business = open_for_business
        self._locks = locks
        self._schedules = schedules
        self._reservations = reservations
        self._keypad = Keypad()
        self._last_seen: dict[tuple[str, str], int] = {}

    # ---------------------------------------------------------------------------------------- a token

    def present(self, cx: Context, token: Token, evse_ids: Iterable[int], reader: str = "") -> None:
        """A token is held to a reader of these EVSEs (none given: all), or a start button is pressed."""
        if self._bounced(cx, token, reader) or self._is_unwelcome(cx, token):
            return
        places = tuple(i for i in (tuple(evse_ids) or tuple(self._evses)) if i in self._evses)
        target = self._choose(cx, places, token, ANY_GROUP)
        kind: Kind = "free" if token.kind == NO_AUTHORIZATION or self._is_free(cx) else "card"
        car = target.departures if target is not None and target.connected else None
        self._decide(cx, Presented(token, kind, places, target.id if target else None, car=car))

    def _bounced(self, cx: Context, token: Token, reader: str) -> bool:
        """A card that stays at the reader is one presentation."""
        seen = self._last_seen.get((reader, token.value))
        self._last_seen = {k: ms for k, ms in self._last_seen.items() if cx.ms - ms < 60_000}
        self._last_seen[reader, token.value] = cx.ms
        return seen is not None and cx.ms - seen < float(cx.keys[site.RFID_DEBOUNCE]) * 1000

    def _is_unwelcome(self, cx: Context, token: Token) -> bool:
        """Nobody is asked about what this station does not do, or about codes that come too fast."""
        if token.kind not in cx.keys[auth.SUPPORTED_ID_TOKEN_TYPES]:
            cx.note("authorization", f"refused: tokens of type {token.kind} are not supported here", "warning")
        elif token.kind == NO_AUTHORIZATION and not (cx.keys[site.START_BUTTON] or self._is_free(cx)):
            cx.note("authorization", "refused: FreeCharging.StartButton is false", "warning")
        elif self._keypad.is_shut(cx, token):
            cx.note("authorization", "refused: too many wrong codes", "warning")
        else:
            return False
        return True

    def _choose(self, cx: Context, places: Iterable[int], token: Token, group: str | None) -> Evse | None:
        """The EVSE the driver means: where a car waits, else one that is kept for him, else the first free one."""
        free = [e for i in places if self.may_begin(cx, e := self._evses[i], token, group)]
        return min(free, key=lambda e: (not e.connected, not e.reserved), default=None)

    def may_begin(self, cx: Context, evse: Evse, token: Token, group: str | None = None) -> bool:
        """Free, working, open for business, not in a transaction that another token began (C01.FR.23), and not kept
        for somebody else (H03)."""
        if not self._reservations.admits(evse, token, group):
            return False
        taken = evse.authorization is not None or evse.next is not None
        broken = evse.fault is not None or evse.unprotected or bool(evse.closed_for)
        if taken or broken or self._outbox.is_full or not self._open_for_business(cx):
            return False
        running = evse.tx
        if running is None or evse.tx_blocks:
            return True
        return running.recovered_by_ms is None and (running.token is None or running.token.same(token))

    # ---------------------------------------------------------------------------------------- deciding

    def _decide(self, cx: Context, asked: Presented, told: Info | None = None) -> None:
        """Gather the facts, look into the table, do what it says."""
        known = look_up(cx, asked.token, self._listed, self._cache)
        info = told or known.info or UNKNOWN_BUT_ALLOWED
        target = self._target(cx, asked, info, self._group(asked, told or known.info))
        outcome = decide(self._facts(cx, asked, target, known, told))
        if outcome.decision is Decision.ASK:
            self._ask(asked)
            return
        self._keypad.judged(cx, asked.token, outcome.good)
        if outcome.decision is Decision.REFUSE:
            cx.note("authorization", f"refused: {outcome.why}", "warning")
            return
        cx.note("authorization", f"{outcome.decision.value}: {outcome.why}")
        if known.from_cache and told is None:
            self._cache.used(cx, asked.token)
        self._act(cx, outcome.decision, asked, info, target)

    def _facts(self, cx: Context, asked: Presented, target: Evse | None, known: Known, told: Info | None) -> Facts:
        info = told or known.info or {}
        group = info.get("group") if info.get("status") == "Accepted" else None
        place: Place = "none" if target is None else "waiting" if target.connected else "free"
        return Facts(
            kind=asked.kind,
            here=self._here(asked, group if place != "waiting" else None),
            place=place,
            told="nothing" if told is None else "accepted" if told["status"] == "Accepted" else "refused",
            listed=known.listed,
            cached=known.cached,
            master=self.is_master(cx, group),
            online=self._outbox.online,
            **policy(cx),
        )

    def is_master(self, cx: Context, group: str | None) -> bool:
        """Whether this group may stop everything, and start nothing (C16)."""
        return _same(group, cx.keys[auth.MASTER_PASS_GROUP_ID])

    def _group(self, asked: Presented, info: Info | None) -> str | None:
        """The token's group, as far as a reservation may be for it; what is not known can be asked for (H03.FR.08)."""
        named: str | None = (info or {}).get("group") or (asked.remote or {}).get("group")
        asks = info is None and self._outbox.online and asked.kind in ("card", "remote")
        return ANY_GROUP if asks else named

    def _target(self, cx: Context, asked: Presented, info: Info, group: str | None) -> Evse | None:
        """Where it would start by now: a car may have come since to another EVSE for which it is good (C01.FR.21)."""
        if asked.target is None:
            return None
        allowed, meant = _allowed(asked.places, info), self._evses[asked.target]
        if asked.car not in (None, meant.departures):
            cx.note("authorization", f"the car that the token was for has left EVSE {meant.id}", "warning")
            return None
        if meant.id in allowed and meant.connected and self.may_begin(cx, meant, asked.token, group):
            return meant
        return self._choose(cx, allowed, asked.token, group)

    def _here(self, asked: Presented, group: str | None) -> Here:
        """Who charges at the EVSEs that may be meant."""
        if self._holder(asked, None) is not None:
            return "same"
        if self._holder(asked, group) is not None:
            return "group"
        evses = [self._evses[i] for i in asked.places]
        return "others" if any(e.authorization or e.next or e.tx for e in evses) else "nobody"

    def _holder(self, asked: Presented, group: str | None) -> Evse | None:
        """The EVSE that this token is authorised at, or (with a group) one of its group (C09.FR.03)."""
        busy = [(e, held) for i in asked.places if (held := _held(e := self._evses[i])) is not None]
        if group is None:
            return next((e for e, held in busy if held.token is not None and held.token.same(asked.token)), None)
        return next((e for e, held in busy if _same(held.group, group)), None)

    # ---------------------------------------------------------------------------------------- acting

    def _act(self, cx: Context, decision: Decision, asked: Presented, info: Info, target: Evse | None) -> None:
        if decision is Decision.END_ALL:
            self._end_all(cx, asked.token)
        elif decision is Decision.END:
            held = self._holder(asked, None) or self._holder(asked, info.get("group"))
            assert held is not None
            self.stop(cx, held, Cause.STOPPED_HERE, asked.token)
        elif target is not None:
            self.grant(cx, target, _authorization(asked, info))

    def _ask(self, asked: Presented) -> None:
        """C01.FR.02: the CSMS decides; what follows its answer is in `answered` or `unanswered`."""
        self._outbox.call("Authorize", {"token": list(asked.token)}, "authorize", **asked.data())

    def answered(self, cx: Context, asked: Mapping[str, Any], info: Info) -> None:
        """AuthorizeResponse: idTokenInfo for a token that was asked for."""
        presented = Presented.of(asked)
        self._cache.learn(cx, presented.token, info)
        self._decide(cx, presented, info)

    def unanswered(self, cx: Context, asked: Mapping[str, Any]) -> None:
        """No answer in time is a refusal; a link that broke meanwhile makes it an offline matter."""
        if self._outbox.online:
            cx.note("authorization", "refused: the CSMS did not answer", "warning")
        else:
            self._decide(cx, Presented.of(asked))

    def grant(self, cx: Context, evse: Evse, authorization: Authorization) -> None:
        """Somebody may charge at an EVSE; while the last session is still ending, right after that."""
        if evse.tx_blocks:
            evse.next = authorization
            return
        authorization.reservation = self._reservations.use(cx, evse, authorization.token, authorization.group)
        evse.authorise(cx, authorization)
        if authorization.profile is not None:
            self._schedules.await_tx(cx, authorization.profile, evse)
        self._transactions.happened(cx, evse, authorization.cause)

    def settle(self, cx: Context, evse: Evse) -> None:
        """Grant what was accepted while the last session was ending."""
        if evse.next is not None and not evse.tx_blocks:
            authorization, evse.next = evse.next, None
            if evse.authorization is None and evse.fault is None:
                self.grant(cx, evse, authorization)

    def grant_remotely(self, cx: Context, evse: Evse, authorization: Authorization) -> None:
        """F01.FR.01, FR.02: without AuthorizeRemoteStart at once; else like a card, after our answer is out."""
        if not cx.keys[auth.AUTHORIZE_REMOTE_START]:
            self.grant(cx, evse, authorization)
            return
        central = authorization.token.kind in ("Central", NO_AUTHORIZATION)
        profile = authorization.profile.data() if authorization.profile is not None else None
        remote = {"id": authorization.remote_start_id, "group": authorization.group, "profile": profile}
        kind: Kind = "central" if central else "remote"
        self._decide(cx, Presented(authorization.token, kind, (evse.id,), evse.id, remote))

    def stop(self, cx: Context, evse: Evse, cause: Cause, token: Token | None = None) -> None:
        """The authorization ends; energy stops first, then the event follows (E06, E07, F03)."""
        held, running = _held(evse), evse.tx
        if held is not None:
            self._locks.ended(cx, evse, cause, held.token)
        self._transactions.stop_because(evse, cause.value.stopped)
        if running is not None and running.recovered_by_ms is not None:
            running.halted = running.halted or Halt(cause, token)
            self._transactions.keep_changed(cx, running)
        elif held is None and evse.released is None and cause is Cause.STOPPED_REMOTELY:
            self._stop_unauthorised(cx, evse)
        evse.release(cx, cause, token)
        self._transactions.stopping(cx, evse)

    def _stop_unauthorised(self, cx: Context, evse: Evse) -> None:
        """Nobody is authorised: the transaction ends where the end of a session would end it, else it says so (F03)."""
        if GONE.intersection(cx.keys[tx.TX_STOP_POINT]):
            self._transactions.end_now(cx, evse, Cause.STOPPED_REMOTELY)
        else:
            self._transactions.happened(cx, evse, Cause.STOPPED_REMOTELY)

    def _end_all(self, cx: Context, token: Token) -> None:
        """C16.FR.02: a master pass stops all transactions and frees all cables; a driver who waits may wait on."""
        self._locks.open_all(cx)
        for evse in self._evses.values():
            evse.next = None
            if _held(evse) is not None and (evse.tx is not None or evse.connected):
                self.stop(cx, evse, Cause.MASTER_PASS, token)

    # ---------------------------------------------------------------------------------------- other ways in

    def plugged(self, cx: Context, evse: Evse) -> None:
        """A car came: charging may be free."""
        token = self._free_token(cx)
        if self._is_free(cx) and self.may_begin(cx, evse, token):
            self.grant(cx, evse, Authorization(token, Cause.AUTHORIZED))

    def chosen(self, cx: Context, evse: Evse) -> None:
        """A car came: one authorised at another EVSE of the same reader has meant this one."""
        if evse.authorization is not None or evse.tx is not None or evse.fault is not None or evse.reserved:
            return
        waiting = [
            e
            for e in self._evses.values()
            if e is not evse and e.session.state == "awaiting_ev" and (e.tx is None or not e.tx.placed)
            if e.authorization is not None and evse.id in e.authorization.places
        ]
        if len(waiting) == 1:
            other = waiting[0]
            authorization, other.authorization = other.authorization, None
            other.session.fire("deauthorised", cx)
            assert authorization is not None
            self._transactions.moves(cx, other, evse)
            evse.authorise(cx, authorization)

    def _is_free(self, cx: Context) -> bool:
        return bool(cx.keys[site.FREE_CHARGING]) or not cx.keys[auth.ENABLED]

    def _free_token(self, cx: Context) -> Token:
        text = cx.keys.text(site.FREE_CHARGING_ID_TOKEN)
        return Token(text, "Central") if text else Token("", NO_AUTHORIZATION)

    def event_answered(self, cx: Context, tx_id: str, told_of: Token | None, info: Info) -> None:
        """TransactionEventResponse: a token that is not accepted, or not here, loses its authorization (C15, E05)."""
        if told_of is not None:
            self._cache.learn(cx, told_of, info)
        evse = next((e for e in self._evses.values() if e.tx is not None and e.tx.id == tx_id), None)
        held = _held(evse) if evse is not None else None
        if evse is None or evse.tx is None or held is None or held.token is None:
            return
        if told_of is not None and not held.token.same(told_of):
            return
        if info["status"] == "Accepted" and _allowed((evse.id,), info):
            held.group, held.priority = info.get("group") or held.group, info.get("priority") or held.priority
            self._transactions.keep_changed(cx, evse.tx)
        elif cx.keys[tx.STOP_TX_ON_INVALID_ID]:
            self.stop(cx, evse, Cause.DEAUTHORIZED)
        elif held.refused_wh is None:
            held.refused_wh = evse.value("energy_import_wh") or 0.0
            note = f"the CSMS no longer accepts the token of {tx_id}; StopTxOnInvalidId is false"
            cx.note("authorization", note, "warning")
            self._transactions.keep_changed(cx, evse.tx)

    def prioritised(self, cx: Context, tx_id: str, priority: int) -> None:
        """K03.FR.05: chargingPriority of one transaction, whatever its token has; it is not cached."""
        evse = next((e for e in self._evses.values() if e.tx is not None and e.tx.id == tx_id), None)
        held = _held(evse) if evse is not None else None
        if evse is not None and evse.tx is not None and held is not None:
            held.priority = priority
            self._transactions.keep_changed(cx, evse.tx)


def _held(evse: Evse) -> Authorization | Transaction | None:
    """Who may charge, with the rights that go with it; after a restart, until that is decided, who might go on."""
    before = evse.tx
    if evse.authorization is not None or before is None or before.recovered_by_ms is None:
        return evse.authorization
    return before if before.stop_reason is None else None


def _allowed(places: Iterable[int], info: Info) -> tuple[int, ...]:
    """C01.FR.21: the EVSEs for which the token is good."""
    only = info.get("evses")
    return tuple(i for i in places if not only or i in only)


def _same(one: str | None, other: str | None) -> bool:
    """Whether both name the same group; empty names none."""
    return bool(one) and bool(other) and str(one).lower() == str(other).lower()


def _authorization(asked: Presented, info: Info) -> Authorization:
    allowed, remote, priority = _allowed(asked.places, info), asked.remote, info.get("priority") or 0
    if remote is None:
        return Authorization(asked.token, Cause.AUTHORIZED, info.get("group"), places=allowed, priority=priority)
    profile = Profile.of(remote["profile"]) if remote["profile"] is not None else None
    group = info.get("group") or remote["group"]
    return Authorization(asked.token, Cause.REMOTE_START, group, remote["id"], allowed, profile, priority=priority)
