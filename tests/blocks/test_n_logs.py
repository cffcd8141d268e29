"""N01: a log is brought where the CSMS wants it, once, and each change is told exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.events import StoreReported
from agent.core.instant import rfc3339
from tests.blocks.stories import back_online, get_variable, heard, idle, set_variable
from tests.marks import req
from tests.sim.jobs import Course, Ends
from tests.sim.transactions import Payload
from tests.sim.world import World

ACTION, WORKER = "LogStatusNotification", "logs.upload"
URL = "https://logs.example/incoming/"
PROTOCOLS = "OCPPCommCtrlr.FileTransferProtocols"


def takes(seconds: float, **failed: Any) -> Course:
    """An attempt that takes so long and ends well, or with this failure."""
    return lambda data: [Ends(seconds, not failed, failed)]


WELL = takes(5)


def station(course: Course = WELL, **options: Any) -> World:
    world = idle(**options)
    world.workers.do(WORKER, course)
    return world


def get_log(world: World, request: int = 1, kind: str = "DiagnosticsLog", **fields: Any) -> Payload:
    log = {"remoteLocation": fields.pop("url", URL)}
    log |= {name: fields.pop(name) for name in ("oldestTimestamp", "latestTimestamp") if name in fields}
    return world.csms_asks("GetLog", {"logType": kind, "requestId": request, "log": log, **fields})


def told(world: World) -> list[tuple[str, int | None]]:
    return [(payload["status"], payload.get("requestId")) for _, payload in heard(world, ACTION)]


def attempts(world: World) -> list[Payload]:
    return [dict(job.data) for job in world.workers.started if job.kind == WORKER]


@req("N01.FR.01", "N01.FR.02", "N01.FR.03", "N01.FR.04", "N01.FR.07", "N01.FR.08", "N01.FR.09")
@pytest.mark.parametrize(("kind", "end"), [("DiagnosticsLog", ".tar.gz"), ("SecurityLog", ".jsonl.gz")])
def test_a_log_is_uploaded_and_told(kind: str, end: str) -> None:
    world = station()
    oldest = rfc3339(world.clock.utc_ms - 3_600_000)
    answer = get_log(world, 7, kind, oldestTimestamp=oldest)
    world.runs(minutes=1)
    assert answer["status"] == "Accepted" and answer["filename"].endswith(end)
    assert told(world) == [("Uploading", 7), ("Uploaded", 7)]
    [job] = attempts(world)
    assert (job["kind"], job["url"], job["file"]) == (kind, URL, answer["filename"])
    assert rfc3339(job["oldest"]) == oldest and job["latest"] is None


@req("N01.FR.10", "N01.FR.07")
@pytest.mark.parametrize("retries", [0, 3])
def test_a_failure_is_told_after_the_last_attempt_only(retries: int) -> None:
    """MicroOcpp#436: retries=0 is one attempt. EVerest#536: no flood of statuses."""
    world = station(takes(2, error="HTTP 503", status="UploadFailure"))
    get_log(world, 3, retries=retries, retryInterval=10)
    world.runs(seconds=12 * retries + 1)
    assert told(world) == [("Uploading", 3)], "not given up yet"
    world.runs(minutes=10)
    assert told(world) == [("Uploading", 3), ("UploadFailure", 3)]
    assert len(attempts(world)) == retries + 1


@req("N01.FR.10")
@pytest.mark.parametrize("status", ["PermissionDenied", "BadMessage", "NotSupportedOperation"])
def test_why_it_failed_is_told(status: str) -> None:
    world = station(takes(2, error="the server says no", status=status))
    get_log(world, retries=0)
    world.runs(minutes=1)
    assert told(world)[-1] == (status, 1)


@req("N01.FR.12", "N01.FR.20", "N01.FR.07")
@pytest.mark.parametrize("waits", [False, True], ids=["uploading", "between attempts"])
def test_a_new_request_cancels_the_one_under_way(waits: bool) -> None:
    world = station(takes(5, error="broken") if waits else takes(300))
    get_log(world, 1, retryInterval=100)
    world.runs(seconds=20)
    world.workers.do(WORKER, takes(5))
    answer = get_log(world, 2)
    world.runs(minutes=5)
    assert answer["status"] == "AcceptedCanceled" and answer["filename"]
    assert told(world) == [("Uploading", 1), ("AcceptedCanceled", 1), ("Uploading", 2), ("Uploaded", 2)]
    assert len(world.workers.cancelled) == (0 if waits else 1)
    assert len(attempts(world)) == 2


