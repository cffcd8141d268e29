"""O: messages on the display."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json, NotApplicable

FIRST, SECOND = 4711, 4712
TEXT = "Welcome"
OFFSET_S = 8.0
SHOWN_WITHIN_S = 5.0


# ---------------------------------------------------------------------------------------------- words


def _set(lab: Lab, number: int = FIRST, text: str = TEXT, status: str = "Accepted", **more: Any) -> None:
    content = {"format": more.pop("format", "UTF8"), "content": text}
    content |= {"language": more.pop("language")} if "language" in more else {}
    message = {"id": number, "priority": more.pop("priority", "NormalCycle"), "message": content, **more}
    lab.call("SetDisplayMessage", {"message": message}, status=status)


def _get(lab: Lab, status: str, **criteria: object) -> list[Json]:
    """Ask for messages; what NotifyDisplayMessages brings when there are any."""
    before = len(lab.bench.calls("NotifyDisplayMessages"))
    lab.call("GetDisplayMessages", {"requestId": 31, **criteria}, status=status)
    if status != "Accepted":
        lab.bench.wait(2)
        lab.check("NotifyDisplayMessages", len(lab.bench.calls("NotifyDisplayMessages")), before)
        return []

    def parts() -> list[Json]:
        return [frame.payload for frame in lab.bench.calls("NotifyDisplayMessages")[before:]]

    lab.bench.wait_until("the last NotifyDisplayMessages", lambda: parts() and not parts()[-1].get("tbc"))
    lab.check("requestIds", {part["requestId"] for part in parts()}, {31})
    return [info for part in parts() for info in part["messageInfo"]]


def _one(lab: Lab, number: int, **wanted: object) -> None:
    (found,) = _get(lab, "Accepted", id=[number])
    for name, value in {"id": number, **wanted}.items():
        lab.check(f"{name} of the message", found.get(name), value)


def _shows(lab: Lab, text: str, shown: bool = True) -> None:
    what = f"{text!r} {'on' if shown else 'off'} the display"
    lab.bench.wait_until(what, lambda: (text in lab.bench.shown()) is shown, SHOWN_WITHIN_S)


def _later(lab: Lab, seconds: float) -> str:
    """A moment after now on the station's clock."""
    now = datetime.fromisoformat(lab.read("ClockCtrlr.DateTime"))
    return (now + timedelta(seconds=seconds)).isoformat()


def _running(lab: Lab) -> str:
    """A transaction that charges."""
    lab.energy_transfer_started()
    assert lab.running is not None
    return lab.running


# ---------------------------------------------------------------------------------------------- set


@case("TC_O_01")
def set_a_message(lab: Lab) -> None:
    _set(lab)
    _shows(lab, TEXT)
    _one(lab, FIRST, priority="NormalCycle")


@case("TC_O_12")
def replace_a_message(lab: Lab) -> None:
    _set(lab)
    _set(lab, text="Good evening")
    _shows(lab, "Good evening")
    _shows(lab, TEXT, False)


@case("TC_O_13")
def shown_from_its_start(lab: Lab) -> None:
    _set(lab, startDateTime=_later(lab, OFFSET_S))
    _one(lab, FIRST)
    lab.check("shown before its start", TEXT in lab.bench.shown(), False)
    lab.bench.wait(OFFSET_S)
    _shows(lab, TEXT)


@case("TC_O_14")
def gone_after_its_end(lab: Lab) -> None:
    _set(lab, endDateTime=_later(lab, OFFSET_S))
    _shows(lab, TEXT)
    _one(lab, FIRST)
    lab.bench.wait(OFFSET_S + 1)
    _shows(lab, TEXT, False)
    _get(lab, "Unknown", id=[FIRST])


@case("TC_O_17")
def a_priority_that_is_not_supported(lab: Lab) -> None:
    supported = lab.members("DisplayMessageCtrlr.SupportedPriorities")
    other = next(p for p in ("AlwaysFront", "InFront", "NormalCycle") if p not in supported)
    _set(lab, status="NotSupportedPriority", priority=other)


