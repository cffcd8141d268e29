"""K01, K02, K04, K06, K10: what a profile is refused for, what it does to the current, and how long it lasts."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.instant import rfc3339
from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    back_online,
    charge,
    charging,
    goes_off,
    idle,
    install,
    now_s,
    profile,
    station_maximum,
    trail,
    why,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))
KEEP = {**QUIET, "FallbackCtrlr.OfflineGrace": "60"}


def tx_profile(world: World, id: int, *periods: tuple[int, float], **changed: Any) -> dict[str, Any]:
    """A TxProfile for the first transaction."""
    options = {"chargingProfilePurpose": "TxProfile", "transactionId": world.csms.transaction(1).id}
    return profile(id, *periods, **{**options, **changed})


def code(answer: dict[str, Any]) -> str:
    """Accepted, or the reasonCode of a refusal, which always has a plain sentence too."""
    if answer["status"] == "Accepted":
        return "Accepted"
    assert answer["statusInfo"]["additionalInfo"]
    return str(answer["statusInfo"]["reasonCode"])


def offered_after(world: World, seconds: float, evse: int = 1) -> float:
    """What is offered some time from now."""
    return world.runs(seconds=seconds).outlets[evse].offered


# ---------------------------------------------------------------------------------------- refusals


REFUSED: list[tuple[str, int, dict[str, Any], str]] = [
    ("K01.FR.28", 3, {}, "UnknownEvse"),
    ("K01.FR.22", 1, {"chargingProfilePurpose": "ChargingStationExternalConstraints"}, "InvalidProfile"),
    ("K04.FR.03", 1, {"chargingProfilePurpose": "ChargingStationMaxProfile"}, "InvalidProfile"),
    (
        "K01.FR.38",
        0,
        {
            "chargingProfilePurpose": "ChargingStationMaxProfile",
            "chargingProfileKind": "Relative",
            "startSchedule": None,
        },
        "InvalidProfile",
    ),
    ("K01.FR.16", 0, {"chargingProfilePurpose": "TxProfile", "transactionId": "x"}, "InvalidProfile"),
    ("K01.FR.03", 1, {"chargingProfilePurpose": "TxProfile"}, "MissingParam"),
    ("K01.FR.09", 1, {"chargingProfilePurpose": "TxProfile", "transactionId": "x"}, "TxNotFound"),
    ("K01.FR.40", 1, {"startSchedule": None}, "InvalidSchedule"),
    ("K01.FR.40", 1, {"startSchedule": None, "chargingProfileKind": "Recurring"}, "InvalidSchedule"),
    ("K01.FR.41", 1, {"chargingProfileKind": "Relative"}, "InvalidSchedule"),
    ("K01.FR.40", 1, {"chargingProfileKind": "Recurring"}, "InvalidSchedule"),
    ("K01.FR.17", 1, {"stackLevel": 11}, "InvalidStackLevel"),
]


@req(*sorted({fr for fr, *_ in REFUSED}))
@pytest.mark.parametrize(("fr", "evse", "changed", "reason"), REFUSED)
def test_a_profile_that_cannot_be_is_refused_with_a_reason(
    fr: str, evse: int, changed: dict[str, Any], reason: str
) -> None:
    world = idle(TWO)
    assert code(install(world, evse, profile(1, **changed))) == reason, fr
    charge(world, 1)
    assert offered_after(world, 20) == 16


@req("K01.FR.31", "K01.FR.35")
@pytest.mark.parametrize("periods", [((10, 8.0),), ((0, 8.0), (20, 9.0), (10, 10.0)), ((0, 8.0), (0, 10.0))])
def test_periods_begin_at_zero_and_ascend(periods: tuple[tuple[int, float], ...]) -> None:
    assert code(install(idle(), 1, profile(1, *periods))) == "InvalidSchedule"


@req("K01.FR.34")
def test_one_schedule_only_without_iso_15118() -> None:
    two = profile(1)
    two["chargingSchedule"].append({**two["chargingSchedule"][0], "id": 2})
    assert code(install(idle(), 1, two)) == "InvalidSchedule"


@req("K01.FR.19", "K01.FR.20", "K01.FR.43", "K01.FR.48")
@pytest.mark.parametrize("field", [{"numberPhases": 1}, {"numberPhases": 1, "phaseToUse": 2}, {"phaseToUse": 1}])
def test_fewer_phases_than_are_wired_cannot_be_guaranteed(field: dict[str, int]) -> None:
    asked = profile(1)
    asked["chargingSchedule"][0]["chargingSchedulePeriod"][0].update(field)
    assert code(install(idle(), 1, asked)) == "InvalidSchedule"


@req("K01.FR.45", "K01.FR.49")
def test_more_phases_than_are_wired_are_taken_on_fewer() -> None:
    world = charging([raw(32, phases=1)])
    asked = profile(1, (0, 2300.0), chargingRateUnit="W")
    asked["chargingSchedule"][0]["chargingSchedulePeriod"][0]["numberPhases"] = 3
    assert code(install(world, 1, asked)) == "Accepted"
    assert offered_after(world, 3) == 10


@req("K01.FR.26")
def test_a_unit_that_the_station_does_not_take() -> None:
    world = idle(keys={"SmartChargingCtrlr.RateUnit": "A"})
    assert code(install(world, 1, profile(1, (0, 5000), chargingRateUnit="W"))) == "UnsupportedRateUnit"


@req("K01.FR.06", "K01.FR.52", "K01.FR.53", "K01.FR.05")
def test_rivals_are_refused_and_the_same_id_replaces() -> None:
    """TC_K_04 and the errata's TxDefault rule in both directions."""
    world = idle(TWO)
    assert code(install(world, 1, profile(1))) == "Accepted"
    assert code(install(world, 1, profile(2))) == "DuplicateProfile"
    assert code(install(world, 0, profile(3))) == "DuplicateProfile"
    assert code(install(world, 2, profile(4))) == "Accepted"
    assert code(install(world, 1, profile(5, stackLevel=1))) == "Accepted"
    assert code(install(world, 0, profile(6, stackLevel=2))) == "Accepted"
    assert code(install(world, 2, profile(7, stackLevel=2))) == "DuplicateProfile"
    assert code(install(world, 1, profile(1, (0, 7.0)))) == "Accepted"
    apart = profile(8, validFrom="2027-01-01T00:00:00Z")
    assert code(install(world, 1, apart)) == "DuplicateProfile"
    assert code(install(world, 1, profile(1, validTo="2027-01-01T00:00:00Z"))) == "Accepted"
    assert code(install(world, 1, apart)) == "Accepted"


