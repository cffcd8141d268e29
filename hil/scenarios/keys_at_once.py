"""Every family of keys that needs no reboot takes effect on a station that charges, without a restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hil.bench import Bench

CARD = "04A1B2C3D4E5F6"
SLOW = {
    "OCPPCommCtrlr.HeartbeatInterval": "3600",
    "OCPPCommCtrlr.WebSocketPingInterval": "3600",
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "600",
    "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
    "SampledDataCtrlr.TxUpdatedInterval": "0",
    "AlignedDataCtrlr.Interval": "0",
    "FallbackCtrlr.OfflineGrace": "3600",
}
"""What the station begins with: nothing of what is waited for below would happen in time."""


def keys_at_once(bench: Bench, evse: int = 1) -> None:
    """Heartbeat, samples, limits, authorization, ping, back-off and fallback, one after the other."""
    bench.wait_until("BootNotification", lambda: bench.calls("BootNotification"))
    bench.wait_until("all is Available", lambda: len(bench.calls("StatusNotification")) >= 2)
    heartbeat(bench)
    nobody_asks(bench, evse)
    samples(bench)
    limits(bench, evse)
    link_and_fallback(bench, evse)
    bench.check("the station was not restarted", len(bench.calls("BootNotification")) == 1)


def heartbeat(bench: Bench) -> None:
    """OCPPCommCtrlr.HeartbeatInterval."""
    before = len(bench.calls("Heartbeat"))
    put(bench, "OCPPCommCtrlr.HeartbeatInterval", "1")
    bench.wait_until("heartbeats", lambda: len(bench.calls("Heartbeat")) >= before + 2)
    put(bench, "OCPPCommCtrlr.HeartbeatInterval", "3600")


def nobody_asks(bench: Bench, evse: int) -> None:
    """AuthCtrlr.Enabled: a car charges without a card."""
    put(bench, "AuthCtrlr.Enabled", "false")
    bench.plug(evse, amps=16)
    bench.wait_until("16 A without a card", lambda: min(bench.amps(evse)) > 15.9)
    put(bench, "AuthCtrlr.Enabled", "true")


def samples(bench: Bench) -> None:
    """SampledDataCtrlr and AlignedDataCtrlr: interval and measurands."""
    put(bench, "SampledDataCtrlr.TxUpdatedMeasurands", "Voltage")
    put(bench, "SampledDataCtrlr.TxUpdatedInterval", "1")
    bench.wait_until("samples of the voltage alone", lambda: measured(bench, "MeterValuePeriodic") == {"Voltage"})
    put(bench, "SampledDataCtrlr.TxUpdatedInterval", "0")
    put(bench, "AlignedDataCtrlr.Measurands", "Current.Import")
    put(bench, "AlignedDataCtrlr.Interval", "1")
    bench.wait_until("values by the clock", lambda: measured(bench, "MeterValueClock") == {"Current.Import"})
    put(bench, "AlignedDataCtrlr.Interval", "0")


def limits(bench: Bench, evse: int) -> None:
    """LimitCtrlr: of the EVSE and of the installation."""
    put(bench, "LimitCtrlr.EvseMaxCurrent", "10", evse)
    bench.wait_until("10 A by the EVSE's limit", lambda: 9 < max(bench.amps(evse)) <= 10.05)
    put(bench, "LimitCtrlr.InstallationMaxCurrent", "8")
    bench.wait_until("8 A by the installation's limit", lambda: 7 < max(bench.amps(evse)) <= 8.05)
    put(bench, "LimitCtrlr.InstallationMaxCurrent", "63")
    put(bench, "LimitCtrlr.EvseMaxCurrent", "16", evse)
    bench.wait_until("16 A again", lambda: min(bench.amps(evse)) > 15.9)


def link_and_fallback(bench: Bench, evse: int) -> None:
    """Ping, back-off, FallbackCtrlr: a link that has gone is noticed, lowers the current, and is dialled again."""
    put(bench, "OCPPCommCtrlr.WebSocketPingInterval", "1")
    put(bench, "OCPPCommCtrlr.RetryBackOffWaitMinimum", "1")
    put(bench, "FallbackCtrlr.OfflineLimit", "7")
    put(bench, "FallbackCtrlr.OfflineGrace", "1")
    bench.cut("blackhole")
    bench.wait_until("7 A while the CSMS is silent", lambda: 6 < max(bench.amps(evse)) <= 7.05, 60)
    bench.restore()
    bench.wait_until("connected again", bench.connected, 60)
    bench.wait_until("16 A again", lambda: min(bench.amps(evse)) > 15.9, 60)


# ---------------------------------------------------------------------------------------------- words


def put(bench: Bench, name: str, value: str, evse: int | None = None) -> None:
    """SetVariables of one variable, which must be accepted."""
    component, _, variable = name.partition(".")
    of: dict[str, Any] = {"name": component} | ({"evse": {"id": evse}} if evse else {})
    data = [{"component": of, "variable": {"name": variable}, "attributeValue": value}]
    [result] = bench.call("SetVariables", {"setVariableData": data})["setVariableResult"]
    bench.check(f"{name} = {value} is accepted", result["attributeStatus"] == "Accepted", result)


def measured(bench: Bench, trigger: str) -> set[str]:
    """What the newest event with this trigger tells."""
    found: Sequence[Any] = [f.payload for f in bench.calls("TransactionEvent") if f.payload["triggerReason"] == trigger]
    values = [value for one in found[-1:] for value in one.get("meterValue", ())]
    return {sampled.get("measurand", "") for value in values for sampled in value["sampledValue"]}
