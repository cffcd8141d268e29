"""M03 to M05: what a CSMS may install, what it is told of it, and what it may take away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.pki import Made, issue, root
from tests.blocks.stories import get_variable, idle
from tests.blocks.test_b_network import secure
from tests.marks import req
from tests.sim.jobs import Ends, Says
from tests.sim.pki import store_behind
from tests.sim.world import World

KINDS = ("V2GRootCertificate", "MORootCertificate", "CSMSRootCertificate", "ManufacturerRootCertificate")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return store_behind(idle(), tmp_path)


def install(world: World, made: Made | str, kind: str = "CSMSRootCertificate") -> dict[str, Any]:
    pem = made if isinstance(made, str) else made.pem
    return world.csms_asks("InstallCertificate", {"certificateType": kind, "certificate": pem})


def listed(world: World, *kinds: str) -> list[tuple[str, dict[str, str]]]:
    answer = world.csms_asks("GetInstalledCertificateIds", {"certificateType": list(kinds)} if kinds else {})
    chain = answer.get("certificateHashDataChain", [])
    assert answer["status"] == ("Accepted" if chain else "NotFound")
    return [(one["certificateType"], one["certificateHashData"]) for one in chain]


def delete(world: World, hashes: dict[str, str]) -> str:
    return str(world.csms_asks("DeleteCertificate", {"certificateHashData": hashes})["status"])


@req("M03.FR.01", "M03.FR.03", "M03.FR.04", "M05.FR.01", "M05.FR.02")
@pytest.mark.parametrize("kind", KINDS)
def test_installed_and_listed_by_its_type(world: World, kind: str) -> None:
    assert listed(world) == []
    assert install(world, root(), kind) == {"status": "Accepted"}
    assert listed(world) == listed(world, kind) == [(kind, root().hashes())]
    assert get_variable(world, "SecurityCtrlr.CertificateEntries") == "1"
    others = [other for other in KINDS if other != kind]
    assert listed(world, *others) == []


@req("M03.FR.02")
def test_none_of_a_type_is_not_found(world: World) -> None:
    install(world, root(), "MORootCertificate")
    assert world.csms_asks("GetInstalledCertificateIds", {"certificateType": ["V2GCertificateChain"]}) == {
        "status": "NotFound"
    }


@req("M05.FR.07")
@pytest.mark.parametrize(
    ("made", "why"),
    [
        (root("Old", days=1, since=-3), "valid until"),
        (root("Early", since=3), "valid from"),
        (root("Leaf", ca=False), "CA is false"),
        (root("Weak", kind="weak"), "too weak"),
        ("-----BEGIN CERTIFICATE-----\nbanana\n-----END CERTIFICATE-----", "no PEM"),
        ("text", "no PEM"),
        (root("A").pem + root("B").pem, "2 certificates"),
    ],
)
def test_what_is_no_good_root_is_refused_with_the_reason(world: World, made: Made | str, why: str) -> None:
    answer = install(world, made)
    assert answer["status"] == "Rejected" and why in answer["statusInfo"]["additionalInfo"]
    assert listed(world) == []


@req("M05.FR.17")
def test_the_same_certificate_again_replaces_itself(world: World) -> None:
    for _ in range(2):
        assert install(world, root())["status"] == "Accepted"
    assert len(listed(world)) == 1


@req("M05.FR.06")
def test_no_more_than_the_key_says(tmp_path: Path) -> None:
    world = store_behind(idle(), tmp_path)
    for number in range(50):
        (tmp_path / "certificates" / "MORootCertificate").mkdir(parents=True, exist_ok=True)
        path = tmp_path / "certificates" / "MORootCertificate" / f"{number}.pem"
        path.write_text(root().pem)
    answer = install(world, root("One more"))
    assert answer["status"] == "Rejected" and answer["statusInfo"]["reasonCode"] == "NoSpace"


@req("M05.FR.03")
def test_what_cannot_be_stored_has_failed_and_charging_goes_on(world: World) -> None:
    def full(data: Any) -> Iterator[Says | Ends]:
        yield Ends(0.1, False, {"error": "no space left on device"})

    world.workers.do("certificates.install", full)
    answer = install(world, root())
    assert answer["status"] == "Failed" and "no space" in answer["statusInfo"]["additionalInfo"]


@req("M04.FR.01", "M04.FR.02", "M04.FR.04")
@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_deleted_by_the_hashes_of_any_algorithm(world: World, algorithm: str) -> None:
    install(world, root(), "MORootCertificate")
    assert delete(world, root("Other").hashes(algorithm)) == "NotFound"
    assert delete(world, {k: v.upper() if "Hash" in k else v for k, v in root().hashes(algorithm).items()} | {
        "hashAlgorithm": algorithm
    }) == "Accepted"  # fmt: skip
    assert listed(world) == [] and get_variable(world, "SecurityCtrlr.CertificateEntries") == "0"
    assert delete(world, root().hashes(algorithm)) == "NotFound"


@req("M04.FR.03")
def test_the_root_that_the_connection_needs_stays(tmp_path: Path) -> None:
    world = store_behind(secure(), tmp_path)
    install(world, root())
    assert delete(world, root().hashes()) == "Failed"
    install(world, root("Second"))
    assert delete(world, root().hashes()) == "Accepted"
    assert listed(world) == [("CSMSRootCertificate", root("Second").hashes())]


@req("M05.FR.09", "M05.FR.10", "M05.FR.11", "M05.FR.12")
def test_with_the_additional_check_a_new_root_is_signed_by_the_old_one(tmp_path: Path) -> None:
    world = store_behind(idle(keys={"SecurityCtrlr.AdditionalRootCertificateCheck": "true"}), tmp_path)
    first = root("First")
    assert install(world, first)["status"] == "Accepted"
    assert install(world, root("Stranger"))["status"] == "Rejected"
    assert [hashes for _, hashes in listed(world)] == [first.hashes()]
    second = issue("Second", first)
    third = issue("Third", second)
    assert install(world, second)["status"] == "Accepted" and len(listed(world)) == 2
    assert install(world, third)["status"] == "Accepted" and len(listed(world)) == 2
    assert (tmp_path / "certificates" / "CSMSRootCertificate.fallback").is_dir()


def test_an_answer_that_comes_after_the_link_was_lost_is_not_said(world: World) -> None:
    def slow(data: Any) -> Iterator[Says | Ends]:
        yield Ends(20, True, {"status": "Accepted"})

    world.workers.do("certificates.install", slow)
    asked = world.csms.sends("InstallCertificate", {"certificateType": KINDS[0], "certificate": "x"})
    world.runs(seconds=5)
    world.csms.vanishes()
    world.runs(seconds=5)
    world.csms.returns()
    world.runs(minutes=10)
    assert asked.answer is None and world.csms.connection is not None
