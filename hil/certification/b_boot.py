"""B: how a station boots, and what it tells after it has been away."""

from __future__ import annotations

from collections.abc import Sequence

from hil.certification.b_reports import report
from hil.certification.registry import case
from hil.certification.states import BOOT_S, Lab
from hil.certification.talk import CARD, CARD_TYPE, WAIT_S, CaseFailed
from hil.csms import CallFailed, Frame

RETRY_S = 8
"""The interval of a Rejected answer."""
THRESHOLD_S = 6
"""OfflineThreshold."""
BACK_OFF_S = 4
"""RetryBackOffWaitMinimum where the pauses between two attempts are measured."""
TOLERANCE_S = 0.5


@case("TC_B_01", "local")
def accepted(lab: Lab) -> None:
    lab.reboots()
    boot = _boots(lab)[-1].payload
    lab.check("reason", boot["reason"], "PowerUp")
    lab.check("chargingStation", {"model", "vendorName"} <= boot["chargingStation"].keys(), True)
    _all_connectors(lab, _boots(lab)[-1].ts)


@case("TC_B_02", "local")
def pending(lab: Lab) -> None:
    _boots_into(lab, "Pending")
    lab.write("OCPPCommCtrlr.OfflineThreshold", "300")
    lab.check("OfflineThreshold", lab.read("OCPPCommCtrlr.OfflineThreshold"), "300")
    report(lab, "FullInventory")
    token = {"idToken": CARD, "type": CARD_TYPE}
    request = {"idToken": token, "remoteStartId": 7, "evseId": lab.evse}
    lab.call("RequestStartTransaction", request, status="Rejected")
    boots = len(_boots(lab))
    answer = lab.call("TriggerMessage", {"requestedMessage": "BootNotification"})
    lab.check("status of TriggerMessageResponse", answer["status"], ("Accepted", "NotImplemented"))
    boot = lab.next_call("BootNotification", boots, RETRY_S + WAIT_S)
    if answer["status"] == "Accepted":
        lab.check("reason", boot["reason"], "Triggered")
    _all_connectors(lab, _boots(lab)[boots].ts)


@case("TC_B_03", "local")
def rejected(lab: Lab) -> None:
    first = _boots_into(lab, "Rejected")
    second = _next_boot(lab, RETRY_S)
    lab.check("the interval was kept", second.ts - first.ts >= RETRY_S - TOLERANCE_S, True)
    between = [frame.action for frame in lab.bench.calls() if first.ts < frame.ts < second.ts]
    lab.check("messages while rejected", between, [])
    _all_connectors(lab, second.ts)


@case("TC_B_30", "local")
def rejected_and_asked(lab: Lab) -> None:
    _boots_into(lab, "Rejected")
    if lab.bench.connected():
        try:
            lab.bench.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})
        except CallFailed as failure:
            lab.check("CALLERROR", failure.code, "SecurityError")
        else:
            raise CaseFailed("GetBaseReport was answered while the station was rejected")


@case("TC_B_51", "local")
def away_for_long(lab: Lab) -> None:
    _comes_back_after(lab, THRESHOLD_S + 2)
    _all_connectors(lab, _connected_at(lab), occupied=True)


@case("TC_B_52", "local")
def away_for_a_moment(lab: Lab) -> None:
    _comes_back_after(lab, THRESHOLD_S - 2)
    lab.status("Occupied")


@case("TC_B_57", "local")
def back_off(lab: Lab) -> None:
    lab.write("OCPPCommCtrlr.RetryBackOffRepeatTimes", "2")
    lab.write("OCPPCommCtrlr.RetryBackOffRandomRange", "0")
    lab.write("OCPPCommCtrlr.RetryBackOffWaitMinimum", str(BACK_OFF_S))
    lab.goes_offline()
    lab.bench.restore()
    once = _seconds_away(lab)
    lab.check(f"{once:.1f} s until the first attempt, enough", once >= BACK_OFF_S - TOLERANCE_S, True)
    lab.bench.wait(2)
    lab.goes_offline()
    lab.bench.wait(1.5 * BACK_OFF_S)
    lab.bench.restore()
    twice = _seconds_away(lab) + 1.5 * BACK_OFF_S
    lab.check(f"{twice:.1f} s until the second attempt, enough", twice >= 3 * BACK_OFF_S - TOLERANCE_S, True)


def _seconds_away(lab: Lab) -> float:
    began = lab.bench.now()
    lab.bench.wait_until("the station is back", lab.bench.connected, 10 * BACK_OFF_S)
    return lab.bench.now() - began


def _comes_back_after(lab: Lab, seconds: int) -> None:
    """A car is plugged in while the station is away; it tries again after `seconds`."""
    lab.write("OCPPCommCtrlr.OfflineThreshold", str(THRESHOLD_S))
    lab.write("OCPPCommCtrlr.RetryBackOffWaitMinimum", str(seconds))
    lab.write("OCPPCommCtrlr.RetryBackOffRandomRange", "0")
    lab.goes_offline()
    lab.mark()
    lab.bench.plug(lab.evse, wants=False)
    lab.bench.restore()
    lab.bench.wait_until("the station is back", lab.bench.connected, WAIT_S)
    lab.plugged = True


# ------------------------------------------------------------------------------------------ boots


def _boots(lab: Lab) -> Sequence[Frame]:
    return lab.bench.calls("BootNotification")


def _boots_into(lab: Lab, status: str) -> Frame:
    """The station is switched off and on; its next BootNotification gets `status`, those after it Accepted."""
    lab.bench.behaviour.boot = [*["Accepted"] * len(_boots(lab)), status, "Accepted"]
    lab.bench.behaviour.retry_s = RETRY_S
    lab.bench.lose_power()
    lab.bench.wait(1)
    boots = len(_boots(lab))
    lab.bench.return_power()
    lab.next_call("BootNotification", boots, BOOT_S)
    lab.bench.wait(1)
    return _boots(lab)[boots]


def _next_boot(lab: Lab, within_s: float) -> Frame:
    boots = len(_boots(lab))
    lab.next_call("BootNotification", boots, within_s + WAIT_S)
    return _boots(lab)[boots]


def _connected_at(lab: Lab) -> float:
    """When the present connection came up, by the clock of its first message."""
    newest = max(frame.connection for frame in lab.bench.calls())
    return min(frame.ts for frame in lab.bench.calls() if frame.connection == newest)


def _all_connectors(lab: Lab, since: float, *, occupied: bool = False) -> None:
    """The status of every connector is told after that moment: Available, or Occupied where the car is."""
    wanted = {evse: "Occupied" if occupied and evse == lab.evse else "Available" for evse in lab.bench.outfits()}
    lab.statuses(wanted, "Available", since)
