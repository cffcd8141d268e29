"""A: passwords, TLS, the station's certificate, and going up to a higher security profile.

The station begins at security profile 1; `_secured` leads it behind TLS, as an operator would.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hil.bench import SecureDoor
from hil.certification.b_network import BACK_S
from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json, NotApplicable
from hil.pki import Made, issue, root, sign

CSMS, OWN = "CSMSRootCertificate", "ChargingStationCertificate"
OPERATOR = "Operator of the bench"
PRIORITY, ACTIVE = "OCPPCommCtrlr.NetworkConfigurationPriority", "OCPPCommCtrlr.ActiveNetworkProfile"
PASSWORD = "SecurityCtrlr.BasicAuthPassword"
NEW_PASSWORD = "certified-password-3"
SIGNING_WAIT_S = 4


# ---------------------------------------------------------------------------------------------- words


def connection(url: str, level: int) -> Json:
    return {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
        "securityProfile": level, "ocppInterface": "Wired0",
    }  # fmt: skip


def set_profile(lab: Lab, slot: int, url: str, level: int, status: str = "Accepted") -> None:
    request = {"configurationSlot": slot, "connectionData": connection(url, level)}
    lab.call("SetNetworkProfile", request, status=status)


def server(door: SecureDoor, by: Made, *, days: float = 365, since: float = -1) -> Made:
    """A certificate of the CSMS at this address."""
    return issue(door.host, by, ca=False, days=days, since=since)


def install(lab: Lab, made: Made) -> None:
    lab.call("InstallCertificate", {"certificateType": CSMS, "certificate": made.pem}, status="Accepted")


def moves(lab: Lab, door: SecureDoor, level: int) -> None:
    """A free slot leads to the door and is tried first; then the station resets."""
    active = lab.read(ACTIVE)
    slot = 1 if active != "1" else 2
    set_profile(lab, slot, door.url, level)
    lab.write(PRIORITY, f"{slot},{active}")
    resets(lab)
    lab.bench.wait_until("the old connection is closed", lambda: not lab.bench.connected(), BACK_S)


def resets(lab: Lab) -> None:
    """Reset OnIdle; a station may refuse a second one that comes too soon."""
    asked_at = lab.bench.now()
    while lab.call("Reset", {"type": "OnIdle"})["status"] != "Accepted":
        lab.check("Reset is accepted", lab.bench.now() - asked_at < BACK_S, True)
        lab.bench.wait(5)


def arrives(lab: Lab, boots: int) -> None:
    lab.next_call("BootNotification", boots, BACK_S)
    lab.drained()


def secured(lab: Lab, level: int = 2) -> SecureDoor:
    """The station has come up to this security profile, at an address behind TLS."""
    door, operator = lab.bench.secure_door(), root(OPERATOR)
    install(lab, operator)
    door.shows(server(door, operator))
    if level == 3:
        _renew(lab)
        door.wants(operator)
        lab.bench.expects_password(None)
    boots = len(lab.bench.calls("BootNotification"))
    moves(lab, door, level)
    arrives(lab, boots)
    lab.check("SecurityProfile", lab.read("SecurityCtrlr.SecurityProfile"), str(level))
    return door


def _asked(lab: Lab) -> str:
    """The request that follows a trigger."""
    before = len(lab.bench.calls("SignCertificate"))
    lab.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}, status="Accepted")
    return _request(lab, before)


def _request(lab: Lab, before: int, within_s: float = 30.0) -> str:
    request = lab.next_call("SignCertificate", before, within_s)
    lab.check("certificateType", request.get("certificateType", OWN), OWN)
    key = x509.load_pem_x509_csr(request["csr"].encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    lab.check("a strong key", key.key_size >= (2048 if isinstance(key, rsa.RSAPublicKey) else 224), True)
    return str(request["csr"])


def _signed(lab: Lab, certificate: x509.Certificate, status: str) -> None:
    chain = certificate.public_bytes(Encoding.PEM).decode()
    lab.call("CertificateSigned", {"certificateChain": chain, "certificateType": OWN}, status=status)


def _renew(lab: Lab) -> int:
    """Memory state RenewChargingStationCertificate, without the new connection; the serial number."""
    return certificate_of(lab).serial_number


def certificate_of(lab: Lab) -> x509.Certificate:
    """A certificate that the station has just taken."""
    certificate = sign(_asked(lab), root(OPERATOR))
    _signed(lab, certificate, "Accepted")
    return certificate


def _security_event(lab: Lab, before: int, wanted: str) -> None:
    def told() -> bool:
        frames = lab.bench.calls("SecurityEventNotification")[before:]
        return any(frame.payload["type"] == wanted for frame in frames)

    lab.bench.wait_until(f"security event {wanted}", told, BACK_S)


def _reconnects(lab: Lab, what: str, knocks: Callable[[], int], since: int) -> None:
    lab.bench.wait_until(what, lambda: knocks() > since and lab.bench.connected(), BACK_S)
    lab.drained()


def _attempt(lab: Lab, door: SecureDoor, since: int) -> None:
    """The station has tried to connect, and knows what became of it."""
    lab.bench.wait_until("an attempt", lambda: door.knocks > since, BACK_S)
    lab.bench.wait(0.5)


# ---------------------------------------------------------------------------------------------- passwords


@case("TC_A_01")
def basic_authentication(lab: Lab) -> None:
    url = lab.bench.urls()[0]
    lab.write(PASSWORD, NEW_PASSWORD)
    knocks = lab.bench.knocks(url)
    lab.bench.expects_password(NEW_PASSWORD)
    _reconnects(lab, "a connection with this password", lambda: lab.bench.knocks(url), knocks)
    lab.reboots()


@case("TC_A_09")
def a_new_password(lab: Lab) -> None:
    url = lab.bench.urls()[0]
    knocks = lab.bench.knocks(url)
    lab.write(PASSWORD, NEW_PASSWORD)
    lab.bench.expects_password(NEW_PASSWORD)
    _reconnects(lab, "a connection with the new password", lambda: lab.bench.knocks(url), knocks)


@case("TC_A_10")
def a_password_that_is_too_short(lab: Lab) -> None:
    url = lab.bench.urls()[0]
    lab.stays_away()
    lab.check("it is taken", lab.takes(PASSWORD, "short"), False)
    knocks = lab.bench.knocks(url)
    lab.bench.cut()
    lab.bench.wait_until("the connection is gone", lambda: not lab.bench.connected())
    lab.bench.restore()
    _reconnects(lab, "a connection with the old password", lambda: lab.bench.knocks(url), knocks)


# ---------------------------------------------------------------------------------------------- TLS


@case("TC_A_04")
def a_valid_server_certificate(lab: Lab) -> None:
    door = secured(lab)
    knocks = door.knocks
    door.drop()
    _reconnects(lab, "a connection through TLS", lambda: door.knocks, knocks)


@case("TC_A_05")
def invalid_server_certificates(lab: Lab) -> None:
    door, operator = secured(lab), root(OPERATOR)
    lab.stays_away()
    bad = {
        "of another root": issue(door.host, root("Stranger"), ca=False),
        "that has expired": server(door, operator, days=1, since=-3),
        "with another name": issue("another.example", operator, ca=False),
    }
    for what, made in bad.items():
        events, knocks = len(lab.bench.calls("SecurityEventNotification")), door.knocks
        door.shows(made)
        door.drop()
        _attempt(lab, door, knocks)
        lab.check(f"connected with a certificate {what}", lab.bench.connected(), False)
        knocks = door.knocks
        door.shows(server(door, operator))
        _reconnects(lab, "a connection through TLS", lambda: door.knocks, knocks)
        _security_event(lab, events, "InvalidCsmsCertificate")


@case("TC_A_06")
def a_tls_version_that_is_too_low(lab: Lab) -> None:
    door, operator = secured(lab), root(OPERATOR)
    lab.stays_away()
    knocks = door.knocks
    door.shows(server(door, operator), old=True)
    door.drop()
    _attempt(lab, door, knocks)
    lab.check("connected with TLS 1.1", lab.bench.connected(), False)
    before = door.knocks
    door.shows(server(door, operator))
    _reconnects(lab, "a connection through TLS", lambda: door.knocks, before)


@case("TC_A_07")
def a_valid_client_certificate(lab: Lab) -> None:
    door = secured(lab, 3)
    lab.check("the certificate of the station", door.presented[-1] != 0, True)


# ---------------------------------------------------------------------------------------------- A02


@case("TC_A_11")
def a_new_station_certificate(lab: Lab) -> None:
    door = secured(lab, 3)
    handshakes = len(door.presented)
    serial = _renew(lab)
    lab.bench.wait_until("a handshake", lambda: len(door.presented) > handshakes, BACK_S)
    lab.check("certificate of the new connection", door.presented[-1], serial)
    lab.bench.wait_until("the connection", lab.bench.connected, BACK_S)
    lab.drained()


@case("TC_A_12")
def a_new_v2g_certificate(lab: Lab) -> None:
    raise NotApplicable("the station has no ISO 15118 controller")


@case("TC_A_13")
def a_new_combined_certificate(lab: Lab) -> None:
    raise NotApplicable("the station has no ISO 15118 controller")


@case("TC_A_14")
def an_invalid_station_certificate(lab: Lab) -> None:
    secured(lab, 3)
    events = len(lab.bench.calls("SecurityEventNotification"))
    _signed(lab, sign(_asked(lab), root("Stranger")), "Rejected")
    _security_event(lab, events, "InvalidChargingStationCertificate")


@case("TC_A_15")
def a_request_that_the_csms_rejects(lab: Lab) -> None:
    secured(lab, 3)
    lab.bench.behaviour.answers["SignCertificate"] = {"status": "Rejected"}
    _asked(lab)
    lab.bench.wait(1)
    lab.check("connected", lab.bench.connected(), True)


@case("TC_A_23")
def a_certificate_that_does_not_come(lab: Lab) -> None:
    secured(lab, 3)
    lab.write("SecurityCtrlr.CertSigningWaitMinimum", str(SIGNING_WAIT_S))
    lab.write("SecurityCtrlr.CertSigningRepeatTimes", "1")
    _asked(lab)
    asked_at = lab.bench.now()
    for wait_s in (SIGNING_WAIT_S, 2 * SIGNING_WAIT_S):
        csr = _request(lab, len(lab.bench.calls("SignCertificate")), wait_s + 10.0)
        lab.check("it waited", lab.bench.now() - asked_at >= wait_s - 0.5, True)
        asked_at = lab.bench.now()
    _signed(lab, sign(csr, root(OPERATOR)), "Accepted")


# ---------------------------------------------------------------------------------------------- A05


@case("TC_A_19")
def a_higher_security_profile(lab: Lab) -> None:
    before = lab.read(ACTIVE)
    secured(lab)
    lab.check("the old slot is in the list", before in lab.members(PRIORITY), False)


def _not_taken(lab: Lab, level: int) -> None:
    active = lab.read(ACTIVE)
    set_profile(lab, 1 if active != "1" else 2, lab.bench.secure_door().url, level)
    lab.check("the order is taken", lab.takes(PRIORITY, f"{1 if active != '1' else 2},{active}"), False)


@case("TC_A_20")
def no_root_for_a_higher_profile(lab: Lab) -> None:
    _not_taken(lab, 2)


@case("TC_A_21")
def no_certificate_for_a_higher_profile(lab: Lab) -> None:
    install(lab, root(OPERATOR))
    _not_taken(lab, 3)


@case("TC_A_22")
def no_way_down(lab: Lab) -> None:
    secured(lab)
    set_profile(lab, 3, lab.bench.urls()[1], 1, "Rejected")
