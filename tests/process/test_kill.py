"""SIGKILL of the real agent at random moments of a session: DESIGN.md invariants 8 and 11 on real wires."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hil.bench import ScenarioFailed
from hil.csms import CallFailed, TokenAnswer
from hil.judge import broken
from hil.real_bench import RealBench
from hil.scenarios.charging_session import profile, status
from tests.marks import req
from tests.process.benches import CARDS, STRANGER, evse_of, plan

MOMENTS = {"plug": 0.8, "card": 3.5, "charging": 2.0, "limit": 0.5, "cut": 2.0, "unplug": 0.6}
"""The chapters of a story, and the seconds after their first act in which the agent is killed."""
KILLS = 5
"""In each story; one chapter passes in peace."""
MANY, FIRST_OF_MANY = 1_000, 100
ROOT = Path(__file__).resolve().parents[2]
TALLY = ROOT / "docs" / "kills.json"
AT_A_TIME = 4
"""Stories mostly wait; so many keep two processors half busy."""


class Story:
    """A session at one EVSE while the other one charges; in most chapters the agent is killed."""

    def __init__(self, bench: RealBench, seed: int) -> None:
        self.bench = bench
        self.rng = Random(seed)
        self.evse = 1 + seed % 2
        self.other = 3 - self.evse
        self.doomed = set(self.rng.sample(sorted(MOMENTS), KILLS))
        self.starts = 1

    def run(self) -> None:
        self.bench.csms.behaviour.tokens[STRANGER] = TokenAnswer("Invalid")
        self.wait("the station is there", lambda: status(self.bench, self.evse) == "Available")
        self.bench.plug(self.other, amps=16)
        self.wait("the other car", lambda: status(self.bench, self.other) == "Occupied")
        self.authorise(self.other)
        for chapter in (self.plug, self.card, self.charging, self.limit, self.cut, self.unplug):
            chapter()
            self.wait("the agent is back", lambda: self.bench.rig.agent.starts == self.starts and self.sees_cars())
        self.bench.unplug(self.other)
        self.wait("everything has ended", lambda: all(t.ended for t in self.bench.transactions()))
        self.wait("all are Available", lambda: all(status(self.bench, n) == "Available" for n in (1, 2)))

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        self.bench.wait_until(f"EVSE {self.evse}: {what}", condition, 45)

    def moment(self, name: str) -> None:
        """From now on the agent may be killed; how long it stays away is anything up to beyond all watchdogs."""
        in_s, away_s = self.rng.uniform(0, MOMENTS[name]), self.rng.choice((0.0, self.rng.uniform(0, 6)))
        if name in self.doomed:
            self.starts += 1
            self.bench.note(f"{name}: kill in {in_s:.2f} s, away for {away_s:.2f} s")
            self.bench.crash(in_s, away_s)
        else:
            self.bench.note(name)

    # ---------------------------------------------------------------------------------------- chapters

    def plug(self) -> None:
        self.moment("plug")
        self.bench.plug(self.evse, amps=16)
        self.wait("Occupied", lambda: status(self.bench, self.evse) == "Occupied")

    def card(self) -> None:
        self.moment("card")
        self.bench.present(STRANGER, self.evse)
        self.wait("the stranger was seen", lambda: self.asked_for(STRANGER) or self.was_killed())
        self.authorise(self.evse)
        self.wait("current", lambda: min(self.bench.amps(self.evse)) > 5.9)

    def charging(self) -> None:
        self.moment("charging")
        before = self.bench.energy_wh(self.evse)
        self.wait("energy", lambda: self.bench.energy_wh(self.evse) > before + 3)

    def limit(self) -> None:
        amps = self.rng.choice((7.0, 8.5, 12.0))
        self.moment("limit")
        self.wait("a limit", lambda: self.limited(amps))
        self.wait("less current", lambda: 5.9 < max(self.bench.amps(self.evse)) <= amps + 0.05)

    def cut(self) -> None:
        self.bench.cut()
        self.moment("cut")
        before = self.bench.energy_wh(self.evse)
        self.wait("energy offline", lambda: self.bench.energy_wh(self.evse) > before + 3)
        heard = len(self.bench.calls())
        self.bench.restore()
        self.wait("the link", lambda: len(self.bench.calls()) > heard)

    def unplug(self) -> None:
        self.moment("unplug")
        if "unplug" in self.doomed and self.rng.random() < 0.5:
            self.wait("the kill", self.was_killed)
        self.bench.unplug(self.evse)
        self.wait("an open contactor", lambda: not self.bench.closed(self.evse))
        self.wait("Available", lambda: status(self.bench, self.evse) == "Available")

    # ---------------------------------------------------------------------------------------- people

    def authorise(self, evse: int) -> None:
        """Show the card; again when the agent died before it knew."""
        while not self.shows_card(evse):
            self.bench.note("the card once more")

    def shows_card(self, evse: int) -> bool:
        starts = self.bench.rig.agent.starts
        self.bench.present(CARDS[evse], evse)
        self.wait("the card", lambda: self.is_authorised(evse) or self.bench.rig.agent.starts > starts)
        self.wait("news of the EVSEs", self.sees_cars)
        return self.is_authorised(evse)

    def is_authorised(self, evse: int) -> bool:
        found = evse_of(self.bench.rig, evse)
        return found is not None and bool(found["authorised"])

    def sees_cars(self) -> bool:
        """The agent runs and has heard from both EVSEs."""
        found = [evse_of(self.bench.rig, evse) for evse in (1, 2)]
        return all(e is not None and e["pilot"] is not None and e["contactor"] != "unseen" for e in found)

    def asked_for(self, card: str) -> bool:
        return any(f.payload["idToken"]["idToken"] == card for f in self.bench.calls("Authorize"))

    def was_killed(self) -> bool:
        return self.starts == len(self.bench.rig.agent.killed) + 1

    def limited(self, amps: float) -> bool:
        """Set the limit; False when the agent died meanwhile."""
        call: dict[str, Any] = {"evseId": self.evse, "chargingProfile": profile(amps)}
        try:
            return bool(self.bench.call("SetChargingProfile", call)["status"] == "Accepted")
        except (CallFailed, ConnectionError):
            return False


def told(seed: int, directory: Path) -> list[str]:
    """Run a story; what was wrong with it, and where its files are."""
    with RealBench(plan(directory / str(seed)), tell=lambda text: print(f"{seed}: {text}", flush=True)) as bench:
        story = Story(bench, seed)
        try:
            story.run()
        except ScenarioFailed as failed:
            return [f"seed {seed}: {failed}"]
        wrong = broken(bench)
        wrong += [f"{len(bench.rig.agent.killed)} kills"] if len(bench.rig.agent.killed) != KILLS else []
        return [f"seed {seed} ({bench.rig.home}): {text}" for text in wrong]


def all_told(seeds: Iterable[int], directory: Path) -> list[str]:
    """The stories of these seeds, some at a time, each on a bench of its own."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [text for wrong in pool.map(lambda seed: told(seed, directory), seeds) for text in wrong]


