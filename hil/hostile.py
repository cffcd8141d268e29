"""Frames that no CSMS should send, and the answer that each deserves (Part 4 FR.03, 4.2.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

RESULT = "CALLRESULT"
FRAMEWORK = "RpcFrameworkError"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A frame, and what must come back: the id and one of these outcomes; none of them: no answer at all."""

    text: str
    kind: str
    id: str = ""
    outcomes: tuple[str, ...] = ()


def frames(seed: int, count: int) -> Iterator[Hostile]:
    """`count` frames of every kind, the same for the same seed."""
    rng = Random(seed)
    for number in range(count):
        make = KINDS[number % len(KINDS)]
        yield make(rng, f"h{seed}-{number}")


def _get(component: str = "OCPPCommCtrlr", variable: str = "HeartbeatInterval", **more: Any) -> dict[str, Any]:
    return {"getVariableData": [{"component": {"name": component}, "variable": {"name": variable}, **more}]}


def _call(id_: Any, action: Any, payload: Any) -> str:
    return json.dumps([2, id_, action, payload])


def _noise(rng: Random, id_: str) -> Hostile:
    text = "".join(rng.choice('[]{}",:0123456789abc\\\u00e9 ') for _ in range(rng.randrange(1, 200)))
    return Hostile("x" + text, "noise", "-1", (FRAMEWORK,))


def _no_array(rng: Random, id_: str) -> Hostile:
    text = rng.choice(['{"a":1}', "null", "17", '"text"', "true", "[]", '[[2]]', '{"2":["x","y",{}]}'])
    return Hostile(text, "no array", "-1", (FRAMEWORK,))


def _short(rng: Random, id_: str) -> Hostile:
    return Hostile(json.dumps([2, id_, "GetVariables"][: rng.choice((2, 3))]), "short", id_, (FRAMEWORK,))


def _long(rng: Random, id_: str) -> Hostile:
    return Hostile(json.dumps([2, id_, "GetVariables", _get(), *[{}] * rng.randrange(1, 9)]), "long", id_, (FRAMEWORK,))


def _message_type(rng: Random, id_: str) -> Hostile:
    kind = rng.choice((0, 1, 5, 6, 7, 99, -2, 10**8))
    return Hostile(json.dumps([kind, id_, "Reset", {}]), "message type", id_, ("MessageTypeNotSupported",))


def _bad_id(rng: Random, id_: str) -> Hostile:
    bad = rng.choice((17, None, True, ["x"], {"a": 1}, "", "x" * 37, "y" * 5000))
    return Hostile(_call(bad, "GetVariables", _get()), "bad id", "-1", (FRAMEWORK,))


def _bad_action(rng: Random, id_: str) -> Hostile:
    return Hostile(_call(id_, rng.choice((["x"], 5, None, {}, "")), {}), "bad action", id_, (FRAMEWORK,))


def _unknown_action(rng: Random, id_: str) -> Hostile:
    action = rng.choice(("getVariables", "GetVariablesRequest", "Teleport", "x" * 2000, "__init__", "\u0000"))
    return Hostile(_call(id_, action, {}), "unknown action", id_, ("NotImplemented",))


def _stations_own(rng: Random, id_: str) -> Hostile:
    action = rng.choice(("BootNotification", "Authorize", "TransactionEvent", "StatusNotification"))
    return Hostile(_call(id_, action, {}), "the station's own action", id_, ("NotSupported", "NotImplemented"))


def _no_object(rng: Random, id_: str) -> Hostile:
    payload: Any = rng.choice((None, [], "x", 5, [[]], True))
    return Hostile(_call(id_, "GetVariables", payload), "payload no object", id_, ("FormatViolation",))


def _missing(rng: Random, id_: str) -> Hostile:
    payload: Any = rng.choice(({}, {"getVariableData": []}, {"getVariableData": [{"component": {"name": "x"}}]}))
    return Hostile(_call(id_, "GetVariables", payload), "missing", id_, ("OccurrenceConstraintViolation",))


