"""The station: one step for everything that can happen (DESIGN.md section 1).

It owns the protocol side (frames, validation, dispatch to the blocks); the core behind it knows no OCPP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from random import Random
from typing import TYPE_CHECKING, Any

from agent.core import events
from agent.core.charger import Charger
from agent.core.context import Context
from agent.core.effects import Effect, Record, Say
from agent.core.instant import Instant
from agent.core.operator import Operator
from agent.core.outbox import TIMEOUT, Call
from agent.core.site import Site
from agent.core.status import describe
from agent.protocol import codec, rpc
from agent.protocol.errors import ErrorCode, Violation
from agent.protocol.later import Later

if TYPE_CHECKING:
    from agent.protocol.block import Block

SUBPROTOCOL = "ocpp2.0.1"
ANSWERS_KEPT = 64
"""Answered CALLs remembered until their batch is on flash: a store answers within a few steps."""
CANNOT_STORE = "the station cannot store it now"
Handler = Callable[..., Any]
READS = frozenset(("GetVariables", "GetCompositeSchedule", "GetTransactionStatus", "GetLocalListVersion"))
"""CALLs that change nothing: no facts have to be followed after them."""


class Handlers:
    """What the blocks can answer, send and follow, by name. Made when first needed: it loads the OCPP types."""

    def __init__(self, charger: Charger) -> None:
        from agent.blocks import BLOCKS
        from agent.protocol.block import MOST_BYTES
        from agent.protocol.v201 import REQUESTS, RESPONSES

        self.requests, self.responses = REQUESTS, RESPONSES
        blocks: list[Block] = [block(charger) for block in BLOCKS]
        self.answers = self._of(blocks, "answers")
        self.sends = self._of(blocks, "sends")
        self.follows = self._of(blocks, "follows")
        asked_for = self._of(blocks, "triggers")
        for block in blocks:
            block.triggers = asked_for
        self.most_bytes = {action: getattr(answer, MOST_BYTES) for action, answer in self.answers.items()}

    def _of(self, blocks: Iterable[Block], role: str) -> dict[str, Handler]:
        return {name: handler for block in blocks for name, handler in block.handlers(role)}


class Station:
    """The whole charger logic as one pure object."""

    def __init__(
        self,
        site: Site,
        presets: Mapping[str, str],
        stored: Mapping[str, Mapping[str, Any]],
        failed_starts: int = 0,
    ) -> None:
        """`failed_starts`: starts right before this one that ended badly before they were of age."""
        self.charger = Charger(site, presets, stored, failed_starts)
        self._operator = Operator(self.charger)
        self._rpc = rpc.Session()
        self._answered_in: dict[int, rpc.Call] = {}
        """Step: the CALL that it answered."""
        self._asked_in: dict[int, int] = {}
        """Step: the person's question that it heard."""
        self._owed: dict[str, int] = {}
        """CALLs whose answer comes later: id and fingerprint."""
        self._called_in = 0
        """The step that said the CALL in flight."""
        self._news = True
        """Facts may have changed in this step."""
        self.steps = 0

    # ---------------------------------------------------------------------------------------- the three verbs

    def recover(self, records: Iterable[Record]) -> None:
        """Take over what the journal holds, before the first step."""
        self.charger.recover(records)

    def next_deadline(self) -> int | None:
        """The next moment (monotonic ms) at which time alone changes something."""
        return self.charger.durable.timers.next()

    def step(self, now: Instant, event: events.Event) -> list[Effect]:
        """Everything that follows from `event` at `now`."""
        self.steps += 1
        if isinstance(event, events.Start):
            self._seed(event)
        cx = Context(self.charger.durable, now, self.steps)
        self._news = True
        due = self._due(cx)
        self._take(cx, event)
        if self._news or due:
            self.charger.settle(cx)
        self._pump(cx)
        return cx.finish()

    def describe(self, now: Instant) -> dict[str, Any]:
        """The status screen, as JSON."""
        return describe(self.charger, Context(self.charger.durable, now, self.steps))

    # ---------------------------------------------------------------------------------------- events

    def _seed(self, event: events.Start) -> None:
        self.charger.durable.rng = Random(event.seed)
        self.charger.durable.boot_id = event.boot_id
        self.charger.durable.clock.runs_on(event.kernel_boot, event.up_ms)

    def _due(self, cx: Context) -> bool:
        """Run the deadlines that have passed; whether there were any."""
        timed_out = cx.timers.at(TIMEOUT)
        if timed_out is not None and timed_out <= cx.ms:
            self._timed_out(cx)
        return self.charger.due(cx)

    def _take(self, cx: Context, event: events.Event) -> None:
        match event:
            case events.Start():
                self.charger.start(cx, event.reason)
            case events.Tick():
                pass
            case events.FrameReceived():
                self._frame(cx, event)
            case events.LinkUp():
                self._link_up(cx, event)
            case events.LinkDown():
                self._hang_up(event.connection)
                if event.connection == self.charger.link.connection:
                    self.charger.safeguards.failed(cx, event)
                self.charger.link.went_down(cx, event.connection, event.reason)
            case events.PersistFailed():
                if self.charger.not_recorded(cx, event.step, event.reason):
                    self._unsaid(cx, event.step)
            case events.StoreReported():
                self.charger.store_reported(cx, event.state, event.detail)
            case events.Asked():
                self._asked_in[cx.step] = event.ask
                _bound(self._asked_in)
                self._operator.ask(cx, event)
            case events.JobTold():
                self.charger.jobs.told(cx, event)
            case events.JobEnded():
                self.charger.jobs.ended(cx, event)
            case events.LimitSet():
                self.charger.energy.external.set(cx, event)
            case events.LimitReleased():
                self.charger.energy.external.release(cx, event)
            case events.Stopping():
                self.charger.stop(cx, event.reason)
            case _:
                self.charger.devices.take(cx, event)

    def _link_up(self, cx: Context, event: events.LinkUp) -> None:
        if event.subprotocol != SUBPROTOCOL:
            self.charger.link.refuse(
                cx, event.connection, f"the server speaks {event.subprotocol or 'no subprotocol'}"
            )
            return
        self._hang_up(event.connection)
        self.charger.link.came_up(cx, event.connection, event.tls, event.root)

    def _hang_up(self, connection: int) -> None:
        """The conversation on the present connection is over; news of an older one changes nothing."""
        if connection == self.charger.link.connection:
            self._rpc.drop()
            self._answered_in.clear()
            self._owed.clear()

    def _unsaid(self, cx: Context, step: int) -> None:
        """What `step` had to say was dropped with its batch: who asked gets another answer, our CALL goes again."""
        asked = self._asked_in.pop(step, None)
        if asked is not None:
            cx.answer(asked, False, {"error": CANNOT_STORE})
        frame = self._answered_in.pop(step, None)
        if frame is not None and self.charger.link.is_open:
            text = rpc.encode_error(frame.id, ErrorCode.INTERNAL, CANNOT_STORE)
            self._rpc.remember(frame, text)
            self._answered_in[cx.step] = frame
            self._say(cx, text)
        if step == self._called_in or self.charger.outbox.is_unrecorded(cx):
            self._rpc.expired(cx.ms, 0)
            self.charger.outbox.unsaid(cx)

    # ---------------------------------------------------------------------------------------- frames in

    def _frame(self, cx: Context, event: events.FrameReceived) -> None:
        if event.connection != self.charger.link.connection or not self.charger.link.is_open:
            return
        frame = rpc.decode(event.text)
        if isinstance(frame, rpc.Malformed):
            self.charger.security.once(cx, "InvalidMessages", frame.description)
        if isinstance(frame, rpc.Call):
            self._asked(cx, frame)
        elif isinstance(frame, rpc.Malformed) and frame.answerable:
            self._say(cx, rpc.encode_error(frame.id, frame.code, frame.description))
        elif self._rpc.accept(frame) is not None:
            self._landed(cx, frame)
        else:
            cx.note("rpc", "an answer to nothing that was asked; ignored", "warning")

    def _asked(self, cx: Context, frame: rpc.Call) -> None:
        """Exactly one answer to a CALL (Part 4 FR.02, FR.03): now, later, or the one that was given already."""
        if (text := self._rpc.answered(frame)) is not None:
            self._say(cx, text)
        elif self._owed.get(frame.id) != frame.fingerprint:
            result = self._judge(cx, frame)
            if isinstance(result, Later):
                self._owed[frame.id] = frame.fingerprint
                result.bind(partial(self._answer_later, frame, self.charger.link.connection))
            else:
                self._say(cx, self._answer(cx, frame, result))

    def _answer_later(self, frame: rpc.Call, connection: int, cx: Context, result: Any) -> None:
        """The answer to a CALL of some steps ago, if its connection is still there."""
        if self._owed.pop(frame.id, None) == frame.fingerprint and connection == self.charger.link.connection:
            self._say(cx, self._answer(cx, frame, result))

    def _answer(self, cx: Context, frame: rpc.Call, result: Any) -> str:
        """The frame of an answer, remembered in case the CALL is repeated."""
        if isinstance(result, Violation):
            text = rpc.encode_error(frame.id, result.code, result.description)
        else:
            text = rpc.encode_result(frame.id, codec.to_wire(result))
        self._rpc.remember(frame, text)
        self._answered_in[cx.step] = rpc.Call(frame.id, frame.action, {}, frame.fingerprint)
        _bound(self._answered_in)
        self._news = frame.action not in READS or self.charger.silent_since_ms is not None
        self.charger.heard(cx)
        return text

    def _judge(self, cx: Context, frame: rpc.Call) -> Any:
        """The handler's answer, or why the CALL cannot be taken."""
        if self.charger.registration.standing == "rejected":
            return Violation(ErrorCode.SECURITY, "the station is rejected (B03.FR.08)")
        refused = codec.refusal(frame.action)
        if refused is not None:
            return Violation(refused, f"action {frame.action[:50]}")
        wrong = codec.check_request(frame.action, frame.payload)
        if wrong is not None:
            return wrong
        handler = self.handlers.answers.get(frame.action)
        if handler is None:
            return Violation(ErrorCode.NOT_SUPPORTED, f"{frame.action} is not supported by this station")
        most = self.handlers.most_bytes[frame.action]
        if most is not None and frame.size > cx.keys[most]:
            return Violation(ErrorCode.FORMAT, f"{frame.size} bytes; at most {cx.keys[most]}")
        return handler(codec.from_wire(self.handlers.requests[frame.action], frame.payload), cx)

    @cached_property
    def handlers(self) -> Handlers:
        """The blocks' handlers; the runner asks for them once the Boot frame is out."""
        return Handlers(self.charger)

    # ---------------------------------------------------------------------------------------- answers

    def _landed(self, cx: Context, frame: rpc.Frame) -> None:
        outbox = self.charger.outbox
        if isinstance(frame, rpc.Result):
            assert outbox.in_flight is not None
            payload, wrong, dropped = codec.check_response(outbox.in_flight.action, frame.payload)
            if dropped:
                cx.note("rpc", f"unknown properties in the answer: {', '.join(dropped)}", "warning")
            if wrong is None:
                call = outbox.answered(cx)
                assert call is not None
                silent = self.charger.silent_since_ms is not None
                self._news = silent or bool(payload) or not call.is_event or not outbox.events_waiting
                self.charger.heard(cx)
                self._follow(cx, call, payload)
                return
            cx.note(
                "rpc", f"answer to {outbox.in_flight.action} is no valid one: {wrong.description}", "warning"
            )
        elif isinstance(frame, rpc.Error):
            self.charger.heard(cx)
            cx.note("rpc", f"CALLERROR {frame.code}: {frame.description[:200]}", "warning")
            if outbox.in_flight is not None:
                outbox.declined.learn(cx, outbox.in_flight.action, frame.code)
        self._void(cx, outbox.refused(cx), refused=True)

    def _follow(self, cx: Context, call: Call, payload: dict[str, Any]) -> None:
        if call.then == "boot":
            self.charger.registration.answered(cx, payload)
        elif (handler := self.handlers.follows.get(call.then)) is not None:
            response = codec.from_wire(self.handlers.responses[call.action], payload)
            handler(response, call.data, call.context, cx)

    def _void(self, cx: Context, call: Call | None, *, refused: bool = False) -> None:
        if call is not None and not call.is_event:
            self.charger.call_void(cx, call.then, call.context, refused=refused)

    def _timed_out(self, cx: Context) -> None:
        """Nothing within MessageTimeout: as if it was not sent; after several the link is given up (Part 4 5.x)."""
        cx.forget(TIMEOUT)
        outbox = self.charger.outbox
        self._rpc.expired(cx.ms, 0)
        call = outbox.refused(cx, silent=True)
        if call is not None:
            cx.note("rpc", f"{call.action} was not answered in time", "warning")
        self._void(cx, call)
        if outbox.is_ignored(cx):
            self._hang_up(self.charger.link.connection)
            self.charger.link.give_up(cx, f"{outbox.silences} CALLs in a row were not answered")

    # ---------------------------------------------------------------------------------------- frames out

    def _pump(self, cx: Context) -> None:
        if not self.charger.link.is_open:
            return
        outbox, allowed = self.charger.outbox, self.charger.registration.allowed(cx)
        call = outbox.next(cx, allowed)
        while (withheld := outbox.withheld(cx)) is not None:
            self._void(cx, withheld, refused=True)
            call = outbox.next(cx, allowed)
        if call is None:
            return
        payload = self._payload(cx, call)
        wrong = codec.check_request(call.action, payload)
        if wrong is not None and call.is_event:
            outbox.unfit(cx, wrong.description)
            self._pump(cx)
            return
        assert wrong is None, f"{call.action} of our own: {wrong}"
        self._called_in = cx.step
        text = self._rpc.call(rpc.Pending(call.message_id, call.action, cx.ms), payload)
        self._say(cx, text, cx.recorded_in(call.row) if call.is_event else 0)

    def _payload(self, cx: Context, call: Call) -> dict[str, Any]:
        """BootNotification is plain data already: it goes out before the OCPP types are loaded."""
        if call.action == "BootNotification":
            return dict(call.data)
        return codec.to_wire(self.handlers.sends[call.action](call.data, cx))

    def _say(self, cx: Context, text: str, rests_on: int = 0) -> None:
        cx.do(Say(self.charger.link.connection, text, rests_on))
        self.charger.said(cx)


def _bound(kept: dict[int, Any]) -> None:
    """The oldest go."""
    while len(kept) > ANSWERS_KEPT:
        del kept[next(iter(kept))]
