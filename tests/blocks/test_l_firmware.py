"""L01 and L02: firmware updates, told from the CSMS's side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from agent.core.instant import rfc3339
from tests.blocks.stories import CARD, charge, gaps, get_variable, idle, now_s, set_variable, statuses
from tests.marks import req
from tests.sim.firmware import Slots, security, told, update
from tests.sim.jobs import Ends, Says
from tests.sim.outlet import raw, smart
from tests.sim.world import World

ALL_OF_IT = [
    "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
]  # fmt: skip
UNSIGNED = {"signingCertificate": None, "signature": None}
ALLOWED = {"FwCtrlr.SignedOnly": "false"}
NEVER = "2027-01-01T00:00:00Z"


def ready(**options: Any) -> tuple[World, Slots]:
    """An idle station, and its places for firmware."""
    world = idle(options.pop("evses", (raw(32),)), **options)
    return world, Slots(world)


def ask(world: World, **request: Any) -> str:
    """UpdateFirmware; the status of the answer."""
    return str(world.csms_asks("UpdateFirmware", update(**request))["status"])


def trigger(world: World) -> dict[str, Any]:
    """What TriggerMessage brings."""
    answer = world.csms_asks("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
    assert answer["status"] == "Accepted"
    world.runs(seconds=2)
    return dict(world.csms.requests("FirmwareStatusNotification")[-1])


@req("L01.FR.01", "L01.FR.05", "L01.FR.10", "L01.FR.12", "L01.FR.20", "L01.FR.28", "L01.FR.31", "L01.FR.32")
def test_a_signed_update_tells_every_step_with_its_request_and_proves_itself_before_it_is_installed() -> None:
    world, slots = ready()
    assert ask(world) == "Accepted"
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=90).runs(seconds=5)
    assert told(world, request=7) == told(world) == ALL_OF_IT
    assert security(world) == ["FirmwareUpdated"]
    boot = world.csms.requests("BootNotification")[-1]
    assert (boot["reason"], boot["chargingStation"]["firmwareVersion"]) == ("FirmwareUpdate", "2.0")
    assert (slots.running, slots.good, world.boots) == ("B", "B", 2)
    assert statuses(world)[-1] == (1, "Available")
    world.settles()


@req("L02.FR.01", "L02.FR.02", "L02.FR.06", "L02.FR.14", "L02.FR.20", "L02.FR.21")
def test_an_unsigned_update_where_the_site_allows_it() -> None:
    world, slots = ready(keys=ALLOWED)
    assert ask(world, **UNSIGNED) == "Accepted"
    world.until(lambda: told(world, 7)[-1:] == ["Installed"], within_s=90)
    assert told(world) == [status for status in ALL_OF_IT if status != "SignatureVerified"]
    assert slots.good == "B"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"location": "dummy://dummy"}, "InvalidURL"), ({"location": "file:///etc/passwd"}, "InvalidURL"),
        ({"location": "sftp://files.example/fw.bin"}, "InvalidURL"),
        (UNSIGNED, "MissingParam"), ({"signature": None}, "MissingParam"),
        ({"signingCertificate": None}, "MissingParam"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_update_is_refused_and_leaves_no_trace(request_: dict[str, Any], reason: str) -> None:
    world, _ = ready()
    kept, jobs = dict(world.disk.tables), len(world.workers.started)
    answer = world.csms_asks("UpdateFirmware", update(**request_))
    world.runs(minutes=5)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)
    assert (told(world), security(world), len(world.workers.started)) == ([], [], jobs)
    assert "firmware" not in world.disk.tables and "firmware" not in kept
    assert trigger(world) == {"status": "Idle"}


@req("L01.FR.02", "L01.FR.21", "L01.FR.22")
def test_a_bad_signing_certificate_is_refused_and_told_before_anything_is_fetched() -> None:
    world, _ = ready()
    assert ask(world, signingCertificate="bad") == "InvalidCertificate"
    world.runs(seconds=30)
    assert security(world) == ["InvalidFirmwareSigningCertificate"]
    assert [job.kind for job in world.workers.started] == ["firmware.signer"] and told(world) == []


@req("L01.FR.03", "L01.FR.04", "L01.FR.12")
def test_a_forged_file_is_never_installed() -> None:
    world, slots = ready()
    assert ask(world, signature="bad") == "Accepted"
    world.runs(minutes=1)
    assert told(world) == ["Downloading", "Downloaded", "InvalidSignature"]
    assert security(world) == ["InvalidFirmwareSignature"]
    assert slots.versions == {"A": "1.0", "B": ""}
    assert get_variable(world, "FwCtrlr.Reason") == "the file was changed"


@req("L01.FR.13", "L01.FR.16", "L02.FR.07", "L02.FR.10")
def test_fetched_and_installed_at_their_times_even_through_a_power_cut() -> None:
    world, _ = ready()
    assert ask(world, retrieveDateTime="2026-03-01T13:00:00Z", installDateTime="2026-03-01T15:00:00Z") == "Accepted"
    world.runs(minutes=30)
    assert told(world) == ["DownloadScheduled"]
    world.loses_power().returns_after(seconds=30)
    world.runs(minutes=40)
    assert told(world)[1:] == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
    world.kills_agent().returns_after(seconds=3)
    world.runs(minutes=100)
    assert told(world)[-1] == "InstallScheduled"
    world.runs(minutes=20)
    assert told(world, 7)[5:] == ["Installing", "InstallRebooting", "Installed"]


WINDOW = "13:00-14:00,02:00-05:00"
"""It is noon when the stories begin."""


def test_firmware_is_installed_within_the_hours_of_the_key_only() -> None:
    world, _ = ready(keys={"FwCtrlr.Window": WINDOW})
    ask(world)
    world.runs(minutes=50)
    assert told(world) == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
    assert dict(statuses(world)) == {1: "Available"}
    world.kills_agent().returns_after(seconds=3)
    world.runs(minutes=20)
    assert told(world, 7)[4:] == ["Installing", "InstallRebooting", "Installed"]
    world.settles()


def test_hours_that_pass_while_a_car_charges_open_the_station_again() -> None:
    world, _ = ready(evses=(smart(16), raw(32)), keys={"FwCtrlr.Window": WINDOW})
    charge(world, 1)
    ask(world, installDateTime="2026-03-01T13:30:00Z")
    world.runs(minutes=80)
    assert dict(statuses(world))[2] == "Available"
    world.runs(minutes=20)
    assert dict(statuses(world))[2] == "Unavailable", "13:30 it may be installed, as soon as the car is gone"
    world.runs(minutes=30)
    assert dict(statuses(world))[2] == "Available" and world.outlets[1].amps >= 6
    world.ev(1).presents(CARD).after(seconds=20).unplugs()
    world.runs(hours=11)
    assert told(world)[-1] == "InstallScheduled"
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=3 * 3600)
    assert told(world, 7).count("InstallScheduled") == 1
    assert rfc3339(world.clock.utc_ms)[11:16] in ("02:00", "02:01", "02:02")


def test_a_window_that_is_opened_lets_the_update_go_on_at_once() -> None:
    world, _ = ready(keys={"FwCtrlr.Window": "22:00-23:00"})
    ask(world)
    world.runs(minutes=5)
    assert told(world)[-1] == "InstallScheduled"
    assert set_variable(world, "FwCtrlr.Window", "11:00-13:00") == "Accepted"
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=180)
    assert set_variable(world, "FwCtrlr.Window", "at night") == "Rejected"
    assert set_variable(world, "FwCtrlr.Window", "02:00-05:00,08:00-08:00") == "Rejected", "all day, or never?"


def test_an_update_that_waits_for_its_hours_goes_on_when_there_are_none_any_more() -> None:
    world, _ = ready(keys={"FwCtrlr.Window": "22:00-23:00"})
    ask(world, installDateTime=None)
    world.runs(minutes=5)
    assert told(world)[-1] == "InstallScheduled"
    assert set_variable(world, "FwCtrlr.Window", "") == "Accepted"
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=180)


def broken(times: int, done: int, **failure: Any) -> Any:
    """A server that breaks off so many times after `done` bytes."""
    left = [times]

    def course(data: Mapping[str, Any]) -> Iterable[Says | Ends]:
        left[0] -= 1
        yield Says(1, {"bytes": done, "of": 1000})
        yield Ends(1, left[0] < 0, {"error": "the connection broke", **failure})

    return course


@req("L01.FR.14", "L02.FR.08")
def test_a_broken_download_is_paused_and_goes_on() -> None:
    world, slots = ready()
    slots.fetch = broken(1, 400)
    ask(world, retries=1, retryInterval=20)
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=120)
    assert told(world) == ["Downloading", "DownloadPaused", *ALL_OF_IT]


@req("L01.FR.30", "L02.FR.19")
@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (3, 4), (None, 3), (-5, 1)])
def test_as_many_attempts_as_were_asked_for_and_always_one(retries: int | None, tries: int) -> None:
    """UpdateFirmware with retries=0 still tries once (MicroOcpp#436)."""
    world, slots = ready()
    slots.fetch = broken(99, 0)
    ask(world, retries=retries, retryInterval=20)
    world.until(lambda: told(world)[-1:] == ["DownloadFailed"], within_s=200)
    assert told(world) == ["Downloading", "DownloadFailed"]
    fetched = [job for job in world.workers.started if job.kind == "firmware.fetch"]
    assert len(fetched) == tries
    assert trigger(world) == {"status": "DownloadFailed", "requestId": 7}


def test_attempts_and_waits_that_the_csms_leaves_to_the_station_are_those_of_its_keys() -> None:
    world, slots = ready(keys={"FwCtrlr.Retries": "4", "FwCtrlr.RetryInterval": "7"})
    course, tries = broken(99, 0), list[float]()

    def fetch(data: Mapping[str, Any]) -> Any:
        tries.append(now_s(world))
        return course(data)

    slots.fetch = fetch
    ask(world)
    world.until(lambda: told(world)[-1:] == ["DownloadFailed"], within_s=200)
    assert gaps(tries) == [2 + 7] * 4, "each attempt breaks after two seconds"


def slow(data: Mapping[str, Any]) -> Iterable[Ends]:
    """A server that takes 100 s for a file, and who fetches it may give up before."""
    limit_s = data["within_s"]
    yield Ends(min(100, limit_s), limit_s > 100, {"error": "it takes too long"})


@pytest.mark.parametrize(("limit_s", "end"), [("60", "DownloadFailed"), ("120", "Installed")])
def test_how_long_an_attempt_may_take_is_what_the_key_says(limit_s: str, end: str) -> None:
    world, slots = ready(keys={"FwCtrlr.FetchLimit": limit_s})
    slots.fetch = slow
    ask(world, retries=0)
    world.until(lambda: told(world)[-1:] == [end], within_s=200)


def test_what_will_never_work_is_not_tried_again() -> None:
    world, slots = ready()
    slots.fetch = broken(99, 0, final=True)
    ask(world, retries=5)
    world.runs(seconds=30)
    assert told(world) == ["Downloading", "DownloadFailed"]


@req("L01.FR.24", "L02.FR.15")
@pytest.mark.parametrize("after_s", [1, 3])
def test_another_request_takes_the_place_of_one_that_is_under_way(after_s: float) -> None:
    world, slots = ready()
    assert ask(world, request=1) == "Accepted"
    world.runs(seconds=after_s)
    assert ask(world, request=2) == "AcceptedCanceled"
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=90)
    assert told(world, 1) == ["Downloading", "DownloadFailed"] and told(world, 2) == ALL_OF_IT
    assert slots.good == "B"