def _wrong_type(rng: Random, id_: str) -> Hostile:
    payload = rng.choice((_get(component=5), {"getVariableData": "x"}, {"getVariableData": [7]}))  # type: ignore[arg-type]
    return Hostile(_call(id_, "GetVariables", payload), "wrong type", id_, ("TypeConstraintViolation",))


def _out_of_range(rng: Random, id_: str) -> Hostile:
    payload = rng.choice((_get(component="x" * 51), _get(attributeType="Guess"), _get(variable="y" * 9999)))
    return Hostile(_call(id_, "GetVariables", payload), "out of range", id_, ("PropertyConstraintViolation",))


def _unknown_property(rng: Random, id_: str) -> Hostile:
    payload = {**_get(), rng.choice(("extra", "__class__", "", "x" * 500)): 1}
    return Hostile(_call(id_, "GetVariables", payload), "unknown property", id_, ("FormatViolation",))


def _deep(rng: Random, id_: str) -> Hostile:
    depth = rng.choice((100, 1000, 50_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    text = f'[2,"{id_}","GetVariables",{opening * depth}1{closing * depth}]'
    return Hostile(text, "deep", id_, ("FormatViolation", FRAMEWORK))


def _huge_number(rng: Random, id_: str) -> Hostile:
    number = rng.choice(("9" * 5000, "1e999999", "-" + "1" * 400, "NaN", "Infinity", "1." + "0" * 9000))
    text = f'[2,"{id_}","GetVariables",{{"getVariableData":{number}}}]'
    return Hostile(text, "huge number", id_, ("FormatViolation", "TypeConstraintViolation", FRAMEWORK))


def _surrogate(rng: Random, id_: str) -> Hostile:
    text = _call(id_, "GetVariables", _get("\ud800"))
    return Hostile(text, "lone surrogate", id_, ("FormatViolation", FRAMEWORK, RESULT))


def _big(rng: Random, id_: str) -> Hostile:
    payload = {"getVariableData": _get()["getVariableData"] * rng.randrange(60, 900)}
    codes = ("OccurrenceConstraintViolation", "FormatViolation")
    return Hostile(_call(id_, "GetVariables", payload), "big", id_, codes)


def _unsolicited(rng: Random, id_: str) -> Hostile:
    text = rng.choice((json.dumps([3, id_, {}]), json.dumps([4, id_, "GenericError", "", {}]), json.dumps([3, id_]),
                       json.dumps([4, id_]), json.dumps([3, 5, {}]), json.dumps([3, id_, []])))  # fmt: skip
    return Hostile(text, "unsolicited")


def _valid(rng: Random, id_: str) -> Hostile:
    return Hostile(_call(id_, "GetVariables", _get()), "valid", id_, (RESULT,))


def _valid_odd(rng: Random, id_: str) -> Hostile:
    """Unusual, and right: customData with anything in it, unknown names, strange texts."""
    payload = _get("\u0000\u202e'; DROP TABLE", "%s%n")
    payload["customData"] = {"vendorId": "x", "deep": {"a": [1, {"b": None}]}}
    return Hostile(_call(id_, "GetVariables", payload), "valid and odd", id_, (RESULT,))


def _hostile_value(rng: Random, id_: str) -> Hostile:
    """Valid by the schema; the values are the trouble."""
    values = ("-1", "1e9", "NaN", "", "99999999999999999999", "\u0661", "0x10", "true", "1" * 1000)
    datum = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "WebSocketPingInterval"},
             "attributeValue": rng.choice(values)}  # fmt: skip
    return Hostile(_call(id_, "SetVariables", {"setVariableData": [datum]}), "hostile value", id_, (RESULT,))


KINDS: tuple[Callable[[Random, str], Hostile], ...] = (
    _noise, _no_array, _short, _long, _message_type, _bad_id, _bad_action, _unknown_action, _stations_own, _no_object,
    _missing, _wrong_type, _out_of_range, _unknown_property, _deep, _huge_number, _surrogate, _big, _unsolicited,
    _valid, _valid_odd, _hostile_value,
)  # fmt: skip
