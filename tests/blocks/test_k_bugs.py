"""What real chargers did wrong with limits (bugs 2 to 5, 8, 9), and the rows of K that they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    back_online,
    charge,
    charging,
    goes_off,
    idle,
    install,
    profile,
    trail,
)
from tests.marks import req
from tests.sim.outlet import raw, smart


@req("K06.FR.01", "SC.01")
def test_bug_02_reconnect_keeps_limit() -> None:
    """Bug 2: a backend that reconnects every two hours; full power even when paused."""
    for amps in (0.0, 9.0):
        world = charging(keys={**QUIET, "FallbackCtrlr.OfflineGrace": "60"})
        install(world, 1, profile(1, (0, amps)))
        world.runs(seconds=20)
        for _ in range(4):
            world.csms.vanishes()
            seen = {world.runs(ms=900).outlets[1].offered for _ in range(80)}
            world.csms.returns()
            seen |= {world.runs(ms=900).outlets[1].offered for _ in range(80)}
            assert max(seen) <= amps
        back_online(world)
        assert world.outlets[1].offered == amps and len(world.csms.transactions) == 1


@req("K06.FR.01", "SC.01")
@pytest.mark.parametrize("amps", [0.0, 9.0])
def test_bug_02_a_link_that_flaps_ever_and_again_changes_nothing(amps: float) -> None:
    """Bug 2 with a thousand connections in all, cut as soon as they are made; what is offered is seen each 10 ms."""
    back_off = {"WaitMinimum": "1", "RandomRange": "0", "RepeatTimes": "0"}
    at_once = {f"OCPPCommCtrlr.RetryBackOff{name}": value for name, value in back_off.items()}
    world = charging(keys={**QUIET, **at_once, "FallbackCtrlr.OfflineGrace": "60"})
    install(world, 1, profile(1, (0, amps)))
    world.runs(seconds=20)
    seen, before = set(), world.csms.connections
    for _ in range(500):
        world.csms.vanishes()
        world.csms.returns()
        seen.add(world.runs(ms=10).outlets[1].offered)
        while world.csms.connection is None:
            seen.add(world.runs(ms=10).outlets[1].offered)
    assert seen == {amps} and world.csms.connections == before + 500
    back_online(world)
    assert world.outlets[1].offered == amps and len(world.csms.transactions) == 1
    world.settles()


@req("K01.FR.07")
def test_bug_03_resume_applies_new_limit() -> None:
    """Bug 3: paused with 0 A, resumed with a limit that was then ignored."""
    world = charging(keys=QUIET)
    for amps in (0.0, 6.0, 0.0, 10.0):
        install(world, 1, profile(1, (0, amps)))
        assert max(world.runs(seconds=1).outlets[1].offered for _ in range(45)) <= 10
        assert (world.outlets[1].offered, world.outlets[1].amps) == (amps, amps)
    world.settles()


@req("K06.FR.02")
@pytest.mark.parametrize(
    ("mode", "curve"), [("KeepProfile", [32, 32, 6, 6]), ("Reduce", [32, 32, 6, 6]), ("Pause", [32, 32, 0, 0])]
)
def test_bug_04_offline_fallback_trajectory(mode: str, curve: list[float]) -> None:
    """Bug 4: a limit that was said into a dead link; the curve of current over time."""
    world = charging(keys={**QUIET, "FallbackCtrlr.OfflineGrace": "120", "FallbackCtrlr.Mode": mode})
    world.csms.vanishes()
    assert [world.runs(seconds=55).outlets[1].offered for _ in curve] == curve


@req("K01.FR.45", "K01.FR.49", "K01.FR.50", "K01.FR.51")
@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("unit", ["A", "W"])
@pytest.mark.parametrize("number", [None, 3])
def test_bug_05_unit_conversion_grid(phases: int, unit: str, number: int | None) -> None:
    """Bugs 1 and 5: watts by the phases that carry current, never more than the limit."""
    world = charging([raw(16, phases=phases)], keys=QUIET)
    for amps in (7.0, 8.13, 15.99, 40.0):
        asked = profile(1, (0, round(amps * (230 * phases if unit == "W" else 1), 1)), chargingRateUnit=unit)
        if number is not None:
            asked["chargingSchedule"][0]["chargingSchedulePeriod"][0]["numberPhases"] = number
        assert install(world, 1, asked)["status"] == "Accepted"
        world.runs(seconds=8)
        limit = min(16, asked["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
                    / (230 * phases if unit == "W" else 1))  # fmt: skip
        assert limit - 0.1 < world.outlets[1].offered <= limit + 1e-6
    world.settles()


@req("K01.FR.07", "E01.FR.18")
@pytest.mark.parametrize(("unit", "limit"), [("A", 0.0), ("A", 5.9), ("W", 0.0), ("W", 4100.0)])
def test_bug_08_zero_limit_suspends_not_ends(unit: str, limit: float) -> None:
    """Bug 8: a limit of 0 W ended the transaction."""
    world = charging(keys=QUIET)
    install(world, 1, profile(1, (0, limit), chargingRateUnit=unit))
    world.runs(minutes=5)
    assert world.outlets[1].amps == 0 and trail(world.csms.transaction(1))[-1][2] == "SuspendedEVSE"
    install(world, 1, profile(1, (0, 12.0)))
    world.runs(seconds=40)
    assert world.outlets[1].amps == 12 and trail(world.csms.transaction(1))[-1][2] == "Charging"
    assert len(world.csms.transactions) == 1
    world.settles()


EVCC: dict[str, Any] = {"stackLevel": 10, "startSchedule": "2026-03-01T11:59:00Z", "chargingProfileKind": "Absolute"}
HOME_ASSISTANT: dict[str, Any] = {"stackLevel": 9, "chargingProfileKind": "Relative", "startSchedule": None}
LOWEST: dict[str, Any] = {"stackLevel": 0}
DAILY: dict[str, Any] = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "duration": 86_400}
WEEKLY: dict[str, Any] = {"chargingProfileKind": "Recurring", "recurrencyKind": "Weekly"}


@req("K01.FR.07", "K01.FR.40", "K01.FR.41")
@pytest.mark.parametrize("given", [EVCC, HOME_ASSISTANT, LOWEST, DAILY, WEEKLY])
@pytest.mark.parametrize("evse", [0, 1])
@pytest.mark.parametrize(("unit", "limit"), [("A", 10.0), ("W", 6900.0)])
def test_bug_09_profile_grid(given: dict[str, Any], evse: int, unit: str, limit: float) -> None:
    """Bug 9: every legal profile is accepted and does what it says."""
    world = charging([smart(16)], keys=QUIET)
    assert install(world, evse, profile(3000, (0, limit), chargingRateUnit=unit, **given)) == {"status": "Accepted"}
    world.runs(seconds=2)
    assert world.outlets[1].offered == 10


@req("K01.FR.09", "K01.FR.28")
@pytest.mark.parametrize(
    ("evse", "given", "reason"),
    [(3, {}, "UnknownEvse"), (1, {"chargingProfilePurpose": "TxProfile", "transactionId": "x"}, "TxNotFound")],
)
def test_bug_09_a_refusal_names_its_reason(evse: int, given: dict[str, Any], reason: str) -> None:
    """TC_K_02, TC_K_14."""
    answer = install(idle(), evse, profile(1, **given))
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)
    assert answer["statusInfo"]["additionalInfo"]


@req("K01.FR.46", "K01.FR.47", "K01.FR.48", "K01.FR.19")
@pytest.mark.parametrize(
    ("rotation", "period", "accepted"),
    [("RST", {"numberPhases": 1}, True), ("RST", {"numberPhases": 1, "phaseToUse": 1}, True),
     ("STR", {"numberPhases": 1, "phaseToUse": 2}, True), ("RST", {"numberPhases": 1, "phaseToUse": 2}, False),
     ("RST", {"phaseToUse": 1}, False)],
)  # fmt: skip
def test_a_single_phase_evse_takes_the_phase_that_it_is_wired_to(
    rotation: str, period: dict[str, int], accepted: bool
) -> None:
    world = charging([raw(32, phases=1)], keys={**QUIET, "EVSE.PhaseRotation@1": rotation})
    asked = profile(1, (0, 9.0))
    asked["chargingSchedule"][0]["chargingSchedulePeriod"][0].update(period)
    answer = install(world, 1, asked)
    assert (answer["status"] == "Accepted") == accepted
    assert accepted or answer["statusInfo"]["reasonCode"] == "InvalidSchedule"
    world.runs(seconds=5)
    assert world.outlets[1].offered == (9 if accepted else 32)


@req("K07.FR.01")
def test_a_transaction_that_begins_offline_obeys_the_default() -> None:
    world = idle(keys={**QUIET, **OFFLINE_FOR_ALL, "FallbackCtrlr.OfflineLimit": "16"})
    install(world, 0, profile(1, (0, 9.0)))
    world.csms.vanishes()
    world.runs(minutes=10)
    charge(world, 1)
    assert world.outlets[1].offered == 9
    back_online(world)
    world.settles()


@req("K03.FR.04", "K03.FR.05", "K03.FR.06")
def test_the_priority_of_the_answer_to_an_event_is_for_this_transaction_only() -> None:
    keys = {**QUIET, "LimitCtrlr.InstallationMaxCurrent": "10", "LimitCtrlr.RotationInterval": "0"}
    world = idle((raw(32), raw(32)), keys=keys)
    charge(world, 1)
    high = {"chargingPriority": 5}
    world.csms.answers("TransactionEvent", lambda event: high if event.get("evse", {}).get("id") == 2 else {})
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(seconds=90)
    assert [world.outlets[n].offered for n in (1, 2)] == [0, 10]
    world.csms.answers("TransactionEvent", lambda event: {})
    world.ev(2).presents(OTHER)
    world.runs(seconds=60)
    assert [world.outlets[n].offered for n in (1, 2)] == [10, 0]
    world.ev(2).presents(OTHER)
    world.runs(seconds=90)
    assert [world.outlets[n].offered for n in (1, 2)] == [10, 0]
    world.ev(1).presents(CARD)
    world.runs(seconds=60)
    assert world.outlets[2].offered == 10


@req("K03.FR.04", "K03.FR.05")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_a_restart_does_not_forget_the_priority_of_a_transaction(end: str) -> None:
    keys = {**QUIET, "LimitCtrlr.InstallationMaxCurrent": "10", "LimitCtrlr.RotationInterval": "0"}
    world = idle((raw(32), raw(32)), keys=keys)
    charge(world, 1)
    high = {"chargingPriority": 5}
    world.csms.answers("TransactionEvent", lambda event: high if event.get("evse", {}).get("id") == 2 else {})
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(seconds=90)
    assert [world.outlets[n].offered for n in (1, 2)] == [0, 10]
    world.csms.answers("TransactionEvent", lambda event: {})
    gone = goes_off(world, end)
    gone.returns_after(seconds=5)
    world.runs(minutes=3)
    assert [world.outlets[n].offered for n in (1, 2)] == [0, 10]