@req("L01.FR.24")
def test_an_update_that_waits_is_cancelled_by_one_that_never_comes() -> None:
    world, slots = ready()
    ask(world, request=1, installDateTime=NEVER)
    world.until(lambda: told(world)[-1:] == ["InstallScheduled"], within_s=60)
    assert ask(world, request=2, location="http://nowhere/x", retries=0) == "AcceptedCanceled"
    slots.fetch = broken(9, 0)
    world.runs(minutes=3)
    assert told(world, 1)[-1] == "InstallationFailed"


@req("L01.FR.27", "L02.FR.18")
def test_what_is_being_installed_is_not_cancelled() -> None:
    world, _ = ready()
    ask(world)
    world.until(lambda: told(world)[-1:] == ["Installing"], within_s=60)
    answer = world.csms_asks("UpdateFirmware", update(8))
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "FwUpdateInProgress")
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=60)
    assert told(world, 8) == []


@req("L01.FR.06", "L01.FR.07", "L01.FR.33", "L01.FR.34", "L02.FR.03", "L02.FR.04", "L02.FR.22", "L02.FR.23")
def test_nothing_is_installed_while_somebody_charges_and_nobody_new_may() -> None:
    world, _ = ready(evses=(smart(16), raw(32)))
    charge(world, 1)
    ask(world)
    world.runs(minutes=2)
    assert told(world) == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
    assert world.outlets[1].amps >= 6 and statuses(world)[-1] == (2, "Unavailable")
    world.ev(1).presents(CARD).after(seconds=20).unplugs()
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=180).runs(seconds=20)
    assert dict(statuses(world)) == {1: "Available", 2: "Available"}
    world.settles()


