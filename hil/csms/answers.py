"""What the bench CSMS answers to a station, built from the types of the `ocpp` package."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.v201 import call_result
from ocpp.v201.datatypes import IdTokenInfoType, IdTokenType

from hil.csms.behaviour import Behaviour, TokenAnswer


class Answers:
    """One handler per action whose answer says something; all others are answered with what is empty."""

    def __init__(self, behaviour: Behaviour, clock: Callable[[], float] = time.time) -> None:
        self._behaviour = behaviour
        self._clock = clock
        self._boots: dict[str, int] = {}
        self._handlers: dict[str, Callable[..., Any]] = {
            "Authorize": self._authorize,
            "BootNotification": self._boot,
            "DataTransfer": lambda **_: call_result.DataTransfer("UnknownVendorId"),
            "Get15118EVCertificate": lambda **_: call_result.Get15118EVCertificate("Failed", ""),
            "GetCertificateStatus": lambda **_: call_result.GetCertificateStatus("Failed"),
            "Heartbeat": lambda **_: call_result.Heartbeat(self._time()),
            "NotifyEVChargingNeeds": lambda **_: call_result.NotifyEVChargingNeeds("Rejected"),
            "NotifyEVChargingSchedule": lambda **_: call_result.NotifyEVChargingSchedule("Accepted"),
            "SignCertificate": lambda **_: call_result.SignCertificate("Accepted"),
            "TransactionEvent": self._transaction_event,
        }

    def to(self, identity: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload of the CALLRESULT, in wire names, for a schema-valid request."""
        if action in self._behaviour.answers:
            return self._behaviour.answers[action]
        if action not in self._handlers:
            return {}
        answer = self._handlers[action](identity=identity, **camel_to_snake_case(payload))
        wire: dict[str, Any] = snake_to_camel_case(remove_nones(serialize_as_dict(answer)))
        return wire

    def token(self, value: str) -> TokenAnswer:
        """What this CSMS thinks of a token; identifiers are case-insensitive."""
        known = {name.casefold(): answer for name, answer in self._behaviour.tokens.items()}
        return known.get(value.casefold(), self._behaviour.unknown_token)

    def _boot(self, identity: str, **_: Any) -> Any:
        statuses = self._behaviour.boot
        count = self._boots.get(identity, 0)
        self._boots[identity] = count + 1
        status = statuses[min(count, len(statuses) - 1)]
        interval = self._behaviour.heartbeat_s if status == "Accepted" else self._behaviour.retry_s
        return call_result.BootNotification(self._time(), interval, status)

    def _authorize(self, id_token: dict[str, Any], **_: Any) -> Any:
        return call_result.Authorize(self._info(id_token))

    def _transaction_event(self, id_token: dict[str, Any] | None = None, **_: Any) -> Any:
        info = None if id_token is None else self._info(id_token)
        return call_result.TransactionEvent(id_token_info=info)

    def _info(self, id_token: dict[str, Any]) -> Any:
        answer = self.token(id_token["id_token"])
        group = None if answer.group is None else IdTokenType(answer.group, "Central")
        return IdTokenInfoType(
            answer.status, cache_expiry_date_time=answer.cache_expiry, group_id_token=group
        )

    def _time(self) -> str:
        now = datetime.fromtimestamp(self._clock() + self._behaviour.clock_offset_s, UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
