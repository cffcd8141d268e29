"""The models of the simulated world behave like the things they stand for."""

from __future__ import annotations

import pytest

from agent.core.effects import Effect, Energise, MakeSafe, Note, Persist, Put, Record
from agent.core.events import Event, FrameReceived, LinkDown, LinkUp, PersistFailed, StoreReported, Tick
from hal.ports import (
    Applied,
    ContactorReported,
    Offer,
    Permit,
    PilotChanged,
    Reading,
    Refused,
    SetFailsafe,
    Silent,
    TokenPresented,
    Withdraw,
)
from tests.sim.clock import EPOCH_MS
from tests.sim.cuts import cut_points
from tests.sim.disk import Keep
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.scripted import Scripted, scripted
from tests.sim.world import World


def unpicklable(world: World) -> object:
    """What no child process can tell its parent."""
    return lambda: world


def test_a_child_that_cannot_tell_its_end_ends_all_the_same() -> None:
    """Where the power is cut at each boundary of a story, a child process must not run the rest of the tests."""
    with pytest.raises(AssertionError, match="died"):
        cut_points(lambda: World([raw(16)]), lambda world: world.runs(seconds=5), unpicklable, every=50)


TX = Persist((Record(1, "tx", {"evse": 1}),))


def charging(station: Scripted, event: Event) -> list[Effect]:
    """Permit 16 A when a card is shown, with a failsafe of 6 A."""
    if isinstance(event, TokenPresented) and not station.recovered:
        step = station.steps
        return [TX, MakeSafe(SetFailsafe(1, step, 6)), Energise(Permit(1, step, 16, 3))]
    return []


def at_full_current(spec: OutletSpec) -> World:
    """A world in which EVSE 1 charges with 16 A."""
    world = World([spec], build=scripted(charging))
    world.ev(1).plugs_in().after(seconds=3).presents("04AABBCC")
    world.runs(seconds=25)
    assert world.outlets[1].amps == 16
    return world


def heard(world: World, kind: type) -> list[Event]:
    """What the present station has heard of this type."""
    assert isinstance(world.station, Scripted)
    return [e for e in world.station.heard if isinstance(e, kind)]


def test_a_car_goes_through_b_and_c_and_the_meter_counts_what_flows() -> None:
    for spec in (raw(32), smart(16)):
        world = at_full_current(spec)
        pilots = [e.pilot for e in heard(world, PilotChanged) if isinstance(e, PilotChanged)]
        assert pilots[0] in "AB" and pilots[-2:] == ["B", "C"]
        before = world.outlets[1].register.at(world.now_ms)
        world.runs(minutes=30)
        flowed = world.outlets[1].register.at(world.now_ms) - before
        assert round(flowed) == round(16 * 230 * 3 / 2)


def test_a_single_phase_car_draws_on_one_phase() -> None:
    world = World([raw(32)], build=scripted(charging))
    world.ev(1).plugs_in(phases=1).after(seconds=3).presents("04AABBCC")
    world.runs(seconds=25)
    assert world.outlets[1].register.watts == 16 * 230


def test_a_car_without_an_offer_opens_s2_and_the_contactor_follows() -> None:
    for spec in (raw(32), smart(16)):
        world = at_full_current(spec)
        world.hardware.execute(Offer(1, 10_000, 0))
        world.runs(seconds=4.5)
        assert world.outlets[1].pilot == "B" and not world.outlets[1].closed
        assert world.outlets[1].permitted


def test_a_car_that_keeps_s2_closed_is_cut_off_after_six_seconds() -> None:
    world = World([raw(32)], build=scripted(charging))
    world.ev(1).plugs_in(bad=frozenset({"keeps_s2"})).after(seconds=3).presents("04AABBCC")
    world.runs(seconds=25)
    world.hardware.execute(Offer(1, 10_000, 0))
    world.runs(seconds=5)
    assert world.outlets[1].closed
    world.runs(seconds=2)
    assert not world.outlets[1].closed


def test_a_withdrawal_opens_under_load_at_once() -> None:
    world = at_full_current(raw(32))
    world.hardware.execute(Withdraw(1, 10_000, "fault"))
    world.runs(ms=200)
    assert not world.outlets[1].closed and world.outlets[1].amps == 0