@req("L01.FR.07", "L02.FR.04")
def test_new_sessions_may_begin_meanwhile_when_the_key_says_so() -> None:
    world, _ = ready(evses=(smart(16), raw(32)))
    assert set_variable(world, "ChargingStation.AllowNewSessionsPendingFirmwareUpdate", "true") == "Accepted"
    charge(world, 1)
    ask(world)
    world.runs(minutes=1)
    assert dict(statuses(world))[2] == "Available"
    charge(world, 2, "04112233")
    world.ev(1).presents(CARD).after(seconds=20).unplugs()
    world.runs(minutes=2)
    assert told(world)[-1] == "InstallScheduled" and world.outlets[2].amps >= 6
    world.ev(2).presents("04112233").after(seconds=20).unplugs()
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=180)


@req("L01.FR.29")
def test_an_image_that_does_not_fit_is_not_installed() -> None:
    world, _ = ready()
    world.workers.do("firmware.install", lambda data: [Ends(2, False, {"error": "for other hardware", "unfit": True})])
    ask(world)
    world.runs(minutes=1)
    assert told(world)[-2:] == ["Installing", "InstallVerificationFailed"]
    assert get_variable(world, "FwCtrlr.Reason") == "for other hardware"
    assert statuses(world)[-1] == (1, "Available") and world.boots == 1


