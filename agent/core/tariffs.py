"""What drivers are told of money (block I): tariff, running and final cost, and what is said when they are unknown.

Amounts are the CSMS's words; none is ever made up. The last known cost of a transaction is kept with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse, Token
from agent.core.operators import Owned
from config_keys import tariff, tx

TABLE = "costs"
KEPT = 100
"""Costs of ended transactions that are kept."""
DRIVERS = 50
"""Drivers whose texts are remembered while they have not ended."""
FINAL_SHOWN_S = 120.0
"""How long the final cost is shown, unless the next driver comes."""
PRESENCE_ONLY = {"ParkingBayOccupancy"}


@dataclass(slots=True)
class _Driver:
    """What the CSMS said to one driver."""

    text: str | None = None
    languages: tuple[str, ...] = ()
    """RFC 5646 tags, the preferred one first."""


@dataclass(slots=True)
class _Bill:
    """The last transaction of an EVSE."""

    tx: str
    total: float | None = None
    ended_ms: int | None = None
    offline: bool = False
    """The CSMS could not be asked when it ended."""


class Tariffs(Owned):
    """Texts by driver, costs by transaction, and the lines for a display."""

    TABLES, BELONGINGS = (TABLE,), ("_drivers", "_bills", "_kept")

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self.load(stored)

    def load(self, *tables: Mapping[str, Any]) -> None:
        """What was kept."""
        [stored] = tables
        self._drivers: dict[str, _Driver] = {}
        self._bills: dict[int, _Bill] = {}
        self._kept: dict[str, float] = {tx: float(total) for tx, total in stored.items()}

    # ---------------------------------------------------------------------------------------- what is told

    def told(self, token: Token, text: str | None, languages: tuple[str, ...]) -> None:
        """An idTokenInfo: personalMessage (I01.FR.03) and the driver's languages (C01.FR.08, FR.09)."""
        driver = self._drivers.pop(token.name, _Driver())
        self._drivers[token.name] = _Driver(text or driver.text, languages or driver.languages)
        while len(self._drivers) > DRIVERS:
            del self._drivers[next(iter(self._drivers))]

    def cost(self, cx: Context, tx_id: str, total: float) -> bool:
        """The cost of a transaction so far, or its final one (I02, I03); False when nobody knows the transaction."""
        bill = next((b for b in self._bills.values() if b.tx == tx_id), None)
        if bill is None and tx_id not in self._kept:
            return False
        if bill is not None:
            bill.total, bill.offline = total, False
        if bill is None or bill.ended_ms is not None:
            self._keep(cx, tx_id, total)
        return True

    def total(self, tx_id: str) -> float | None:
        """The last known cost of a transaction, in the station's currency."""
        running = (b.total for b in self._bills.values() if b.tx == tx_id)
        return next(running, self._kept.get(tx_id))

    def updated(self, evse: Evse, text: str) -> None:
        """updatedPersonalMessage for the driver at an EVSE (I06.FR.03)."""
        if evse.authorization is not None:
            self.told(evse.authorization.token, text, ())

    def _keep(self, cx: Context, tx_id: str, total: float) -> None:
        """With the transaction, over restarts; the oldest go."""
        self._kept.pop(tx_id, None)
        self._kept[tx_id] = total
        cx.put(TABLE, tx_id, total)
        while len(self._kept) > KEPT:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            cx.put(TABLE, oldest, None)

    # ---------------------------------------------------------------------------------------- the driver

    def follow(self, cx: Context, evse: Evse, online: bool) -> None:
        """At the end of a step: bills begin and end with transactions."""
        bill, running = self._bills.get(evse.id), evse.tx
        if running is not None and (bill is None or bill.tx != running.id):
            self._bills[evse.id] = _Bill(running.id, self._kept.get(running.id))
        elif running is None and bill is not None and bill.ended_ms is None:
            bill.ended_ms, bill.offline = cx.ms, not online
            cx.after(f"bill.{evse.id}", FINAL_SHOWN_S)
            if bill.total is not None:
                self._keep(cx, bill.tx, bill.total)

    def languages(self, places: Iterable[Evse]) -> tuple[str, ...]:
        """The languages of the driver, where only one is there."""
        spoken = {driver.languages for evse in places if (driver := self._driver(evse)) is not None}
        return spoken.pop() if len(spoken) == 1 else ()

    def lines(self, cx: Context, places: list[Evse]) -> tuple[str, ...]:
        """What stays on a display for its EVSEs; with several, each line names its own."""
        found = [(evse, line) for evse in places for line in self._lines(cx, evse) if line]
        return tuple(line if len(places) == 1 else f"{evse.id}: {line}" for evse, line in found)

    def _driver(self, evse: Evse) -> _Driver | None:
        if evse.authorization is None:
            return None
        return self._drivers.get(evse.authorization.token.name, _Driver())

    def _lines(self, cx: Context, evse: Evse) -> Iterable[str]:
        driver, bill = self._driver(evse), self._bills.get(evse.id)
        if driver is not None and cx.keys[tariff.TARIFF_ENABLED]:
            yield driver.text or cx.keys[tariff.TARIFF_FALLBACK_MESSAGE]
        if bill is not None and cx.keys[tariff.COST_ENABLED]:
            yield self._cost_line(cx, evse, bill)

    def _cost_line(self, cx: Context, evse: Evse, bill: _Bill) -> str:
        amount = None if bill.total is None else f"{bill.total:.2f} {cx.keys[tariff.CURRENCY]}"
        if bill.ended_ms is None:
            return amount or ""
        over = evse.authorization is not None or cx.ms - bill.ended_ms >= FINAL_SHOWN_S * 1000
        if over or set(cx.keys[tx.TX_STOP_POINT]) == PRESENCE_ONLY:
            return ""
        return cx.keys[tariff.TOTAL_COST_FALLBACK_MESSAGE] if bill.offline else amount or ""