@req("K01.FR.39", "K01.FR.33", "K01.FR.04")
def test_profiles_of_a_transaction_belong_to_it_alone() -> None:
    """TC_K_16, TC_K_60."""
    world = charging()
    assert code(install(world, 1, tx_profile(world, 1, transactionId="other"))) == "UnknownTxId"
    assert code(install(world, 1, tx_profile(world, 1, (0, 10.0)))) == "Accepted"
    assert code(install(world, 1, tx_profile(world, 2, (0, 11.0)))) == "DuplicateProfile"
    assert offered_after(world, 3) == 10
    world.settles()


@req("K01.FR.05")
def test_the_tables_have_their_bounds() -> None:
    """Buyers' B8: #N+1 is refused with a reason; a replacement is not one more."""
    world = idle()
    for n in range(11):
        for place in range(10):
            window = {"validFrom": f"2026-0{place + 1 if place < 9 else 9}-01T00:00:00Z"} if place else {}
            install(world, 1, profile(100 * n + place, stackLevel=n, **window))
    long = tuple((10 * n, 10.0) for n in range(101))
    assert code(install(world, 1, profile(7777, *long))) == "TooManyElements"
    assert code(install(world, 1, profile(7778, *long[:100], stackLevel=10))) in ("Accepted", "DuplicateProfile")


@req("K01.FR.05")
def test_no_more_profiles_than_entries() -> None:
    world = idle()
    answers = []
    for n in range(110):
        window = {"validFrom": f"20{30 + n // 12:02}-{1 + n % 12:02}-01T00:00:00Z",
                  "validTo": f"20{30 + n // 12:02}-{1 + n % 12:02}-20T00:00:00Z"}  # fmt: skip
        answers.append(code(install(world, 1, profile(n + 1, **window))))
    assert answers[:100] == ["Accepted"] * 100 and set(answers[100:]) == {"TooManyElements"}
    same = {"validFrom": "2034-02-01T00:00:00Z", "validTo": "2034-02-20T00:00:00Z"}
    assert code(install(world, 1, profile(50, (0, 9.0), **same))) == "Accepted"


@pytest.mark.parametrize("limit", ["1e999", "-1e999", "NaN", "1e-400", "-0.5", "1e308"])
def test_a_limit_that_is_no_sane_number_neither_raises_the_current_nor_ends_the_process(limit: str) -> None:
    world = charging(keys=QUIET)
    text = f'[2,"odd-1","SetChargingProfile",{_json(profile(1, (0, 12345.0)))}]'
    world.judge.protocol.sloppy_csms = True
    world.csms.says(text.replace("12345.0", limit))
    world.runs(seconds=30)
    assert world.outlets[1].offered in (0, 32)
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=2)
    assert world.outlets[1].offered in (0, 32)


