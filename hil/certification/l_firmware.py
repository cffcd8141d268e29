"""L: firmware updates, from the file server to the proof of the new firmware."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from hil.certification.registry import BOTH, case
from hil.certification.states import OTHER_CARD, Lab
from hil.certification.talk import CARD, Json
from hil.firmware import signature, tar, this_tree
from hil.pki import Made, issue, root

ACTION = "FirmwareStatusNotification"
REQUEST = 41
YEARS = 365 * 20
SINCE = -365 * 10
"""Certificates hold at whatever time a bench may have."""
OFFSET_S = 8.0
"""The configured offsets of downloads and installations."""
INSTALL_S = 120.0
SLOWLY_S = 4.0
TO_INSTALL = ("Downloading", "Downloaded", "SignatureVerified")


@cache
def _maker() -> Made:
    return root("Bench maker", days=YEARS, since=SINCE)


@cache
def _signer() -> Made:
    return issue("Bench signer", _maker(), days=YEARS, since=SINCE, ca=False, kind="rsa")


def _trusts(lab: Lab) -> None:
    """The manufacturer's root is installed."""
    wanted = {"certificateType": "ManufacturerRootCertificate", "certificate": _maker().pem}
    lab.call("InstallCertificate", wanted, status="Accepted")


def _time(lab: Lab, seconds: float) -> str:
    return (datetime.fromisoformat(lab.read("ClockCtrlr.DateTime")) + timedelta(seconds=seconds)).isoformat()


def _request(
    lab: Lab, content: bytes | None = None, *, number: int = REQUEST, slowly: bool = False, **firmware: Any
) -> Json:
    """UpdateFirmwareRequest for a good file, signed and due; `firmware` replaces fields, None removes one."""
    file = this_tree("9.0") if content is None else content
    url = lab.bench.offer(f"fw-{number}.tar.gz", file, SLOWLY_S if slowly else 0.0)
    past = _time(lab, -7200)
    whole = {
        "location": url, "retrieveDateTime": past, "installDateTime": past, "signingCertificate": _signer().pem,
        "signature": signature(file, _signer()), **firmware,
    }  # fmt: skip
    return {"requestId": number, "firmware": {name: value for name, value in whole.items() if value is not None}}


def _update(lab: Lab, status: str, request: Json) -> None:
    lab.call("UpdateFirmware", request, status=status)


def _told(lab: Lab) -> list[str]:
    return [frame.payload["status"] for frame in lab.bench.calls(ACTION)]


def _statuses(lab: Lab, *wanted: str, before: int = 0, number: int = REQUEST, within_s: float = 60.0) -> int:
    """These statuses come next, one after the other, each with the requestId; how many there were then."""
    for index, status in enumerate(wanted, start=before):
        told = lab.next_call(ACTION, index, within_s)
        lab.check(f"status {index}", told["status"], status)
        lab.check(f"requestId of status {index}", told.get("requestId"), number)
    return before + len(wanted)


def _installed(lab: Lab, before: int, number: int = REQUEST) -> None:
    """From Installing over the restart to Installed, FirmwareUpdated, and every connector Available."""
    boots = len(lab.bench.calls("BootNotification"))
    before = _statuses(lab, "Installing", "InstallRebooting", before=before, number=number, within_s=INSTALL_S)
    boot = lab.next_call("BootNotification", boots, INSTALL_S)
    lab.check("reason of BootNotification", boot["reason"], "FirmwareUpdate")
    _statuses(lab, "Installed", before=before, number=number, within_s=INSTALL_S)
    _security(lab, "FirmwareUpdated")
    lab.mark()
    lab.statuses(dict.fromkeys(lab.bench.outfits(), "Available"))


def _security(lab: Lab, kind: str) -> None:
    def came() -> bool:
        return kind in [frame.payload["type"] for frame in lab.bench.calls("SecurityEventNotification")]

    lab.bench.wait_until(f"security event {kind}", came, INSTALL_S)


# ---------------------------------------------------------------------------------------------- the whole way


@case("TC_L_01")
def installed(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab))
    _installed(lab, _statuses(lab, *TO_INSTALL))


@case("TC_L_02")
def installed_later(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, installDateTime=_time(lab, OFFSET_S)))
    _installed(lab, _statuses(lab, *TO_INSTALL, "InstallScheduled"))


@case("TC_L_03")
def fetched_later(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, retrieveDateTime=_time(lab, OFFSET_S)))
    _installed(lab, _statuses(lab, "DownloadScheduled", *TO_INSTALL))


