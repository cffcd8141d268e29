"""N: logs that the CSMS wants to have (N01)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json

ACTION = "LogStatusNotification"
RETRIES, INTERVAL_S = 3, 2


def _get_log(lab: Lab, request: int, kind: str, url: str, status: str = "Accepted", **fields: object) -> str:
    """GetLog; the name of the file. `oldestTimestamp` is one of the log, other fields are the request's."""
    log = {"remoteLocation": url} | {name: fields.pop(name) for name in ("oldestTimestamp",) if name in fields}
    answer = lab.call("GetLog", {"logType": kind, "requestId": request, "log": log, **fields}, status=status)
    name = str(answer.get("filename", ""))
    lab.check("filename is there", bool(name), status != "Rejected")
    return name


def _told(lab: Lab) -> list[Json]:
    return [frame.payload for frame in lab.bench.calls(ACTION)]


def _status(lab: Lab, number: int, status: str, request: int, within_s: float = 30.0) -> None:
    """The LogStatusNotification of this number (from 0)."""
    found = lab.next_call(ACTION, number, within_s)
    lab.check(f"status {number}", found["status"], status)
    lab.check(f"requestId of status {number}", found.get("requestId"), request)


def _uploaded(lab: Lab, kind: str) -> None:
    name = _get_log(lab, 11, kind, lab.bench.file_url())
    _status(lab, 0, "Uploading", 11)
    _status(lab, 1, "Uploaded", 11)
    lab.check("what has arrived", [file.path for file in lab.bench.files()][-1:], [f"/logs/{name}"])
    lab.check("it is a file with something in it", bool(lab.bench.files()[-1].content), True)


@case("TC_N_25")
def diagnostics_are_uploaded(lab: Lab) -> None:
    _uploaded(lab, "DiagnosticsLog")


@case("TC_N_26")
def an_upload_fails(lab: Lab) -> None:
    """One Uploading or four of them, and as many failures (errata 2025-01); a while later there are no more."""
    url = lab.bench.file_url("missing")
    _get_log(lab, 12, "DiagnosticsLog", url, retries=RETRIES, retryInterval=INTERVAL_S)
    _status(lab, 0, "Uploading", 12)
    lab.bench.wait_until(
        "the failure", lambda: _told(lab)[-1]["status"] == "UploadFailure", 30 + RETRIES * INTERVAL_S
    )
    lab.bench.wait((RETRIES + 1) * INTERVAL_S)
    told = _told(lab)
    lab.check("requestIds", {status.get("requestId") for status in told}, {12})
    for status in ("Uploading", "UploadFailure"):
        lab.check(f"times {status}", sum(one["status"] == status for one in told), (1, RETRIES + 1))


@case("TC_N_34")
def what_is_not_there_is_refused(lab: Lab) -> None:
    """There is always a log, but none of a time that has not come yet."""
    future = (datetime.now(UTC) + timedelta(days=36_500)).strftime("%Y-%m-%dT%H:%M:%SZ")
    _get_log(lab, 13, "DiagnosticsLog", lab.bench.file_url(), "Rejected", oldestTimestamp=future)


@case("TC_N_35")
def the_security_log_is_uploaded(lab: Lab) -> None:
    _uploaded(lab, "SecurityLog")


@case("TC_N_36")
def a_second_request_cancels_the_first(lab: Lab) -> None:
    _get_log(lab, 21, "DiagnosticsLog", lab.bench.file_url("stalls"))
    _status(lab, 0, "Uploading", 21)
    _get_log(lab, 22, "DiagnosticsLog", lab.bench.file_url(), "AcceptedCanceled")
    _status(lab, 1, "AcceptedCanceled", 21)
    _status(lab, 2, "Uploading", 22)
    _status(lab, 3, "Uploaded", 22)
