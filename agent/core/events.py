"""What can happen to the station. Hardware events (`hal.ports`) are events as they are; these are the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hal.ports import HardwareEvent


@dataclass(frozen=True, slots=True)
class Start:
    """The first event of a process: why it booted, a name for this boot, and the seed of all its entropy."""

    boot_id: str
    seed: int
    reason: str = "PowerUp"
    """An OCPP BootReasonEnumType value."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but time: a deadline is due, or a second has passed."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connection `connection` (the number from the Connect effect) is open and speaks `subprotocol`."""

    connection: int
    subprotocol: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """An attempt failed or an open connection ended; `reason` is for people, `status` the HTTP status if any."""

    connection: int
    reason: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A text frame from the CSMS. A binary frame, or one over the size limit, arrives with `text` None."""

    connection: int
    text: str | None


@dataclass(frozen=True, slots=True)
class PersistFailed:
    """The batch of step `step` did not reach the flash; its ENERGISE and SPEAK effects were dropped."""

    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class StoreReported:
    """The store's health: `state` is ok, restored (a damaged file was set aside), full or dead."""

    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person asks over the local control socket; answered by one Answer effect with the same `ask`."""

    ask: int
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process was told to end: pause, open, keep transactions for the next boot, say so."""

    reason: str = "signal"


Event = (
    HardwareEvent | Start | Tick | LinkUp | LinkDown | FrameReceived | PersistFailed | StoreReported | Asked | Stopping
)
