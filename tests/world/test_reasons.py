"""Bug 26: every cause, every edge of the session and every charging state is told as the tables say, on the wire."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agent.core.effects import Effect, Note, Persist
from agent.core.events import Event
from agent.core.instant import Instant
from hal.ports import BayChanged, ContactorReported, FaultCleared, FaultRaised, PilotChanged
from state_machines.reasons import CHARGING_STATES, Cause
from state_machines.session import SESSION
from tests.blocks.stories import CARD, OTHER, QUIET, install, profile, remote_start
from tests.marks import req
from tests.sim.outlet import OutletSpec, raw
from tests.sim.world import World

Edge = tuple[str, str, str]
RAW = raw(32)
KEPT = {**QUIET, "TxCtrlr.StopTxOnEVSideDisconnect": "false", "TxCtrlr.TxStopPoint": "Authorized"}
EARLY = {**QUIET, "TxCtrlr.TxStartPoint": "Authorized,EVConnected"}
MOVED = re.compile(r"EVSE 1: (\w+) -> (\w+) \((\w+)\)")


class Watched(World):
    """Gathers the edges of the session, what was told in the step of each, and every situation of a transaction."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.told: dict[Edge, set[str]] = defaultdict(set)
        self.situations: set[str] = set()
        self.events: list[tuple[str, str, str | None]] = []
        super().__init__(*args, **options)

    def _note(self, now: Instant, event: Event, effects: list[Effect]) -> None:
        super()._note(now, event, effects)
        moved = [MOVED.match(e.text) for e in effects if isinstance(e, Note) and e.topic == "session"]
        records = [r.data for e in effects if isinstance(e, Persist) for r in e.records if r.kind == "event"]
        self.events += [(data["type"], data["trigger"], data.get("stopped")) for data in records]
        for edge in moved:
            if edge is not None:
                self.told[edge[1], edge[3], edge[2]] |= {data["trigger"] for data in records}
        evse = self.station.charger.evses[1] if self.station is not None else None  # type: ignore[attr-defined]
        if evse is not None and evse.tx is not None:
            self.situations.add(evse.situation(evse.tx))


def world(keys: dict[str, str], outlet: OutletSpec = RAW) -> Watched:
    watched = Watched([outlet], keys=keys)
    watched.runs(seconds=20)
    return watched


def charging(keys: dict[str, str], outlet: OutletSpec = RAW, **car: Any) -> Watched:
    watched = world(keys, outlet)
    watched.ev(1).plugs_in(**car).presents(CARD)
    watched.until(lambda: watched.outlets[1].amps >= 6, within_s=60).runs(seconds=15)
    return watched


def limit(watched: World, amps: float) -> None:
    install(watched, 1, profile(1, (0, amps)))


STUBBORN = frozenset({"keeps_s2"})


# ---------------------------------------------------------------------------------------- the stories


def cable_first() -> Watched:
    watched = charging(EARLY)
    watched.ev(1).pauses().after(seconds=60).resumes().after(seconds=30).presents(CARD).after(seconds=10).unplugs()
    return watched.runs(minutes=3)


def card_first_and_taken_back() -> Watched:
    watched = world(EARLY)
    watched.ev(1).presents(CARD).after(seconds=10).presents(CARD)
    watched.runs(seconds=30)
    watched.ev(1).presents(CARD).after(seconds=10).plugs_in()
    watched.runs(seconds=30)
    watched.ev(1).unplugs()
    return watched.runs(seconds=30)


def nobody_comes() -> Watched:
    watched = world({**EARLY, "TxCtrlr.EVConnectionTimeOut": "20"})
    watched.ev(1).presents(CARD)
    return watched.runs(minutes=1)


def resting_car() -> Watched:
    """At rest the card ends it without a pause, a limit takes the permission, and the plug comes out."""
    watched = charging(QUIET)
    watched.ev(1).pauses().after(seconds=20).presents(CARD)
    watched.runs(seconds=40)
    watched.ev(1).presents(CARD)
    watched.runs(seconds=20)
    limit(watched, 0)
    watched.runs(seconds=20)
    watched.ev(1).presents(CARD)
    watched.runs(seconds=20)
    watched.ev(1).presents(CARD).after(seconds=10).unplugs()
    return watched.runs(seconds=30)


def plugged_out(when: str, keys: dict[str, str]) -> Watched:
    watched = charging(keys, bad=STUBBORN)
    if when == "stopping":
        watched.ev(1).presents(CARD)
    elif when != "powered":
        limit(watched, 0)
    watched.runs(seconds=20 if when == "ready" else 1)
    watched.ev(1).unplugs().after(seconds=10).plugs_in()
    return watched.runs(seconds=40)


