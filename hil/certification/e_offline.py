"""E: what is queued, what is repeated, and what the station says of its queue."""

from __future__ import annotations

from itertools import pairwise

from hil.certification.registry import BOTH, case
from hil.certification.states import BACK_OFF_S, GROUP, OTHER_CARD, SAMPLE_S, Lab
from hil.certification.talk import CARD, Json
from hil.csms import ErrorAnswer, Frame, TokenAnswer

ATTEMPTS, ATTEMPT_INTERVAL_S = 3, 2
DEVIATION_S = 1.0
"""How far a repeated message may be from its time; certification labs allow 4 s."""


# ---------------------------------------------------------------------------------------------- status


@case("TC_E_28")
def status_of_an_unknown_transaction(lab: Lab) -> None:
    request = {"transactionId": "9f7c0000-0000-4000-8000-00000000cafe"}
    lab.call("GetTransactionStatus", request, ongoingIndicator=False, messagesInQueue=False)


@case("TC_E_29", *BOTH)
def status_of_a_running_one_with_queue(lab: Lab) -> None:
    _away_while_charging(lab)
    request = {"transactionId": lab.running}
    lab.call("GetTransactionStatus", request, ongoingIndicator=True, messagesInQueue=True)
    _queue_of_updates(lab)


@case("TC_E_30", *BOTH)
def status_of_a_running_one_without_queue(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.drained()
    request = {"transactionId": lab.running}
    lab.call("GetTransactionStatus", request, ongoingIndicator=True, messagesInQueue=False)


@case("TC_E_31", *BOTH)
def status_of_an_ended_one_with_queue(lab: Lab) -> None:
    """Remote: the car ends the transfer, as nobody can stop it from afar (errata)."""
    lab.samples()
    lab.stays_away()
    lab.write("OCPPCommCtrlr.UnlockOnEVSideDisconnect", "true", if_there=True)
    lab.energy_transfer_started()
    lab.goes_offline()
    lab.stop_offline(CARD if lab.way == "local" else None)
    lab.comes_back(slowly=True)
    request = {"transactionId": lab.running}
    lab.call("GetTransactionStatus", request, ongoingIndicator=False, messagesInQueue=True)
    told = [(e["triggerReason"], e["eventType"]) for e in _queue(lab)]
    lab.check("eventType of the last", told[-1][1], "Ended")
    triggers = {trigger for trigger, _ in told}
    due = {"StopAuthorized"} if lab.way == "local" else {"ChargingStateChanged", "EVCommunicationLost"}
    lab.check(f"triggers {sorted(triggers)} with {sorted(due)} among them", due <= triggers, True)


@case("TC_E_32", *BOTH)
def status_of_an_ended_one_without_queue(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.parking_bay_unoccupied()
    lab.drained()
    request = {"transactionId": lab.last_tx}
    lab.call("GetTransactionStatus", request, ongoingIndicator=False, messagesInQueue=False)


@case("TC_E_33", *BOTH)
def status_of_the_queue_with_messages(lab: Lab) -> None:
    _away_while_charging(lab)
    lab.call("GetTransactionStatus", {}, ongoingIndicator=None, messagesInQueue=True)
    _queue_of_updates(lab)


@case("TC_E_34")
def status_of_the_empty_queue(lab: Lab) -> None:
    lab.call("GetTransactionStatus", {}, ongoingIndicator=None, messagesInQueue=False)


# ---------------------------------------------------------------------------------------------- offline


@case("TC_E_40", *BOTH)
def connection_lost_while_charging(lab: Lab) -> None:
    lab.write("SampledDataCtrlr.Enabled", "true", if_there=True)
    _away_while_charging(lab)
    _queue_of_updates(lab)


@case("TC_E_43", "local")
def whole_transaction_offline(lab: Lab) -> None:
    lab.known_to(CARD)
    lab.session_offline(ends=True)
    lab.comes_back()
    kinds = [e["eventType"] for e in _offline_queue(lab)]
    lab.check("Started events", kinds.count("Started"), 1)
    lab.check("Ended events", kinds.count("Ended"), 1)


@case("TC_E_44", "local")
def stopped_offline(lab: Lab) -> None:
    lab.stays_away()
    lab.energy_transfer_started()
    lab.goes_offline()
    lab.stop_offline(CARD)
    lab.comes_back()
    lab.check("Ended events", [e["eventType"] for e in _offline_queue(lab)].count("Ended"), 1)


@case("TC_E_45", "local")
def stopped_offline_by_the_group(lab: Lab) -> None:
    lab.stays_away()
    lab.known_to(OTHER_CARD, GROUP)
    lab.bench.behaviour.tokens[CARD] = TokenAnswer(group=GROUP)
    lab.energy_transfer_started()
    lab.goes_offline()
    lab.stop_offline(OTHER_CARD)
    lab.comes_back()
    queue = _offline_queue(lab)
    lab.check("Ended events", [e["eventType"] for e in queue].count("Ended"), 1)
    told = [e["idToken"]["idToken"] for e in queue if e["triggerReason"] == "StopAuthorized" and "idToken" in e]
    lab.check("token of StopAuthorized", told, [OTHER_CARD])


def _away_while_charging(lab: Lab) -> None:
    """Charging, then a while without a connection in which meter values are due."""
    lab.samples()
    lab.stays_away()
    lab.energy_transfer_started()
    lab.next_event("with a meter value", SAMPLE_S + 30)
    lab.goes_offline()
    lab.arrived("before the connection was lost")
    lab.bench.wait(BACK_OFF_S + SAMPLE_S)
    lab.comes_back(slowly=True)


def _queue(lab: Lab) -> list[Json]:
    """Everything that the station sends until its queue is empty, in the order of arrival."""
    lab.bench.behaviour.delays.pop("TransactionEvent", None)
    lab.drained()
    queue = lab.arrived("from the queue")
    lab.check("something was queued", bool(queue), True)
    return queue


def _queue_of_updates(lab: Lab) -> None:
    """Made offline: Updated with meter values; what follows is live again."""
    queue = _queue(lab)
    offline = [e for e in queue if e.get("offline", False)]
    lab.check("offline events", bool(offline), True)
    lab.check("the queue begins with what was made offline", queue[: len(offline)] == offline, True)
    for event in offline:
        lab.demand("from the queue", event, kind="Updated")
        lab.check("an event made offline has meter values", bool(event.get("meterValue")), True)


def _offline_queue(lab: Lab) -> list[Json]:
    """Every event of the queue is an offline one."""
    queue = _queue(lab)
    for event in queue:
        lab.demand("from the queue", event, offline=True)
    return queue


# ---------------------------------------------------------------------------------------------- repeats


@case("TC_E_41", *BOTH)
def silence_to_the_last_attempt(lab: Lab) -> None:
    _before_the_repeats(lab)
    timeout_s = _says_nothing(lab)
    _repeated(lab, ATTEMPTS, timeout_s)


@case("TC_E_50", *BOTH)
def refusal_to_the_last_attempt(lab: Lab) -> None:
    _before_the_repeats(lab)
    lab.bench.behaviour.errors["TransactionEvent"] = ErrorAnswer("InternalError")
    _repeated(lab, ATTEMPTS, 0.0)


@case("TC_E_42", *BOTH)
def silence_once(lab: Lab) -> None:
    _before_the_repeats(lab)
    timeout_s = _says_nothing(lab)
    heard = len(_frames(lab))
    lab.bench.resume(lab.evse)
    lab.bench.wait_until("the first attempt", lambda: len(_frames(lab)) > heard)
    lab.bench.behaviour.silent_actions = []
    _repeated(lab, 2, timeout_s, heard)


@case("TC_E_51", *BOTH)
def refusal_once(lab: Lab) -> None:
    _before_the_repeats(lab)
    lab.bench.behaviour.errors["TransactionEvent"] = ErrorAnswer("InternalError", times=1)
    _repeated(lab, 2, 0.0)


def _before_the_repeats(lab: Lab) -> None:
    """Authorized and plugged in, everything answered; the next event is due when the car resumes."""
    lab.write("OCPPCommCtrlr.MessageAttempts[TransactionEvent]", str(ATTEMPTS))
    lab.write("OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]", str(ATTEMPT_INTERVAL_S))
    lab.authorized()
    lab.ev_connected(ready=False)
    lab.drained()


def _says_nothing(lab: Lab) -> float:
    """TransactionEvents are not answered any more; the station's message timeout, which the CSMS may expect now."""
    timeout_s = float(lab.read("OCPPCommCtrlr.MessageTimeout[Default]"))
    lab.bench.behaviour.message_timeout_s = timeout_s - DEVIATION_S
    lab.bench.behaviour.silent_actions = ["TransactionEvent"]
    return timeout_s


def _frames(lab: Lab) -> list[Frame]:
    return list(lab.bench.calls("TransactionEvent"))


def _repeated(lab: Lab, times: int, timeout_s: float, heard: int | None = None) -> None:
    """The next event is sent `times` times, each time later by the interval, and then never again."""
    if heard is None:
        heard = len(_frames(lab))
        lab.bench.resume(lab.evse)
    lab.bench.wait_until("the first attempt", lambda: len(_frames(lab)) > heard)
    number = _frames(lab)[heard].payload["seqNo"]
    allowed = sum(timeout_s + ATTEMPT_INTERVAL_S * n for n in range(1, times + 1))
    lab.bench.wait(allowed + timeout_s + 2 * DEVIATION_S)
    sent = [f.ts for f in _frames(lab)[heard:] if f.payload["seqNo"] == number]
    lab.check(f"transmissions of seqNo {number}", len(sent), times)
    for n, (before, after) in enumerate(pairwise(sent), start=1):
        due = timeout_s + ATTEMPT_INTERVAL_S * n
        late = abs(after - before - due) > DEVIATION_S
        lab.check(f"transmission {n + 1}, {after - before:.1f} s after the last, is not {due:.1f} s later", late, False)
