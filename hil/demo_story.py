"""The story of the demo: one charger, two cars, a lower limit, a lost network, a lost mains, and two goodbyes.

Every wait is on a condition, seen by the bench's instruments or said by the agent; where a person should have the
time to look, the story waits a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hil.bench import ScenarioFailed
from hil.demo_watch import Watch
from hil.real_bench import RealBench
from hil.scenarios.charging_session import profile

FIRST, SECOND = 1, 2
"""The EVSE of each car: a smart wallbox and a raw board."""
CAR_AMPS = {FIRST: 16.0, SECOND: 32.0}
LIMIT_AMPS = 10.0
GRACE_S = 4
"""FallbackCtrlr.OfflineGrace of the demo; in the field it is minutes."""
SLACK_AMPS = 0.05
FAST = 15.0
SLOW = 40.0


@dataclass
class Findings:
    """What the story measured on its way; None where a step was skipped."""

    limited_after_s: float | None = None
    limited_at: float | None = None
    """When the current was down for the first time, on the bench's clock."""
    outage_s: float | None = None
    queued: int = 0
    drained_after_s: float | None = None
    opened_after_s: float | None = None
    dark_s: float | None = None
    resumed_after_s: dict[int, float] = field(default_factory=dict)
    before_cut: dict[int, str] = field(default_factory=dict)
    """Transaction ids per EVSE before the power cut."""
    after_cut: dict[int, str] = field(default_factory=dict)