def paused_and_more() -> Watched:
    """Limits go to 0 and back before and after the car has opened S2; a stop comes in between."""
    watched = charging(QUIET)
    limit(watched, 0)
    watched.runs(seconds=20)
    limit(watched, 16)
    watched.runs(seconds=30)
    limit(watched, 0)
    limit(watched, 16)
    watched.runs(seconds=30)
    limit(watched, 0)
    watched.ev(1).presents(CARD)
    return watched.runs(seconds=30)


def stubborn(then: Callable[[Watched], object]) -> Watched:
    """A car that never opens S2 by itself is paused or stopped, and something happens before patience ends."""
    watched = charging(QUIET, bad=STUBBORN)
    then(watched)
    return watched.runs(seconds=60)


def _stop_and_again(watched: Watched) -> None:
    """The device opens by itself, so that the next card is granted while the session still waits for S2."""
    watched.ev(1).presents(CARD)
    watched.runs(seconds=1)
    watched.hear(ContactorReported(1, False))
    watched.ev(1).presents(OTHER)


def _rests(watched: Watched) -> None:
    _stop_and_again(watched)
    watched.runs(seconds=2)
    watched.hear(PilotChanged(1, "B"))


def _fault(watched: Watched) -> None:
    watched.hear(FaultRaised(1, "under_voltage"))
    watched.runs(seconds=1)
    watched.hear(FaultCleared(1, "under_voltage"))


def _fault_while_pausing(watched: Watched) -> None:
    limit(watched, 0)
    _fault(watched)


def _fault_while_stopping(watched: Watched) -> None:
    watched.ev(1).presents(CARD)
    watched.runs(seconds=1)
    _fault(watched)


def _fault_while_stopping_and_again(watched: Watched) -> None:
    _stop_and_again(watched)
    watched.runs(seconds=2)
    _fault(watched)


def _stop(watched: Watched) -> None:
    watched.ev(1).presents(CARD)


def _stop_while_pausing(watched: Watched) -> None:
    limit(watched, 0)
    watched.ev(1).presents(CARD)


def _limit(watched: Watched) -> None:
    limit(watched, 0)


def resumed(how: str) -> Watched:
    watched = charging(QUIET)
    (watched.loses_power() if how == "power" else watched.kills_agent()).returns_after(seconds=20)
    if how == "kill":
        watched.ev(1).after(seconds=5).unplugs()
    return watched.runs(minutes=2)


def cut_and_gone() -> Watched:
    watched = charging(QUIET)
    watched.loses_power().returns_after(seconds=20)
    watched.ev(1).after(seconds=5).unplugs()
    return watched.runs(minutes=2)


def remote() -> Watched:
    watched = world(QUIET)
    watched.ev(1).plugs_in()
    watched.runs(seconds=10)
    remote_start(watched, evseId=1)
    watched.runs(seconds=30)
    watched.csms_asks("RequestStopTransaction", {"transactionId": watched.csms.transaction(1).id})
    return watched.runs(seconds=30)


