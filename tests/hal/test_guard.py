"""The guard: nameplate, order of steps, and a lease that takes everything down when nobody renews it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import pytest

from hal.guard import Guard
from hal.ports import (
    Command,
    FaultCleared,
    FaultRaised,
    Nameplate,
    Offer,
    OfferSchedules,
    Permit,
    Refused,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    Withdraw,
)
from tests.hal.wires import Told, run, until


class Stage:
    """A power stage that remembers what reached it."""

    def __init__(self, evse: int) -> None:
        self.evse = evse
        self.got: list[Command] = []
        self.fed = 0
        self.rests = 0
        self.feed_every_s = 1.0

    def permit(self, command: Permit) -> None:
        self.got.append(command)

    def offer(self, command: Offer) -> None:
        self.got.append(command)

    def withdraw(self, command: Withdraw) -> None:
        self.got.append(command)

    def set_phases(self, command: SetPhases) -> None:
        self.got.append(command)

    def set_lock(self, command: SetLock) -> None:
        self.got.append(command)

    def set_failsafe(self, command: SetFailsafe) -> None:
        self.got.append(command)

    def reset_fault(self, command: ResetFault) -> None:
        self.got.append(command)

    def feed(self) -> None:
        self.fed += 1

    def rest(self) -> None:
        self.rests += 1


class Scene:
    """Two EVSEs behind a guard, on a clock that only the story turns."""

    def __init__(self) -> None:
        self.now = 100_000
        self.told = Told()
        self.stages = [Stage(1), Stage(2)]
        plates = {1: Nameplate(1, 16.0, 3), 2: Nameplate(2, 32.0, 1)}
        self.guard = Guard(self.stages, plates, self.told.append, lambda: self.now, tick_s=0.001)

    def does(self, command: Command) -> Command | None:
        """What reached the device, or None when the guard refused."""
        stage = self.stages[command.evse - 1]
        count = len(stage.got)
        self.guard.execute(command)
        return stage.got[-1] if len(stage.got) > count else None

    def refusals(self) -> list[str]:
        return [e.reason for e in self.told if isinstance(e, Refused)]


def story(tell: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole() -> None:
        scene = Scene()
        scene.guard.start()
        scene.guard.renew(scene.now)
        await tell(scene)
        scene.guard.stop("end")

    run(whole)


def test_the_first_act_is_to_withdraw_everywhere() -> None:
    async def tell() -> None:
        scene = Scene()
        scene.guard.start()
        assert [s.got for s in scene.stages] == [[Withdraw(1, 0, "start")], [Withdraw(2, 0, "start")]]
        assert scene.does(Permit(1, 1, 16.0, 3)) is None
        assert scene.refusals() == ["the lease has lapsed"]
        scene.guard.stop("end")
        assert scene.stages[0].fed == 0

    run(tell)


def test_clamps_to_the_nameplate_and_never_rounds_a_pause_up() -> None:
    async def tell(scene: Scene) -> None:
        assert scene.does(Permit(1, 1, 32.0, 3)) == Permit(1, 1, 16.0, 3)
        assert scene.does(Offer(1, 2, 5.99)) == Offer(1, 2, 0.0)
        assert scene.does(SetFailsafe(1, 2, 99.0)) == SetFailsafe(1, 2, 16.0)
        assert scene.does(SetFailsafe(1, 2, 3.0)) == SetFailsafe(1, 2, 0.0)

    story(tell)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Permit(2, 1, 16.0, 3), "3 phases, wired for 1"),
        (SetPhases(2, 1, 3), "3 phases, wired for 1"),
        (SetPhases(1, 1, 2), "2 phases, wired for 3"),
        (Permit(1, 1, math.nan, 3), "nan A is no current"),
        (Permit(1, 1, math.inf, 3), "inf A is no current"),
        (Offer(1, 1, -1.0), "-1.0 A is no current"),
        (Offer(1, 1, 10.0), "nothing is permitted"),
    ],
)
def test_refuses_what_cannot_be_right(command: Command, reason: str) -> None:
    async def tell(scene: Scene) -> None:
        assert scene.does(command) is None
        assert scene.refusals() == [reason]

    story(tell)


def test_an_evse_that_does_not_exist() -> None:
    async def tell(scene: Scene) -> None:
        scene.guard.execute(Permit(7, 1, 16.0, 3))
        assert scene.told == [Refused(7, 1, "permit", "no such EVSE")]

    story(tell)


def test_older_steps_are_refused_per_evse_but_a_withdrawal_never() -> None:
    async def tell(scene: Scene) -> None:
        scene.does(Withdraw(1, 10, "new"))
        assert scene.does(Permit(1, 9, 16.0, 3)) is None
        assert scene.refusals() == ["step 9 is older than 10"]
        assert scene.does(Withdraw(1, 8, "late")) == Withdraw(1, 8, "late")
        assert scene.does(Permit(1, 9, 16.0, 3)) is None
        assert scene.does(Permit(2, 9, 16.0, 1)) is not None
        assert scene.does(Permit(1, 10, 16.0, 3)) is not None
        assert scene.does(SetLock(1, 10, 1, True)) is not None

    story(tell)


def test_increases_are_spaced_and_decreases_are_not() -> None:
    async def tell(scene: Scene) -> None:
        assert scene.does(Permit(1, 1, 6.0, 3)) is not None
        assert scene.does(Offer(1, 2, 16.0)) is None
        assert scene.refusals() == ["increases too close together"]
        scene.now += 1000
        assert scene.does(Offer(1, 3, 16.0)) is not None
        assert scene.does(Offer(1, 4, 10.0)) is not None
        assert scene.does(Offer(1, 5, 0.0)) is not None

    story(tell)


def test_a_live_lease_feeds_at_a_third_of_the_devices_timeout() -> None:
    async def tell(scene: Scene) -> None:
        await until(lambda: scene.stages[0].fed == 1)
        scene.now += 500
        scene.guard.renew(scene.now)
        assert scene.stages[0].fed == 1
        scene.now += 500
        await until(lambda: scene.stages[0].fed == 2)

    story(tell)


def test_a_lapsed_lease_withdraws_rests_and_feeds_no_more() -> None:
    async def tell(scene: Scene) -> None:
        scene.does(Permit(1, 5, 16.0, 3))
        await until(lambda: scene.stages[0].fed)
        scene.now += 3000
        await until(lambda: scene.stages[1].rests)
        assert scene.stages[0].got[-1] == Withdraw(1, 5, "the lease lapsed")
        assert scene.stages[1].got[-1] == Withdraw(2, 0, "the lease lapsed")
        assert FaultRaised(1, "lease_lapsed") in scene.told
        fed = scene.stages[0].fed
        scene.now += 60_000
        assert scene.does(Permit(1, 6, 16.0, 3)) is None
        assert scene.does(SetFailsafe(1, 6, 0.0)) is not None
        assert scene.stages[0].fed == fed

    story(tell)


def test_after_a_lapse_only_a_new_decision_counts() -> None:
    async def tell(scene: Scene) -> None:
        scene.does(Permit(1, 5, 16.0, 3))
        scene.now += 3000
        await until(lambda: scene.stages[0].rests)
        scene.guard.renew(scene.now)
        assert FaultCleared(1, "lease_lapsed") in scene.told
        assert scene.does(Permit(1, 5, 16.0, 3)) is None
        assert scene.does(Offer(1, 6, 10.0)) is None
        assert scene.refusals() == ["decided before the lease lapsed", "nothing is permitted"]
        assert scene.does(Permit(1, 6, 16.0, 3)) is not None

    story(tell)


def test_a_step_that_took_too_long_renews_nothing() -> None:
    async def tell(scene: Scene) -> None:
        scene.now += 3000
        await until(lambda: scene.stages[0].rests)
        scene.guard.renew(scene.now - 3000)
        assert not scene.guard.live
        scene.guard.renew(scene.now - 2999)
        assert scene.guard.live

    story(tell)


def test_schedules_for_an_ev_are_refused_where_nothing_speaks_with_it() -> None:
    scene = Scene()
    scene.guard.execute(OfferSchedules(1, 1, ()))
    assert scene.told == [Refused(1, 1, "offerschedules", "nothing here speaks ISO 15118")]
