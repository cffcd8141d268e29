"""P01, P02: vendor messages, and an OEM's file of them."""

from __future__ import annotations

from typing import Any

import pytest

from agent.blocks import vendors
from agent.core.charger import Charger
from agent.core.context import Context
from tests.blocks.stories import idle
from tests.marks import req

LAMPS = "com.example.lamps"


def lamp(charger: Charger, cx: Context, data: Any) -> tuple[bool, Any]:
    """What an OEM writes: takes colours it knows, and tells the CSMS."""
    vendors.tell(charger, LAMPS, "Lit", {"customData": "as it is", "data": data})
    return data in ("red", "green"), {"lit": data}


@req("P01.FR.05", "P01.FR.06")
def test_unknown_vendors_and_messages_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """TC_P_01."""
    monkeypatch.setitem(vendors.VENDORS, LAMPS, {"SetColour": lamp})
    world = idle()
    assert world.csms_asks("DataTransfer", {"vendorId": "org.openchargealliance.octt"}) == {"status": "UnknownVendorId"}
    for unknown in ({}, {"messageId": "Other"}):
        assert world.csms_asks("DataTransfer", {"vendorId": LAMPS, **unknown}) == {"status": "UnknownMessageId"}


@req("P01.FR.07", "P01.FR.03", "P02.FR.04", "P01.FR.02", "P02.FR.01", "P02.FR.03")
def test_what_a_vendor_added_is_answered_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vendors.VENDORS, LAMPS, {"SetColour": lamp})
    world = idle()
    asked = {"vendorId": LAMPS, "messageId": "SetColour"}
    assert world.csms_asks("DataTransfer", {**asked, "data": "red"}) == {"status": "Accepted", "data": {"lit": "red"}}
    assert world.csms_asks("DataTransfer", {**asked, "data": "x"})["status"] == "Rejected"
    world.runs(seconds=5)
    sent = world.csms.requests("DataTransfer")
    told = {"customData": "as it is", "data": "red"}
    assert sent[0] == {"vendorId": LAMPS, "messageId": "Lit", "data": told}
    assert any("UnknownVendorId" in note[3] for note in world.notes)


@req("P01.FR.01", "P02.FR.02")
def test_nothing_of_ours_is_a_vendor_message() -> None:
    assert vendors.VENDORS == {}
    world = idle()
    world.runs(hours=1)
    assert world.csms.requests("DataTransfer") == []
