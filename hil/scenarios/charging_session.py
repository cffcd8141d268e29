"""The reference session: plug, card, 3-phase charging, a lower limit, an outage of the network, unplug."""

from __future__ import annotations

from typing import Any

from hil.bench import Bench
from hil.csms import Transaction

CARD = "04A1B2C3D4E5F6"
LIMIT = 10.0
OFFLINE_WH = 4.0
"""What flows while the network is away."""


def charging_session(bench: Bench, evse: int = 1) -> None:
    """The whole story at one EVSE, with the checks that make it a session."""
    online(bench, evse)
    energy_before = bench.energy_wh(evse)
    started_at = bench.now()
    plug_and_charge(bench, evse)
    limit(bench, evse, LIMIT)
    lose_the_network(bench, evse)
    unplug(bench, evse)
    judge(bench, evse, bench.energy_wh(evse) - energy_before, started_at)


def online(bench: Bench, evse: int) -> None:
    """The station is registered and says that the EVSE is available."""
    bench.note("waiting for the station")
    bench.wait_until("BootNotification", lambda: bench.calls("BootNotification"))
    bench.wait_until("the EVSE is Available", lambda: status(bench, evse) == "Available")
    bench.check("the contactor is open at the start", not bench.closed(evse))


def plug_and_charge(bench: Bench, evse: int) -> None:
    """A car and a card; afterwards the car draws on three phases."""
    bench.note("a car plugs in")
    bench.plug(evse, amps=16, phases=3)
    bench.wait_until("the EVSE is Occupied", lambda: status(bench, evse) == "Occupied")
    bench.check("no contactor closes without a card", not bench.closed(evse))
    bench.note(f"card {CARD}")
    bench.present(CARD, evse)
    bench.wait_until("16 A on three phases", lambda: min(bench.amps(evse)) > 15.9)
    bench.wait_until("the CSMS hears of charging", lambda: charging_states(bench)[-1:] == ["Charging"])


def limit(bench: Bench, evse: int, amps: float) -> None:
    """The CSMS lowers the limit and the current follows."""
    bench.note(f"the CSMS limits to {amps:g} A")
    answer = bench.call("SetChargingProfile", {"evseId": evse, "chargingProfile": profile(amps)})
    bench.check("SetChargingProfile is accepted", answer.get("status") == "Accepted", answer)
    bench.wait_until("the current is down", lambda: max(bench.amps(evse)) <= amps + 0.05, 10)
    lowered_at = bench.now()
    bench.wait_until(f"a meter value of {amps:g} A", lambda: any(abs(a - amps) < 0.3 for a in last_amps(bench)), 20)
    peak = bench.peak_amps(evse, lowered_at)
    bench.check("the current stays below the limit", peak <= amps + 0.05, f"{peak:.2f} A")


def lose_the_network(bench: Bench, evse: int) -> None:
    """The link is cut; charging goes on; the link comes back and the queue drains."""
    bench.note("the network is cut")
    bench.cut()
    before, cut_at = bench.energy_wh(evse), bench.now()
    bench.wait_until("charging goes on", lambda: bench.energy_wh(evse) > before + OFFLINE_WH)
    peak = bench.peak_amps(evse, cut_at)
    bench.check("offline the limit still holds", peak <= LIMIT + 0.05, f"{peak:.2f} A")
    bench.note("the network is back")
    heard = len(bench.calls())
    bench.restore()
    bench.wait_until("the station is heard again", lambda: len(bench.calls()) > heard, 60)


def unplug(bench: Bench, evse: int) -> None:
    """The car leaves."""
    bench.note("the car is unplugged")
    bench.unplug(evse)
    bench.wait_until("the contactor is open", lambda: not bench.closed(evse), 1)
    bench.wait_until("the transaction has ended", lambda: bench.transactions()[-1].ended)
    bench.wait_until("the EVSE is Available again", lambda: status(bench, evse) == "Available")


def judge(bench: Bench, evse: int, energy_wh: float, started_at: float) -> None:
    """What must hold of every session."""
    transactions = bench.transactions()
    bench.check("there was one transaction", len(transactions) == 1, len(transactions))
    transaction = transactions[-1]
    kinds = [event["eventType"] for event in transaction.ordered()]
    bench.check("one Started first, one Ended last", one_each(kinds), kinds)
    whole = transaction.seq_numbers == list(range(len(kinds)))
    bench.check("no sequence number is missing", whole, transaction.seq_numbers)
    told = transaction.energy_wh()
    close = told is not None and abs(float(told) - energy_wh) <= 1.0
    bench.check("the energy is what really flowed", close, f"told {told} Wh, flowed {energy_wh:.3f} Wh")
    registers = registers_by_time(transaction)
    shown = ", ".join(str(wh) for wh in registers)
    bench.check("the register never goes back", registers == sorted(registers), f"{shown} Wh")
    violations = bench.violations()
    bench.check("no rule of the protocol was broken", not violations, "; ".join(violations[:3]))
    peak = bench.peak_amps(evse, started_at)
    bench.check("the current never passed 16 A", peak <= 16.05, f"{peak:.2f} A")


# ---------------------------------------------------------------------------------------------- reading


def status(bench: Bench, evse: int) -> str | None:
    """The connector status of an EVSE that the CSMS last heard."""
    told = [f.payload for f in bench.calls("StatusNotification") if f.payload.get("evseId") == evse]
    return told[-1]["connectorStatus"] if told else None


def charging_states(bench: Bench) -> list[str]:
    """Every chargingState of the newest transaction, in order."""
    transactions = bench.transactions()
    events = transactions[-1].ordered() if transactions else []
    states = [event["transactionInfo"].get("chargingState") for event in events]
    return [state for state in states if state is not None]


def last_amps(bench: Bench) -> list[float]:
    """The currents per phase in the newest meter value of the newest transaction."""
    transactions = bench.transactions()
    values = meter_values(transactions[-1]) if transactions else []
    samples = values[-1]["sampledValue"] if values else []
    return [float(s["value"]) for s in samples if s.get("measurand") == "Current.Import" and "phase" in s]


def meter_values(transaction: Transaction) -> list[dict[str, Any]]:
    """Every meterValue of a transaction, in order."""
    return [value for event in transaction.ordered() for value in event.get("meterValue", ())]


def registers_by_time(transaction: Transaction) -> list[float]:
    """The energy registers in the order in which they were measured; Ended tells the first one again."""
    told = [
        (value["timestamp"], float(sample["value"]))
        for value in meter_values(transaction)
        for sample in value["sampledValue"]
        if sample.get("measurand") == "Energy.Active.Import.Register" and "phase" not in sample
    ]
    return [wh for _, wh in sorted(told, key=lambda pair: pair[0])]


def one_each(kinds: list[str]) -> bool:
    """Started is first and only, Ended last and only."""
    return bool(kinds) and kinds[0] == "Started" and kinds[-1] == "Ended" and set(kinds[1:-1]) <= {"Updated"}


def profile(amps: float) -> dict[str, Any]:
    """A TxDefaultProfile of one period."""
    period = {"startPeriod": 0, "limit": amps}
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    return {
        "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative", "chargingSchedule": [schedule],
    }  # fmt: skip
