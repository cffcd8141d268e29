"""A01, A02, A03, A05: passwords and certificates that change, and the way back when the CSMS does not want the new."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent.core.effects import Connect
from hil.pki import Made, issue, root
from tests.blocks.stories import get_variable, heard, idle, set_variable
from tests.blocks.test_a_security import told
from tests.blocks.test_b_network import STEADY, order, other_csms, secure, write
from tests.blocks.test_m_certificates import delete, install, listed
from tests.marks import req
from tests.sim.network import Flaw
from tests.sim.pki import store_behind
from tests.sim.world import World

OLD, NEW = "the-first-password-0", "the-second-password-1"
PASSWORD = "SecurityCtrlr.BasicAuthPassword"
CSMS = "CSMSRootCertificate"


def guarded(**keys: str) -> World:
    """A station whose CSMS wants the password OLD."""
    world = idle(keys={**STEADY, PASSWORD: OLD, **keys})
    world.csms.password = OLD
    return world


def logged(world: World, kind: str = "ReconfigurationOfSecurityParameters") -> list[str]:
    return [entry.info for entry in world.security_log if entry.kind == kind]


# ---------------------------------------------------------------------------------------- A01


@req("A01.FR.01", "A01.FR.11", "A01.FR.12", "A00.FR.203", "A00.FR.205", "A00.FR.304")
def test_a_new_password_is_used_at_once_and_for_good() -> None:
    world = guarded()
    connections = world.csms.connections
    assert set_variable(world, PASSWORD, NEW) == "Accepted"
    world.csms.password = NEW
    world.until(lambda: world.csms.connections > connections, within_s=20)
    assert logged(world) == ["BasicAuthPassword was changed"]
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=60)
    assert world.csms.connection is not None and get_variable(world, PASSWORD) is None
    everything = str([*world.security_log, *world.notes])
    assert NEW not in everything and OLD not in everything


def test_a_first_password_is_used_at_once_too() -> None:
    world = idle(keys=STEADY)
    assert world.site.network is not None
    world.site = world.site._replace(network=world.site.network._replace(password=None))
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=60)
    connections = world.csms.connections
    assert set_variable(world, PASSWORD, NEW) == "Accepted"
    world.csms.password = NEW
    world.until(lambda: world.csms.connections > connections, within_s=20)


@req("A01.FR.01", "A01.FR.10")
def test_a_password_that_is_too_short_changes_nothing() -> None:
    world = guarded()
    connections = world.csms.connections
    assert set_variable(world, PASSWORD, "short") == "Rejected"
    world.csms.vanishes()
    world.runs(seconds=5)
    world.csms.returns()
    world.until(lambda: world.csms.connections > connections, within_s=120)
    assert logged(world) == []


@pytest.mark.parametrize("power_cut", [False, True])
def test_the_old_password_comes_back_when_the_csms_refuses_the_new_one(power_cut: bool) -> None:
    """The CSMS lost its own change: the station is not stranded, and keeps what works."""
    world = guarded()
    connections = world.csms.connections
    assert set_variable(world, PASSWORD, NEW) == "Accepted"
    world.runs(seconds=4)
    if power_cut:
        world.loses_power().returns_after(seconds=5)
    world.until(lambda: world.csms.connections > connections, within_s=300)
    world.runs(seconds=2)
    assert "the old BasicAuthPassword is back" in logged(world)
    world.loses_power().returns_after(seconds=5)
    connections = world.csms.connections
    world.until(lambda: world.csms.connections > connections, within_s=60)


# ---------------------------------------------------------------------------------------- A02


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def prepared(home: Path, **keys: str) -> World:
    """A station of security profile 2 with the operator's root."""
    world = store_behind(secure(**{"SecurityCtrlr.OrganizationName": "Operator", **keys}), home)
    assert install(world, root("Operator"))["status"] == "Accepted"
    world.csms.answers("SignCertificate", lambda request: {"status": "Accepted"})
    return world