@req("N01.FR.05")
def test_what_is_not_there_or_has_no_place_to_go_is_refused() -> None:
    world = station()
    future = rfc3339(world.clock.utc_ms + 3_600_000)
    wrong: list[dict[str, Any]] = [
        {"oldestTimestamp": future},
        {"oldestTimestamp": "2026-01-02T00:00:00Z", "latestTimestamp": "2026-01-01T00:00:00Z"},
        {"url": "file:///etc/shadow"},
        {"url": "ftp://logs.example/a%0d%0aDELE b"},
        {"url": "../../etc/passwd"},
        {"url": "https://"},
    ]
    for fields in wrong:
        answer = get_log(world, **fields)
        assert answer["status"] == "Rejected" and "filename" not in answer, fields
        assert answer["statusInfo"]["reasonCode"] in ("NotFound", "InvalidValue", "InvalidURL")
    world.runs(minutes=5)
    assert not told(world) and not attempts(world)


@req("N01.FR.05", "B05.FR.10")
def test_sftp_needs_the_key_of_its_server_and_then_is_one_of_the_protocols() -> None:
    world = station()
    name, key = "SecurityCtrlr.SftpHostKeys", f"logs.example=SHA256:{'x' * 42}A"
    url = "sftp://me:secret@logs.example/in/"
    refused = get_log(world, url=url)
    assert refused["status"] == "Rejected" and name in refused["statusInfo"]["additionalInfo"]
    assert "SFTP" not in str(get_variable(world, PROTOCOLS))
    assert set_variable(world, name, "any") == "Rejected"
    assert set_variable(world, name, key) == "Accepted"
    assert get_variable(world, PROTOCOLS) == "FTP,FTPS,HTTP,HTTPS,SFTP"
    assert get_log(world, url=url)["status"] == "Accepted"
    world.runs(minutes=1)
    assert told(world) == [("Uploading", 1), ("Uploaded", 1)]
    assert attempts(world)[0]["host_keys"] == key and "SFTP" in attempts(world)[0]["protocols"]
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=1)
    assert "SFTP" in str(get_variable(world, PROTOCOLS))
    assert set_variable(world, name, "") == "Accepted"
    assert "SFTP" not in str(get_variable(world, PROTOCOLS)) and get_log(world, url=url)["status"] == "Rejected"


@req("N01.FR.13", "F06.FR.14", "F06.FR.15")
def test_the_status_is_told_when_asked_for() -> None:
    world = station(takes(60))
    trigger = {"requestedMessage": ACTION}
    assert world.csms_asks("TriggerMessage", trigger)["status"] == "Accepted"
    world.runs(seconds=5)
    get_log(world, 9)
    world.runs(seconds=5)
    world.csms_asks("TriggerMessage", trigger)
    world.runs(seconds=5)
    assert told(world) == [("Idle", None), ("Uploading", 9), ("Uploading", 9)]


@req("N01.FR.07", "N01.FR.09")
def test_an_upload_survives_a_power_cut_and_its_end_an_outage() -> None:
    world = station(takes(600))
    get_log(world, 5, retries=2, retryInterval=30)
    world.runs(seconds=20)
    world.workers.do(WORKER, takes(5))
    world.loses_power().returns_after(seconds=10)
    world.runs(seconds=10)
    world.csms.vanishes()
    world.runs(minutes=2)
    assert told(world) == [("Uploading", 5)]
    world.loses_power().returns_after(seconds=10)
    world.runs(seconds=30)
    back_online(world)
    assert told(world) == [("Uploading", 5), ("Uploaded", 5)]
    assert len(attempts(world)) == 2


@req("N01.FR.10")
def test_an_upload_that_ends_the_process_each_time_is_given_up() -> None:
    world = station(takes(600))
    get_log(world, 6, retries=1, retryInterval=30)
    for _ in range(2):
        world.runs(minutes=2)
        world.kills_agent().returns_after(seconds=5)
    world.runs(minutes=10)
    assert told(world) == [("Uploading", 6), ("UploadFailure", 6)]
    assert len(attempts(world)) == 2


def test_a_worker_that_is_never_heard_of_again_has_failed() -> None:
    world = station(lambda data: [])
    get_log(world, retries=0)
    world.runs(minutes=20)
    assert told(world) == [("Uploading", 1), ("UploadFailure", 1)]
    assert len(world.workers.cancelled) == 1


def test_a_full_disk_is_no_reason_to_keep_the_log() -> None:
    world = station()
    world.disk.full = True
    world.hear(StoreReported("full", "no room"))
    world.runs(seconds=5)
    assert get_log(world)["status"] == "Accepted"
    world.runs(minutes=2)
    assert told(world) == [("Uploading", 1), ("Uploaded", 1)]


def test_absurd_counts_are_bounded() -> None:
    world = station(takes(1, error="no"))
    get_log(world, -1, retries=2**31 - 1, retryInterval=-5)
    world.runs(hours=1)
    assert len(attempts(world)) == 101
    assert told(world) == [("Uploading", -1), ("UploadFailure", -1)]


@pytest.mark.parametrize("fails", [True, False], ids=["CALLERROR", "silence"])
def test_a_csms_that_wants_no_status_is_not_asked_for_ever(fails: bool) -> None:
    world = station()
    (world.csms.fails if fails else world.csms.ignores)(ACTION, times=50)
    get_log(world)
    world.runs(minutes=10)
    assert 2 <= len(told(world)) <= 6