def test_the_guard_refuses_an_older_command() -> None:
    world = at_full_current(raw(32))
    world.hardware.execute(Offer(1, 10_000, 10))
    world.hardware.execute(Offer(1, 9_999, 16))
    world.runs(seconds=10)
    assert world.outlets[1].amps == 10
    assert [e.step for e in heard(world, Refused) if isinstance(e, Refused)] == [9_999]


def test_a_device_falls_back_by_itself_when_nobody_feeds_it() -> None:
    for spec in (raw(32), smart(16)):
        world = at_full_current(spec)
        world.freezes_agent().returns_after(seconds=60)
        world.runs(seconds=30)
        assert world.outlets[1].amps == 6
        assert not world.outlets[1].permitted or world.outlets[1].lapsed


def test_without_a_failsafe_current_the_device_opens_alone() -> None:
    world = at_full_current(raw(32))
    world.outlets[1].failsafe_amps = 0
    world.kills_agent()
    world.runs(seconds=10)
    assert not world.outlets[1].closed


def test_a_frozen_process_hears_everything_later_and_in_order() -> None:
    world = at_full_current(raw(32))
    world.freezes_agent().returns_after(seconds=10)
    world.ev(1).unplugs()
    world.runs(seconds=9)
    assert heard(world, PilotChanged)[-1] == PilotChanged(1, "C")
    world.runs(seconds=2)
    assert heard(world, PilotChanged)[-1] == PilotChanged(1, "A")


def test_a_power_cut_opens_the_contactor_and_the_register_goes_on() -> None:
    world = at_full_current(smart(16))
    before = world.outlets[1].register.at(world.now_ms)
    world.loses_power().returns_after(seconds=30)
    world.runs(seconds=60)
    assert world.boots == 2
    assert world.outlets[1].register.at(world.now_ms) == before
    assert ContactorReported(1, False) in heard(world, ContactorReported)
    assert world.clock.mono_ms < 31_000


def test_readings_come_each_second_around_events_and_rarely_else() -> None:
    world = World([raw(32)], build=scripted())
    world.runs(minutes=10)
    assert len(heard(world, Reading)) < 25
    world.ev(1).plugs_in()
    world.runs(seconds=9)
    assert all(isinstance(e, Reading) and e.mono_ms <= world.clock.mono_ms for e in heard(world, Reading))
    assert len(heard(world, Reading)) >= 8


def test_a_silent_meter_is_reported_once() -> None:
    world = World([raw(32)], build=scripted()).runs(seconds=20)
    world.hardware.drivers[1].mute = True
    world.runs(seconds=60)
    assert heard(world, Silent) == [Silent(1, "meter")]


# ------------------------------------------------------------ disk


def writes(station: Scripted, event: Event) -> list[Effect]:
    """One record and one table entry with each tick."""
    if not isinstance(event, Tick):
        return []
    station.deadline = station.now.mono_ms + 1000
    id = len(station.recovered) + sum(isinstance(e, Tick) for e in station.heard)
    return [
        Persist((Record(id, "n", {"n": id}),), puts=(Put("keys", "n", id),)),
        Note("info", "disk", f"kept {id}"),
    ]


def writing() -> World:
    """A world that writes each second."""
    world = World([raw(32)], build=scripted(writes), network=False, ticking=True)
    world.runs(seconds=10)
    return world


def test_what_was_promised_is_there_after_a_power_cut() -> None:
    choices: tuple[Keep, ...] = ("none", "random", "all")
    for keep in choices:
        world = writing()
        promised = sum(topic == "disk" for _, _, topic, _ in world.notes)
        world.loses_power(keep).returns_after(seconds=1)
        world.runs(seconds=6)
        assert isinstance(world.station, Scripted)
        numbers = [record.data["n"] for record in world.station.recovered]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= promised
        assert world.station.stored["keys"] == {"n": len(numbers)}


def test_a_full_disk_is_told_and_nothing_of_the_step_is_said() -> None:
    world = writing()
    world.disk.full = world.disk.reserve = True
    world.until(lambda: bool(heard(world, PersistFailed)), within_s=5)
    before = len(world.notes)
    world.runs(seconds=3)
    assert len(world.notes) == before
    assert heard(world, StoreReported) == [StoreReported("ok"), StoreReported("full")]
    world.disk.full = False
    world.runs(seconds=3)
    assert len(world.notes) > before and heard(world, StoreReported)[-1] == StoreReported("ok")


