"""What this station keeps about a customer: told and removed when the CSMS asks (N09, N10; privacy laws).

A customer is known by id tokens only. Removed is what only remembers: cache entries, and the token in transactions
that have ended. The local list is the CSMS's (N10.FR.03), a running transaction needs its token until it ends, and an
event that the CSMS has not taken yet is still owed to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agent.core.context import Context
from agent.core.evse import Token

if TYPE_CHECKING:
    from agent.core.charger import Charger

KINDS = ("ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "eMAID", "Central")
"""Types of id token that name somebody."""
CHUNK = 512
"""Characters of data in one NotifyCustomerInformation."""
CLEARED = "The customer's data was removed."


def anybody(identifier: str) -> tuple[Token, ...]:
    """A customerIdentifier may be the value of a token of any type: there is no other name that is kept."""
    return tuple(Token(identifier, kind) for kind in KINDS)


class Customers:
    """Looks through everything that names a token."""

    def __init__(self, charger: Charger) -> None:
        self._charger = charger

    def tell(self, cx: Context, who: Sequence[Token]) -> list[str]:
        """All that is kept, one JSON object a line, in pieces as long as a message takes; one empty piece if none."""
        text = "\n".join(json.dumps(fact, ensure_ascii=True) for fact in self._kept(cx, who))
        return [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)] or [""]

    def forget(self, cx: Context, who: Sequence[Token]) -> None:
        """Remove what only remembers."""
        for token in who:
            self._charger.cache.forget(cx, token)
        ledger = self._charger.ledger
        for index, (row, data) in enumerate(ledger):
            if _is(data.get("token"), who):
                cx.drop(row)
                nameless = {**data, "token": None, "group": None}
                ledger.replace(index, (cx.record("ended", nameless), nameless))

    def _kept(self, cx: Context, who: Sequence[Token]) -> Iterator[dict[str, Any]]:
        for token in who:
            for place, entry in (
                ("authorization cache", self._charger.cache.entry(token)),
                ("local authorization list", self._charger.local_list.info(cx, token)),
            ):
                if entry is not None:
                    yield {"keptIn": place, "type": token.kind, **entry}
        for evse in self._charger.evses.values():
            if evse.tx is not None and evse.tx.token is not None and any(evse.tx.token.same(token) for token in who):
                yield {"keptIn": "running transaction", "transactionId": evse.tx.id, "evseId": evse.id}
        for reservation in self._charger.reservations:
            if any(reservation.token.same(token) for token in who):
                yield {"keptIn": "reservations", "reservationId": reservation.id, "evseId": reservation.evse}
        for _, data in self._charger.ledger:
            if _is(data.get("token"), who):
                yield {"keptIn": "ended transactions", "transactionId": data["tx"], "evseId": data["evse"],
                       "startedUtcMs": data["started"].get("utc"), "endWh": data.get("end_wh")}  # fmt: skip


def _is(kept: Sequence[str] | None, who: Sequence[Token]) -> bool:
    return kept is not None and any(Token(*kept).same(token) for token in who)