def _json(asked: dict[str, Any]) -> str:
    import json

    return json.dumps({"evseId": 1, "chargingProfile": asked})


# ---------------------------------------------------------------------------------------- the current


@req("K01.FR.07", "K01.FR.15", "K01.FR.32", "K02.FR.02")
@pytest.mark.parametrize("kind", ["smart", "raw"])
@pytest.mark.parametrize(
    ("unit", "limit", "amps"),
    [("A", 10, 10), ("A", 8.1, 8.1), ("A", 6, 6), ("W", 6900, 10), ("W", 5589, 8.1), ("W", 4140, 6)],
)
def test_a_default_profile_lowers_a_running_session_at_once(kind: str, unit: str, limit: float, amps: float) -> None:
    """TC_K_28; 8.1 A is a limit that float maths has refused elsewhere."""
    world = charging([smart(16) if kind == "smart" else raw(16)])
    assert code(install(world, 1, profile(1, (0, limit), chargingRateUnit=unit))) == "Accepted"
    world.runs(seconds=0.5)
    assert world.outlets[1].offered == pytest.approx(amps)
    world.runs(seconds=10)
    assert world.outlets[1].amps <= amps
    world.settles()


@req("K01.FR.51", "K02.FR.04", "K02.FR.05", "K02.FR.08", "SC.01")
def test_tx_overrules_default_and_both_are_held_by_the_maximum() -> None:
    world = charging(keys=QUIET)
    install(world, 0, profile(1, (0, 20.0)))
    assert offered_after(world, 3) == 20
    install(world, 1, tx_profile(world, 2, (0, 25.0)))
    assert offered_after(world, 20) == 25
    install(world, 0, station_maximum(3, (0, 12.0)))
    assert offered_after(world, 3) == 12
    assert why(world)["owner"] == "ChargingStationMaxProfile"
    install(world, 0, station_maximum(3, (0, 60.0)))
    world.ev(1).presents(CARD).after(seconds=20).presents(CARD)
    assert offered_after(world, 60) == 20
    world.settles()


@req("K01.FR.17", "K02.FR.08", "K01.FR.12", "K01.FR.11")
def test_stack_levels_and_durations_fall_through_within_a_second() -> None:
    """TC_K_40 as current; libocpp 811: 30 s to fall to the next profile."""
    world = charging(keys=QUIET)
    begin = _utc(world)
    install(world, 1, profile(1, (0, 6.0), (100, 8.0), (200, 10.0), startSchedule=begin, duration=400))
    install(world, 1, profile(2, (0, 7.0), (100, 9.0), startSchedule=begin, duration=150, stackLevel=1))
    start = now_s(world) - now_s(world) % 1
    seen: list[tuple[float, float]] = [(0, offered_after(world, 3))]
    for at in (50, 101.5, 149, 151.5, 199, 211, 399, 401.5, 420):
        world.runs(seconds=max(0.0, start + at - now_s(world)))
        seen.append((at, world.outlets[1].offered))
    assert [amps for _, amps in seen] == [7, 7, 9, 9, 8, 8, 10, 10, 32, 32]
    world.settles()


def _utc(world: World, seconds: float = 0) -> str:
    return rfc3339(world.clock.utc_ms + round(seconds * 1000))


@req("K01.FR.30", "K01.FR.36", "K01.FR.37", "K01.FR.10")
def test_a_profile_says_nothing_before_it_starts_and_after_it_ends() -> None:
    """TC_K_21, TC_K_22, TC_K_23; buyers' G14."""
    world = charging(keys=QUIET)
    install(world, 1, profile(1, (0, 10.0), validFrom=_utc(world, 30), validTo=_utc(world, 60)))
    install(world, 1, profile(2, (0, 8.0), startSchedule=_utc(world, 90), duration=30, stackLevel=1))
    start = now_s(world)
    seen = []
    for at in (28, 31.5, 58, 70, 88, 91.5, 118, 130):
        world.runs(seconds=start + at - now_s(world))
        seen.append(world.outlets[1].offered)
    assert seen == [32, 10, 10, 32, 32, 8, 8, 32]
    world.settles()


