"""The rules of OCPP-J and of registration that a station must keep, checked frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hil.csms.schemas import ERROR_CODES, FROM_STATION, complaints

Finding = tuple[str, str]
"""A rule and what was wrong."""

ASKED_FOR = {"GetBaseReport": "NotifyReport", "GetReport": "NotifyReport"}
"""What a station may send while Pending because it was asked to (B02.FR.02), beside TriggerMessage's."""


@dataclass(slots=True)
class StationState:
    """What is remembered of one identity over all its connections."""

    status: str | None = None
    """RegistrationStatus of the last BootNotification answer."""
    used_ids: dict[str, tuple[str, Any]] = field(default_factory=dict)
    asked_for: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Outstanding:
    """A CALL that waits for its answer."""

    id: str
    action: str
    since: float
    """Monotonic seconds."""


@dataclass(slots=True)
class ConnectionState:
    """What is remembered of one connection."""

    station: StationState
    outstanding: Outstanding | None = None
    """The station's CALL that the CSMS has not answered yet."""
    not_before: float | None = None
    """When the next BootNotification is allowed (monotonic s), after Pending or Rejected."""
    asked: dict[str, str] = field(default_factory=dict)
    """The CSMS's own CALLs that wait for the station: id to action."""
    overdue: dict[str, str] = field(default_factory=dict)
    """Those that the CSMS has given up."""
    provoked: set[str] = field(default_factory=set)
    """Ids under which the station may answer to hostile frames."""


def parse(text: str | bytes) -> tuple[list[Any] | None, str]:
    """The frame as a list, or None and why it is none. NaN and Infinity are not JSON."""
    if isinstance(text, bytes):
        return None, "binary message"
    try:
        frame = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
    return (frame, "") if isinstance(frame, list) else (None, "not a JSON array")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def shape(frame: list[Any]) -> str | None:
    """What is wrong with the elements of a frame, None when nothing is (Part 4, 4.2)."""
    forms = {2: (str, str, dict), 3: (str, dict), 4: (str, str, str, dict)}
    form = forms.get(frame[0]) if frame and isinstance(frame[0], int) else None
    if form is None:
        return f"message type {frame[:1]} is none of 2, 3, 4"
    rest = frame[1:]
    if len(rest) != len(form) or not all(isinstance(x, kind) for x, kind in zip(rest, form, strict=True)):
        return f"expected {[kind.__name__ for kind in form]} after the message type"
    return None if 0 < len(frame[1]) <= 36 else "message id is empty or longer than 36 characters"


def ids_in(text: str | bytes) -> set[str]:
    """The ids under which a hostile frame may be answered: its own if it has one, and "-1"."""
    frame, _ = parse(text)
    own = frame[1] if frame and len(frame) > 1 else None
    return {"-1", own} if isinstance(own, str) else {"-1"}


def about_call(
    state: ConnectionState, now: float, timeout_s: float, id: str, action: str, payload: dict[str, Any]
) -> Iterator[Finding]:
    """What is wrong with a CALL of the station. Call before `state` learns of it."""
    waiting = state.outstanding
    if waiting is not None and now - waiting.since < timeout_s:
        yield "one-call-in-flight", f"{action} {id} while {waiting.action} {waiting.id} is unanswered"
    if state.station.used_ids.get(id, (action, payload)) != (action, payload):
        yield "unique-id", f"{id} was the id of a {state.station.used_ids[id][0]}"
    if action not in FROM_STATION:
        yield "known-action", f"{action} is not a station's to call"
    else:
        yield from (("schema", complaint) for complaint in complaints(action, "Request", payload))
    yield from _about_registration(state, now, action)


def _about_registration(state: ConnectionState, now: float, action: str) -> Iterator[Finding]:
    station = state.station
    if action in station.asked_for:
        return
    if action == "BootNotification":
        if state.not_before is not None and now < state.not_before:
            yield "retry-interval", f"BootNotification {state.not_before - now:.1f} s too early"
    elif station.status is None:
        yield "boot-first", f"{action} before any BootNotification"
    elif station.status != "Accepted":
        yield "not-accepted", f"{action} while {station.status}"


def about_answer(state: ConnectionState, kind: int, id: str, rest: list[Any]) -> Iterator[Finding]:
    """What is wrong with a CALLRESULT (3) or CALLERROR (4). Call before `state` learns of it."""
    action = state.asked.get(id) or state.overdue.get(id)
    if action is None:
        if id not in state.provoked:
            yield "unsolicited", f"answer to {id}, which is not waiting for one"
    elif kind == 3:
        yield from (("schema", complaint) for complaint in complaints(action, "Response", rest[0]))
    elif rest[0] not in ERROR_CODES:
        yield "error-code", f"{rest[0]!r} is no OCPP 2.0.1 error code"
    elif len(rest[1]) > 255:
        yield "error-description", f"{len(rest[1])} characters; at most 255"
