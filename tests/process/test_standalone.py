"""A board without a CSMS: free charging by key, or only the cards of the local list."""

from __future__ import annotations

import re
from pathlib import Path

from hil.real_bench import RealBench
from tests.marks import req
from tests.process.benches import CARDS, STRANGER, ask, chargerctl, evse_of, plan, ready, session_state


def test_free_charging_begins_with_the_plug_and_ends_with_it(tmp_path: Path) -> None:
    with RealBench(plan(tmp_path, **{"FreeCharging.Enabled": "true"}), agent=False) as bench:
        stand_alone(bench)
        bench.start_agent()
        for evse in (1, 2):
            bench.plug(evse, amps=16)
        bench.wait_until("both charge", lambda: min(bench.amps(1) + bench.amps(2)) > 15.9)
        assert "standalone" in chargerctl(bench.rig, "status").stdout
        bench.wait_until("some energy", lambda: bench.energy_wh(2) > 4)
        for evse in (1, 2):
            bench.unplug(evse)
        bench.wait_until("both are open", lambda: not bench.closed(1) and not bench.closed(2))
        bench.wait_until("both have ended", lambda: not ask(bench.rig, "tx.list")["running"])
        for row in ask(bench.rig, "tx.list")["ended"]:
            assert abs(float(row["end_wh"]) - float(row["begin_wh"]) - bench.energy_wh(row["evse"])) <= 1
            assert row["undelivered"] == 0, "nobody will ever ask for them"
        assert bench.rig.cutter.connections == 0, "nobody was dialled"


@req("C13.FR.01", "D01.FR.10")
def test_a_listed_card_charges_and_an_unknown_one_does_not(tmp_path: Path) -> None:
    with RealBench(plan(tmp_path)) as bench:
        ready(bench)
        token = {"idToken": {"idToken": CARDS[2], "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
        sent = {"versionNumber": 3, "updateType": "Full", "localAuthorizationList": [token]}
        assert bench.call("SendLocalList", sent) == {"status": "Accepted"}
        assert bench.stop_agent() == 0
        stand_alone(bench)
        bench.start_agent()

        bench.plug(2, amps=16)
        bench.wait_until("the car is seen", lambda: session_state(bench.rig, 2) == "connected")
        bench.present(STRANGER, 2)
        bench.wait_until("a refusal", lambda: "authorization: refused" in bench.rig.agent.log.read_text())
        found = evse_of(bench.rig, 2)
        assert found is not None and not found["authorised"] and not bench.closed(2)

        bench.present(CARDS[2], 2)
        bench.wait_until("current", lambda: min(bench.amps(2)) > 15.9)
        assert "standalone" in chargerctl(bench.rig, "status").stdout
        bench.present(CARDS[2], 2)
        bench.wait_until("stopped by the same card", lambda: not bench.closed(2))
        bench.wait_until("the end", lambda: not ask(bench.rig, "tx.list")["running"])
        [ended] = ask(bench.rig, "tx.list")["ended"]
        assert ended["reason"] == "Local"


def stand_alone(bench: RealBench) -> None:
    """Take the CSMS out of board.toml."""
    board = bench.rig.board_file
    text, count = re.subn(r"\[network\]\n(.+\n)*", "", board.read_text())
    assert count == 1
    board.write_text(text)
