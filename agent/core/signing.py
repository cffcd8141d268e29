"""Signed meter values: asked for at begin and end, kept and passed on byte for byte (J.2, E02.FR.14, J02.FR.21)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.metering import stamp
from config_keys import comm, sampled, tx
from hal.ports import MeterSigned, SignMeter

ENERGY = "Energy.Active.Import.Register"
CONTEXTS = {"begin": "Transaction.Begin", "end": "Transaction.End"}
Sampled = Callable[[Context, Evse, dict[str, Any]], None]


class Signing:
    """What each EVSE's meter has signed for the session that runs there."""

    def __init__(self) -> None:
        self.able: set[int] = set()
        """EVSEs whose meter signs."""
        self._begun: set[int] = set()
        self._values: dict[int, dict[str, dict[str, Any]]] = {}

    def wanted(self, cx: Context, evse: Evse) -> bool:
        """SampledDataCtrlr.SignReadings, where the meter can."""
        return evse.id in self.able and bool(cx.keys.get(sampled.SIGN_READINGS))

    def begin(self, cx: Context, evse: Evse) -> None:
        """Ask for the begin value, once a session, before any energy flows."""
        if self.wanted(cx, evse) and evse.id not in self._begun:
            self._begun.add(evse.id)
            self._values[evse.id] = {}
            self._ask(cx, evse, "begin")

    def end(self, cx: Context, evse: Evse) -> bool:
        """Ask for the end value; True when one is to be waited for."""
        if evse.id not in self._begun:
            return False
        self._ask(cx, evse, "end")
        return True

    def has(self, evse: Evse, moment: str) -> bool:
        """Whether that value has arrived."""
        return moment in self._values.get(evse.id, {})

    def awaited(self, cx: Context, evse: Evse) -> bool:
        """TxStartPoint DataSigned: no energy before the begin value is there (E01.FR.04)."""
        return "DataSigned" in cx.keys[tx.TX_START_POINT] and self.wanted(cx, evse) and not self.has(evse, "begin")

    def arrived(self, cx: Context, evse: Evse, event: MeterSigned) -> dict[str, Any] | None:
        """Keep a signed value; the begin value is returned to be told at once (SignedDataReceived)."""
        values = self._values.setdefault(evse.id, {})
        key = cx.keys.get(comm.PUBLIC_KEY_WITH_SIGNED_METER_VALUE) or "Never"
        first = not any(v["values"][0][4]["key"] for v in values.values())
        tells = key == "EveryMeterValue" or (key == "OncePerTransaction" and first)
        signed = {"data": event.data, "encoding": event.encoding, "method": event.method,
                  "key": event.public_key if tells else ""}  # fmt: skip
        row = [ENERGY, None, "Wh", f"{event.energy_wh:f}", signed]
        value = {**stamp(cx, event.mono_ms), "context": CONTEXTS[event.moment], "values": [row]}
        values[event.moment] = value
        return value if event.moment == "begin" else None

    def told(self, evse: Evse) -> list[dict[str, Any]]:
        """The begin value for the event that it starts (TC_E_11); Ended tells it again."""
        return [value for moment, value in self._values.get(evse.id, {}).items() if moment == "begin"]

    def take(self, evse: Evse) -> list[dict[str, Any]]:
        """Begin and end value for the Ended event; the session is over."""
        self._begun.discard(evse.id)
        values = self._values.pop(evse.id, {})
        return [values[moment] for moment in ("begin", "end") if moment in values]

    def _ask(self, cx: Context, evse: Evse, moment: str) -> None:
        transaction = evse.tx.id if evse.tx is not None else ""
        token = evse.authorization.token.value if evse.authorization is not None else ""
        cx.energise(SignMeter(evse.id, cx.step, transaction, moment, token))
