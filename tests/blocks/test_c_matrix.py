"""Everything that may start or end a session, times what the CSMS thinks of it, times how well it can be reached.

The table below is what has to come out for driver, CSMS and contactor; nothing in it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.blocks.stories import CARD, OTHER, QUIET, charge, heard, idle, list_entry, remote_start, send_list
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.transactions import Payload
from tests.sim.world import World

NETS = ("online", "5 s", "35 s", "120 s", "offline")
"""How the CSMS can be reached: at once, slowly (MessageTimeout is 30 s), or not at all."""
EXPECTED = """
                    online   5 s      35 s     120 s    offline

rfid    accepted    ?on      ?on      ?dark    ?dark    dark
rfid    blocked     ?dark    ?dark    ?dark    ?dark    dark
rfid    expired     ?dark    ?dark    ?dark    ?dark    dark
rfid    unknown     ?dark    ?dark    ?dark    ?dark    dark
rfid    elsewhere   ?dark    ?dark    ?dark    ?dark    dark

remote  accepted    ?on      ?on      ?dark    ?dark    dark
remote  blocked     ?dark    ?dark    ?dark    ?dark    dark
remote  expired     ?dark    ?dark    ?dark    ?dark    dark
remote  unknown     ?dark    ?dark    ?dark    ?dark    dark
remote  elsewhere   ?dark    ?dark    ?dark    ?dark    dark

button  accepted    on       on       on       on       on
button  blocked     shut     off      on       on       on
button  expired     shut     off      on       on       on
button  unknown     shut     off      on       on       on
button  elsewhere   shut     off      on       on       on

list    accepted    on       on       on       on       on
list    blocked     ?dark    ?dark    ?dark    ?dark    dark
list    expired     ?dark    ?dark    ?dark    ?dark    dark
list    unknown     ?dark    ?dark    ?dark    ?dark    dark
list    elsewhere   dark     dark     dark     dark     dark

cache   accepted    on       on       on       on       on
cache   blocked     ?dark    ?dark    ?dark    ?dark    dark
cache   expired     ?dark    ?dark    ?dark    ?dark    dark
cache   unknown     ?dark    ?dark    ?dark    ?dark    dark
cache   elsewhere   dark     dark     dark     dark     dark

group   accepted    ?ends    ?ends    ?stays   ?stays   stays
group   blocked     ?stays   ?stays   ?stays   ?stays   stays
group   expired     ?stays   ?stays   ?stays   ?stays   stays
group   unknown     ?stays   ?stays   ?stays   ?stays   stays
group   elsewhere   ?ends    ?ends    ?stays   ?stays   stays

