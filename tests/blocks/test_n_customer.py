"""N09, N10: what is kept about a customer is told, and removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.blocks.stories import CARD, OTHER, QUIET, charge, heard, idle, list_entry, send_list
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

TOKEN = {"idToken": CARD, "type": "ISO14443"}
CERTIFICATE = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "c"}


@pytest.fixture
def world() -> World:
    """CARD has charged once and is in the cache."""
    world = idle((smart(16), raw(32)), keys={**QUIET, "AuthCacheCtrlr.Enabled": "true"})
    charge(world)
    world.ev(1).presents(CARD).after(seconds=20).unplugs()
    return world.runs(minutes=2)


def ask(world: World, report: bool = True, clear: bool = False, id: int = 5, **who: Any) -> Payload:
    """CustomerInformation; the whole answer."""
    return world.csms_asks("CustomerInformation", {"requestId": id, "report": report, "clear": clear, **who})


def told(world: World, before: int = 0) -> str:
    """The text of the NotifyCustomerInformation messages after the first `before`, all of one request."""
    world.runs(seconds=10)
    parts = [payload for _, payload in heard(world, "NotifyCustomerInformation")][before:]
    assert [part["seqNo"] for part in parts] == list(range(len(parts))) and parts
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
    assert len({part["requestId"] for part in parts}) == 1
    return "".join(part["data"] for part in parts)


def places(text: str) -> list[str]:
    """Where something is kept."""
    return [json.loads(line)["keptIn"] for line in text.splitlines()]


@req("N09.FR.02", "N09.FR.05")
def test_everything_that_names_a_token_is_told(world: World) -> None:
    send_list(world, list_entry(CARD))
    charge(world, 2)
    assert ask(world, idToken={**TOKEN, "idToken": CARD.lower()}) == {"status": "Accepted"}
    found = [json.loads(line) for line in told(world).splitlines()]
    assert [fact["keptIn"] for fact in found] == [
        "authorization cache", "local authorization list", "running transaction", "ended transactions",
    ]  # fmt: skip
    assert [fact["transactionId"] for fact in found[2:]] == [world.csms.transaction(n).id for n in (2, 1)]
    world.settles()


@req("N09.FR.06")
@pytest.mark.parametrize(
    "who",
    [{"idToken": {**TOKEN, "idToken": OTHER}}, {"idToken": {**TOKEN, "type": "eMAID"}},
     {"customerIdentifier": "nobody"}, {"customerCertificate": CERTIFICATE}],
)  # fmt: skip
def test_of_nobody_one_empty_message_is_told(world: World, who: Payload) -> None:
    assert ask(world, **who) == {"status": "Accepted"}
    assert told(world) == "" and len(heard(world, "NotifyCustomerInformation")) == 1


@req("N10.FR.01", "N10.FR.03")
def test_what_is_cleared_is_told_and_gone_but_for_the_local_list(world: World) -> None:
    send_list(world, list_entry(CARD))
    assert ask(world, clear=True, idToken=TOKEN) == {"status": "Accepted"}
    assert places(told(world)) == ["authorization cache", "local authorization list", "ended transactions"]
    count = len(heard(world, "NotifyCustomerInformation"))
    world.kills_agent("none").returns_after(seconds=5)
    world.runs(seconds=30)
    ask(world, id=6, idToken=TOKEN)
    assert places(told(world, count)) == ["local authorization list"]
    world.runs(minutes=1)
    ended = [row for row in world.disk.rows.values() if row[0] == "ended"]
    assert ended and CARD not in str(ended)


@req("N10.FR.01", "N10.FR.04")
def test_clearing_nobody_says_so(world: World) -> None:
    assert ask(world, clear=True, idToken={**TOKEN, "idToken": OTHER}) == {"status": "Accepted"}
    assert told(world) == ""


@req("N10.FR.06")
def test_clearing_without_a_report_is_confirmed_by_one_message(world: World) -> None:
    assert ask(world, report=False, clear=True, customerIdentifier=CARD) == {"status": "Accepted"}
    assert "removed" in told(world)
    ask(world, id=6, idToken=TOKEN)
    assert told(world, 1) == ""


@req("N09.FR.09", "N09.FR.07", "N10.FR.07")
@pytest.mark.parametrize(
    ("asked", "status"),
    [({}, "Invalid"), ({"idToken": TOKEN, "customerIdentifier": CARD}, "Invalid"),
     ({"customerCertificate": CERTIFICATE, "idToken": TOKEN}, "Invalid"),
     ({"report": False, "idToken": TOKEN}, "Rejected")],
)  # fmt: skip
def test_a_question_about_none_or_two_customers_or_for_nothing_is_refused(
    world: World, asked: Payload, status: str
) -> None:
    answer = ask(world, **asked)
    assert answer["status"] == status and answer["statusInfo"]["reasonCode"]
    world.runs(seconds=10)
    assert heard(world, "NotifyCustomerInformation") == []


@req("N09.FR.03", "N10.FR.05")
def test_no_more_reports_than_can_wait(world: World) -> None:
    world.csms.ignores("NotifyCustomerInformation", 99)
    statuses = [ask(world, id=id, clear=id == 9, idToken=TOKEN)["status"] for id in range(1, 10)]
    assert statuses[0] == "Accepted" and statuses[-1] == "Rejected"
    world.csms.heals()
    world.runs(minutes=5)
    count = len(heard(world, "NotifyCustomerInformation"))
    assert ask(world, id=50, idToken=TOKEN) == {"status": "Accepted"}
    assert "ended transactions" in told(world, count)
