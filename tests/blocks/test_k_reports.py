"""K09, K10: which profiles are installed, and taking them away."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    QUIET,
    charging,
    get_variable,
    heard,
    idle,
    install,
    profile,
    remote_start,
    station_maximum,
)
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.transactions import Payload
from tests.sim.world import World

PAIR = (raw(32), raw(32))
CLEAR = "ClearChargingProfile"


def report(world: World, request: int = 77, evse: int | None = None, **criteria: Any) -> tuple[str, list[Payload]]:
    """GetChargingProfiles: its status and the reports that follow."""
    before = len(heard(world, "ReportChargingProfiles"))
    asked: Payload = {"requestId": request, "chargingProfile": criteria}
    answer = world.csms_asks("GetChargingProfiles", asked | ({} if evse is None else {"evseId": evse}))
    world.runs(seconds=20)
    pages = [payload for _, payload in heard(world, "ReportChargingProfiles")[before:]]
    if answer["status"] != "Accepted":
        assert answer["statusInfo"]["reasonCode"] == "NotFound" and not pages
    return answer["status"], pages


def ids(pages: list[Payload]) -> list[int]:
    return [found["id"] for page in pages for found in page["chargingProfile"]]


def furnished() -> World:
    """A maximum, a default for all, one for EVSE 2 on two levels."""
    world = idle(PAIR, keys=QUIET)
    assert install(world, 0, station_maximum(1, (0, 40.0)))["status"] == "Accepted"
    assert install(world, 0, profile(2, (0, 20.0), stackLevel=5))["status"] == "Accepted"
    assert install(world, 2, profile(3, (0, 12.0)))["status"] == "Accepted"
    assert install(world, 2, profile(4, (0, 14.0), stackLevel=1))["status"] == "Accepted"
    return world


@req("K09.FR.01", "K09.FR.02", "K09.FR.04", "K09.FR.05", "K09.FR.06")
@pytest.mark.parametrize(
    ("evse", "criteria", "expected"),
    [
        (None, {}, [1, 2, 3, 4]),
        (0, {}, [1, 2]),
        (2, {}, [3, 4]),
        (1, {}, []),
        (9, {}, []),
        (None, {"chargingProfileId": [4, 1, 99]}, [1, 4]),
        (2, {"stackLevel": 1}, [4]),
        (None, {"chargingProfilePurpose": "TxDefaultProfile"}, [2, 3, 4]),
        (2, {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}, [3]),
        (None, {"chargingLimitSource": ["CSO"]}, [1, 2, 3, 4]),
        (None, {"chargingLimitSource": ["EMS", "SO", "Other"]}, []),
        (0, {"chargingProfilePurpose": "TxProfile"}, []),
    ],
)
def test_what_is_installed_is_reported_by_source_and_evse(
    evse: int | None, criteria: dict[str, Any], expected: list[int]
) -> None:
    """TC_K_29 to TC_K_36."""
    status, pages = report(furnished(), 123, evse, **criteria)
    assert status == ("Accepted" if expected else "NoProfiles")
    assert ids(pages) == expected
    assert all(page["requestId"] == 123 and page["chargingLimitSource"] == "CSO" for page in pages)
    assert [page.get("tbc", False) for page in pages] == [True] * (len(pages) - 1) + [False] * bool(pages)
    assert len({page["evseId"] for page in pages}) == len(pages)


@req("K01.FR.07", "K01.FR.14", "K09.FR.01")
def test_a_profile_is_reported_as_it_came() -> None:
    """TC_K_01, TC_K_03, TC_K_10: with everything that we have no use for."""
    world = idle()
    whole = profile(7, (0, 8.0), (60, 9.5), validTo="2031-01-01T00:00:00Z", duration=7200)
    whole["chargingSchedule"][0].update({"id": 3, "minChargingRate": 6.5})
    whole["chargingSchedule"][0]["chargingSchedulePeriod"][1]["numberPhases"] = 3
    install(world, 0, whole)
    _, (page,) = report(world)
    assert page["chargingProfile"] == [whole] and page["evseId"] == 0


@req("K09.FR.02")
def test_many_long_profiles_go_out_in_pages() -> None:
    world = idle()
    for n in range(10):
        install(world, 1, profile(n + 1, *((60 * i, 10.0 + i / 10) for i in range(96)), stackLevel=n))
    _, pages = report(world)
    assert ids(pages) == list(range(1, 11)) and len(pages) == 4
    assert [page.get("tbc", False) for page in pages] == [True, True, True, False]


@req("K05.FR.03", "F01.FR.10")
def test_the_profile_of_a_remote_start_is_reported_with_its_transaction() -> None:
    """TC_K_37."""
    world = idle(keys=QUIET)
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    given = profile(9, (0, 8.0), chargingProfilePurpose="TxProfile", **relative)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    assert remote_start(world, evseId=1, chargingProfile=given)["status"] == "Accepted"
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60).runs(seconds=5)
    assert world.outlets[1].offered == 8
    _, (page,) = report(world, evse=1)
    assert page["chargingProfile"] == [{**given, "transactionId": world.csms.transaction(1).id}]


@req("K01.FR.27")
def test_profiles_are_reported_the_same_after_a_reboot() -> None:
    """TC_K_13."""
    world = furnished()
    before = report(world)
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=2)
    assert report(world) == before
    assert get_variable(world, "SmartChargingCtrlr.Entries[ChargingProfiles]") == "4"


# ---------------------------------------------------------------------------------------- clearing


@req("K10.FR.01", "K10.FR.03", "K10.FR.04")
@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"chargingProfileId": 3}, [1, 2, 4]),
        ({"chargingProfileId": 99}, None),
        ({"chargingProfileId": 3, "chargingProfileCriteria": {"evseId": 0}}, [1, 2, 4]),
        ({"chargingProfileCriteria": {"evseId": 0}}, [3, 4]),
        ({"chargingProfileCriteria": {"evseId": 1}}, None),
        ({"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile"}}, [1]),
        ({"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}}, [1, 2, 3]),
        ({"chargingProfileCriteria": {"chargingProfilePurpose": "ChargingStationMaxProfile", "stackLevel": 3}}, None),
        ({"chargingProfileCriteria": {"stackLevel": 0}}, [2, 4]),
        ({}, []),
    ],
)
def test_what_fits_is_cleared_and_nothing_else(asked: Payload, left: list[int] | None) -> None:
    """TC_K_05 to TC_K_08, TC_K_24."""
    world = furnished()
    answer = world.csms_asks(CLEAR, asked)
    assert answer["status"] == ("Unknown" if left is None else "Accepted")
    if left is None:
        assert answer["statusInfo"]["reasonCode"] == "NotFound"
    assert sorted(ids(report(world)[1])) == ([1, 2, 3, 4] if left is None else left)
    entries = get_variable(world, "SmartChargingCtrlr.Entries[ChargingProfiles]")
    assert entries == str(4 if left is None else len(left))


@req("K10.FR.05", "K10.FR.07")
def test_a_cleared_default_gives_back_at_once_and_the_transaction_goes_on() -> None:
    """TC_K_09: the composite schedule too."""
    world = charging(keys=QUIET)
    install(world, 1, profile(1, (0, 6.0)))
    world.runs(seconds=6)
    assert world.outlets[1].offered == 6
    assert world.csms_asks(CLEAR, {"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile"}}) == {
        "status": "Accepted"
    }
    answer = world.csms_asks("GetCompositeSchedule", {"evseId": 1, "duration": 300})
    assert answer["schedule"]["chargingSchedulePeriod"][0]["limit"] == 32
    world.runs(seconds=8)
    assert world.outlets[1].offered == 32 and len(world.csms.transactions) == 1
    world.settles()


@req("K01.FR.29", "K05.FR.04")
def test_switched_off_the_block_is_not_supported_and_profiles_count_for_nothing() -> None:
    """TC_K_15, TC_K_38."""
    world = idle(keys={**QUIET, "SmartChargingCtrlr.Enabled": "false"})
    calls: list[tuple[str, Payload]] = [
        ("SetChargingProfile", {"evseId": 1, "chargingProfile": profile(1)}),
        (CLEAR, {"chargingProfileId": 1}),
        ("GetChargingProfiles", {"requestId": 1, "chargingProfile": {}}),
        ("GetCompositeSchedule", {"evseId": 1, "duration": 60}),
    ]
    for action, payload in calls:
        with pytest.raises(AssertionError, match="NotSupported"):
            world.csms_asks(action, payload)
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    given = profile(9, (0, 8.0), chargingProfilePurpose="TxProfile", **relative)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    assert remote_start(world, evseId=1, chargingProfile=given)["status"] == "Accepted"
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60).runs(seconds=10)
    assert world.outlets[1].offered == 32
    world.settles()
