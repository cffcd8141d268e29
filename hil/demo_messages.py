"""The frames between agent and CSMS as lines that a person reads: one per CALL, its answer on the same line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ENERGY, CURRENT = "Energy.Active.Import.Register", "Current.Import"


@dataclass
class Message:
    """One CALL. `at` is UTC seconds; `out` says that the station called; `answer` is None until there is one."""

    at: float
    out: bool
    action: str
    detail: str
    answer: str | None = None
    good: bool = True
    took_ms: float = 0.0


class Conversation:
    """Takes the lines of the agent's `ocpp.tail` in any number of tellings and keeps every message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._seen: set[tuple[str, str]] = set()
        self._waiting: dict[str, Message] = {}
        self._evses: dict[str, int] = {}

    def take(self, line: Mapping[str, Any]) -> None:
        """One frame; one that was told before, or that is no OCPP-J frame, changes nothing."""
        key = (str(line["ts"]), str(line["frame"]))
        if key in self._seen:
            return
        self._seen.add(key)
        at = datetime.fromisoformat(str(line["ts"])).timestamp()
        try:
            frame = json.loads(str(line["frame"]))
        except ValueError:
            return
        if frame[0] == 2:
            self._called(at, line["dir"] == ">", frame)
        else:
            self._answered(at, frame)

    def hang_up(self) -> None:
        """The agent is gone: what waits for an answer gets none."""
        for message in self._waiting.values():
            message.answer, message.good = "no answer", False
        self._waiting.clear()

    def _called(self, at: float, out: bool, frame: list[Any]) -> None:
        _, name, action, payload = frame
        message = Message(at, out, action, self._detail(action, payload))
        self._waiting[name] = message
        self.messages.append(message)

    def _answered(self, at: float, frame: list[Any]) -> None:
        message = self._waiting.pop(frame[1], None)
        if message is None:
            return
        message.took_ms = (at - message.at) * 1000
        message.good = frame[0] == 3
        message.answer = _verdict(frame[2]) if message.good else str(frame[2])
        message.good = message.good and message.answer not in ("Rejected", "Invalid", "Blocked")

    def _detail(self, action: str, payload: Mapping[str, Any]) -> str:
        match action:
            case "TransactionEvent":
                return self._event(payload)
            case "StatusNotification":
                return f"EVSE {payload['evseId']} {payload['connectorStatus']}"
            case "BootNotification":
                return str(payload["reason"])
            case "Authorize":
                return f"card {payload['idToken']['idToken']}"
            case "SetChargingProfile":
                period = payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]
                return f"EVSE {payload['evseId']} at most {period['limit']:g} A"
            case "SendLocalList":
                return f"{len(payload.get('localAuthorizationList', ()))} card(s)"
            case _:
                return ""

    def _event(self, payload: Mapping[str, Any]) -> str:
        """EVSE, kind and number, what set it off, and what the meter said."""
        name = payload["transactionInfo"]["transactionId"]
        if "evse" in payload:
            self._evses[name] = payload["evse"]["id"]
        parts = [f"EVSE {self._evses.get(name, '?')} {payload['eventType']} #{payload['seqNo']}"]
        parts += ["offline"] if payload.get("offline") else []
        parts += [f"{payload['triggerReason']}"] if payload["triggerReason"] != "MeterValuePeriodic" else []
        return " ".join([*parts, *_measured(payload)])


def _measured(payload: Mapping[str, Any]) -> list[str]:
    """The newest current and the newest register of an event."""
    values = [sample for value in payload.get("meterValue", ())[-1:] for sample in value["sampledValue"]]
    amps = [s["value"] for s in values if s.get("measurand") == CURRENT and "phase" in s]
    wh = [s["value"] for s in values if s.get("measurand", ENERGY) == ENERGY and "phase" not in s]
    return [*([f"{max(amps):g} A"] if amps else []), *(f"{w / 1000:.3f} kWh" for w in wh)]


def _verdict(payload: Mapping[str, Any]) -> str:
    """The status in an answer, if it has one."""
    info = payload.get("idTokenInfo")
    return str(payload.get("status") or (info["status"] if info else ""))
