"""Who may charge: a token is presented, asked for, accepted or refused (C01, C.0; F01; free charging)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.core.context import Context
from agent.core.evse import Authorization, Evse, Token
from agent.core.locks import Locks
from agent.core.outbox import Outbox
from agent.core.schedules import Profile, Schedules
from agent.core.transactions import Transactions
from config_keys import auth, site, tx
from state_machines.reasons import Cause

NO_AUTHORIZATION = "NoAuthorization"


class Authorizer:
    """Turns presented tokens into authorizations of EVSEs."""

    def __init__(
        self,
        evses: Mapping[int, Evse],
        outbox: Outbox,
        transactions: Transactions,
        list_entry: Callable[[Token], Mapping[str, Any] | None],
        open_for_business: Callable[[Context], bool],
        locks: Locks,
        schedules: Schedules,
    ) -> None:
        self._evses = evses
        self._outbox = outbox
        self._transactions = transactions
        self._list_entry = list_entry
        self._open_for_business = open_for_business
        self._locks = locks
        self._schedules = schedules
        self._last_seen: dict[tuple[str, str], int] = {}

    # ---------------------------------------------------------------------------------------- a card

    def present(self, cx: Context, token: Token, evse_ids: Iterable[int], reader: str = "") -> None:
        """A token is held to a reader of these EVSEs (none given: all)."""
        if self._bounced(cx, token, reader):
            return
        evses = [self._evses[i] for i in (tuple(evse_ids) or tuple(self._evses)) if i in self._evses]
        holder = next((e for e in evses if e.authorization and e.authorization.token.same(token)), None)
        if holder is not None:
            self.stop(cx, holder, Cause.STOPPED_HERE, token)
            return
        target = self._choose(cx, evses, token)
        busy = [e.id for e in evses if e.authorization is not None and e.authorization.group is not None]
        if target is None and not busy:
            cx.note("authorization", "no free EVSE for the presented token", "warning")
            return
        self._decide(cx, token, target, [e.id for e in evses])

    def _bounced(self, cx: Context, token: Token, reader: str) -> bool:
        """A card that stays at the reader is one presentation."""
        seen = self._last_seen.get((reader, token.value))
        self._last_seen = {k: ms for k, ms in self._last_seen.items() if cx.ms - ms < 60_000}
        self._last_seen[reader, token.value] = cx.ms
        return seen is not None and cx.ms - seen < float(cx.keys[site.RFID_DEBOUNCE]) * 1000

    def _choose(self, cx: Context, evses: list[Evse], token: Token) -> Evse | None:
        """The EVSE the driver means: where a car waits, else the first free one."""
        free = [e for e in evses if self.may_begin(cx, e, token)]
        return next((e for e in free if e.connected), None) or next(iter(free), None)

    def may_begin(self, cx: Context, evse: Evse, token: Token) -> bool:
        """Free, working, open for business, and not in a transaction that another token began (C01.FR.23)."""
        taken = evse.authorization is not None or evse.next is not None
        broken = evse.fault is not None or evse.unprotected
        if taken or broken or self._outbox.is_full or not self._open_for_business(cx):
            return False
        running = evse.tx
        if running is None or evse.tx_blocks:
            return True
        return running.recovered_by_ms is None and (running.token is None or running.token.same(token))

    # ---------------------------------------------------------------------------------------- deciding

    def _decide(self, cx: Context, token: Token, target: Evse | None, evse_ids: list[int]) -> None:
        """C.0 steps 2 to 4: the local list, the CSMS, or the offline rules."""
        known = self._list_entry(token)
        alone = bool(cx.keys[auth.DISABLE_REMOTE_AUTHORIZATION])
        trusted = known is not None and known.get("status") == "Accepted" and cx.keys[auth.LOCAL_PRE_AUTHORIZE]
        if self._outbox.online and alone and known is None:
            cx.note("authorization", "refused: not on the local list, and the CSMS is not asked by key", "warning")
        elif self._outbox.online and not alone and not trusted:
            self._outbox.call(
                "Authorize",
                {"token": [token.value, token.kind]},
                "authorize",
                token=[token.value, token.kind],
                evse=target.id if target else None,
                evses=evse_ids,
            )
        elif not self._outbox.online and not self._allowed_offline(cx, known):
            cx.note("authorization", "refused: not allowed while the CSMS is unreachable", "warning")
        elif known is None:
            self._accept(cx, token, {"status": "Accepted"}, target, evse_ids, known=False)
        else:
            self.answered(cx, token, known, target.id if target else None, evse_ids)

    def _allowed_offline(self, cx: Context, known: Mapping[str, Any] | None) -> bool:
        if known is not None:
            return bool(cx.keys[auth.LOCAL_AUTHORIZE_OFFLINE])
        return bool(cx.keys[auth.OFFLINE_TX_FOR_UNKNOWN_ID_ENABLED])

    def answered(
        self,
        cx: Context,
        token: Token,
        info: Mapping[str, Any],
        evse_id: int | None,
        evse_ids: Iterable[int],
        remote: Mapping[str, Any] | None = None,
    ) -> None:
        """idTokenInfo for a presented token: a group member may stop, an accepted token may start.

        `remote` is what a remote start asked for: its id and its profile as data.
        """
        status, group = info.get("status", "Invalid"), info.get("group")
        if status != "Accepted":
            cx.note("authorization", f"refused: {status}", "warning")
            return
        member = self._member(group, evse_ids)
        meant = self._meant(cx, token, evse_id, evse_ids)
        if member is not None and not (meant is not None and meant.connected):
            self.stop(cx, member, Cause.STOPPED_HERE, token)
        elif group is not None and group == cx.keys[auth.MASTER_PASS_GROUP_ID]:
            cx.note("authorization", "a master pass never starts (C16.FR.03)", "warning")
        elif evse_id is not None:
            self._accept(cx, token, info, meant, evse_ids, remote=remote)

    def _meant(self, cx: Context, token: Token, evse_id: int | None, evse_ids: Iterable[int]) -> Evse | None:
        """Where the driver means to charge by now: since the card was shown a car may have come to another EVSE."""
        chosen = self._evses[evse_id] if evse_id is not None else None
        if chosen is None or (chosen.connected and self.may_begin(cx, chosen, token)):
            return chosen
        return self._choose(cx, [self._evses[i] for i in evse_ids], token) or chosen

    def _member(self, group: str | None, evse_ids: Iterable[int]) -> Evse | None:
        """Where somebody of the same group charges (C09.FR.03); a car that waits beside it is meant before that."""
        busy = [e for i in evse_ids if (e := self._evses[i]).authorization is not None]
        return next((e for e in busy if e.authorization and group is not None and e.authorization.group == group), None)

    def _accept(
        self,
        cx: Context,
        token: Token,
        info: Mapping[str, Any],
        evse: Evse | None,
        places: Iterable[int],
        known: bool = True,
        remote: Mapping[str, Any] | None = None,
    ) -> None:
        only = info.get("evses")
        allowed = tuple(i for i in places if not only or i in only)
        if evse is not None and evse.id not in allowed:
            evse = self._choose(cx, [self._evses[i] for i in allowed], token)
        if evse is None:
            cx.note("authorization", "refused: not for this EVSE (C01.FR.21)", "warning")
        elif self.may_begin(cx, evse, token):
            self.grant(cx, evse, _authorization(token, info, remote, known, allowed))
        else:
            cx.note("authorization", f"EVSE {evse.id} is no longer free", "warning")

    def grant(self, cx: Context, evse: Evse, authorization: Authorization) -> None:
        """Somebody may charge at an EVSE; while the last session is still ending, right after that."""
        if evse.tx_blocks:
            evse.next = authorization
            return
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
        if not cx.keys[auth.AUTHORIZE_REMOTE_START] or authorization.token.kind in (
            "Central",
            NO_AUTHORIZATION,
        ):
            self.grant(cx, evse, authorization)
            return
        token = [authorization.token.value, authorization.token.kind]
        self._outbox.call(
            "Authorize",
            {"token": token},
            "authorize",
            token=token,
            evse=evse.id,
            evses=[evse.id],
            remote={
                "id": authorization.remote_start_id,
                "profile": authorization.profile.data() if authorization.profile is not None else None,
            },
        )

    def stop(self, cx: Context, evse: Evse, cause: Cause, token: Token | None = None) -> None:
        """The authorization ends; energy stops first, then the event follows (E06, E07, F03)."""
        if evse.authorization is not None:
            self._locks.ended(cx, evse, cause, evse.authorization.token)
        self._transactions.stop_because(evse, cause.value.stopped)
        evse.release(cx, cause, token)
        self._transactions.stopping(cx, evse)

    # ---------------------------------------------------------------------------------------- other ways in

    def plugged(self, cx: Context, evse: Evse) -> None:
        """A car came: one authorised elsewhere at the same reader may have meant this EVSE; or charging is free."""
        if evse.authorization is None:
            self._move_here(cx, evse)
        token = self._free_token(cx)
        if self._is_free(cx) and self.may_begin(cx, evse, token):
            self.grant(cx, evse, Authorization(token, Cause.AUTHORIZED))

    def _move_here(self, cx: Context, evse: Evse) -> None:
        waiting = [
            e
            for e in self._evses.values()
            if e is not evse and e.session.state == "awaiting_ev" and e.tx is None
            if e.authorization is not None and evse.id in e.authorization.places
        ]
        if len(waiting) == 1 and evse.tx is None and evse.fault is None:
            other = waiting[0]
            authorization, other.authorization = other.authorization, None
            other.session.fire("deauthorised", cx)
            assert authorization is not None
            evse.authorise(cx, authorization)
            self._transactions.happened(cx, evse, authorization.cause)

    def _is_free(self, cx: Context) -> bool:
        return bool(cx.keys[site.FREE_CHARGING]) or not cx.keys[auth.ENABLED]

    def _free_token(self, cx: Context) -> Token:
        text = cx.keys.text(site.FREE_CHARGING_ID_TOKEN)
        return Token(text, "Central") if text else Token("", NO_AUTHORIZATION)

    def event_answered(self, cx: Context, tx_id: str, info: Mapping[str, Any] | None) -> None:
        """TransactionEventResponse: a token that is not accepted loses its authorization (C15, E05)."""
        evse = next((e for e in self._evses.values() if e.tx is not None and e.tx.id == tx_id), None)
        if info is None or evse is None or evse.authorization is None:
            return
        if info["status"] == "Accepted":
            evse.authorization.group = info.get("group") or evse.authorization.group
        elif cx.keys[tx.STOP_TX_ON_INVALID_ID]:
            self.stop(cx, evse, Cause.DEAUTHORIZED)
        elif evse.authorization.refused_wh is None:
            evse.authorization.refused_wh = evse.value("energy_import_wh") or 0.0
            cx.note(
                "authorization",
                f"token of {tx_id} is {info['status']}; StopTxOnInvalidId is false",
                "warning",
            )


def _authorization(
    token: Token, info: Mapping[str, Any], remote: Mapping[str, Any] | None, known: bool, places: tuple[int, ...]
) -> Authorization:
    if remote is None:
        return Authorization(token, Cause.AUTHORIZED, info.get("group"), known=known, places=places)
    profile = Profile.of(remote["profile"]) if remote["profile"] is not None else None
    return Authorization(token, Cause.REMOTE_START, info.get("group"), remote["id"], known, places, profile)