@case("TC_O_19")
def a_format_that_is_not_supported(lab: Lab) -> None:
    supported = lab.members("DisplayMessageCtrlr.SupportedFormats")
    other = next(f for f in ("ASCII", "HTML", "URI", "UTF8") if f not in supported)
    _set(lab, status="NotSupportedMessageFormat", format=other)


@case("TC_O_15")
def in_the_drivers_language(lab: Lab) -> None:
    """No longer part of the programme (errata 2025-02)."""
    _set(lab, FIRST, "Hello", format="UTF8", language="en")
    _set(lab, SECOND, "Hallo", language="de")
    lab.bench.behaviour.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", "language1": "de"}}
    lab.ev_connected()
    lab.authorized("local")
    _shows(lab, "Hallo")
    _shows(lab, "Hello", False)


@case("TC_O_18")
def a_state_that_is_not_supported(lab: Lab) -> None:
    """In Part 6 only; the station supports them all."""
    for number, state in enumerate(("Charging", "Faulted", "Idle", "Unavailable"), FIRST):
        _set(lab, number, state=state)
    raise NotApplicable("every state is supported")


@case("TC_O_20")
def kept_over_a_reboot(lab: Lab) -> None:
    _set(lab)
    boots = len(lab.bench.calls("BootNotification"))
    lab.bench.lose_power()
    lab.bench.wait(2)
    lab.bench.return_power()
    lab.bench.wait_until("BootNotification", lambda: len(lab.bench.calls("BootNotification")) > boots, 60)
    lab.bench.wait_until("the queue", lab.bench.connected)
    lab.drained()
    _shows(lab, TEXT)
    _one(lab, FIRST)


def _two(lab: Lab, priority: str, **more: Any) -> None:
    _set(lab, FIRST, "one", priority=priority, **more)
    _set(lab, SECOND, "two", priority=priority, **more)


@case("TC_O_22")
def two_in_front(lab: Lab) -> None:
    _two(lab, "InFront")
    _shows(lab, "one")
    _shows(lab, "two")
    lab.check("ids", {m["id"] for m in _get(lab, "Accepted", priority="InFront")}, {FIRST, SECOND})


@case("TC_O_24")
def the_second_always_front(lab: Lab) -> None:
    _two(lab, "AlwaysFront")
    _get(lab, "Unknown", id=[FIRST])
    _one(lab, SECOND, priority="AlwaysFront")
    _shows(lab, "two")
    _shows(lab, "one", False)


# ---------------------------------------------------------------------------------------------- a transaction's


@case("TC_O_06")
def for_a_transaction(lab: Lab) -> None:
    _set(lab, transactionId=_running(lab))
    _shows(lab, TEXT)
    lab.parking_bay_unoccupied()
    _get(lab, "Unknown", id=[FIRST])
    _shows(lab, TEXT, False)


@case("TC_O_10")
def for_a_transaction_that_nobody_knows(lab: Lab) -> None:
    _set(lab, status="UnknownTransaction", transactionId="6f1f7e58-unknown")


@case("TC_O_27")
def for_a_transaction_from_its_start(lab: Lab) -> None:
    _set(lab, transactionId=_running(lab), startDateTime=_later(lab, OFFSET_S))
    lab.check("shown before its start", TEXT in lab.bench.shown(), False)
    lab.bench.wait(OFFSET_S)
    _shows(lab, TEXT)
    lab.parking_bay_unoccupied()
    _get(lab, "Unknown", id=[FIRST])


@case("TC_O_28")
def for_a_transaction_until_its_end(lab: Lab) -> None:
    _set(lab, transactionId=_running(lab), endDateTime=_later(lab, OFFSET_S))
    _shows(lab, TEXT)
    lab.bench.wait(OFFSET_S + 1)
    _shows(lab, TEXT, False)
    _get(lab, "Unknown", id=[FIRST])


@case("TC_O_30")
def for_a_transaction_two_in_front(lab: Lab) -> None:
    _two(lab, "InFront", transactionId=_running(lab))
    _shows(lab, "one")
    _shows(lab, "two")
    lab.parking_bay_unoccupied()
    _get(lab, "Unknown", id=[FIRST, SECOND])