@req("E01.FR.07", "E04.FR.03", "E13.FR.04")
def test_twenty_kills_in_four_sessions(tmp_path: Path) -> None:
    wrong = all_told(range(4), tmp_path)
    assert not wrong, "\n".join(wrong)


@pytest.mark.soak
def test_a_thousand_kills(tmp_path: Path) -> None:
    """Goes on where the last run stopped on this state of the code; the tally is docs/kills.json."""
    kills, wrong = tally()
    while kills < MANY and not wrong:
        first = FIRST_OF_MANY + kills // KILLS
        wrong = all_told(range(first, first + AT_A_TIME), tmp_path)
        kills += AT_A_TIME * KILLS
        keep(kills, wrong)
        print(f"{kills} kills, {len(wrong)} wrong", flush=True)
    assert not wrong, "\n".join(wrong)


def tally() -> tuple[int, list[str]]:
    """Kills so far on this state of the code, and what was wrong."""
    if not TALLY.exists():
        return 0, []
    kept = json.loads(TALLY.read_text(encoding="utf-8"))
    return (kept["kills"], kept["wrong"]) if kept["state"] == fingerprint() else (0, [])


def keep(kills: int, wrong: list[str]) -> None:
    """What is known of this state of the code."""
    told = {"state": fingerprint(), "kills": kills, "sessions": kills // KILLS, "wrong": wrong}
    TALLY.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def fingerprint() -> str:
    """The state of the code of the agent and its drivers."""
    folders = ("agent", "hal", "config_keys", "state_machines")
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