master  accepted    ?ends    ?ends    ?stays   ?stays   stays
master  blocked     ?stays   ?stays   ?stays   ?stays   stays
master  expired     ?stays   ?stays   ?stays   ?stays   stays
master  unknown     ?stays   ?stays   ?stays   ?stays   stays
master  elsewhere   ?ends    ?ends    ?stays   ?stays   stays
"""
"""?: the CSMS is asked. on: energy flows. dark: never, and no transaction. off: it flows until the answer to the event.
shut: that answer comes before the contactor has closed. ends, stays: the session of one of the group, or of anybody."""


@dataclass(frozen=True)
class Cell:
    """One combination, and what has to come out."""

    means: str
    verdict: str
    net: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.means}-{self.verdict}-{self.net}".replace(" ", "")


def cells() -> list[Cell]:
    rows = [line.split() for line in EXPECTED.splitlines() if line.strip()][1:]
    return [Cell(row[0], row[1], net, outcome) for row in rows for net, outcome in zip(NETS, row[2:], strict=True)]


INFO: dict[str, Payload] = {
    "accepted": {"status": "Accepted"},
    "blocked": {"status": "Blocked"},
    "expired": {"status": "Expired"},
    "unknown": {"status": "Unknown"},
    "elsewhere": {"status": "Accepted", "evseId": [1]},
}
HERE = 2
"""The EVSE of the story."""
GROUPS = {"group": "FLEET", "master": "MASTERS"}
KEYS = {
    **QUIET,
    "FreeCharging.StartButton": "true",
    "AuthCtrlr.LocalPreAuthorize": "true",
    "AuthCtrlr.MasterPassGroupId": GROUPS["master"],
}


def prepared(cell: Cell) -> World:
    """A station that knows what it is to know, and whose CSMS thinks what it is to think."""
    world = idle((raw(16), raw(32)), keys=KEYS)
    world.csms.token_info = {CARD: INFO["accepted"]}
    if cell.means in GROUPS:
        group = {"groupIdToken": {"idToken": GROUPS[cell.means], "type": "Central"}}
        world.csms.token_info = {CARD: INFO["accepted"] | (group if cell.means == "group" else {})}
        charge(world, HERE)
        world.csms.token_info[OTHER] = INFO[cell.verdict] | group
        return world
    if cell.means == "list" and cell.verdict != "unknown":
        send_list(world, entry(cell.verdict))
    if cell.means == "cache" and cell.verdict != "unknown":
        remember(world, cell.verdict)
    world.csms.token_info[CARD] = world.csms.token_info[""] = INFO[cell.verdict]
    world.ev(HERE).plugs_in()
    return world.runs(seconds=5)


def entry(verdict: str) -> Payload:
    """Of the list: one that has expired is one whose date is over."""
    if verdict == "expired":
        return list_entry(CARD, cacheExpiryDateTime="2026-02-01T00:00:00Z")
    return list_entry(CARD, **INFO[verdict])


def remember(world: World, verdict: str) -> None:
    """The CSMS was asked once before; one that has expired is one whose date is over by now."""
    date = {"cacheExpiryDateTime": "2026-03-01T12:01:00Z"} if verdict == "expired" else {}
    told = INFO["accepted"] if verdict == "expired" else INFO[verdict]
    world.csms.token_info[CARD] = told | date
    world.ev(HERE).presents(CARD)
    world.runs(seconds=6)
    if verdict in ("accepted", "expired"):
        world.ev(HERE).presents(CARD)
    world.runs(seconds=60 if verdict == "expired" else 6)
    assert len(heard(world, "Authorize")) == 1


def reached(world: World, net: str) -> None:
    """From now on the CSMS can be reached like this."""
    if net == "offline":
        world.csms.vanishes()
        world.runs(seconds=5)
    elif net != "online":
        ms = 1000 * int(net.split(maxsplit=1)[0])
        world.csms.latency_ms = (ms, ms)


def acts(world: World, cell: Cell) -> None:
    """The driver, or whoever else starts or ends a session."""
    if cell.means == "remote":
        if cell.net != "offline":
            latency, world.csms.latency_ms = world.csms.latency_ms, (10, 20)
            remote_start(world, evseId=HERE)
            world.csms.latency_ms = latency
    elif cell.means == "button":
        world.ev(HERE).presents("", kind="NoAuthorization")
    else:
        world.ev(HERE).presents(OTHER if cell.means in GROUPS else CARD)


@req("C01.FR.01", "C01.FR.02", "C01.FR.03", "C01.FR.21", "C02.FR.01", "C09.FR.03", "C09.FR.11", "C10.FR.03")
@req("C12.FR.02", "C12.FR.05", "C13.FR.02", "C14.FR.02", "C14.FR.03", "C14.FR.05", "C16.FR.02", "F01.FR.01")
@pytest.mark.parametrize("cell", cells(), ids=str)
def test_driver_csms_and_contactor_get_what_the_table_says(cell: Cell) -> None:
    world = prepared(cell)
    reached(world, cell.net)
    asked, notes, closings = len(heard(world, "Authorize")), len(world.notes), closed_so_far(world)
    acts(world, cell)
    world.runs(seconds=150 if cell.net == "120 s" else 60)
    outlet, outcome = world.outlets[HERE], cell.outcome.removeprefix("?")
    # the CSMS
    assert len(heard(world, "Authorize")) - asked == cell.outcome.startswith("?")
    told = [e["transactionInfo"].get("stoppedReason") for _, e in heard(world, "TransactionEvent")]
    ended = [reason for reason in told if reason is not None]
    by = "MasterPass" if cell.means == "master" else "Local"
    assert ended == {"off": ["DeAuthorized"], "shut": ["DeAuthorized"], "ends": [by]}.get(outcome, [])
    assert bool(told) is (outcome != "dark" and (cell.net != "offline" or outcome == "stays"))
    # the contactor
    assert outlet.closed is (outcome in ("on", "stays")) and (outlet.amps >= 6) is outlet.closed
    assert (closed_so_far(world) > closings) is (outcome in ("on", "off"))
    # the driver
    said = [text for _, _, topic, text in list(world.notes)[notes:] if topic == "authorization"]
    turned_away = any(text.startswith("refused") for text in said)
    assert turned_away is (outcome in ("dark", "stays") and not (cell.means == "remote" and cell.net == "offline"))


def closed_so_far(world: World) -> int:
    """How often the contactor of the story has closed."""
    closings = [text for _, _, topic, text in world.notes if topic == "contactor" and "-> closed" in text]
    return sum(text.startswith(f"EVSE {HERE}:") for text in closings)


def test_the_table_is_whole() -> None:
    assert len(cells()) == 7 * 5 * 5 and len({(c.means, c.verdict, c.net) for c in cells()}) == 7 * 5 * 5