def test_a_full_disk_at_installation() -> None:
    world, _ = ready()
    world.workers.do("firmware.install", lambda data: [Ends(2, False, {"error": "no space left"})])
    ask(world)
    world.runs(minutes=1)
    assert told(world)[-2:] == ["Installing", "InstallationFailed"]


@req("L01.FR.25", "L01.FR.26", "L02.FR.16", "L02.FR.17")
def test_the_last_status_can_be_asked_for() -> None:
    world, _ = ready()
    assert trigger(world) == {"status": "Idle"}
    ask(world, installDateTime=NEVER)
    world.runs(seconds=30)
    assert trigger(world) == {"status": "InstallScheduled", "requestId": 7}
    ask(world)
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=90)
    assert trigger(world) == {"status": "Idle"}


def test_fw_status_over_reboot() -> None:
    """Bug 22, B14: statuses made before the CSMS has accepted the station are not lost, and come once."""
    world, _ = ready()
    ask(world)
    world.until(lambda: told(world)[-1:] == ["Installing"], within_s=60).runs(seconds=1)
    world.csms.vanishes()
    world.until(lambda: world.boots == 2, within_s=60).runs(minutes=1)
    assert told(world)[-1] == "Installing"
    world.csms.returns()
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=400).runs(minutes=5)
    assert told(world, 7) == ALL_OF_IT and security(world) == ["FirmwareUpdated"]
    world.loses_power().returns_after(seconds=30)
    world.runs(minutes=2)
    assert get_variable(world, "FwCtrlr.Status") == "Installed" and get_variable(world, "FwCtrlr.RequestId") == "7"
    assert told(world, 7) == ALL_OF_IT