@req("K01.FR.42", "K01.FR.41")
def test_a_relative_profile_counts_from_connected_and_authorised() -> None:
    world = idle(keys=QUIET)
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    install(world, 1, profile(1, (0, 20.0), (60, 10.0), **relative))
    world.ev(1).plugs_in().after(seconds=40).presents(CARD)
    world.until(lambda: world.outlets[1].offered > 0, within_s=60)
    start = now_s(world)
    assert world.outlets[1].offered == 20
    world.runs(seconds=start + 57 - now_s(world))
    assert world.outlets[1].offered == 20
    assert offered_after(world, 5) == 10
    world.settles()


@req("K01.FR.42", "K01.FR.27")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_a_reboot_does_not_start_a_relative_profile_over(end: str) -> None:
    """Invariant 5: a reboot never raises a limit."""
    world = idle(keys=QUIET)
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    install(world, 1, profile(1, (0, 20.0), (60, 10.0), (100_000, 9.0), **relative))
    charge(world, 1)
    world.runs(minutes=2)
    goes_off(world, end).returns_after(seconds=10)
    seen = {world.runs(seconds=1).outlets[1].offered for _ in range(180)}
    assert max(seen) == 10 and world.outlets[1].offered == 10
    world.settles()


@req("K01.FR.42")
def test_a_clock_step_does_not_jump_through_a_relative_profile() -> None:
    """Invariant 5: a clock step never raises a limit."""
    world = idle(keys=QUIET)
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    install(world, 1, profile(1, (0, 8.0), (1800, 30.0), **relative))
    charge(world, 1)
    world.csms.vanishes()
    world.clock.steps_by(3_600)
    assert {world.runs(seconds=5).outlets[1].offered for _ in range(20)} == {8}


@req("K01.FR.13", "K01.FR.40")
def test_a_recurring_profile_returns_daily_and_leaves_its_gap() -> None:
    """TC_K_19."""
    world = idle(keys={**QUIET, "TxCtrlr.EVConnectionTimeOut": "3000"})
    daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "duration": 3600}
    install(world, 1, profile(1, (0, 10.0), **daily, startSchedule="2026-02-20T13:00:00Z"))
    charge(world, 1)
    seen = [(h, world.runs(hours=1).outlets[1].offered) for h in range(27)]
    bound = [h for h, amps in seen if amps == 10]
    assert bound == [0, 24] and {amps for _, amps in seen} == {10, 32}


@req("K04.FR.05", "K04.FR.01", "SC.01")
def test_the_station_maximum_is_shared_and_never_exceeded_not_even_in_passing() -> None:
    """Invariant 1: the sum of what both EVSEs may draw, decreases first."""
    world = idle((raw(32), raw(32)), keys=QUIET)
    install(world, 0, station_maximum(1, (0, 24.0)))
    world.judge.installation_amps = 24
    charge(world, 1)
    assert offered_after(world, 20, 1) == 24
    charge(world, 2, OTHER)
    world.runs(seconds=60)
    assert (world.outlets[1].offered, world.outlets[2].offered) == (12, 12)
    world.ev(1).presents(CARD)
    assert offered_after(world, 60, 2) == 24
    world.settles()


@req("K04.FR.05")
def test_a_maximum_too_small_for_two_pauses_the_second() -> None:
    world = idle((raw(32), raw(32)), keys=QUIET)
    install(world, 0, station_maximum(1, (0, 11.0)))
    world.judge.installation_amps = 11
    charge(world, 1)
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(minutes=2)
    flowing = [world.outlets[n].amps for n in (1, 2)]
    assert (sum(flowing) <= 11 and max(flowing) >= 5.5 - 1e-9) or max(flowing) == 0
    world.settles()


@req("K01.FR.50", "K04.FR.05")
def test_a_maximum_in_watts_holds_for_one_and_three_phases() -> None:
    world = idle((raw(32), raw(32, phases=1)), keys=QUIET)
    install(world, 0, station_maximum(1, (0, 13_800.0), chargingRateUnit="W"))
    charge(world, 1)
    charge(world, 2, OTHER, phases=1)
    for _ in range(60):
        world.runs(seconds=2)
        watts = sum(world.outlets[n].offered * 230 * world.outlets[n].spec.phases for n in (1, 2))
        assert watts <= 13_800
    world.settles()


