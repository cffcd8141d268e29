"""I: tariff and cost in front of the driver."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import Lab

COST, TARIFF = 3.25, "0.40 EUR/kWh"
SHOWN_WITHIN_S = 5.0


def _reads(lab: Lab, text: str) -> None:
    shown = lab.bench.shown
    lab.bench.wait_until(f"{text!r} on the display", lambda: any(text in line for line in shown()), SHOWN_WITHIN_S)


def _greeted(lab: Lab) -> None:
    """The driver is told a tariff when the card is shown."""
    message = {"format": "UTF8", "content": TARIFF}
    lab.bench.behaviour.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", "personalMessage": message}}
    lab.ev_connected()
    lab.authorized("local")
    _reads(lab, TARIFF)
    lab.energy_transfer_started()


@case("TC_I_01")
def running_cost_by_cost_updated(lab: Lab) -> None:
    _greeted(lab)
    lab.call("CostUpdated", {"totalCost": COST, "transactionId": lab.running})
    _reads(lab, f"{COST:.2f}")


@case("TC_I_07")
def running_cost_by_the_answer_to_an_event(lab: Lab) -> None:
    _greeted(lab)
    updated = {"format": "UTF8", "content": "0.35 EUR/kWh"}
    lab.bench.behaviour.answers["TransactionEvent"] = {"totalCost": COST, "updatedPersonalMessage": updated}
    lab.energy_transfer_suspended()
    _reads(lab, f"{COST:.2f}")
    _reads(lab, "0.35 EUR/kWh")


@case("TC_I_02")
def final_cost(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.bench.behaviour.answers["TransactionEvent"] = {"totalCost": COST}
    lab.stop_authorized()
    lab.ev_connected_post_session()
    lab.ev_disconnected()
    lab.parking_bay_unoccupied()
    lab.check("the transaction has ended", lab.running, None)
    _reads(lab, f"{COST:.2f}")