def refused_afterwards() -> Watched:
    watched = world({**QUIET, "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
    watched.csms.blocked_tokens.add(CARD)
    watched.csms.vanishes()
    watched.runs(seconds=20)
    watched.ev(1).plugs_in().presents(CARD)
    watched.runs(seconds=30)
    watched.csms.returns()
    return watched.runs(minutes=20)


def faulted() -> Watched:
    watched = charging(QUIET)
    watched.hear(FaultRaised(1, "emergency_stop"))
    return watched.runs(seconds=30)


def forced() -> Watched:
    watched = charging(QUIET)
    watched.asks_station("tx.force-end", transaction_id=watched.csms.transaction(1).id)
    return watched.runs(seconds=30)


def stopped_by_the_master_pass() -> Watched:
    watched = charging({**QUIET, "AuthCtrlr.MasterPassGroupId": "BOSS"})
    master = {"idTokenInfo": {"status": "Accepted", "groupIdToken": {"idToken": "BOSS", "type": "Central"}}}
    watched.csms.answers("Authorize", lambda _: master)
    watched.ev(1).presents(OTHER)
    return watched.runs(seconds=30)


def parked_and_measured() -> Watched:
    """A bay with a detector, a meter that signs, samples by interval and by the clock."""
    outlet = replace(raw(32), bay_detector=True, signs=True)
    keys = {"TxCtrlr.TxStartPoint": "ParkingBayOccupancy", "TxCtrlr.TxStopPoint": "ParkingBayOccupancy",
            "AlignedDataCtrlr.Interval": "60", "SampledDataCtrlr.TxUpdatedInterval": "10",
            "SampledDataCtrlr.SignReadings": "true", "SampledDataCtrlr.SignStartedReadings": "true"}  # fmt: skip
    watched = world(keys, outlet)
    watched.hear(BayChanged(1, True))
    watched.ev(1).plugs_in().presents(CARD).after(seconds=120).unplugs()
    watched.runs(minutes=3)
    watched.hear(BayChanged(1, False))
    return watched.runs(minutes=1)


def reset() -> Watched:
    watched = charging(QUIET)
    watched.csms_asks("Reset", {"type": "Immediate"})
    return watched.runs(seconds=30)


def limited_from_outside() -> Watched:
    watched = charging(QUIET)
    watched.asks_station("limit.set", limit=10)
    return watched.runs(seconds=30)


def stories() -> Sequence[Watched]:
    alone = [cable_first, card_first_and_taken_back, nobody_comes, resting_car, paused_and_more, cut_and_gone, remote,
             refused_afterwards, faulted, forced, stopped_by_the_master_pass,
             parked_and_measured, reset, limited_from_outside]  # fmt: skip
    pulled = [(when, keys) for when in ("ready", "powered", "pausing", "stopping") for keys in (QUIET, KEPT)]
    late = [_stop_and_again, _rests, _fault, _fault_while_pausing, _fault_while_stopping,
            _fault_while_stopping_and_again, _stop, _stop_while_pausing, _limit]  # fmt: skip
    return [
        *(story() for story in alone),
        *(plugged_out(when, keys) for when, keys in pulled),
        *(stubborn(then) for then in late),
        *(resumed(how) for how in ("power", "kill")),
    ]


@pytest.fixture(scope="module")
def told() -> Sequence[Watched]:
    return stories()


# ---------------------------------------------------------------------------------------- what they must show

REASONS = {
    "plug": {"CablePluggedIn"},
    "authorised": {"Authorized", "RemoteStart"},
    "deauthorised": {"StopAuthorized"},
    "unplug": {"EVCommunicationLost"},
    "go": {"Authorized", "CablePluggedIn", "RemoteStart"},
    "pause": {"ChargingStateChanged"},
    "resume": {"ChargingStateChanged"},
    "ev_rests": {"ChargingStateChanged"},
    "patience": {"ChargingStateChanged"},
    "fault": {"ChargingStateChanged"},
    "expired": {"EVConnectTimeout"},
}
"""What an edge of the session is told as in its own step; its consequence may be a ChargingStateChanged beside it."""
UNTOLD = {
    ("connected", "unplug", "idle"),
    ("powered", "deauthorised", "stopping"),
    ("pausing", "deauthorised", "stopping"),
    ("pausing", "ev_rests", "ready"),
    ("pausing", "patience", "ready"),
    ("pausing", "fault", "ready"),
    ("pausing", "unplug", "idle"),
    ("stopping", "ev_rests", "connected"),
    ("stopping", "patience", "connected"),
    ("stopping", "fault", "connected"),
    ("stopping", "unplug", "idle"),
}
"""Edges that nothing is told of in their own step: no transaction runs, it is SuspendedEVSE before and after, or its
Ended waits for the reading after the contactor has opened."""


@req("E01.FR.15", "E02.FR.15", "E02.FR.17", "E03.FR.12", "E06.FR.15")
def test_every_edge_of_the_session_is_visited_and_told_with_its_own_reason(told: Sequence[Watched]) -> None:
    found: dict[Edge, set[str]] = defaultdict(set)
    for story in told:
        for edge, reasons in story.told.items():
            found[edge] |= reasons
    assert set(found) == {(edge.source, edge.trigger, edge.to) for edge in SESSION.edges}
    assert {edge: reasons for edge, reasons in found.items()
            if not reasons <= REASONS[edge[1]] | {"ChargingStateChanged"}} == {}  # fmt: skip
    assert {edge for edge, reasons in found.items() if not reasons} == UNTOLD
    by_trigger: dict[str, set[str]] = defaultdict(set)
    for edge, reasons in found.items():
        by_trigger[edge[1]] |= reasons
    assert {trigger: wanted - by_trigger[trigger] for trigger, wanted in REASONS.items()} == {
        trigger: set() for trigger in REASONS
    }


@req("E01.FR.18", "E02.FR.13", "E01.FR.19")
def test_every_row_that_gives_a_charging_state_is_visited(told: Sequence[Watched]) -> None:
    assert set().union(*(story.situations for story in told)) == set(CHARGING_STATES)


@req("E01.FR.15", "E06.FR.08", "E06.FR.15", "E06.FR.16", "E07.FR.06")
def test_every_cause_reaches_the_csms_and_no_other_reason_does(told: Sequence[Watched]) -> None:
    sent = [event for story in told for session in story.csms.transactions.values() for event in session.events]
    triggers = {event["triggerReason"] for event in sent}
    assert {cause.value.trigger for cause in Cause if cause is not Cause.ASKED_FOR} == triggers
    stopped = {e["transactionInfo"]["stoppedReason"] for e in sent if e["eventType"] == "Ended"}
    assert stopped == {cause.value.stopped for cause in Cause} - {"Other"} | {"EmergencyStop"}
