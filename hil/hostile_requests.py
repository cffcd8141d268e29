"""Requests that the schemas allow and that mean no good: paths, addresses, commands, absurd counts and dates.

Made from the official schemas, for every action that a CSMS has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from hil.csms.schemas import FROM_STATION, complaints

Json = dict[str, Any]
TEXTS = (
    "", " ", "\x00", "A\x00B", "../../../../etc/passwd", "/etc/shadow", "file:///etc/shadow", "file://localhost/etc/x",
    "http://169.254.169.254/latest/meta-data/", "ftp://me:pw@localhost:1/%0d%0aDELE%20x", "http://[::1]:1/", "https://",
    "gopher://localhost/", "ws://127.0.0.1:1/../..", "$(reboot)", "`reboot`", "; rm -rf /", "' OR 1=1; DROP TABLE x;--",
    "%s%s%n", "{0.__class__}", "\r\nSet-Cookie: a=b", "\x1b[2J\x07", "\u202egnp.exe", "\U0001f50c" * 8, "nan", "1e309",
    "-1", "true", "[" * 40, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "0" * 60, "é" * 30,
)  # fmt: skip
DATES = (
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59Z", "2038-01-19T03:14:08Z", "2024-02-29T12:00:00+14:00", "2026-03-01T12:00:00.123456789Z",
)  # fmt: skip
NUMBERS = (-(2**31), -1, 0, 1, 2, 3, 255, 65536, 2**31 - 1)
KNOWN = ("OCPPCommCtrlr", "SecurityCtrlr", "TxCtrlr", "SmartChargingCtrlr", "EVSE", "Connector", "ClockCtrlr",
         "HeartbeatInterval", "BasicAuthPassword", "TxStartPoint", "AvailabilityState", "NetworkConfigurationPriority",
         "Identity", "TimeSource", "OfflineThreshold", "ItemsPerMessage", "Enabled", "Power")  # fmt: skip
ENDS_CHARGING = frozenset(
    {"ChangeAvailability", "RequestStopTransaction", "Reset", "SetChargingProfile", "SetVariables", "UpdateFirmware",
     "SetNetworkProfile", "UnlockConnector", "ReserveNow"}
)  # fmt: skip
"""Actions that may rightly lower a current or end a session."""


@cache
def actions() -> tuple[str, ...]:
    """Every action that a CSMS can ask for."""
    names = (entry.name.removesuffix("Request.json") for entry in files("ocpp.v201").joinpath("schemas").iterdir()
             if entry.name.endswith("Request.json"))  # fmt: skip
    return tuple(sorted(name for name in names if name not in FROM_STATION or name == "DataTransfer"))


def requests(seed: int, each: int, leave_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, Json]]:
    """`each` requests of every action, the same for the same seed, all of them valid."""
    rng = Random(seed)
    for _ in range(each):
        for action in actions():
            if action not in leave_out:
                payload: Json = _Maker(rng, _schema(action)).value(_schema(action))
                if not complaints(action, "Request", payload):
                    yield action, payload


@cache
def _schema(action: str) -> Json:
    text = files("ocpp.v201").joinpath("schemas", f"{action}Request.json").read_text("utf-8-sig")
    schema: Json = json.loads(text)
    return schema


class _Maker:
    """Values of one schema."""

    def __init__(self, rng: Random, schema: Mapping[str, Any]) -> None:
        self._rng = rng
        self._definitions = schema.get("definitions", {})

    def value(self, schema: Mapping[str, Any]) -> Any:
        """Something that `schema` allows."""
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        if "enum" in schema:
            return self._rng.choice(schema["enum"])
        makers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "object": self._object, "array": self._array, "string": self._text, "integer": self._integer,
            "number": self._number, "boolean": self._truth,
        }  # fmt: skip
        return makers.get(schema.get("type", ""), self._anything)(schema)

    def _object(self, schema: Mapping[str, Any]) -> Json:
        required = schema.get("required", ())
        names = [name for name in schema.get("properties", {}) if name in required or self._wants(name)]
        return {name: self.value(schema["properties"][name]) for name in names}

    def _wants(self, name: str) -> bool:
        return name != "customData" and self._rng.random() < 0.5

    def _array(self, schema: Mapping[str, Any]) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 8)
        return [self.value(schema["items"]) for _ in range(self._rng.randint(least, min(most, max(least, 4))))]

    def _text(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") == "date-time":
            return self._rng.choice(DATES)
        most = schema.get("maxLength", 2500)
        text = self._rng.choice((*TEXTS, *KNOWN, "x" * most))
        return text[:most]

    def _integer(self, schema: Mapping[str, Any]) -> int:
        least, most = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1)
        return int(min(max(self._rng.choice(NUMBERS), least), most))

    def _number(self, schema: Mapping[str, Any]) -> float:
        return self._rng.choice((-1e12, -1.0, 0, 0.1, 6.0, 16.0, 1e-12, 1e12, 1e308))

    def _truth(self, schema: Mapping[str, Any]) -> bool:
        return self._rng.random() < 0.5

    def _anything(self, schema: Mapping[str, Any]) -> Any:
        return self._rng.choice((None, 1, "x", [1], {"../..": "\x00"}))
