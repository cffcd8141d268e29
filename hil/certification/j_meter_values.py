"""J: clock-aligned and sampled meter values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import pairwise

from hil.certification.registry import BOTH, case
from hil.certification.states import Lab
from hil.certification.talk import METER_TRIGGERS, SIGNATURE, WAIT_S, Json, NotApplicable

ALIGNED_S, SAMPLED_S = 5, 3
DEVIATION_S = 1.2
"""How far a sample may be from its time (meters are read once a second); certification labs allow 4 s."""
REGISTER = "Energy.Active.Import.Register"


# ---------------------------------------------------------------------------------------------- aligned


@case("TC_J_01")
def aligned_while_idle(lab: Lab) -> None:
    lab.write("AlignedDataCtrlr.Interval", str(ALIGNED_S))
    told = _meter_values(lab, 3)
    _aligned(lab, told, lab.members("AlignedDataCtrlr.Measurands"))
    station = [f.payload["meterValue"] for f in lab.bench.calls("MeterValues") if f.payload["evseId"] == 0]
    places = {s.get("location", "Outlet") for values in station for v in values for s in v["sampledValue"]}
    lab.check("where the main meter measures", places <= {"Inlet"}, True)


@case("TC_J_02", *BOTH)
def aligned_in_a_transaction(lab: Lab) -> None:
    lab.write("AlignedDataCtrlr.SendDuringIdle", "false", if_there=True)
    lab.write("SampledDataCtrlr.RegisterValuesWithoutPhases", "false", if_there=True)
    lab.energy_transfer_started()
    began = len(lab.bench.calls("MeterValues"))
    lab.write("AlignedDataCtrlr.Interval", str(ALIGNED_S))
    measurands = lab.members("AlignedDataCtrlr.Measurands")
    lab.bench.wait(3.5 * ALIGNED_S)
    events = lab.arrived("with meter values")
    for event in events:
        lab.demand("with meter values", event, kind="Updated", trigger="MeterValueClock")
    lab.check("at least three aligned events", len(events) >= 3, True)
    _aligned(lab, [v for e in events for v in e["meterValue"]], measurands)
    others = lab.bench.calls("MeterValues")[began:]
    _aligned(lab, [v for f in others for v in f.payload["meterValue"]], measurands)


@case("TC_J_03", *BOTH)
def aligned_told_at_the_end(lab: Lab) -> None:
    _aligned_at_the_end(lab)


@case("TC_J_04", *BOTH)
def aligned_told_at_the_end_and_signed(lab: Lab) -> None:
    if not lab.takes("AlignedDataCtrlr.SignReadings", "true"):
        raise NotApplicable("the station does not sign aligned values")
    _signed(lab, _aligned_at_the_end(lab), "Sample.Clock")


def _aligned_at_the_end(lab: Lab) -> list[Json]:
    lab.write("AlignedDataCtrlr.TxEndedMeasurands", REGISTER)
    lab.write("AlignedDataCtrlr.TxEndedInterval", str(ALIGNED_S))
    lab.write("SampledDataCtrlr.TxEndedMeasurands", "")
    lab.write("AlignedDataCtrlr.SendDuringIdle", "false", if_there=True)
    ended = _session(lab, 3.5 * ALIGNED_S)
    values: list[Json] = ended.get("meterValue", [])
    lab.check("at least two meter values in Ended", len(values) >= 2, True)
    _aligned(lab, values, lab.members("AlignedDataCtrlr.TxEndedMeasurands"))
    return values


@case("TC_J_06", *BOTH)
def aligned_only_while_idle(lab: Lab) -> None:
    """The case tolerates no meter value at all while the transaction runs: Started is told to bring none."""
    lab.write("SampledDataCtrlr.TxStartedMeasurands", "")
    lab.write("AlignedDataCtrlr.SendDuringIdle", "true")
    lab.write("AlignedDataCtrlr.Interval", str(ALIGNED_S))
    measurands = lab.members("AlignedDataCtrlr.Measurands")
    _aligned(lab, _meter_values(lab, 1), measurands)
    lab.energy_transfer_started()
    before, began = len(lab.bench.calls("MeterValues")), _time(lab.events()[0]["timestamp"])
    lab.bench.wait(ALIGNED_S + 5)
    stamps = [f.payload["meterValue"][0]["timestamp"] for f in lab.bench.calls("MeterValues")[before:]]
    lab.check("MeterValues while the transaction runs", [t for t in stamps if _time(t) > began], [])
    lab.check("events with meter values", [e["seqNo"] for e in lab.events() if e.get("meterValue")], [])
    lab.parking_bay_unoccupied()
    _aligned(lab, _meter_values(lab, 1), measurands)


def _meter_values(lab: Lab, instants: int) -> list[Json]:
    """Every meterValue that comes from now on, until so many instants after the first are complete."""
    before = len(lab.bench.calls("MeterValues"))

    def new() -> list[Json]:
        return [value for f in lab.bench.calls("MeterValues")[before:] for value in f.payload["meterValue"]]

    def enough() -> bool:
        return len({value["timestamp"] for value in new()}) > instants

    lab.bench.wait_until(f"MeterValues of {instants} instants", enough, WAIT_S + ALIGNED_S * (instants + 1))
    return new()


def _aligned(lab: Lab, values: list[Json], measurands: Iterable[str]) -> None:
    """Sample.Clock, all measurands, instants exactly an interval apart."""
    for value in values:
        lab.check("context of an aligned value", _contexts(value), {"Sample.Clock"})
        _has(lab, value, measurands)
    _spaced(lab, values, ALIGNED_S)
    off = [value["timestamp"] for value in values if _time(value["timestamp"]) % ALIGNED_S]
    lab.check(f"instants that are no multiple of {ALIGNED_S} s", off, [])


# ---------------------------------------------------------------------------------------------- sampled


@case("TC_J_07", *BOTH)
def sampled_at_the_start(lab: Lab) -> None:
    lab.start_points("EVConnected")
    lab.parking_bay_occupied()
    lab.ev_connected()
    lab.energy_transfer_started()
    _begins(lab, next(e for e in lab.events() if e["eventType"] == "Started"))


@case("TC_J_08", *BOTH)
def sampled_as_soon_as_the_evse_is_known(lab: Lab) -> None:
    lab.start_points("Authorized")
    lab.energy_transfer_started()
    _begins(lab, next(e for e in lab.events() if "evse" in e))


def _begins(lab: Lab, event: Json) -> None:
    values = event.get("meterValue", [])
    lab.check("a meter value at the start", bool(values), True)
    lab.check("context at the start", _contexts(values[0]), {"Transaction.Begin"})
    _has(lab, values[0], lab.members("SampledDataCtrlr.TxStartedMeasurands"))


@case("TC_J_09", *BOTH)
def sampled_in_between(lab: Lab) -> None:
    lab.write("SampledDataCtrlr.TxUpdatedInterval", str(SAMPLED_S))
    lab.energy_transfer_started()
    lab.bench.wait(3.5 * SAMPLED_S)
    lab.arrived("while charging")
    events = [e for e in lab.events() if e["triggerReason"] in METER_TRIGGERS]
    lab.check("at least three periodic events", len(events) >= 3, True)
    measurands = lab.members("SampledDataCtrlr.TxUpdatedMeasurands")
    for event in events:
        lab.demand("while charging", event, kind="Updated", trigger="MeterValuePeriodic")
        for value in event.get("meterValue", [{"sampledValue": []}]):
            lab.check("context of a periodic value", _contexts(value), {"Sample.Periodic"})
            _has(lab, value, measurands)
    _spaced(lab, events, SAMPLED_S, DEVIATION_S)


@case("TC_J_10", *BOTH)
def sampled_told_at_the_end(lab: Lab) -> None:
    _sampled_at_the_end(lab)


@case("TC_J_11", *BOTH)
def sampled_told_at_the_end_and_signed(lab: Lab) -> None:
    lab.write("SampledDataCtrlr.SignReadings", "true")
    _signed(lab, _sampled_at_the_end(lab), "Transaction.End")


def _sampled_at_the_end(lab: Lab) -> list[Json]:
    lab.write("SampledDataCtrlr.TxEndedInterval", str(SAMPLED_S))
    lab.write("AlignedDataCtrlr.TxEndedMeasurands", "")
    ended = _session(lab, 3.5 * SAMPLED_S)
    values: list[Json] = ended.get("meterValue", [])
    contexts = [context for value in values for context in _contexts(value)]
    lab.check("Transaction.End in Ended", "Transaction.End" in contexts, True)
    strange = set(contexts) - {"Transaction.Begin", "Sample.Periodic", "Transaction.End"}
    lab.check("other contexts in Ended", strange, set())
    periodic = [value for value in values if _contexts(value) == {"Sample.Periodic"}]
    lab.check("at least three periodic values in Ended", len(periodic) >= 3, True)
    _spaced(lab, periodic, SAMPLED_S, DEVIATION_S)
    for value in values:
        _has(lab, value, lab.members("SampledDataCtrlr.TxEndedMeasurands"))
    return values


# ---------------------------------------------------------------------------------------------- reading


def _session(lab: Lab, seconds: float) -> Json:
    """A session of that length from its first energy; its Ended event."""
    lab.energy_transfer_started()
    lab.bench.wait(seconds)
    lab.parking_bay_unoccupied()
    lab.check("the transaction still running", lab.running, None)
    return lab.events()[-1]


def _signed(lab: Lab, values: list[Json], context: str) -> None:
    """Samples of that context are signed, with a key as the station's variable says."""
    samples = [s for value in values for s in value["sampledValue"] if "signedMeterValue" in s]
    lab.check(f"a signed sample of {context}", context in {s.get("context") for s in samples}, True)
    signed = [sample["signedMeterValue"] for sample in samples]
    lab.check("fields of every signedMeterValue", all(one.keys() >= SIGNATURE for one in signed), True)
    sends_key = lab.read("OCPPCommCtrlr.PublicKeyWithSignedMeterValue")
    keys = [one["publicKey"] for one in signed]
    due: Callable[[list[str]], bool] = {"Never": lambda k: not any(k), "EveryMeterValue": all}.get(sends_key, any)
    lab.check(f"public keys as {sends_key} wants", due(keys), True)


def _contexts(value: Json) -> set[str]:
    return {sample.get("context", "Sample.Periodic") for sample in value["sampledValue"]}


def _has(lab: Lab, value: Json, measurands: Iterable[str]) -> None:
    """An element per configured measurand."""
    found = {sample.get("measurand", REGISTER) for sample in value["sampledValue"]}
    lab.check(f"measurands missing among {sorted(found)}", sorted(set(measurands) - found), [])


def _spaced(lab: Lab, stamped: list[Json], interval_s: float, deviation_s: float = 0.0) -> None:
    """Different timestamps are an interval apart."""
    moments = sorted({_time(one["timestamp"]) for one in stamped})
    wrong = [b - a for a, b in pairwise(moments) if abs(b - a - interval_s) > deviation_s]
    lab.check(f"distances that are not {interval_s} s", wrong, [])


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