@case("TC_L_10")
def another_one_meanwhile(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, slowly=True))
    before = _statuses(lab, "Downloading")
    _update(lab, "AcceptedCanceled", _request(lab, number=REQUEST + 1))
    ended = lab.next_call(ACTION, before)
    if ended.get("requestId") == REQUEST:
        lab.check("status of the one that was cancelled", ended["status"], ("DownloadFailed", "InstallationFailed"))
        before += 1
    _installed(lab, _statuses(lab, *TO_INSTALL, before=before, number=REQUEST + 1), REQUEST + 1)


# ---------------------------------------------------------------------------------------------- what is wrong


@case("TC_L_05")
def a_bad_certificate(lab: Lab) -> None:
    _trusts(lab)
    stranger = issue("Stranger", root("Nobody's root", days=YEARS, since=SINCE), days=YEARS, since=SINCE, ca=False)
    _update(lab, "InvalidCertificate", _request(lab, signingCertificate=stranger.pem))
    _security(lab, "InvalidFirmwareSigningCertificate")
    lab.bench.wait(2)
    lab.check("statuses", _told(lab), [])


@case("TC_L_06")
def a_bad_signature(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, signature=signature(b"another file", _signer())))
    _statuses(lab, "Downloading", "Downloaded", "InvalidSignature")
    _security(lab, "InvalidFirmwareSignature")


@case("TC_L_07")
def no_such_file(lab: Lab) -> None:
    _trusts(lab)
    request = _request(lab)
    request["firmware"]["location"] += "_does.not.Exist"
    _update(lab, "Accepted", {**request, "retries": 0})
    _statuses(lab, "Downloading", "DownloadFailed")


@case("TC_L_08")
def an_image_that_is_none(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, tar({"bin/chargerd": b"a genuine file, and no release"})))
    before = _statuses(lab, *TO_INSTALL, "Installing")
    failed = lab.next_call(ACTION, before)
    lab.check("status", failed["status"], ("InstallVerificationFailed", "InstallationFailed"))
    lab.check("requestId", failed["requestId"], REQUEST)
    lab.statuses(dict.fromkeys(lab.bench.outfits(), "Available"))


@case("TC_L_18")
def not_signed(lab: Lab) -> None:
    request = _request(lab, signingCertificate=None, signature=None)
    lab.check("status", lab.call("UpdateFirmware", request)["status"], ("Rejected", "InvalidCertificate"))


@case("TC_L_11")
def cannot_be_cancelled(lab: Lab) -> None:
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, slowly=True))
    _statuses(lab, "Downloading")
    _update(lab, "Rejected", _request(lab, number=REQUEST + 1))


# ---------------------------------------------------------------------------------------------- while somebody charges


@case("TC_L_14")
def new_sessions_meanwhile(lab: Lab) -> None:
    lab.write("ChargingStation.AllowNewSessionsPendingFirmwareUpdate", "true")
    _trusts(lab)
    lab.charges(lab.evse, CARD)
    _update(lab, "Accepted", _request(lab))
    before = _statuses(lab, *TO_INSTALL, "InstallScheduled")
    other = next(evse for evse in lab.bench.outfits() if evse != lab.evse)
    lab.charges(other, OTHER_CARD)
    lab.stops_and_leaves(lab.evse, CARD)
    lab.bench.wait(5)
    lab.check("statuses", len(_told(lab)), before)
    lab.stops_and_leaves(other, OTHER_CARD)
    _installed(lab, before)


@case("TC_L_15", *BOTH)
def no_new_sessions_meanwhile(lab: Lab) -> None:
    lab.write("ChargingStation.AllowNewSessionsPendingFirmwareUpdate", "false")
    _trusts(lab)
    lab.energy_transfer_started()
    _update(lab, "Accepted", _request(lab))
    before = _statuses(lab, *TO_INSTALL, "InstallScheduled")
    lab.statuses(dict.fromkeys(lab.bench.outfits(), "Unavailable") | {lab.evse: "Occupied"}, "Unavailable")
    lab.free = "Unavailable"
    lab.parking_bay_unoccupied()
    _installed(lab, before)


# ---------------------------------------------------------------------------------------------- asked for


@case("TC_F_19")
def while_it_is_fetched(lab: Lab) -> None:
    """The update ends with an invalid signature, so that none is left behind (errata 2025-02)."""
    _trusts(lab)
    _update(lab, "Accepted", _request(lab, slowly=True, signature=signature(b"another file", _signer())))
    before = _statuses(lab, "Downloading")
    lab.call("TriggerMessage", {"requestedMessage": ACTION}, status="Accepted")
    _statuses(lab, "Downloading", "Downloaded", "InvalidSignature", before=before)
    _security(lab, "InvalidFirmwareSignature")
