"""A person at the charger: the verbs of the local control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.core.context import Context
from agent.core.events import Asked
from agent.core.evse import Evse, Token
from agent.core.instant import parse_rfc3339, rfc3339
from agent.core.network import order
from agent.core.network_profiles import Entry
from agent.core.operator_firmware import FirmwareVerbs, Wait
from agent.core.operator_limits import LimitVerbs
from agent.core.recorder import dated, explain
from agent.core.status import begin_wh, describe, faults, main_meter, meter, obstacle, transaction
from config_keys import comm
from state_machines.reasons import Cause

if TYPE_CHECKING:
    from agent.core.charger import Charger


TOKEN_KINDS = ("ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "eMAID", "Central")
"""Types of id token that a person can present."""


class Wrong(ValueError):
    """The question cannot be answered as it was asked; the text says what was expected."""


class Work(NamedTuple):
    """A job whose end is the answer."""

    kind: str
    data: Mapping[str, Any]


class Operator:
    """Answers every Asked event with exactly one Answer."""

    def __init__(self, charger: Charger) -> None:
        self._charger = charger
        self._verbs: Mapping[str, Callable[[Context, Mapping[str, Any]], Any]] = {
            "status": lambda cx, args: describe(charger, cx),
            "why": self._why,
            "config.get": charger.configuration.read,
            "config.set": charger.configuration.write,
            "config.list": charger.configuration.rows,
            "config.diff": charger.configuration.diff,
            "config.export": charger.configuration.export,
            "config.import": charger.configuration.import_,
            "tx.list": self._tx_list,
            "tx.force-end": self._force_end,
            "meter.read": self._meter,
            "fault.list": lambda cx, args: faults(charger),
            "token.present": self._present,
            "network.list": self._network_list,
            "network.try": self._network_try,
            "version": self._version,
            "diagnostics": self._diagnostics,
            **LimitVerbs(charger.energy, charger.evses).verbs(),
            **FirmwareVerbs(charger.firmware).verbs(),
        }

    def ask(self, cx: Context, event: Asked) -> None:
        """One question; bad arguments get a sentence and change nothing."""
        verb = self._verbs.get(event.verb)
        try:
            if verb is None:
                raise Wrong(f"no verb {event.verb!r}; expected one of {', '.join(sorted(self._verbs))}")
            answer = verb(cx, event.args)
            if isinstance(answer, Work):
                self._charger.jobs.start(cx, answer.kind, answer.data, partial(_worked, event.ask))
            elif isinstance(answer, Wait):
                answer.begin(cx, partial(_worked, event.ask))
            else:
                cx.answer(event.ask, True, answer)
        except ValueError as error:
            cx.answer(event.ask, False, {"error": str(error)})

    def _evse(self, args: Mapping[str, Any]) -> Evse:
        wanted = args.get("evse", next(iter(self._charger.evses)))
        evse = self._charger.evses.get(wanted) if isinstance(wanted, int) else None
        if evse is None:
            raise Wrong(f"no EVSE {args.get('evse')!r}; expected one of {', '.join(map(str, self._charger.evses))}")
        return evse

    def _text(self, args: Mapping[str, Any], name: str) -> str:
        value = args.get(name)
        if not isinstance(value, str):
            raise Wrong(f"{name} is missing; expected a text")
        return value

    def _why(self, cx: Context, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        evses = [self._evse(args)] if args.get("evse") is not None else list(self._charger.evses.values())
        if args.get("at") is not None:
            return [self._recorded(cx, evse, self._moment(cx, self._text(args, "at"))) for evse in evses]
        return [
            dated(cx, explain(cx, evse, self._charger.limits.judge(cx, evse)), cx.ms)
            | {"obstacle": obstacle(self._charger, cx, evse)}
            for evse in evses
        ]

    def _moment(self, cx: Context, text: str) -> int:
        """Monotonic ms of a moment of this boot, told in UTC."""
        now = cx.utc()
        if now is None:
            raise Wrong("the clock is not set; no moment of the past can be named")
        try:
            return cx.ms - (now - parse_rfc3339(text))
        except ValueError:
            raise Wrong(f"at: {text!r} is no moment; expected RFC 3339, such as 2026-01-31T12:00:00Z") from None

    def _recorded(self, cx: Context, evse: Evse, at_ms: int) -> dict[str, Any]:
        found = self._charger.recorder.at(evse.id, at_ms) if at_ms <= cx.ms else None
        if found is None:
            begins, now = self._charger.recorder.begins_ms(evse.id), cx.utc()
            since = "now" if begins is None or now is None else rfc3339(now - (cx.ms - begins))
            raise Wrong(f"EVSE {evse.id}: nothing is recorded of that moment; the record begins at {since}")
        return dated(cx, found, at_ms)

    def _tx_list(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        running = [transaction(evse) for evse in self._charger.evses.values() if evse.tx is not None]
        ended = [self._ended(data) for _, data in self._charger.ledger]
        return {"running": running, "ended": ended}

    def _ended(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"id": data["tx"], "evse": data["evse"], "begin_wh": begin_wh(data["began"]),
                "end_wh": data.get("end_wh"), "reason": data["stop_reason"], "events": data["next_seq"],
                "cost": self._charger.tariffs.total(data["tx"]),
                "undelivered": self._charger.outbox.waiting_of(data["tx"])}  # fmt: skip

    def _force_end(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        wanted = self._text(args, "transaction_id")
        evse = next((e for e in self._charger.evses.values() if e.tx is not None and e.tx.id == wanted), None)
        if evse is None:
            raise Wrong(f"no running transaction {wanted}")
        evse.release(cx, Cause.FORCED)
        self._charger.transactions.end_now(cx, evse, Cause.FORCED)
        return {"transaction_id": wanted}

    def _meter(self, cx: Context, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        evses = [self._evse(args)] if args.get("evse") is not None else list(self._charger.evses.values())
        rows = [{"evse": evse.id, "reading": meter(cx, evse)} for evse in evses]
        if (main := self._charger.main_meter) is not None and args.get("evse") is None:
            rows.insert(0, {"evse": main.id, "reading": main_meter(cx, main)["reading"]})
        return rows

    def _present(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        value, kind = self._text(args, "token"), args.get("type", "ISO14443")
        if not 0 < len(value) <= 36 or kind not in TOKEN_KINDS:
            raise Wrong(f"expected a token of 1 to 36 characters and one of {', '.join(TOKEN_KINDS)} as its type")
        token = Token(value, kind)
        evses = (self._evse(args).id,) if args.get("evse") is not None else ()
        self._charger.authorizer.present(cx, token, evses, "operator")
        return {"presented": True}

    def _network_list(self, cx: Context, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every slot with a profile for the next boot, and what is used now."""
        profiles, link = self._charger.network_profiles, self._charger.link
        return [
            {"slot": slot, "url": profile.url, "security_profile": profile.security_profile,
             "message_timeout_s": profile.message_timeout_s, "priority": profiles.priority(slot),
             "in_use": link.entry == (slot, profile), "good": profiles.good == (slot, profile)}
            for slot in range(len(comm.SLOTS)) if (profile := profiles.slot(slot)) is not None
        ]  # fmt: skip

    def _network_try(self, cx: Context, args: Mapping[str, Any]) -> Work:
        """Bug 29: connect with a profile, say nothing, hang up; the connection in use is left alone."""
        slot = args.get("slot")
        profile = self._charger.network_profiles.slot(slot) if isinstance(slot, int) else None
        if profile is None:
            raise Wrong(f"slot {slot!r} has no network profile; see network list")
        return Work("network.try", order(cx, 0, Entry(slot or 0, profile), self._charger.safeguards)._asdict())

    def _diagnostics(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        """What happened of late and is on no screen: how the current of each EVSE came about, newest last."""
        history = {str(evse): self._charger.recorder.history(evse) for evse in self._charger.evses}
        return {"mono_ms": cx.ms, "utc_ms": cx.utc(), "boot_id": cx.boot_id, "recorder": history}

    def _version(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        return {"firmware": self._charger.site.firmware, "ocpp": "2.0.1", "model": self._charger.site.model}


def _worked(ask: int, cx: Context, ok: bool, data: Mapping[str, Any]) -> None:
    """The job that a question has started is over."""
    cx.answer(ask, ok, dict(data))
