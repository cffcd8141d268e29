"""Who may sign firmware, and what a signature is good for."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from pathlib import Path

import pytest

from agent.io import signatures
from agent.io.jobs import JobFailed, Place
from hil.firmware import signature
from hil.pki import Made, issue, root
from tests.marks import req

CONTENT = b"firmware" * 1000
MAKER = "ManufacturerRootCertificate"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A station with its maker's root and a file that was fetched."""
    trust(tmp_path, root("Maker"))
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "image").write_bytes(CONTENT)
    return tmp_path


@cache
def signer(kind: str = "ec") -> Made:
    return issue("Signer", root("Maker"), ca=False, kind=kind)


def trust(home: Path, made: Made, kind: str = MAKER) -> None:
    place = home / "certificates" / kind
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{made.certificate.serial_number}.pem").write_text(made.pem)


def judge(home: Path, certificate: str, now: float | None = None) -> str:
    """Why a signing certificate is refused; empty when it is good."""
    data = {"certificate": certificate, "utc_ms": None if now is None else now * 1000}
    told = asyncio.run(signatures.check_signer(Place(home), data, lambda news: None))
    assert told["valid"] == (not told["info"])
    return str(told["info"])


def check(home: Path, certificate: str, text: str) -> str:
    """Why a file is not genuine; empty when it is."""
    data = {"certificate": certificate, "signature": text, "utc_ms": None}
    told = asyncio.run(signatures.check_file(Place(home), data, lambda news: None))
    assert told["genuine"] == (not told["info"])
    return str(told["info"])


@req("L01.FR.12", "L01.FR.21")
def test_a_good_chain_with_and_without_certificates_between(home: Path) -> None:
    assert judge(home, signer().pem) == ""
    between = issue("Between", root("Maker"))
    leaf = issue("Leaf", between, ca=False)
    assert judge(home, leaf.pem + between.pem) == ""
    assert "no ManufacturerRootCertificate" in judge(home, leaf.pem)


@req("L01.FR.12", "L01.FR.22")
def test_bad_signers_each_with_its_reason(home: Path) -> None:
    bad = {
        "valid until": issue("Expired", root("Maker"), days=1, since=-3, ca=False).pem,
        "valid from": issue("Early", root("Maker"), since=3, ca=False).pem,
        "has made it": issue("Stranger", root("Another maker"), ca=False).pem,
        "too weak": issue("Weak", root("Maker"), ca=False, kind="weak").pem,
        "no PEM": "banana",
    }
    assert {why: why in judge(home, pem) for why, pem in bad.items()} == dict.fromkeys(bad, True)


def test_a_root_of_another_type_or_none_at_all_trusts_nobody(tmp_path: Path) -> None:
    assert "is installed to trust" in judge(tmp_path, signer().pem)
    trust(tmp_path, root("Maker"), "CSMSRootCertificate")
    assert "is installed to trust" in judge(tmp_path, signer().pem)


def test_a_leaf_that_is_no_authority_makes_no_signer(home: Path) -> None:
    leaf = issue("Another leaf", signer(), ca=False)
    assert "CA is false" in judge(home, leaf.pem + signer().pem)


def test_the_station_knows_the_time_better_than_its_board(home: Path) -> None:
    year_s = 365 * 86_400
    assert "1970" in judge(home, signer().pem, now=1000)
    assert "valid until" in judge(home, signer().pem, now=time.time() + 3 * year_s)


@req("L01.FR.04", "L01.FR.12")
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_the_signature_is_over_this_very_file(home: Path, kind: str) -> None:
    good = signature(CONTENT, signer(kind))
    assert check(home, signer(kind).pem, good) == ""
    image = home / "firmware" / "image"
    for changed in (CONTENT + b"x", CONTENT[:-1], b"y" + CONTENT[1:]):
        image.write_bytes(changed)
        assert "does not belong" in check(home, signer(kind).pem, good)


@req("L01.FR.03")
def test_other_signatures_are_not_taken(home: Path) -> None:
    other = issue("Other", root("Maker"), ca=False)
    assert "does not belong" in check(home, signer().pem, signature(CONTENT, other))
    assert "does not belong" in check(home, signer("rsa").pem, signature(CONTENT, signer()))
    assert "no base64" in check(home, signer().pem, "banana!")
    assert "does not belong" in check(home, signer().pem, "")


def test_a_signer_that_expires_while_the_file_is_fetched_signs_nothing(home: Path) -> None:
    expired = issue("Expired", root("Maker"), days=1, since=-3, ca=False)
    assert "valid until" in check(home, expired.pem, signature(CONTENT, expired))


def test_a_file_that_is_gone_is_no_forgery(home: Path) -> None:
    (home / "firmware" / "image").unlink()
    with pytest.raises(JobFailed, match="cannot be read"):
        check(home, signer().pem, signature(CONTENT, signer()))
