"""K: load levelling and renegotiation with an EV that speaks ISO 15118 (K15 to K17)."""

from __future__ import annotations

from hil.certification.k_profiles import TX, install, profile
from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import WAIT_S, Json

MOST = 32.0
"""No EVSE of these benches offers more (A)."""
HOUR_S = 3600
"""The profiles of these cases last for a day; what comes after is no matter of them."""
NEEDS, SCHEDULE = "NotifyEVChargingNeeds", "NotifyEVChargingSchedule"


def told(lab: Lab, action: str) -> list[Json]:
    """What the CSMS has heard of it."""
    return [frame.payload for frame in lab.bench.calls(action)]


def before_energy(lab: Lab) -> None:
    """Authorized, and a car plugged in that wants no energy yet."""
    lab.authorized()
    lab.ev_connected(ready=False)


def needs(lab: Lab, status: str) -> None:
    """The EV says what it needs, and the CSMS answers with `status`."""
    lab.bench.behaviour.answers[NEEDS] = {"status": status}
    before = len(told(lab, NEEDS))
    lab.bench.ev_needs(lab.evse)
    lab.bench.wait_until(NEEDS, lambda: len(told(lab, NEEDS)) > before, WAIT_S)
    asked = told(lab, NEEDS)[-1]
    lab.check("evseId", asked["evseId"], lab.evse)
    kinds = {"acChargingParameters", "dcChargingParameters"} & asked["chargingNeeds"].keys()
    lab.check("either AC or DC parameters", len(kinds), 1)


def schedule(lab: Lab, before: int, most: float) -> None:
    """The EV's schedule, which is nowhere above what was allowed."""
    lab.bench.wait_until(SCHEDULE, lambda: len(told(lab, SCHEDULE)) > before, WAIT_S)
    chosen = told(lab, SCHEDULE)[-1]
    lab.check("evseId", chosen["evseId"], lab.evse)
    periods = chosen["chargingSchedule"]["chargingSchedulePeriod"]
    limits = [period["limit"] for period in periods if period["startPeriod"] < HOUR_S]
    lab.check("limits of the EV's schedule", all(limit <= most for limit in limits), True)


def negotiate(lab: Lab, limit: float) -> None:
    """Reusable state RenegotiateChargingLimits: needs, a TxProfile, the EV's schedule."""
    needs(lab, "Accepted")
    before = len(told(lab, SCHEDULE))
    lower(lab, limit)
    schedule(lab, before, limit)


def lower(lab: Lab, limit: float) -> None:
    """The CSMS sets a TxProfile for the transaction that runs."""
    install(lab, lab.evse, profile(lab, purpose=TX, limit=limit, transactionId=lab.running))


def energy(lab: Lab, most: float) -> None:
    """The EV takes energy, and no more than was agreed."""
    lab.bench.resume(lab.evse)
    lab.energy_transfer_started()
    lab.bench.wait(10)
    lab.check("the current is within the limit", max(lab.bench.amps(lab.evse)) <= most + 0.05, True)


@case("TC_K_53")
def load_levelling(lab: Lab) -> None:
    before_energy(lab)
    negotiate(lab, 12.0)
    energy(lab, 12.0)


@case("TC_K_54")
def rejected(lab: Lab) -> None:
    before_energy(lab)
    needs(lab, "Rejected")
    schedule(lab, 0, MOST)
    energy(lab, MOST)


@case("TC_K_56", "local")
def offline(lab: Lab) -> None:
    install(lab, lab.evse, profile(lab, limit=6.0))
    lab.stays_away()
    before_energy(lab)
    lab.goes_offline()
    lab.bench.ev_needs(lab.evse)
    lab.bench.resume(lab.evse)
    lab.bench.wait_until("current flows", lambda: max(lab.bench.amps(lab.evse)) > 0, 60)
    lab.bench.wait(60)
    lab.check("the current is within the default profile", max(lab.bench.amps(lab.evse)) <= 6.05, True)
    lab.comes_back()
    lab.drained()
    states = [event["transactionInfo"].get("chargingState") for event in lab.arrived("from the queue")]
    lab.check("Charging is told", "Charging" in states, True)
    schedule(lab, 0, 6.0)


@case("TC_K_57")
def renegotiated_by_the_ev(lab: Lab) -> None:
    before_energy(lab)
    negotiate(lab, 12.0)
    energy(lab, 12.0)
    negotiate(lab, 15.0)
    lab.bench.wait_until("the current follows", lambda: max(lab.bench.amps(lab.evse)) > 12.05, 60)


@case("TC_K_58")
def renegotiated_by_the_csms(lab: Lab) -> None:
    before_energy(lab)
    negotiate(lab, 12.0)
    energy(lab, 12.0)
    count, before = len(told(lab, NEEDS)), len(told(lab, SCHEDULE))
    lower(lab, 8.0)
    schedule(lab, before, 8.0)
    lab.bench.wait_until("the current follows", lambda: max(lab.bench.amps(lab.evse)) <= 8.05, 60)
    lab.check("needs that are said again", len(told(lab, NEEDS)) - count, 0)