def test_a_lazy_batch_rides_with_the_next_commit_or_goes_alone() -> None:
    def lazy(station: Scripted, event: Event) -> list[Effect]:
        return [Persist((Record(1, "ack", {}),), lazy=True)] if isinstance(event, LinkUp) else []

    world = World([raw(32)], build=scripted(lazy))
    world.until(lambda: bool(heard(world, LinkUp)), within_s=5)
    world.runs(seconds=50)
    assert not world.disk.rows
    world.runs(seconds=12)
    assert world.disk.rows


# ------------------------------------------------------------ link and CSMS


def test_a_half_open_link_tells_nobody_until_the_pong_is_missed() -> None:
    world = World([raw(32)], build=scripted())
    world.runs(seconds=10)
    world.csms.vanishes(half_open=True)
    world.runs(seconds=70)
    assert not heard(world, LinkDown)
    world.runs(seconds=20)
    assert heard(world, LinkDown)


def test_a_wrong_password_is_refused_with_its_status() -> None:
    def patient(station: Scripted, event: Event) -> list[Effect]:
        return []

    world = World([raw(32)], build=scripted(patient))
    world.csms.password = "other"
    world.until(lambda: bool(heard(world, LinkDown)), within_s=5)
    assert heard(world, LinkDown)[0] == LinkDown(1, "HTTP 401", 401)


def test_the_csms_asks_one_thing_at_a_time_and_collects_the_answers() -> None:
    def polite(station: Scripted, event: Event) -> list[Effect]:
        if not isinstance(event, FrameReceived) or station.answers[-1][0] != 2:
            return []
        return [station.say([3, station.answers[-1][1], {"status": "Accepted"}])]

    world = World([raw(32)], build=scripted(polite))
    world.runs(seconds=5)
    exchanges = [world.csms.sends("ClearCache", {}) for _ in range(3)]
    world.runs(seconds=5)
    assert [e.answer for e in exchanges] == [{"status": "Accepted"}] * 3


def test_csms_faults_are_used_up() -> None:
    def beats(station: Scripted, event: Event) -> list[Effect]:
        if isinstance(event, FrameReceived) and len(station.answers) < 4:
            return [station.call("Heartbeat", {})]
        return []

    world = World([raw(32)], build=scripted(beats))
    world.csms.fails("Heartbeat", times=2)
    world.runs(seconds=5)
    assert isinstance(world.station, Scripted)
    assert [answer[0] for answer in world.station.answers] == [3, 4, 4, 3]


# ------------------------------------------------------------ time


def test_clocks_drift_step_and_may_be_unknown() -> None:
    world = World([raw(32)], build=scripted())
    assert world.clock.instant().utc_ms == EPOCH_MS
    world.clock.drifts(100)
    world.runs(hours=1)
    world.clock.steps_by(-60)
    assert world.clock.instant().utc_ms == EPOCH_MS + 3_600_000 + 360 - 60_000
    world.clock.synchronised = False
    assert world.clock.instant().utc_ms is None


def test_the_same_seed_gives_the_same_trace_and_another_seed_another_one() -> None:
    prints = []
    for seed in (7, 7, 8):
        world = World(build=scripted(charging), seed=seed)
        world.ev(1).plugs_in().after(seconds=3).presents("04AABBCC")
        world.runs(minutes=10).loses_power().returns_after(seconds=9)
        world.runs(minutes=1)
        prints.append(world.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_the_power_can_be_cut_at_every_boundary() -> None:
    def told() -> World:
        world = World([raw(32)], build=scripted(charging))
        world.ev(1).plugs_in().after(seconds=3).presents("04AABBCC")
        return world

    whole = told().runs(seconds=20)
    assert whole.boundaries > 40
    for number in range(1, whole.boundaries + 1, 7):
        world = told()
        world.cut_at, world.cut_for_s = number, 5
        world.runs(seconds=40)
        assert world.boots == 2, number


def test_a_command_that_reached_the_device_is_confirmed() -> None:
    world = at_full_current(raw(32))
    confirmed = [(e.what, e.amps) for e in heard(world, Applied) if isinstance(e, Applied)]
    assert confirmed[-2:] == [("setfailsafe", 6), ("permit", 16)]