def asked(world: World) -> str:
    """The CSMS asks for a renewal; the request that comes."""
    before = len(heard(world, "SignCertificate"))
    answer = world.csms_asks("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})
    assert answer["status"] == "Accepted"
    world.until(lambda: len(heard(world, "SignCertificate")) > before, within_s=10)
    payload = heard(world, "SignCertificate")[-1][1]
    assert payload["certificateType"] == "ChargingStationCertificate"
    return str(payload["csr"])


def signed(csr: str, by: Made | None = None, *, serial: str = "SN1", days: float = 365, since: float = 0) -> str:
    """What an authority makes of a request; its dates are the simulated world's."""
    request, issuer = x509.load_pem_x509_csr(csr.encode()), by or root("Operator")
    begin = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=since)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, serial)])
    made = (
        x509.CertificateBuilder(issuer.certificate.subject, name, request.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .sign(issuer.key, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def handed(world: World, chain: str, kind: str = "ChargingStationCertificate") -> str:
    answer = world.csms_asks("CertificateSigned", {"certificateChain": chain, "certificateType": kind})
    return str(answer["status"])


@req("A02.FR.02", "A02.FR.03", "A02.FR.05", "A02.FR.13", "A03.FR.03", "A03.FR.05", "A03.FR.13", "A00.FR.507",
     "A00.FR.511", "A00.FR.427", "A00.FR.501", "A00.FR.503")  # fmt: skip
def test_a_request_is_for_a_new_key_each_time_and_the_key_stays_here(home: Path) -> None:
    world = prepared(home)
    requests = [x509.load_pem_x509_csr(asked(world).encode()) for _ in range(2)]
    for request in requests:
        names = {part.oid: part.value for part in request.subject}
        assert names == {NameOID.COMMON_NAME: "SN1", NameOID.ORGANIZATION_NAME: "Operator"}
        key = request.public_key()
        assert request.is_signature_valid and isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 224
    assert requests[0].public_key() != requests[1].public_key()
    (pending,) = (home / "credentials").iterdir()
    assert stat.S_IMODE(pending.stat().st_mode) == 0o600 and stat.S_IMODE(pending.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in str(world.csms.frames)


@req("A02.FR.06", "A02.FR.08", "A02.FR.10", "A03.FR.06", "A03.FR.08", "A03.FR.10", "A05.FR.03", "A05.FR.04",
     "A05.FR.06", "A00.FR.401", "A00.FR.001", "A00.FR.005", "M04.FR.06")  # fmt: skip
def test_from_profile_2_with_a_signed_certificate_to_profile_3_and_on_to_the_next_certificate(home: Path) -> None:
    world = prepared(home)
    assert write(world, 2, url="wss://csms.example/ocpp", profile=3)["status"] == "Accepted"
    assert order(world, "2,1") == ("Rejected", "InvalidNetworkConf")
    first = signed(asked(world))
    assert handed(world, first) == "Accepted"
    assert order(world, "2,1")[0] == "RebootRequired"
    orders = watch(world)
    world.csms_asks("Reset", {"type": "OnIdle"})
    world.runs(seconds=60)
    assert get_variable(world, "SecurityCtrlr.SecurityProfile") == "3"
    assert get_variable(world, "OCPPCommCtrlr.NetworkConfigurationPriority") == "2"
    assert orders[-1].password is None and names(home) == {orders[-1].certificate}
    second = signed(asked(world))
    connections = world.csms.connections
    assert handed(world, second) == "Accepted"
    world.until(lambda: world.csms.connections > connections, within_s=20)
    world.runs(seconds=5)
    assert orders[-1].certificate != orders[-2].certificate and names(home) == {orders[-1].certificate}
    assert delete(world, hashes(second)) == "Failed" and names(home) == {orders[-1].certificate}
    assert told(world) == []


def watch(world: World) -> list[Connect]:
    """Every order to connect from now on."""
    orders: list[Connect] = []
    before = world.network.tls

    def shake(order: Connect) -> str | Flaw:
        orders.append(order)
        return before(order)

    world.network.tls = shake
    return orders


def names(home: Path) -> set[str]:
    """Certificates that have their file and their key."""
    keys = {path.stem for path in (home / "credentials").glob("*.key")}
    assert keys == {path.stem for path in (home / "credentials").glob("*.pem")}
    return keys


def hashes(pem: str) -> dict[str, str]:
    from agent.io.pki import hash_data

    return hash_data(x509.load_pem_x509_certificate(pem.encode()), root("Operator").certificate, "SHA256")


@req("A02.FR.06", "A02.FR.07", "A02.FR.16", "A02.FR.20", "A03.FR.07", "A03.FR.16", "A00.FR.501", "A00.FR.511")
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda csr: signed(csr, days=1, since=-40), "this clock says"),
        (lambda csr: signed(csr, since=40), "this clock says"),
        (lambda csr: signed(csr, issue("Stranger", None)), "does not lead to an installed root"),
        (lambda csr: signed(csr, serial="csms.example"), "expected the serial number 'SN1'"),
        (lambda csr: issue("SN1", root("Operator"), since=-400, days=900).pem, "not for the key that was asked for"),
        (lambda csr: "banana", "no PEM"),
    ],
)
def test_a_certificate_that_is_no_good_is_rejected_and_reported(home: Path, spoil: Any, why: str) -> None:
    world = prepared(home, **{"SecurityCtrlr.CertSigningWaitMinimum": "30"})
    chain = spoil(asked(world))
    requests = len(heard(world, "SignCertificate"))
    assert handed(world, chain) == "Rejected"
    world.runs(minutes=10)
    (event,) = told(world)
    assert event["type"] == "InvalidChargingStationCertificate" and why in event["techInfo"]
    assert len(heard(world, "SignCertificate")) == requests and not list((home / "credentials").glob("*.pem"))


@req("A02.FR.16", "A03.FR.16")
def test_a_chain_longer_than_the_key_says_is_rejected(home: Path) -> None:
    world = prepared(home, **{"SecurityCtrlr.MaxCertificateChainSize": "600"})
    chain = signed(asked(world))
    assert handed(world, chain + root("Operator").pem) == "Rejected"
    world.runs(seconds=5)
    assert "the chain is too long" in told(world)[0]["techInfo"]


def test_what_was_not_asked_for_is_rejected(home: Path) -> None:
    world = prepared(home)
    assert handed(world, issue("SN1", root("Operator")).pem) == "Rejected"
    asked(world)
    assert handed(world, issue("SN1", root("Operator")).pem, "V2GCertificate") == "Rejected"


@req("A02.FR.17", "A02.FR.18", "A02.FR.19", "A03.FR.17", "A03.FR.18", "A03.FR.19")
@pytest.mark.parametrize("power_cut", [False, True])
def test_a_certificate_that_does_not_come_is_asked_for_again_with_doubled_waits(home: Path, power_cut: bool) -> None:
    keys = {"SecurityCtrlr.CertSigningWaitMinimum": "20", "SecurityCtrlr.CertSigningRepeatTimes": "2"}
    world = prepared(home, **keys)
    csr = asked(world)
    if power_cut:
        world.runs(seconds=45)
        world.loses_power().returns_after(seconds=5)
    world.runs(minutes=30)
    requests = heard(world, "SignCertificate")
    assert {payload["csr"] for _, payload in requests} == {csr}
    gaps = [round(b - a) for (a, _), (b, _) in pairwise(requests)]
    assert len(requests) == 4
    if not power_cut:
        assert gaps == [20, 40, 80]
    assert handed(world, signed(csr)) == "Rejected"


def test_a_request_that_the_csms_does_not_want_is_not_repeated(home: Path) -> None:
    world = prepared(home)
    world.csms.answers("SignCertificate", lambda request: {"status": "Rejected"})
    asked(world)
    world.runs(minutes=30)
    assert len(heard(world, "SignCertificate")) == 1


@req("A02.FR.10", "A02.FR.28", "A02.FR.29", "A03.FR.24", "A03.FR.25")
def test_a_new_certificate_that_leads_nowhere_gives_way_to_the_old_one(home: Path) -> None:
    world = prepared(home)
    handed(world, signed(asked(world)))
    write(world, 2, url="wss://csms.example/ocpp", profile=3)
    order(world, "2,1")
    orders = watch(world)
    world.csms_asks("Reset", {"type": "OnIdle"})
    world.runs(seconds=60)
    good = orders[-1].certificate
    csr = asked(world)
    world.network.tls = lambda order: (
        order.roots[0] if order.certificate == good else Flaw("FailedToAuthenticateAtCsms", "certificate unknown")
    )
    connections = world.csms.connections
    assert handed(world, signed(csr)) == "Accepted"
    world.until(lambda: world.csms.connections > connections, within_s=1200)
    world.runs(seconds=30)
    assert names(home) == {good}
    assert [event["type"] for event in told(world)] == ["DiscardedRenewedClientCertificate"]
    assert logged(world, "FailedToAuthenticateAtCsms") == ["certificate unknown"]


@req("A03.FR.02", "A03.FR.03")
def test_a_certificate_is_renewed_a_month_before_its_end(home: Path) -> None:
    world = prepared(home)
    assert handed(world, signed(asked(world), days=35)) == "Accepted"
    world.runs(minutes=10)
    assert len(heard(world, "SignCertificate")) == 1
    world.runs(minutes=60 * 24 * 6)
    assert len(heard(world, "SignCertificate")) >= 2


@req("A03.FR.02")
def test_how_long_before_its_end_a_certificate_is_renewed_is_what_the_key_says(home: Path) -> None:
    world = prepared(home, **{"SecurityCtrlr.CertRenewalThreshold": "60"})
    assert handed(world, signed(asked(world), days=40)) == "Accepted"
    world.until(lambda: len(heard(world, "SignCertificate")) == 2, within_s=86_500)


# ---------------------------------------------------------------------------------------- A04, A05, M05


@req("A00.FR.005", "A05.FR.06")
def test_a_profile_that_was_left_behind_is_not_tried_in_the_same_life_either() -> None:
    world = secure()
    world.network.dialled.clear()
    world.network.tls = lambda order: Flaw("InvalidCsmsCertificate", "no root")
    orders = watch(world)
    world.csms.vanishes()
    world.runs(seconds=5)
    world.csms.returns()
    world.runs(minutes=30)
    assert world.csms.connection is None
    assert len(world.network.dialled) - 1 <= len(orders) and len(orders) >= 5, "every attempt was made with TLS"


@req("A00.FR.310", "A00.FR.316", "A00.FR.413", "A00.FR.419", "A04.FR.01", "A04.FR.02")
@pytest.mark.parametrize("event", ["InvalidCsmsCertificate", "InvalidTLSVersion", "InvalidTLSCipherSuite"])
def test_a_flaw_is_told_once_however_often_it_is_met_and_again_when_it_is_back(event: str) -> None:
    """Bug 15: every retry raised another security event."""
    world = secure()
    for times in (1, 2):
        world.network.tls = lambda order: Flaw(event, "it has expired; this station's clock says 1970")
        world.csms.vanishes()
        world.runs(seconds=5)
        world.csms.returns()
        world.runs(minutes=30)
        world.network.tls = lambda order: order.roots[0]
        world.until(lambda: world.csms.connection is not None, within_s=3600)
        world.runs(seconds=20)
        assert [told_of["type"] for told_of in told(world)] == [event] * times


@req("A05.FR.02", "A05.FR.04", "A00.FR.004")
def test_a_higher_profile_needs_a_root_first(tmp_path: Path) -> None:
    world = store_behind(idle(), tmp_path)
    assert write(world, 1, url="wss://csms.example/ocpp", profile=2)["status"] == "Accepted"
    assert order(world, "1,0") == ("Rejected", "InvalidNetworkConf")
    assert get_variable(world, "OCPPCommCtrlr.NetworkConfigurationPriority") == "0"
    install(world, root())
    assert order(world, "1,0")[0] == "RebootRequired"


@req("A05.FR.08", "A00.FR.005")
def test_from_profile_3_down_to_2_only_where_the_key_says_so(home: Path) -> None:
    for allowed, status in (("false", "Rejected"), ("true", "Accepted")):
        world = prepared(home, **{"SecurityCtrlr.AllowSecurityProfileDowngrade": allowed})
        handed(world, signed(asked(world)))
        write(world, 2, url="wss://csms.example/ocpp", profile=3)
        order(world, "2,1")
        world.csms_asks("Reset", {"type": "OnIdle"})
        world.runs(seconds=60)
        assert get_variable(world, "SecurityCtrlr.SecurityProfile") == "3"
        assert write(world, 3, url="wss://csms.example/ocpp", profile=2)["status"] == status
        assert order(world, "3,2")[0] == ("RebootRequired" if allowed == "true" else "Rejected")


def _shut_out(world: World) -> int:
    """The CSMS goes and comes back, and the station does not connect any more; how often it had."""
    connections = world.csms.connections
    world.csms.vanishes()
    world.runs(seconds=5)
    world.csms.returns()
    world.runs(minutes=10)
    assert world.csms.connections == connections
    return connections


@pytest.mark.parametrize(
    ("key", "vouched"), [("UseSystemTrustStore", "system_roots"), ("AllowCSMSTLSWildcards", "wildcards")]
)
def test_whom_a_station_trusts_is_asked_anew_at_each_attempt(home: Path, key: str, vouched: str) -> None:
    """A certificate that only a key lets pass: the CSMS is lost, and a person on site brings it back by the key."""
    world = prepared(home)
    world.asks_station("config.set", name=f"SecurityCtrlr.{key}", value="false")
    flaw = Flaw("InvalidCsmsCertificate", "not trusted")
    world.network.tls = lambda order: order.roots[0] if getattr(order, vouched) else flaw
    connections = _shut_out(world)
    world.asks_station("config.set", name=f"SecurityCtrlr.{key}", value="true")
    world.until(lambda: world.csms.connections > connections, within_s=600)


def test_whether_a_revoked_csms_is_looked_for_is_asked_anew_at_each_attempt(home: Path) -> None:
    """A responder that is down: who insists on its answer is offline until a person on site lets it connect."""
    world = prepared(home, **{"SecurityCtrlr.RevocationCheck": "Hard"})
    flaw = Flaw("InvalidCsmsCertificate", "nobody tells whether it was revoked")
    world.network.tls = lambda order: flaw if order.revocation == "Hard" else order.roots[0]
    connections = _shut_out(world)
    world.asks_station("config.set", name="SecurityCtrlr.RevocationCheck", value="Soft")
    world.until(lambda: world.csms.connections > connections, within_s=600)


def rotated(home: Path) -> World:
    """A station whose root was replaced by one that it has signed."""
    world = store_behind(secure(**{"SecurityCtrlr.AdditionalRootCertificateCheck": "true"}), home)
    install(world, root("First"))
    assert install(world, issue("Second", root("First")))["status"] == "Accepted" and len(listed(world)) == 2
    return world


def reconnects(world: World) -> None:
    connections = world.csms.connections
    world.csms.vanishes()
    world.runs(seconds=5)
    world.csms.returns()
    world.until(lambda: world.csms.connections > connections, within_s=600)
    world.runs(seconds=5)


@req("M05.FR.13")
def test_the_old_root_goes_when_the_new_one_has_vouched_for_the_csms(home: Path) -> None:
    world = rotated(home)
    world.network.tls = lambda order: order.roots[-1]
    reconnects(world)
    assert len(listed(world)) == 2, "the CSMS was trusted by the old root"
    world.network.tls = lambda order: order.roots[0]
    reconnects(world)
    assert len(listed(world)) == 1 and not list((home / "certificates" / f"{CSMS}.fallback").iterdir())


@req("M05.FR.14", "M05.FR.15", "M05.FR.16")
def test_only_the_csms_that_is_known_may_still_be_vouched_for_by_the_old_root(home: Path) -> None:
    world = rotated(home)
    other_csms(world)
    fallback = f"{CSMS}.fallback"
    world.network.tls = lambda order: (
        fallback if fallback in order.roots else Flaw("InvalidCsmsCertificate", "no root")
    )
    orders = watch(world)
    assert write(world, 2, url="wss://other.example:9000/ocpp", profile=2)["status"] == "Accepted"
    assert order(world, "2,1")[0] == "RebootRequired"
    world.csms_asks("Reset", {"type": "OnIdle"})
    world.until(lambda: world.csms.connection is None, within_s=60)
    world.until(lambda: world.csms.connection is not None, within_s=600)
    assert [(order.url.split("/")[2], order.roots) for order in orders] == [
        ("other.example:9000", (CSMS,)), ("other.example:9000", (CSMS,)), ("csms.example", (CSMS, fallback)),
    ]  # fmt: skip
    assert len(listed(world)) == 2
