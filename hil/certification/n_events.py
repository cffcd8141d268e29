"""N: what monitors notice is told; what is queued while offline (N07, N08)."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from hil.certification.monitoring import (
    NEAR,
    SEVERITY,
    accept,
    base,
    clear,
    event,
    level,
    max_limit,
    new_events,
    power,
    report,
    results,
    state,
    variable,
    wish,
)
from hil.certification.registry import case
from hil.certification.states import TRANSACTION_S, Lab
from hil.certification.talk import Json

LOW = 10.0
"""W: what a car that rests does not take."""
PERIOD_S = 3
SLACK_S = 1.5
"""How far a periodic event may be from its time."""


# ---------------------------------------------------------------------------------------------- thresholds


@case("TC_N_20")
def a_threshold_is_passed_and_left(lab: Lab) -> None:
    base(lab, "All")
    level(lab, 8)
    upper = accept(lab, wish(power(lab), "UpperThreshold", NEAR, 5))
    lab.energy_transfer_started()
    tx = lab.running or lab.last_tx
    passed = event(lab, upper, trigger="Alerting", transactionId=tx, **power(lab))
    lab.check("cleared", passed.get("cleared", False), False)
    lab.check(f"power above {NEAR}", float(passed["actualValue"]) > NEAR, True)
    lower = accept(lab, wish(power(lab), "LowerThreshold", LOW))
    lab.stop_authorized()
    told: Json = {"trigger": "Alerting", "transactionId": tx, "eventNotificationType": "CustomMonitor", **power(lab)}
    left = event(lab, upper, 1, cleared=True, **told)
    lab.check(f"power at most {NEAR}", float(left["actualValue"]) <= NEAR, True)
    below = event(lab, lower, **told)
    lab.check("cleared", below.get("cleared", False), False)
    lab.check(f"power below {LOW}", float(below["actualValue"]) < LOW, True)


@case("TC_N_51")
def a_replaced_threshold_is_checked(lab: Lab) -> None:
    id = accept(lab, wish(power(lab), "UpperThreshold", max_limit(lab) - 1))
    lab.energy_transfer_started()
    lab.bench.wait_until("power is measured", lambda: float(_now(lab) or 0) > NEAR)
    before = len(new_events(lab, id))
    results(lab, [wish(power(lab), "UpperThreshold", NEAR, id=id)], ("Accepted",))
    found = event(lab, id, before, trigger="Alerting")
    lab.check(f"power above {NEAR}", float(found["actualValue"]) > NEAR, True)


def _now(lab: Lab) -> str | None:
    asked = {"getVariableData": [power(lab)]}
    (result,) = lab.bench.call("GetVariables", asked)["getVariableResult"]
    value: str | None = result.get("attributeValue")
    return value


@case("TC_N_52")
def a_removed_threshold_is_not_cleared(lab: Lab) -> None:
    id = accept(lab, wish(power(lab), "UpperThreshold", 0.0))
    lab.energy_transfer_started()
    event(lab, id, trigger="Alerting")
    clear(lab, [id], ("Accepted",))
    lab.check("thresholds left", report(lab, ["ThresholdMonitoring"], [power(lab)]), [])
    before = len(new_events(lab, id))
    lab.stop_authorized()
    lab.bench.wait(3)
    lab.check("events of the removed monitor", new_events(lab, id, before), [])


# ---------------------------------------------------------------------------------------------- differences


@case("TC_N_45")
def a_number_changes(lab: Lab) -> None:
    id = accept(lab, wish(power(lab), "Delta", NEAR))
    lab.energy_transfer_started()
    event(lab, id, trigger="Delta", **power(lab))


@case("TC_N_56")
def what_is_no_number_changes(lab: Lab) -> None:
    id = accept(lab, wish(state(lab), value=1.0))
    lab.plug_in()
    event(lab, id, trigger="Delta", actualValue="Occupied", **state(lab))


@case("TC_N_48")
def of_a_write_only_variable_nothing_but_the_change_is_told(lab: Lab) -> None:
    id = accept(lab, wish(variable("SecurityCtrlr", "BasicAuthPassword")))
    lab.write("SecurityCtrlr.BasicAuthPassword", "certified-password-2")
    event(lab, id, within_s=120, trigger="Delta", actualValue="")


@case("TC_N_61")
def a_number_that_is_set(lab: Lab) -> None:
    id = accept(lab, wish(variable("OCPPCommCtrlr", "OfflineThreshold")))
    now = int(lab.read("OCPPCommCtrlr.OfflineThreshold"))
    lab.write("OCPPCommCtrlr.OfflineThreshold", str(now + 1))
    lab.bench.wait(3)
    lab.check("events after a change by one", new_events(lab, id), [])
    lab.write("OCPPCommCtrlr.OfflineThreshold", str(now + 2))
    event(lab, id, trigger="Delta", actualValue=str(now + 2))


# ---------------------------------------------------------------------------------------------- the rest


@case("TC_N_24")
def periodic_events(lab: Lab) -> None:
    level(lab, 8)
    id = accept(lab, wish(power(lab), "Periodic", PERIOD_S, 5))
    for number in range(4):
        event(lab, id, number, 2 * PERIOD_S + SLACK_S, trigger="Periodic", **power(lab))
    moments = [datetime.fromisoformat(found["timestamp"]).timestamp() for found in new_events(lab, id)]
    far = [b - a for a, b in pairwise(moments) if abs(b - a - PERIOD_S) > SLACK_S]
    lab.check(f"intervals that are not {PERIOD_S} s", far, [])


@case("TC_N_21")
def a_hard_wired_notification(lab: Lab) -> None:
    lab.bench.raise_fault(lab.evse, lab.outfit.grave_fault)

    def told() -> list[Json]:
        return [found for found in new_events(lab) if found["eventNotificationType"] == "HardWiredNotification"]

    lab.bench.wait_until("a HardWiredNotification", told)
    lab.check("seqNo of NotifyEvent", lab.bench.calls("NotifyEvent")[0].payload["seqNo"], 0)
    lab.bench.clear_fault(lab.evse, lab.outfit.grave_fault)


@case("TC_N_22")
def queued_while_offline(lab: Lab) -> None:
    lab.write("MonitoringCtrlr.OfflineQueuingSeverity", str(SEVERITY))
    id = accept(lab, wish(state(lab)))
    lab.goes_offline()
    lab.bench.plug(lab.evse)
    lab.bench.wait(TRANSACTION_S)
    lab.comes_back()
    event(lab, id, trigger="Delta", actualValue="Occupied", **state(lab))


@case("TC_N_23")
def not_queued_while_offline(lab: Lab) -> None:
    lab.write("MonitoringCtrlr.OfflineQueuingSeverity", str(SEVERITY))
    places = (state(lab), variable("Connector", "AvailabilityState", lab.evse, lab.connector))
    ids = [accept(lab, wish(of, severity=SEVERITY + 1)) for of in places]
    lab.plug_in()
    for id in ids:
        event(lab, id, trigger="Delta", actualValue="Occupied")
    lab.bench.wait(TRANSACTION_S)
    lab.goes_offline()
    lab.bench.unplug(lab.evse)
    lab.bench.wait(TRANSACTION_S)
    lab.bench.plug(lab.evse)
    lab.bench.wait(TRANSACTION_S)
    lab.comes_back()
    lab.drained()
    lab.bench.wait(TRANSACTION_S)
    for id in ids:
        lab.check(f"events of monitor {id} after the outage", new_events(lab, id, 1), [])
