"""The words of the reservation tests."""

from __future__ import annotations

from typing import Any

from agent.core.instant import rfc3339
from tests.blocks.stories import (
    CARD,
    QUIET,
    heard,
    idle,
)
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Transaction
from tests.sim.world import World

TWO = (smart(16), raw(32))
THIRD = "04CCCCCC"
GROUP = {"idToken": "FAMILY", "type": "Central"}


def one_evse(keys: dict[str, str] | None = None) -> World:
    """A station with one EVSE, registered and idle."""
    return idle((raw(32),), keys={**QUIET, **(keys or {})})


def reserve(world: World, id: int = 1, card: str = CARD, minutes: float = 30, **more: Any) -> str:
    """ReserveNow; its status."""
    expires = rfc3339(round(world.clock.utc_ms + minutes * 60_000))
    token = {"idToken": card, "type": "ISO14443"}
    answer = world.csms_asks("ReserveNow", {"id": id, "expiryDateTime": expires, "idToken": token, **more})
    assert answer["status"] != "Rejected" or answer["statusInfo"]["reasonCode"]
    return str(answer["status"])


def cancel(world: World, id: int = 1) -> str:
    """CancelReservation; its status."""
    return str(world.csms_asks("CancelReservation", {"reservationId": id})["status"])


def updates(world: World) -> list[tuple[int, str]]:
    """What ReservationStatusUpdate has told."""
    told = [payload for _, payload in heard(world, "ReservationStatusUpdate")]
    return [(payload["reservationId"], payload["reservationUpdateStatus"]) for payload in told]


def status_of(world: World) -> list[str]:
    """The last status of each EVSE's connector."""
    world.runs(seconds=3)
    return [status for _, status in sorted(world.csms.last_status.items())]


def used(transaction: Transaction) -> list[tuple[int, int]]:
    """(seqNo, reservationId) of the events that name a reservation."""
    return [(e["seqNo"], e["reservationId"]) for e in transaction.events if "reservationId" in e]


def leaves(world: World, evse: int = 1, card: str = CARD) -> World:
    """The session ends and the car goes."""
    world.ev(evse).presents(card).after(seconds=10).unplugs()
    return world.runs(seconds=40)


def inoperative(world: World, **place: Any) -> None:
    """ChangeAvailability to Inoperative."""
    answer = world.csms_asks("ChangeAvailability", {"operationalStatus": "Inoperative", **place})
    assert answer["status"] == "Accepted"
    world.runs(seconds=2)