def test_firmware_that_never_reaches_the_csms_is_taken_back_and_says_why() -> None:
    world, slots = ready(keys={"FwCtrlr.HealthGate": "120"})
    slots.deaf.add("2.0")
    ask(world)
    world.until(lambda: told(world)[-1:] == ["InstallationFailed"], within_s=400).runs(seconds=30)
    assert told(world, 7) == [*ALL_OF_IT[:-1], "InstallationFailed"]
    assert slots.boots == ["2.0", "1.0"] and slots.good == "A"
    assert "CSMS" in (get_variable(world, "FwCtrlr.Reason") or "") and security(world) == []
    assert statuses(world)[-1] == (1, "Available")
    assert ask(world, request=9) == "Accepted"
    world.settles()


def test_firmware_that_does_not_start_is_given_up_by_the_boot_loader() -> None:
    world, slots = ready()
    slots.dead.add("2.0")
    ask(world)
    world.until(lambda: told(world)[-1:] == ["InstallationFailed"], within_s=200)
    assert slots.boots == ["1.0"] and "did not start" in (get_variable(world, "FwCtrlr.Reason") or "")


def test_firmware_that_loses_the_hardware_is_taken_back() -> None:
    world, slots = ready(evses=(smart(16),), keys={"FwCtrlr.HealthGate": "60"})
    ask(world)
    world.until(lambda: told(world)[-1:] == ["InstallRebooting"], within_s=60)
    world.until(lambda: world.boots == 2, within_s=60)
    world.hardware.wires[1].mute = True
    world.runs(seconds=30)
    assert told(world)[-1] == "InstallRebooting"
    world.until(lambda: slots.running == "A", within_s=90)
    world.hardware.wires[1].mute = False
    world.until(lambda: told(world)[-1:] == ["InstallationFailed"], within_s=90)
    assert "hardware of EVSE 1" in (get_variable(world, "FwCtrlr.Reason") or "")


def test_a_batch_that_is_lost_costs_no_step_of_the_update() -> None:
    world, slots = ready()
    ask(world, retrieveDateTime="2026-03-01T12:05:00Z")
    world.disk.full = True
    world.runs(minutes=6)
    world.disk.full = False
    world.until(lambda: told(world)[-1:] == ["Installed"], within_s=300)
    assert slots.good == "B"


def test_a_person_installs_a_file_the_same_way_and_takes_it_back() -> None:
    world, slots = ready()
    file = {"file": "/srv/fw.bin"}
    for signed in ({}, {"certificate": "bad", "signature": "good"}):
        with pytest.raises(AssertionError, match=r"signed|expired"):
            world.asks_station("fw.install", **file, **signed)
    assert world.asks_station("fw.install", **file, certificate="good", signature="good") == {"status": "Accepted"}
    world.until(lambda: slots.good == "B", within_s=90).runs(minutes=1)
    status = world.asks_station("fw.status")
    assert (status["running"], status["state"], status["status"]) == ("2.0", "idle", "Installed")
    assert told(world) == [] and "FirmwareUpdated" in security(world)
    assert world.asks_station("fw.rollback") == {"status": "Accepted"}
    world.until(lambda: slots.boots[-1] == "1.0", within_s=60).runs(minutes=1)
    assert world.asks_station("fw.status")["state"] == "idle" and statuses(world)[-1] == (1, "Available")
    world.settles()


def test_nothing_is_taken_back_under_a_car_that_charges() -> None:
    world, _ = ready()
    charge(world)
    with pytest.raises(AssertionError, match="somebody charges"):
        world.asks_station("fw.rollback")


@req("L03.FR.01", "L04.FR.01")
@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("PublishFirmware", {"location": "https://files.example/fw", "checksum": "0" * 32, "requestId": 1}),
        ("UnpublishFirmware", {"checksum": "0" * 32}),
    ],
)
def test_a_station_without_a_local_controller_publishes_nothing(action: str, payload: dict[str, Any]) -> None:
    world, _ = ready()
    exchange = world.csms.sends(action, payload)
    world.until(lambda: exchange.done, within_s=10)
    assert exchange.error is not None and exchange.error[0] in ("NotSupported", "NotImplemented")
