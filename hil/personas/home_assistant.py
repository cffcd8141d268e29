"""Home Assistant's integration lbbrhzn/ocpp (its ocppv201.py): an inventory at connect, probes, a slider.

It answers every TransactionEvent with idTokenInfo, knows nothing of security events, and sets a limit by a Relative
ChargingStationMaxProfile, which OCPP forbids (K01.FR.38): refused with a reason, it is reverted in its UI.
"""

from __future__ import annotations

from hil.bench import Bench
from hil.csms import Behaviour
from hil.personas.words import (
    CARD,
    Json,
    asks,
    charges,
    inventory,
    judge,
    knows_only,
    leaves,
    limits,
    named,
    online,
    profile,
    schedule,
    sets,
)
from hil.scenarios.charging_session import status

KNOWN = frozenset(
    (
        "BootNotification", "Heartbeat", "StatusNotification", "FirmwareStatusNotification", "MeterValues",
        "LogStatusNotification", "NotifyEvent", "NotifyReport", "Authorize", "TransactionEvent",
    )
)  # fmt: skip
NEEDED = (
    "SmartChargingCtrlr.Available", "ReservationCtrlr.Available", "LocalAuthListCtrlr.Available",
    "SampledDataCtrlr.TxUpdatedMeasurands",
)  # fmt: skip
"""What it looks for in the inventory."""
FIRMWARE: Json = {"location": "dummy://dummy", "retrieveDateTime": "2026-01-01T00:00:00Z", "signature": "\u263a"}


def behave_as_home_assistant(behaviour: Behaviour) -> None:
    behaviour.heartbeat_s = 10
    behaviour.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Accepted"}}
    knows_only(behaviour, KNOWN)


def home_assistant(bench: Bench) -> None:
    """Connect, probe, start from the dashboard, move the slider, stop."""
    online(bench)
    _takes_stock(bench)
    _probes(bench)
    _session(bench, evse=1)
    judge(bench)


def _takes_stock(bench: Bench) -> None:
    rows = inventory(bench, 1)
    names = {named(row) for row in rows}
    bench.check("the inventory has what is looked for", names.issuperset(NEEDED), sorted(set(NEEDED) - names))
    places = {row["component"]["evse"]["id"] for row in rows if row["component"]["name"] == "Connector"}
    bench.check("every EVSE has a connector", places == set(bench.outfits()), places)
    row = next(row for row in rows if named(row) == NEEDED[-1])
    every = row["variableCharacteristics"]["valuesList"]
    taken = sets(bench, "SampledDataCtrlr", "TxUpdatedMeasurands", every)
    bench.check("all measurands can be set at once", taken == "Accepted", (taken, every))
    sets(bench, "SampledDataCtrlr", "TxUpdatedInterval", "10")


def _probes(bench: Bench) -> None:
    answer = asks(bench, "UpdateFirmware", {"requestId": 1, "firmware": FIRMWARE})
    bench.check("a firmware from nowhere is not accepted", answer.get("status") != "Accepted", answer)
    before = len(bench.calls("StatusNotification"))
    answer = asks(bench, "TriggerMessage", {"requestedMessage": "StatusNotification"})
    bench.check("a bare TriggerMessage is accepted", answer.get("status") == "Accepted", answer)
    every = len(bench.outfits())
    bench.wait_until("all statuses", lambda: len(bench.calls("StatusNotification")) >= before + every)
    answer = asks(bench, "GetCompositeSchedule", {"duration": 60, "evseId": 0})
    bench.check("a composite schedule of the station", answer.get("status") == "Accepted", answer)


def _session(bench: Bench, evse: int) -> None:
    bench.plug(evse, amps=16)
    bench.wait_until("the EVSE is Occupied", lambda: status(bench, evse) == "Occupied")
    token = {"idToken": CARD, "type": "Central"}
    answer = asks(bench, "RequestStartTransaction", {"evseId": evse, "idToken": token, "remoteStartId": 1})
    bench.check("the start is accepted", answer.get("status") == "Accepted", answer)
    charges(bench, evse)
    refused = limits(bench, 0, profile("ChargingStationMaxProfile", "Relative", schedule(10)))
    said_why = refused.get("status") == "Rejected" and bool(refused["statusInfo"]["reasonCode"])
    bench.check("a Relative maximum is refused with a reason", said_why, refused)
    taken = limits(bench, evse, profile("TxDefaultProfile", "Relative", schedule(10)))
    bench.check("a Relative default is taken", taken.get("status") == "Accepted", taken)
    bench.wait_until("10 A", lambda: 9 < max(bench.amps(evse)) <= 10.05)
    running = bench.transactions()[-1].transaction_id
    asks(bench, "RequestStopTransaction", {"transactionId": running})
    bench.wait_until("no current", lambda: max(bench.amps(evse)) == 0)
    leaves(bench, evse)
