"""Signed readings on the real process: from the meter's registers to the CSMS without one byte changed."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hil.instruments.signing_meter import BauerBsmWs36a
from hil.real_bench import RealBench
from tests.marks import req
from tests.process.benches import CARDS, plan

KEYS = {
    "SampledDataCtrlr.SignReadings": "true",
    "OCPPCommCtrlr.PublicKeyWithSignedMeterValue": "EveryMeterValue",
    "SampledDataCtrlr.TxUpdatedInterval": "2",
    "SampledDataCtrlr.SignUpdatedReadings": "true",
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RealBench]:
    """EVSE 2 has a meter that signs."""
    usual = plan(tmp_path, **KEYS)
    one, two = usual.evses
    with RealBench(replace(usual, evses=(one, replace(two, meter=replace(two.meter, signs=True))))) as real:
        yield real


def signed(events: list[Any]) -> list[tuple[str, dict[str, str]]]:
    """(context, signedMeterValue) of every signed sample."""
    samples = [s for e in events for value in e.get("meterValue", ()) for s in value["sampledValue"]]
    return [(s["context"], s["signedMeterValue"]) for s in samples if "signedMeterValue" in s]


@req("E02.FR.14", "E07.FR.12", "J02.FR.21")
def test_what_the_meter_signed_reaches_the_csms_byte_for_byte(bench: RealBench) -> None:
    bench.wait_until("accepted and free", lambda: len(bench.calls("StatusNotification")) >= 2)
    bench.plug(2, amps=16)
    bench.present(CARDS[2], 2)
    bench.wait_until("a sample that is signed", lambda: any(c == "Sample.Periodic" for c, _ in told(bench)), 60)
    bench.unplug(2)
    bench.wait_until("the end", lambda: any(e["eventType"] == "Ended" for e in events(bench)), 60)
    meter = bench.rig.outlet(2).meter
    assert isinstance(meter, BauerBsmWs36a)
    texts = [b64decode(value["signedMeterData"]).decode() for _, value in told(bench)]
    assert {c for c, _ in told(bench)} == {"Transaction.Begin", "Sample.Periodic", "Transaction.End"}
    assert set(texts) <= set(meter.issued) and all(f'"ID":"{CARDS[2]}"' in text for text in texts)
    ends = [text for text, (context, _) in zip(texts, told(bench), strict=True) if context.startswith("Transaction")]
    assert ends == [text for text in meter.issued if '"TX":"B"' in text or '"TX":"E"' in text]
    for text, (_, value) in zip(texts, told(bench), strict=True):
        key = b64decode(value["publicKey"]).decode()
        assert key == f"oca:base16:asn1:{meter.public_key.hex().upper()}"
        assert value["encodingMethod"] == "OCMF"
        verify(text, bytes.fromhex(key.removeprefix("oca:base16:asn1:")))
    assert abs(meter.epoch - bench.calls("TransactionEvent")[0].ts) < 60, "its clock was set"
    assert bench.violations() == []


def events(bench: RealBench) -> list[Any]:
    return [frame.payload for frame in bench.calls("TransactionEvent")]


def told(bench: RealBench) -> list[tuple[str, dict[str, str]]]:
    return signed(events(bench))


def verify(text: str, key: bytes) -> None:
    """Raises InvalidSignature."""
    _, payload, signature = text.split("|")
    public = load_der_public_key(key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(bytes.fromhex(signature.split('"SD":"')[1].rstrip('"}')), payload.encode(), ec.ECDSA(SHA256()))