class Story:
    """Plays it, once. Raises ScenarioFailed when something that should happen does not."""

    def __init__(self, bench: RealBench, watch: Watch, cards: tuple[str, str], own_csms: bool) -> None:
        self._bench = bench
        self._watch = watch
        self._cards = cards
        self._own_csms = own_csms
        self.findings = Findings()
        self._chapters = (
            self._start, self._plug_in, self._card, self._lower_the_limit, self._cut_the_link, self._second_car,
            self._restore_the_link, self._cut_the_power, self._restore_the_power, self._card_again, self._pull_the_plug,
        )  # fmt: skip
        watch.chapters_planned = len(self._chapters) + 1

    def play(self) -> Findings:
        for chapter in self._chapters:
            chapter()
        self._tell("The agent is told to end", "It hangs up, closes the journal, and leaves both contactors open.")
        return self.findings

    # ------------------------------------------------------------------------------------------ chapters

    def _start(self) -> None:
        self._tell(
            "The station starts",
            "First it makes sure that both contactors are open. Until a CSMS accepts it, 6 A (boot) is the most.",
        )
        self._until("the CSMS accepts the station", lambda: self._status().get("online"), SLOW)
        self._until("both EVSEs are Available", lambda: all(map(self._is_free, (FIRST, SECOND))), SLOW)
        if not self._own_csms:
            self._call("SendLocalList", _local_list(self._cards[1]))
        self._bench.wait(1.0)

    def _plug_in(self) -> None:
        self._tell(
            f"A car plugs in at EVSE {FIRST}",
            "The pilot goes from A to B. Nobody has paid yet, so the contactor stays open.",
        )
        self._bench.plug(FIRST, amps=CAR_AMPS[FIRST])
        self._until("the EVSE is Occupied", lambda: self._evse(FIRST, "status") == "Occupied")
        self._bench.wait(1.5)
        if self._bench.closed(FIRST):
            raise ScenarioFailed("the contactor closed without a card")

    def _card(self) -> None:
        self._tell(
            f"Card {self._cards[0]} is shown",
            "The CSMS accepts it. The transaction is on flash before the wallbox may close its contactor.",
        )
        self._bench.present(self._cards[0], FIRST)
        self._charges(FIRST, CAR_AMPS[FIRST])
        self._bench.wait(5.0)

    def _lower_the_limit(self) -> None:
        if self._own_csms:
            self._tell("No lower limit", "This is your CSMS: only you can lower the limit, by SetChargingProfile.")
            self._bench.wait(2.0)
            return
        self._tell(
            f"The CSMS lowers the limit to {LIMIT_AMPS:g} A",
            "The lowest of all limits wins, and its owner's name travels with it. A decrease goes out at once.",
        )
        asked_at = self._bench.now()
        self._call("SetChargingProfile", {"evseId": FIRST, "chargingProfile": profile(LIMIT_AMPS)})
        self._until("the current follows", lambda: max(self._bench.amps(FIRST)) <= LIMIT_AMPS + SLACK_AMPS)
        self.findings.limited_at = self._bench.now()
        self.findings.limited_after_s = self.findings.limited_at - asked_at
        self._bench.wait(5.0)

    def _cut_the_link(self) -> None:
        self._tell(
            "The link to the CSMS is cut",
            "Charging goes on under the limits that are known. What the CSMS has to hear waits in the journal.",
        )
        self._watch.most_queued = 0
        self._cut_at = self._bench.now()
        self._bench.cut()
        self._until("the agent knows it", lambda: not self._status().get("online"))
        self._bench.wait(2.0)

    def _second_car(self) -> None:
        known = "unknown cards may charge" if self._own_csms else "the card is on the local list"
        self._tell(
            f"A second car comes to EVSE {SECOND}, offline",
            f"The CSMS cannot be asked; {known}. Without a profile of its own "
            f"an EVSE gets 6 A, {GRACE_S} s into the silence.",
        )
        self._bench.plug(SECOND, amps=CAR_AMPS[SECOND])
        self._until("the EVSE is Occupied", lambda: self._evse(SECOND, "status") == "Occupied")
        self._bench.wait(0.5)
        self._bench.present(self._cards[1], SECOND)
        self._charges(SECOND, 6.0)
        self._bench.wait(3.0)

    def _restore_the_link(self) -> None:
        self._tell(
            "The network is back",
            "The station dials with a random back-off. The queue goes out in order; then EVSE 2 may rise again.",
        )
        self._bench.restore()
        self._until("the station is online", lambda: self._status().get("online"), SLOW)
        online_at = self._bench.now()
        self.findings.outage_s = online_at - self._cut_at
        self._until("the queue is empty", self._is_drained, SLOW)
        self.findings.drained_after_s = self._bench.now() - online_at
        self.findings.queued = self._watch.most_queued
        self._charges(SECOND, CAR_AMPS[SECOND])
        self._bench.wait(3.0)

    def _cut_the_power(self) -> None:
        self._tell(
            "The mains fails",
            "SIGKILL for the agent, the contactors fall, every device is dark. The cars stay plugged in.",
        )
        self.findings.before_cut = self._running()
        cut_at = self._bench.now()
        self._bench.lose_power()
        self._until("the contactors are open", lambda: not any(map(self._bench.closed, (FIRST, SECOND))))
        self.findings.opened_after_s = self._bench.now() - cut_at
        self._bench.wait(3.0)
        self.findings.dark_s = self._bench.now() - cut_at

    def _restore_the_power(self) -> None:
        self._tell(
            "Mains is back",
            "Contacts are confirmed open first. The journal tells what ran; the cars are still there: both go on.",
        )
        back_at = self._bench.now()
        self._bench.return_power()
        again = CAR_AMPS if self._own_csms else {**CAR_AMPS, FIRST: LIMIT_AMPS}
        for evse, amps in again.items():
            self._charges(evse, amps, SLOW)
            self.findings.resumed_after_s[evse] = self._bench.now() - back_at
        self.findings.after_cut = self._running()
        self._bench.wait(4.0)

    def _card_again(self) -> None:
        self._tell(
            "The second driver shows the card again",
            "The current goes to 0 A first, then the contactor opens without load, then the plug is free.",
        )
        self._bench.present(self._cards[1], SECOND)
        self._until("the contactor is open", lambda: not self._bench.closed(SECOND))
        self._bench.wait(0.5)
        self._bench.unplug(SECOND)
        self._ends(SECOND)

    def _pull_the_plug(self) -> None:
        self._tell(
            "The first driver just pulls the plug",
            "The contactor opens at once; the last meter reading closes the transaction.",
        )
        self._bench.unplug(FIRST)
        self._until("the contactor is open", lambda: not self._bench.closed(FIRST))
        self._ends(FIRST)
        self._until("the queue is empty", self._is_drained, SLOW)
        self._bench.wait(1.0)

    # ------------------------------------------------------------------------------------------ doing

    def _tell(self, title: str, why: str) -> None:
        self._watch.tell(title, why)

    def _call(self, action: str, payload: dict[str, Any]) -> None:
        answer = self._bench.call(action, payload)
        if answer.get("status") != "Accepted":
            raise ScenarioFailed(f"{action} was answered {answer}")

    def _until(self, what: str, condition: Callable[[], Any], within_s: float = FAST) -> None:
        def met() -> bool:
            if self._watch.trouble is not None:
                raise self._watch.trouble
            return bool(condition())

        self._bench.wait_until(what, met, within_s)

    def _charges(self, evse: int, amps: float, within_s: float = FAST) -> None:
        """Wait for that current on three phases."""

        def flows() -> bool:
            return abs(min(self._bench.amps(evse)) - amps) <= SLACK_AMPS

        self._until(f"{amps:g} A on three phases at EVSE {evse}", flows, within_s)

    def _ends(self, evse: int) -> None:
        over = f"the transaction at EVSE {evse} has ended"
        self._until(over, lambda: self._status() and self._evse(evse, "transaction") is None)
        self._until(f"EVSE {evse} is Available", lambda: self._is_free(evse))

    # ------------------------------------------------------------------------------------------ seeing

    def _status(self) -> dict[str, Any]:
        return dict(self._watch.status or {})

    def _evse(self, evse: int, what: str) -> Any:
        return self._watch.evse(evse).get(what)

    def _is_free(self, evse: int) -> bool:
        return bool(self._evse(evse, "status") == "Available")

    def _running(self) -> dict[int, str]:
        found = {n: self._watch.evse(n).get("transaction") for n in (FIRST, SECOND)}
        return {n: running["id"] for n, running in found.items() if running}

    def _is_drained(self) -> bool:
        status = self._status()
        return bool(status) and bool(status["online"]) and status["queue"]["events"] == 0


def _local_list(card: str) -> dict[str, Any]:
    """A whole local list of one card."""
    entry = {"idToken": {"idToken": card, "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
    return {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [entry]}
