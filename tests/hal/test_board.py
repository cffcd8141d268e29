"""The raw board's driver against a hand-written board on a real pty."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hal import frames
from hal.board import Board, Pace
from hal.config import BoardRef
from hal.hardware import mono_ms
from hal.ports import (
    Alive,
    Applied,
    CableRated,
    Capabilities,
    ContactorReported,
    DeviceBooted,
    FaultCleared,
    FaultRaised,
    HardwareEvent,
    LockReported,
    Nameplate,
    Offer,
    Permit,
    PhasesReported,
    PilotChanged,
    Refused,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    Silent,
    TemperatureMeasured,
    Withdraw,
)
from tests.hal.wires import Pty, Told, run, until

ALL = 0x3F
FAST = Pace(silent_s=0.6, timeout_s=3.0, hello_s=0.1)
STEADY = Pace(silent_s=60.0, timeout_s=3.0, hello_s=0.1)
"""For stories about lost frames: however busy the machine is, the board is not taken for silent."""
IDLE = frames.State("A", 10000, 0, 0, 0, 0, 1, 0, 0, 0, ((0, 250),))


class FakeBoard:
    """Keeps to hal/board-protocol.md as far as these stories need it."""

    def __init__(self, path: Path) -> None:
        self.pty = Pty(path, self._bytes)
        self.state = IDLE
        self.capabilities = ALL
        self.connectors = 1
        self.mute = False
        self.loses: list[type[frames.Message]] = []
        """Frames of these types are not heard, once each."""
        self.results: dict[type[frames.Message], int] = {}
        self.holds_tenths: int | None = None
        """The failsafe current that it has, whatever it is told."""
        self.step = 0
        self.heard: list[frames.Message] = []
        self.seqs: list[int] = []
        self._last: tuple[int, int, frames.Ack] | None = None
        self._decoder = frames.Decoder()

    def commands(self) -> list[frames.Message]:
        return [m for m in self.heard if not isinstance(m, frames.Heartbeat | frames.Hello)]

    def say(self, message: frames.Message) -> None:
        if not self.mute:
            self.pty.send(frames.encode(message))

    def reports(self, **changes: Any) -> None:
        """A State report with these changes."""
        self.state = replace(self.state, **changes)
        self.say(self.state)

    def boots(self, reset: int = 0) -> None:
        self.say(
            frames.Boot(
                1, reset, 320, 3, self.capabilities, 3000, "ACME", "CB-1", "SN42", "1.0", "B", self.connectors
            )
        )

    def _bytes(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            message = frame.message
            assert message is not None
            if type(message) in self.loses:
                self.loses.remove(type(message))
            else:
                self._take(frame.seq, message)

    def _take(self, seq: int, message: frames.Message) -> None:
        if self._last is not None and self._last[:2] == (seq, message.KIND):
            self.say(self._last[2])
            return
        self.heard.append(message)
        self.seqs.append(seq)
        if isinstance(message, frames.Heartbeat):
            return
        says = isinstance(message, frames.Permit | frames.Offer | frames.Failsafe)
        offered = getattr(message, "tenths", 0) if says else 0
        if isinstance(message, frames.Failsafe) and self.holds_tenths is not None:
            offered = self.holds_tenths
        result = self.results.get(type(message), self._in_order(message))
        ack = frames.Ack(seq, message.KIND, result, offered, getattr(message, "step", 0))
        self.say(ack)
        if isinstance(message, frames.Hello):
            self.boots()
            self.say(self.state)
        else:
            self._last = (seq, message.KIND, ack)


    def _in_order(self, message: frames.Message) -> int:
        """Section 3: an older step is refused, a withdrawal never, a Hello forgets."""
        step = 0 if isinstance(message, frames.Hello) else getattr(message, "step", 0)
        if step < self.step and not isinstance(message, frames.Hello | frames.Withdraw):
            return frames.OLD_STEP
        self.step = step if isinstance(message, frames.Hello) else max(self.step, step)
        return frames.OK


class Scene:
    """The driver, the board and what was told."""

    def __init__(self, tmp_path: Path, pace: Pace, connectors: tuple[int, ...]) -> None:
        self.board = FakeBoard(tmp_path / "ttyS2")
        self.told = Told()
        plate = Nameplate(2, 32.0, 3, connectors=connectors)
        self.stage = Board(plate, BoardRef(self.board.pty.path), self.told.append, mono_ms, pace)

    async def hears(self, *events: HardwareEvent) -> None:
        try:
            await until(lambda: all(e in self.told for e in events))
        except TimeoutError:
            raise AssertionError(f"expected {events}, told {self.told}") from None


def story(
    tmp_path: Path,
    tell: Callable[[Scene], Awaitable[None]],
    before: Callable[[Scene], None] = lambda s: None,
    pace: Pace = FAST,
    connectors: tuple[int, ...] = (1,),
) -> None:
    async def whole() -> None:
        scene = Scene(tmp_path, pace, connectors)
        before(scene)
        scene.stage.withdraw(Withdraw(2, 0, "start"))
        task = asyncio.create_task(scene.stage.run())
        try:
            await tell(scene)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(whole)


async def ready(scene: Scene) -> None:
    await scene.hears(Alive(2, "board"), PilotChanged(2, "A"))


def test_greeting_withdraws_first_and_tells_what_the_board_is(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        assert scene.board.heard[:2] == [frames.Hello(1, 3000), frames.Withdraw(0, "start")]
        assert scene.told[0] == Capabilities(
            2, True, 32.0, 3, True, True, 3.0, vendor="ACME", model="CB-1", serial="SN42", firmware="1.0"
        )
        await scene.hears(
            Applied(2, 0, "withdraw", 0.0),
            ContactorReported(2, False),
            CableRated(2, 1, None),
            LockReported(2, 1, False),
            TemperatureMeasured(2, "socket", 25.0),
        )

    story(tmp_path, tell)


def test_every_command_reaches_the_board_and_its_answer_comes_back(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        stage = scene.stage
        scene.board.heard.clear()
        stage.set_failsafe(SetFailsafe(2, 3, 6.0))
        stage.set_phases(SetPhases(2, 3, 1))
        stage.set_lock(SetLock(2, 3, 1, True))
        stage.permit(Permit(2, 4, 16.05, 1))
        stage.offer(Offer(2, 5, 10.0))
        stage.reset_fault(ResetFault(2, 6, "residual_current"))
        stage.withdraw(Withdraw(2, 7, "done"))
        await scene.hears(Applied(2, 7, "withdraw", 0.0))
        stage.offer(Offer(2, 8, 5.0))
        await scene.hears(Applied(2, 8, "offer", 0.0))
        assert frames.Offer(8, 0) in scene.board.heard
        assert frames.Failsafe(3, 60) in scene.board.heard

    story(tmp_path, tell)


def test_a_board_that_holds_another_failsafe_current_is_refused_and_faulted_until_it_obeys(tmp_path: Path) -> None:
    """Layer 3: what it would fall to without us is read back, also after its restart."""

    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.holds_tenths = 160
        scene.stage.set_failsafe(SetFailsafe(2, 3, 6.0))
        await scene.hears(
            Refused(2, 3, "setfailsafe", "the board holds 16.0 A"),
            FaultRaised(2, "readback_mismatch", "failsafe 16.0 A after 6.0 A"),
        )
        scene.board.holds_tenths = None
        scene.board.boots(reset=1)
        await scene.hears(DeviceBooted(2, "watchdog"), FaultCleared(2, "readback_mismatch"))

    story(tmp_path, tell)


def test_one_after_the_other_with_new_sequence_numbers(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.heard.clear()
        scene.board.seqs.clear()
        for step in range(300):
            scene.stage.permit(Permit(2, step, 16.0, 3))
            await scene.hears(Applied(2, step, "permit", 16.0))
        assert 0 not in scene.board.seqs
        assert all(b == a % 255 + 1 for a, b in zip(scene.board.seqs, scene.board.seqs[1:], strict=False))

    story(tmp_path, tell)


def test_a_lost_command_is_sent_again_and_executed_once(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.loses = [frames.Permit, frames.Permit]
        scene.stage.permit(Permit(2, 4, 16.0, 3))
        await scene.hears(Applied(2, 4, "permit", 16.0))
        assert scene.board.commands().count(frames.Permit(4, 160, 3)) == 1
        scene.board.loses = [frames.Permit] * 4
        scene.stage.permit(Permit(2, 5, 16.0, 3))
        await scene.hears(Refused(2, 5, "permit", "no acknowledgement"))

    story(tmp_path, tell, pace=STEADY)


def test_a_wish_is_repeated_until_the_board_has_it(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.loses = [frames.Withdraw] * 5
        scene.stage.withdraw(Withdraw(2, 6, "fault"))
        await scene.hears(Applied(2, 6, "withdraw", 0.0))

    story(tmp_path, tell, pace=STEADY)


def test_a_withdrawal_does_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.loses = [frames.Permit] * 4
        scene.stage.permit(Permit(2, 5, 16.0, 3))
        scene.stage.set_lock(SetLock(2, 5, 1, True))
        scene.stage.withdraw(Withdraw(2, 6, "unplugged"))
        await scene.hears(Applied(2, 6, "withdraw", 0.0), Refused(2, 5, "permit", "superseded"))
        await scene.hears(Applied(2, 5, "setlock"))
        assert not any(isinstance(m, frames.Permit) for m in scene.board.heard)

    story(tmp_path, tell, pace=STEADY)


def test_the_boards_refusal_is_told_in_words(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.results = {frames.Phases: frames.CONTACTS_CLOSED, frames.Permit: frames.NOT_ARMED}
        scene.stage.set_phases(SetPhases(2, 5, 1))
        scene.stage.permit(Permit(2, 5, 16.0, 1))
        await scene.hears(
            Refused(2, 5, "setphases", "contacts closed"), Refused(2, 5, "permit", "not armed")
        )

    story(tmp_path, tell)


def test_reports_become_events_only_when_something_changed(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.told.clear()
        scene.board.reports(pilot="B", proximity=32, flags=frames.PLUG_PRESENT | frames.LOCKED)
        scene.board.reports()
        scene.board.reports(pilot="C", contacts=frames.L1 | frames.NEUTRAL, temperatures=((0, 255), (4, 400)))
        scene.board.reports(contacts=0x0F)
        scene.board.reports(contacts=0, faults=1 << 8, pilot="E", temperatures=((0, 265),))
        scene.board.reports(faults=0, flags=frames.EMERGENCY_STOP | frames.HEARTBEAT_LOST)
        scene.board.reports(flags=0)
        await scene.hears(FaultCleared(2, "emergency_stop"), LockReported(2, 1, False))
        assert scene.told[:3] == [CableRated(2, 1, 32.0), LockReported(2, 1, True), PilotChanged(2, "B")]
        assert [e for e in scene.told if isinstance(e, ContactorReported)] == [
            ContactorReported(2, True, 1),
            ContactorReported(2, True, 3),
            ContactorReported(2, False, 0),
        ]
        assert [e for e in scene.told if isinstance(e, TemperatureMeasured)] == [
            TemperatureMeasured(2, "psu", 40.0),
            TemperatureMeasured(2, "socket", 26.5),
        ]
        assert FaultRaised(2, "contactor_welded", "bit 8") in scene.told
        assert FaultCleared(2, "contactor_welded") in scene.told
        assert FaultRaised(2, "heartbeat_lost", "") in scene.told

    story(tmp_path, tell)


def test_heartbeats_go_out_only_when_the_guard_feeds(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        assert frames.Heartbeat() not in scene.board.heard
        scene.stage.feed()
        await until(lambda: frames.Heartbeat() in scene.board.heard)
        assert scene.stage.feed_every_s == 1.0

    story(tmp_path, tell)


def test_a_silent_board_is_told_and_gets_what_it_missed_withdrawal_first(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.stage.permit(Permit(2, 4, 16.0, 3))
        await scene.hears(Applied(2, 4, "permit", 16.0))
        scene.board.mute = True
        await scene.hears(Silent(2, "board"))
        scene.stage.set_failsafe(SetFailsafe(2, 5, 6.0))
        scene.stage.permit(Permit(2, 5, 16.0, 3))
        await scene.hears(Refused(2, 5, "permit", "the board is silent or not greeted yet"))
        scene.board.heard.clear()
        scene.stage.withdraw(Withdraw(2, 6, "silent"))
        await until(lambda: frames.Withdraw(6, "silent") in scene.board.heard)  # it may hear us
        scene.told.clear()
        scene.board.mute = False
        scene.board.reports()
        await scene.hears(Alive(2, "board"), Applied(2, 6, "withdraw", 0.0), Applied(2, 5, "setfailsafe", 6.0))
        assert scene.told.place(Applied(2, 6, "withdraw", 0.0)) < scene.told.place(Alive(2, "board"))
        assert scene.told.place(Applied(2, 5, "setfailsafe", 6.0)) < scene.told.place(Alive(2, "board"))
        await scene.hears(PilotChanged(2, "A"), ContactorReported(2, False))
        assert not any(isinstance(m, frames.Hello) for m in scene.board.heard)

    story(tmp_path, tell)


def test_a_board_that_restarts_is_greeted_again_and_nothing_is_permitted_or_offered(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.stage.set_failsafe(SetFailsafe(2, 3, 6.0))
        scene.stage.permit(Permit(2, 4, 16.0, 3))
        scene.stage.offer(Offer(2, 5, 12.0))
        await scene.hears(Applied(2, 5, "offer", 12.0))
        scene.board.heard.clear()
        scene.told.clear()
        scene.board.boots(reset=1)
        await scene.hears(DeviceBooted(2, "watchdog"), Alive(2, "board"), ContactorReported(2, False))
        assert scene.board.heard == [frames.Hello(1, 3000), frames.Failsafe(3, 60)]
        assert [e for e in scene.told if isinstance(e, DeviceBooted | Applied)] == [DeviceBooted(2, "watchdog")]

    story(tmp_path, tell)


def test_a_hello_that_is_lost_or_answered_twice_is_no_restart(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.boots()  # the answer to a Hello that had to be sent again
        scene.stage.permit(Permit(2, 4, 16.0, 3))
        await scene.hears(Applied(2, 4, "permit", 16.0))
        assert not any(isinstance(e, DeviceBooted) for e in scene.told)

    story(tmp_path, tell, lambda scene: scene.board.loses.append(frames.Hello))


def test_a_port_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.pty.vanish()
        await scene.hears(DeviceBooted(2, "the port is gone"), Silent(2, "board"))
        scene.told.clear()
        scene.board.pty.plug()
        await scene.hears(Alive(2, "board"), PilotChanged(2, "A"))

    story(tmp_path, tell)


def test_a_board_that_cannot_open_alone_is_no_independent_layer(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        await scene.hears(FaultRaised(2, "not_independent", "capabilities 0x1f"))
        assert not next(e for e in scene.told if isinstance(e, Capabilities)).independent

    def before(scene: Scene) -> None:
        scene.board.capabilities = ALL & ~frames.OPENS_ALONE

    story(tmp_path, tell, before)


def test_a_board_that_was_never_heard_is_silent(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await scene.hears(Silent(2, "board"))

    def before(scene: Scene) -> None:
        scene.board.mute = True

    story(tmp_path, tell, before)


def test_where_the_phase_relay_is_comes_from_its_feedback_and_a_move_is_for_now_or_never(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        await scene.hears(PhasesReported(2, 3))
        scene.stage.set_phases(SetPhases(2, 3, 1))
        await scene.hears(Applied(2, 3, "setphases", None))
        assert PhasesReported(2, 1) not in scene.told
        scene.board.reports(flags=frames.ONE_PHASE)
        await scene.hears(PhasesReported(2, 1))
        scene.board.reports(flags=frames.ONE_PHASE | frames.PHASES_UNKNOWN)
        await scene.hears(PhasesReported(2, 0))
        scene.board.mute = True
        await scene.hears(Silent(2, "board"))
        scene.stage.set_phases(SetPhases(2, 4, 3))
        await scene.hears(Refused(2, 4, "setphases", "the board is silent or not greeted yet"))
        scene.board.heard.clear()
        scene.board.mute = False
        scene.board.reports()
        await scene.hears(Alive(2, "board"))
        assert not [m for m in scene.board.heard if isinstance(m, frames.Phases)]

    story(tmp_path, tell)
