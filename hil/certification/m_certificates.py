"""M: root certificates installed, listed and deleted."""

from __future__ import annotations

from hil.bench import SecureDoor
from hil.certification.a_security import OPERATOR, arrives, certificate_of, install, moves, resets, secured, server
from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json, NotApplicable
from hil.pki import Made, hashes_of, issue, root

CHECKED = {"SecurityCtrlr.AdditionalRootCertificateCheck": "true"}
CSMS, MAKER, MO = "CSMSRootCertificate", "ManufacturerRootCertificate", "MORootCertificate"


def _install(lab: Lab, made: Made, kind: str, status: str = "Accepted") -> None:
    lab.call("InstallCertificate", {"certificateType": kind, "certificate": made.pem}, status=status)


def _listed(lab: Lab, *kinds: str) -> list[Json]:
    """GetInstalledCertificateIds; the chain that it brings, checked to be of these types."""
    answer = lab.call("GetInstalledCertificateIds", {"certificateType": list(kinds)} if kinds else {})
    chain: list[Json] = answer.get("certificateHashDataChain", [])
    lab.check("status", answer["status"], "Accepted" if chain else "NotFound")
    strangers = [one["certificateType"] for one in chain if kinds and one["certificateType"] not in kinds]
    lab.check("other types", strangers, [])
    return [one["certificateHashData"] for one in chain]


def _has(lab: Lab, made: Made, *kinds: str, there: bool = True) -> None:
    lab.check("the certificate is listed", made.hashes() in _listed(lab, *kinds), there)


def _delete(lab: Lab, hashes: Json, status: str) -> None:
    lab.call("DeleteCertificate", {"certificateHashData": hashes}, status=status)


@case("TC_M_01")
def install_a_csms_root(lab: Lab) -> None:
    _install(lab, root("CSMS"), CSMS)
    _has(lab, root("CSMS"), CSMS)


@case("TC_M_02")
def install_a_manufacturer_root(lab: Lab) -> None:
    _install(lab, root("Maker"), MAKER)
    _has(lab, root("Maker"), MAKER)


@case("TC_M_07")
def install_an_invalid_certificate(lab: Lab) -> None:
    before = _listed(lab, CSMS)
    _install(lab, root("Expired", days=1, since=-10), CSMS, status="Rejected")
    lab.check("certificates", _listed(lab, CSMS), before)


@case("TC_M_09", presets=CHECKED)
def a_root_that_the_old_one_did_not_sign(lab: Lab) -> None:
    if lab.read("SecurityCtrlr.AdditionalRootCertificateCheck") != "true":
        raise NotApplicable("AdditionalRootCertificateCheck is false on this bench")
    _install(lab, root("CSMS"), CSMS)
    _install(lab, root("Stranger"), CSMS, status="Rejected")
    _has(lab, root("Stranger"), CSMS, there=False)
    _install(lab, issue("Successor", root("CSMS")), CSMS)


@case("TC_M_12")
def list_csms_roots(lab: Lab) -> None:
    _install(lab, root("CSMS"), CSMS)
    _has(lab, root("CSMS"), CSMS)


@case("TC_M_13")
def list_manufacturer_roots(lab: Lab) -> None:
    _install(lab, root("Maker"), MAKER)
    _has(lab, root("Maker"), MAKER)


def _both(lab: Lab) -> None:
    _install(lab, root("CSMS"), CSMS)
    _install(lab, root("Maker"), MAKER)


@case("TC_M_17")
def list_two_types(lab: Lab) -> None:
    _both(lab)
    for made in (root("CSMS"), root("Maker")):
        _has(lab, made, CSMS, MAKER)


@case("TC_M_18")
def list_all_types(lab: Lab) -> None:
    _both(lab)
    for made in (root("CSMS"), root("Maker")):
        _has(lab, made)


@case("TC_M_19")
def list_a_type_of_which_there_is_none(lab: Lab) -> None:
    for hashes in _listed(lab, MO):
        _delete(lab, hashes, "Accepted")
    lab.check("certificates", _listed(lab, MO), [])


@case("TC_M_20")
def delete_one(lab: Lab) -> None:
    if not _listed(lab, CSMS):
        _install(lab, root("CSMS"), CSMS)
    hashes = _listed(lab, CSMS)[0]
    _delete(lab, hashes, "Accepted")
    lab.check("it is still there", hashes in _listed(lab, CSMS), False)


@case("TC_M_22")
def delete_an_unknown_one(lab: Lab) -> None:
    _delete(lab, root("Nobody").hashes(), "NotFound")


@case("TC_M_23")
def delete_the_stations_own(lab: Lab) -> None:
    """The CSMS knows its hashes from having signed it."""
    install(lab, root(OPERATOR))
    own = certificate_of(lab)
    _delete(lab, hashes_of(own, root(OPERATOR)), "Failed")


# ---------------------------------------------------------------------------------------------- roots that follow

SUCCESSOR = "Successor of the operator's root"


def _rotated(lab: Lab) -> tuple[SecureDoor, Made, Made]:
    """A station of security profile 2 whose root has a successor that the old one has signed."""
    old = root(OPERATOR)
    door, new = secured(lab), issue(SUCCESSOR, old)
    install(lab, new)
    return door, old, new


def _resets(lab: Lab) -> None:
    boots = len(lab.bench.calls("BootNotification"))
    resets(lab)
    arrives(lab, boots)


def _settled(lab: Lab, made: Made, there: bool) -> None:
    """Whether it is installed, a moment after the connection."""
    lab.bench.wait_until(f"the list of roots: {there}", lambda: (made.hashes() in _listed(lab, CSMS)) == there)


@case("TC_M_30", presets=CHECKED)
def reconnect_with_the_new_root(lab: Lab) -> None:
    door, old, new = _rotated(lab)
    door.shows(server(door, new))
    _resets(lab)
    _settled(lab, old, False)


@case("TC_M_31", presets=CHECKED)
def reconnect_with_the_old_root(lab: Lab) -> None:
    door, old, _ = _rotated(lab)
    door.shows(server(door, old))
    _resets(lab)
    _settled(lab, old, True)


@case("TC_B_47", presets=CHECKED)
def back_after_a_wrong_root(lab: Lab) -> None:
    _, old, _ = _rotated(lab)
    lab.write("OCPPCommCtrlr.NetworkProfileConnectionAttempts", "1")
    lab.stays_away()
    other = lab.bench.secure_door(2)
    other.shows(server(other, old))
    boots = len(lab.bench.calls("BootNotification"))
    moves(lab, other, 2)
    arrives(lab, boots)
    lab.check("attempts at the new address", other.knocks, 1)
    _settled(lab, old, True)


@case("TC_B_50")
def a_new_root(lab: Lab) -> None:
    secured(lab)
    new, other = root("Another operator"), lab.bench.secure_door(2)
    install(lab, new)
    other.shows(server(other, new))
    boots, knocks = len(lab.bench.calls("BootNotification")), other.knocks
    moves(lab, other, 2)
    arrives(lab, boots)
    lab.check("connections at the new address", other.knocks > knocks, True)
