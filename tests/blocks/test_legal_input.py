"""Whatever hardware, people, network and flash do in whatever order: the process lives, within the nameplate."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from agent.core.effects import Connect, Energise, MakeSafe, Say
from agent.core.events import Asked, FrameReceived, LinkDown, LinkUp, PersistFailed, Start, StoreReported, Tick
from agent.core.instant import Instant
from agent.core.site import Connector, EvseSite, Network, Site
from agent.station import Station
from config_keys import registry
from hal.faults import FAULTS
from hal.ports import (
    Alive,
    Applied,
    BayChanged,
    CableRated,
    Capabilities,
    Command,
    ContactorReported,
    DeviceBooted,
    FaultCleared,
    FaultRaised,
    LockReported,
    Offer,
    Permit,
    Pilot,
    PilotChanged,
    Reading,
    Refused,
    Silent,
    TemperatureMeasured,
    TokenPresented,
    Withdraw,
)
from tests.sim.clock import EPOCH_MS

SITE = Site(
    "V", "M", "S", "1",
    (EvseSite(1, 16, 3), EvseSite(2, 32, 3, connectors=(Connector(1, cable="socket"),), bay_detector=True)),
    Network("ws://csms", "CD"),
)  # fmt: skip
VERBS = ("status", "why", "config.get", "config.set", "config.list", "tx.list", "tx.force-end", "meter.read",
         "fault.list", "version", "token.present", "nonsense")  # fmt: skip
ODD: tuple[Any, ...] = (None, 1, 2, 9, -1, "1", "", True, 1.5, [1], {"a": 1}, "TxCtrlr.TxStartPoint", "x" * 999)
ARGUMENTS = ("evse", "name", "value", "search", "transaction_id", "token", "type")
READERS: tuple[tuple[int, ...], ...] = ((1,), (2,), (1, 2), (), (7,))
PILOTS: tuple[Pilot, ...] = ("A", "B", "B", "C", "C", "C", "D", "E", "F")
ORDERS = ("permit", "offer", "withdraw", "setlock", "setfailsafe")
TYPES = ("Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NoAuthorization")
STARTS = ("2026-03-01T12:00:00Z", "2026-03-01T12:20:00Z", "2020-02-29T23:59:59+13:45")
DEVICES = ("meter", "board", "controller", "reader")
POINTS = ("ParkingBayOccupancy", "EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")


class Storm:
    """One station under events drawn from a seed; answers BootNotification so that it gets somewhere."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now_ms = 0
        keys = {
            "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true",
            "TxCtrlr.TxStartPoint": self.rng.choice(POINTS),
            "TxCtrlr.TxStopPoint": self.rng.choice(POINTS),
            "TxCtrlr.StopTxOnEVSideDisconnect": self.rng.choice(("true", "false")),
            "FreeCharging.Enabled": self.rng.choice(("true", "false", "false")),
            "AlignedDataCtrlr.Interval": "60",
        }
        self.station = Station(SITE, keys, {})
        self.connection = 0
        self.asked = ("", "")
        self.likely: list[Any] = []
        """What the world would do next."""
        self.persisted: list[int] = []
        self.calls = 0

    def step(self, event: Any) -> None:
        """One event, and what of its effects matters to the next ones."""
        known = self.rng.random() < 0.95
        effects = self.station.step(Instant(self.now_ms, EPOCH_MS + self.now_ms if known else None), event)
        self.persisted.append(self.station.steps)
        for effect in effects:
            if isinstance(effect, Connect):
                self.connection = effect.connection
                self.likely.append(LinkUp(self.connection, "ocpp2.0.1"))
            elif isinstance(effect, Say) and effect.text.startswith("[2,"):
                _, id, action, _ = json.loads(effect.text)
                self.asked = (id, action)
                self.likely.append(FrameReceived(self.connection, self.answer()))
            elif isinstance(effect, MakeSafe | Energise):
                self.obeys(effect.command)

    def obeys(self, command: Command) -> None:
        """Never above the nameplate; the hardware mostly does as it is told."""
        evse = command.evse
        if isinstance(command, Permit | Offer):
            assert 0 <= command.amps <= SITE.evses[evse - 1].max_amps
        if isinstance(command, Permit):
            self.likely += [Applied(evse, command.step, "permit", command.amps), PilotChanged(evse, "C")]
            self.likely.append(ContactorReported(evse, True, 3))
        elif isinstance(command, Withdraw):
            self.likely.append(ContactorReported(evse, False))

    def draw(self) -> Any:
        """What the world would do next, or any event at all."""
        rng = self.rng
        if self.likely and rng.random() < 0.8:
            return self.likely.pop(0)
        evse = rng.choice((1, 1, 2, 2, 2, 0, 9))
        real = rng.choice((1, 2))
        choices: tuple[Any, ...] = (
            Tick(), Tick(), Tick(),
            PilotChanged(real, rng.choice(PILOTS)), PilotChanged(real, rng.choice(PILOTS)),
            ContactorReported(real, rng.random() < 0.5, 3), ContactorReported(real, rng.random() < 0.5, 1),
            Capabilities(real, rng.random() < 0.9, 16.0, 3, lock=rng.random() < 0.5),
            CableRated(real, 1, rng.choice((None, 13.0, 32.0))), LockReported(real, 1, rng.random() < 0.5),
            BayChanged(real, rng.random() < 0.5),
            Reading(evse, max(0, self.now_ms - rng.randint(0, 20_000)), {}),
            TokenPresented("front", rng.choice(("04AA", "04BB", "04CC")), evses=rng.choice(READERS)),
            TemperatureMeasured(evse, "socket", 99.9),
            Silent(evse, rng.choice(DEVICES), "n"), Alive(evse, rng.choice(DEVICES), "n"),
            FaultRaised(evse, rng.choice(list(FAULTS))), FaultCleared(evse, rng.choice(list(FAULTS))),
            DeviceBooted(real), Applied(real, self.station.steps, rng.choice(ORDERS), 6.0),
            Refused(real, self.station.steps, rng.choice(ORDERS), "no"),
            LinkUp(self.connection + rng.choice((0, 0, 0, -1, 1)), rng.choice(("ocpp2.0.1", "ocpp2.0.1", "ocpp1.6"))),
            LinkDown(self.connection + rng.choice((0, -1, -1, 1)), "gone"),
            PersistFailed(rng.choice(self.persisted[-5:] or [1]), "full"),
            StoreReported(rng.choice(("ok", "full", "dead"))),
            Asked(1, rng.choice(VERBS), {name: rng.choice(ODD) for name in ARGUMENTS}),
            FrameReceived(self.connection, self.answer()), FrameReceived(self.connection, self.answer()),
            FrameReceived(self.connection, self.call()), FrameReceived(self.connection, self.call()),
        )  # fmt: skip
        return rng.choice(choices)

    def call(self) -> str:
        """Any CALL that a CSMS may make."""
        self.calls += 1
        rng = self.rng
        token = {"idToken": rng.choice(("04AA", "04BB", "")), "type": rng.choice(TYPES)}
        evse = rng.choice((0, 1, 2, 3))
        action, payload = rng.choice((
            ("SetVariables", {"setVariableData": [self.variable() for _ in range(rng.randint(1, 3))]}),
            ("GetVariables", {"getVariableData": [self.named()]}),
            ("SetChargingProfile", {"evseId": evse, "chargingProfile": self.profile()}),
            ("SetChargingProfile", {"evseId": evse, "chargingProfile": self.profile()}),
            ("ClearChargingProfile", {"chargingProfileCriteria": {"evseId": evse}}),
            ("ClearChargingProfile", {"chargingProfileId": rng.randint(1, 4)}),
            ("RequestStartTransaction", {"remoteStartId": 1, "idToken": token, "evseId": max(1, evse)}),
            ("RequestStartTransaction", {"remoteStartId": 2, "idToken": token, "chargingProfile": self.profile()}),
            ("RequestStopTransaction", {"transactionId": rng.choice((self.transaction(), "none"))}),
            ("GetTransactionStatus", {"transactionId": self.transaction()}),
            ("SendLocalList", {"versionNumber": rng.randint(1, 9), "updateType": rng.choice(("Full", "Differential")),
                               "localAuthorizationList": [{"idToken": token, "idTokenInfo": {"status": "Accepted"}}]}),
        ))  # fmt: skip
        return json.dumps([2, f"c{self.calls}", action, payload])

    def transaction(self) -> str:
        """The transaction that runs at one of the EVSEs, if any."""
        running = [e["transaction"]["id"] for e in self.describe()["evses"] if e["transaction"] is not None]
        return str(self.rng.choice(running)) if running else "none"

    def describe(self) -> dict[str, Any]:
        """The status screen."""
        return self.station.describe(Instant(self.now_ms, EPOCH_MS + self.now_ms))

    def named(self) -> dict[str, Any]:
        """One of all variables, at a place that may exist."""
        key = self.rng.choice(list(registry.all_keys()))
        named: dict[str, Any] = {"component": {"name": key.component}, "variable": {"name": key.variable}}
        if key.instance:
            named["variable"]["instance"] = key.instance
        if self.rng.random() < 0.3:
            named["component"]["evse"] = {"id": self.rng.choice((1, 2, 3))}
        return named

    def variable(self) -> dict[str, Any]:
        """The same with a value that may be right."""
        values = ("true", "false", "0", "1", "7", "6.5", "60", "A", "W", "", "Pause", *POINTS, "EVConnected,Authorized")
        return {**self.named(), "attributeValue": self.rng.choice(values)}

    def profile(self) -> dict[str, Any]:
        """A chargingProfile, mostly a good one."""
        rng = self.rng
        kind = rng.choice(("Absolute", "Recurring", "Relative"))
        limits = [rng.choice((0.0, 5.9, 6.0, 8.1, 16.0, 99.0, 3680.0)) for _ in range(rng.randint(1, 4))]
        schedule: dict[str, Any] = {
            "id": 1, "chargingRateUnit": rng.choice("AW"),
            "chargingSchedulePeriod": [{"startPeriod": 90 * n, "limit": limit} for n, limit in enumerate(limits)],
        }  # fmt: skip
        asked: dict[str, Any] = {
            "id": rng.randint(1, 4), "stackLevel": rng.randint(0, 3), "chargingProfileKind": kind,
            "chargingProfilePurpose": rng.choice(("ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile")),
            "chargingSchedule": [schedule],
        }  # fmt: skip
        if kind != "Relative":
            schedule["startSchedule"] = rng.choice(STARTS)
        if kind == "Recurring":
            asked["recurrencyKind"] = rng.choice(("Daily", "Weekly"))
        if rng.random() < 0.5:
            schedule["duration"] = rng.choice((0, 1, 100, 86_400))
        if rng.random() < 0.3:
            asked["validTo"] = rng.choice(("2026-03-01T12:10:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"))
        if asked["chargingProfilePurpose"] == "TxProfile" and rng.random() < 0.7:
            asked["transactionId"] = self.transaction()
        return asked

    def answer(self) -> str:
        """What a CSMS might say to the last CALL."""
        id, action = self.asked
        stamp = '"currentTime":"2026-03-01T12:00:00Z"'
        status = self.rng.choice((*["Accepted"] * 8, "Pending", "Rejected"))
        info = f'{{"idTokenInfo":{{"status":"{self.rng.choice(("Accepted", "Accepted", "Blocked"))}"}}}}'
        good = {
            "BootNotification": f'{{{stamp},"interval":{self.rng.choice((0, 60))},"status":"{status}"}}',
            "Heartbeat": f"{{{stamp}}}", "Authorize": info, "TransactionEvent": self.rng.choice((info, "{}")),
        }  # fmt: skip
        if self.rng.random() < 0.1:
            return f'[4,"{id}","InternalError","",{{}}]'
        return f'[3,"{id}",{good.get(action, "{}")}]'


@pytest.mark.parametrize("seed", range(24))
def test_any_order_of_legal_events(seed: int) -> None:
    storm = Storm(seed)
    storm.step(Start("boot1", seed, "PowerUp"))
    for _ in range(400):
        storm.now_ms += storm.rng.choice((0, 1, 50, 1_000, 1_000, 5_000, 30_000))
        due = storm.station.next_deadline()
        assert due is None or due > storm.now_ms - 10**9
        storm.step(storm.draw())
    for _ in range(200):
        storm.now_ms += 1_000
        storm.step(Tick())
        due = storm.station.next_deadline()
        assert due is None or due > storm.now_ms, "a deadline that is never cleared"