@req("K01.FR.07", "E01.FR.18")
@pytest.mark.parametrize("limit", [0.0, 3.0, 5.9])
def test_less_than_six_amperes_pauses_keeps_the_transaction_and_resumes(limit: float) -> None:
    """Bugs 3 and 8: 0 suspends, never ends; the resume takes the new limit."""
    world = charging(keys=QUIET)
    install(world, 1, profile(1, (0, limit)))
    world.runs(seconds=30)
    assert world.outlets[1].amps == 0 and trail(world.csms.transaction(1))[-1][2] == "SuspendedEVSE"
    world.runs(minutes=10)
    install(world, 1, profile(1, (0, 9.0)))
    world.runs(seconds=40)
    assert (world.outlets[1].offered, trail(world.csms.transaction(1))[-1][2]) == (9, "Charging")
    assert len(world.csms.transactions) == 1
    world.settles()


@req("K01.FR.07")
def test_many_pauses_and_resumes_leave_the_session_alive() -> None:
    world = charging(keys=QUIET)
    for n in range(12):
        install(world, 1, profile(1, (0, 0.0 if n % 2 == 0 else 10.0)))
        world.runs(seconds=(1, 3, 7, 20, 40)[n % 5])
    install(world, 1, profile(1, (0, 10.0)))
    world.runs(minutes=1)
    assert world.outlets[1].amps == 10 and len(world.csms.transactions) == 1
    world.settles()


@req("K01.FR.07")
@pytest.mark.parametrize("slow", [1, 40, 400])
def test_a_limit_that_comes_while_the_permission_still_waits_for_flash(slow: float) -> None:
    """A decrease must not swallow the permission, whatever the flash does."""
    world = idle(keys=QUIET)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    world.disk.slow = slow
    world.ev(1).presents(CARD)
    world.runs(ms=300)
    for limit in (12.0, 11.0, 10.0):
        world.csms.sends("SetChargingProfile", {"evseId": 1, "chargingProfile": profile(1, (0, limit))})
        world.runs(ms=150)
    world.runs(minutes=2)
    assert world.outlets[1].amps == 10
    world.disk.slow = 1.0
    world.settles()


@req("K10.FR.01", "K10.FR.03", "K10.FR.04", "K10.FR.07")
def test_clearing_gives_back_spaced_and_says_unknown_when_nothing_matches() -> None:
    """TC_K_05 to TC_K_09."""
    world = charging(keys=QUIET)
    install(world, 1, profile(1, (0, 10.0)))
    install(world, 1, profile(2, (0, 8.0), stackLevel=3))
    clear = "ClearChargingProfile"
    criteria = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 3}
    assert offered_after(world, 3) == 8
    assert world.csms_asks(clear, {"chargingProfileId": 77})["status"] == "Unknown"
    assert world.csms_asks(clear, {"chargingProfileCriteria": {**criteria, "evseId": 0}})["status"] == "Unknown"
    assert world.csms_asks(clear, {"chargingProfileCriteria": criteria})["status"] == "Accepted"
    assert offered_after(world, 20) == 10
    assert world.csms_asks(clear, {"chargingProfileId": 1})["status"] == "Accepted"
    assert offered_after(world, 20) == 32
    world.settles()


# ---------------------------------------------------------------------------------------- lifetime


@req("K01.FR.27")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_profiles_survive_a_reboot_and_bind_before_the_csms_answers(end: str) -> None:
    """TC_K_13."""
    world = charging(keys={**QUIET, "FallbackCtrlr.BootLimit": "16"})
    install(world, 1, profile(1, (0, 9.0)))
    install(world, 1, tx_profile(world, 2, (0, 7.0)))
    world.csms.vanishes()
    goes_off(world, end, "none").returns_after(seconds=10)
    world.runs(minutes=3)
    assert world.outlets[1].offered == 7
    world.ev(1).presents(CARD)
    back_online(world)
    world.ev(1).presents(CARD)
    assert offered_after(world, 60) == 9
    world.settles()


@req("K06.FR.01", "K06.FR.02")
def test_offline_a_profile_goes_on_and_the_reconnect_does_not_touch_it() -> None:
    """Bug 2: the CSMS reconnects every two hours and the limit must stay."""
    world = charging(keys=KEEP)
    install(world, 1, tx_profile(world, 1, (0, 10.0)))
    for _ in range(5):
        world.csms.vanishes()
        assert offered_after(world, 200) == 10
        back_online(world)
        assert world.outlets[1].offered == 10
    world.settles()


@req("K02.FR.05")
def test_a_tx_profile_dies_with_its_transaction_even_over_a_power_cut() -> None:
    world = charging(keys={**QUIET, "RecoveryCtrlr.ResumeTransactionsOnBoot": "false"})
    install(world, 1, tx_profile(world, 1, (0, 10.0)))
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].offered == 32 and len(world.csms.transactions) == 2
    assert world.disk.tables.get("profiles", {}) == {}
    world.settles()