@case("TC_O_32")
def for_a_transaction_the_second_always_front(lab: Lab) -> None:
    tx = _running(lab)
    _two(lab, "AlwaysFront", transactionId=tx)
    _get(lab, "Unknown", id=[FIRST])
    _one(lab, SECOND, priority="AlwaysFront", transactionId=tx)
    _shows(lab, "two")
    lab.parking_bay_unoccupied()
    _get(lab, "Unknown", id=[SECOND])


# ---------------------------------------------------------------------------------------------- get and clear


@case("TC_O_02")
def get_all(lab: Lab) -> None:
    _set(lab)
    lab.check("ids", [m["id"] for m in _get(lab, "Accepted")], [FIRST])


@case("TC_O_03")
def get_all_of_none(lab: Lab) -> None:
    _get(lab, "Unknown")


@case("TC_O_07")
def get_by_id(lab: Lab) -> None:
    _set(lab)
    _one(lab, FIRST)


@case("TC_O_08")
def get_by_priority(lab: Lab) -> None:
    _set(lab, priority="InFront")
    lab.check("ids", [m["id"] for m in _get(lab, "Accepted", priority="InFront")], [FIRST])


@case("TC_O_09")
def get_by_state(lab: Lab) -> None:
    _set(lab, state="Idle")
    lab.check("ids", [m["id"] for m in _get(lab, "Accepted", state="Idle")], [FIRST])


@case("TC_O_11")
def get_by_an_unknown_id(lab: Lab) -> None:
    _set(lab)
    _get(lab, "Unknown", id=[SECOND])


@case("TC_O_33")
def get_an_id_of_none(lab: Lab) -> None:
    _get(lab, "Unknown", id=[FIRST])


@case("TC_O_34")
def get_an_id_in_another_state(lab: Lab) -> None:
    _set(lab, state="Idle")
    _get(lab, "Unknown", id=[FIRST], state="Charging")


@case("TC_O_35")
def get_an_id_of_another_priority(lab: Lab) -> None:
    _set(lab, priority="InFront")
    _get(lab, "Unknown", id=[FIRST], priority="NormalCycle")


@case("TC_O_04")
def clear_one(lab: Lab) -> None:
    _set(lab)
    lab.call("ClearDisplayMessage", {"id": FIRST}, status="Accepted")
    _get(lab, "Unknown", id=[FIRST])


@case("TC_O_05")
def clear_an_unknown_one(lab: Lab) -> None:
    lab.call("ClearDisplayMessage", {"id": FIRST}, status="Unknown")


# ---------------------------------------------------------------------------------------------- states


@case("TC_O_36")
def shown_while_charging(lab: Lab) -> None:
    _set(lab, state="Charging")
    lab.check("shown while idle", TEXT in lab.bench.shown(), False)
    _running(lab)
    _shows(lab, TEXT)
    lab.parking_bay_unoccupied()
    _shows(lab, TEXT, False)
    _one(lab, FIRST, state="Charging")


@case("TC_O_37")
def shown_while_idle(lab: Lab) -> None:
    _set(lab, state="Idle")
    _shows(lab, TEXT)
    _running(lab)
    _shows(lab, TEXT, False)
    lab.parking_bay_unoccupied()
    _shows(lab, TEXT)
    _one(lab, FIRST, state="Idle")


@case("TC_O_38")
def shown_while_unavailable(lab: Lab) -> None:
    _set(lab, state="Unavailable")
    lab.check("shown while available", TEXT in lab.bench.shown(), False)
    lab.call("ChangeAvailability", {"operationalStatus": "Inoperative"}, status="Accepted")
    _shows(lab, TEXT)
    _one(lab, FIRST, state="Unavailable")
    lab.call("ChangeAvailability", {"operationalStatus": "Operative"}, status="Accepted")
    _shows(lab, TEXT, False)


@case("TC_O_39")
def shown_while_faulted(lab: Lab) -> None:
    _set(lab, state="Faulted")
    lab.check("shown while well", TEXT in lab.bench.shown(), False)
    lab.bench.raise_fault(lab.evse, lab.outfit.grave_fault)
    _shows(lab, TEXT)
    _one(lab, FIRST, state="Faulted")
    lab.bench.clear_fault(lab.evse, lab.outfit.grave_fault)
