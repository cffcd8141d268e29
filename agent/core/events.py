"""What can happen to the station. Hardware events (`hal.ports`) are events as they are; these are the others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from hal.ports import HardwareEvent


class Start(NamedTuple):
    """The first event of a process: why it booted, a name for this boot, and the seed of all its entropy."""

    boot_id: str
    seed: int
    reason: str = "PowerUp"
    """An OCPP BootReasonEnumType value."""
    kernel_boot: str = ""
    """Another name for each time that the board got power or booted; empty when nobody knows."""
    up_ms: int = 0
    """What the board's own monotonic clock showed when that of the process showed 0."""


class Tick(NamedTuple):
    """Nothing but time: a deadline is due, or a second has passed."""


class LinkUp(NamedTuple):
    """Connection `connection` (the number from the Connect effect) is open and speaks `subprotocol`."""

    connection: int
    subprotocol: str
    tls: str = ""
    """Version and suite; empty without TLS."""
    root: str = ""
    """Which of the order's sets of roots has vouched for the CSMS."""


class LinkDown(NamedTuple):
    """An attempt failed or an open connection ended; `reason` is for people, `status` the HTTP status if any."""

    connection: int
    reason: str
    status: int | None = None
    flaw: str = ""
    """The security event that it is (A04), if any."""


class FrameReceived(NamedTuple):
    """A text frame from the CSMS. A binary frame, or one over the size limit, arrives with `text` None."""

    connection: int
    text: str | None


class PersistFailed(NamedTuple):
    """The batch of step `step` is lost or was given up; its ENERGISE and SPEAK effects were dropped, but no alarms."""

    step: int
    reason: str


class StoreReported(NamedTuple):
    """The store's health: `state` is ok, restored (a damaged file was set aside), full or dead (or hangs)."""

    state: str
    detail: str = ""


class Asked(NamedTuple):
    """A person asks over the local control socket; answered by one Answer effect with the same `ask`."""

    ask: int
    verb: str
    args: Mapping[str, Any] = MappingProxyType({})


class JobTold(NamedTuple):
    """News of a job on its way, such as how much is done."""

    job: int
    data: Mapping[str, Any]


class JobEnded(NamedTuple):
    """A job is over: done (`ok`) with its result, or failed with the reason for people as `error`."""

    job: int
    ok: bool
    data: Mapping[str, Any]


LimitSource = Literal["EMS", "SO", "Other", "Operator"]
"""Who sets limits: an energy manager, the grid operator, another system, and the person at the charger."""


class LimitSet(NamedTuple):
    """Who bounds an EVSE, or with 0 the whole station (K11, K12): the newest word of each source holds.

    `limit` is in `unit`: A per phase or W. With `valid_s` it has to be said again in time, else it becomes `fallback`.
    """

    source: LimitSource
    evse: int
    limit: float
    unit: Literal["A", "W"] = "A"
    valid_s: int | None = None
    fallback: float = 0.0
    critical: bool = False
    """The limit protects the grid."""
    phases: int | None = None
    """Phases that may be used, where the hardware can choose; None: all."""


class LimitReleased(NamedTuple):
    """Who has set a limit takes it back (K13)."""

    source: LimitSource
    evse: int


class Stopping(NamedTuple):
    """The process was told to end: pause, open, keep transactions for the next boot, say so."""

    reason: str = "signal"


Event = (
    HardwareEvent | Start | Tick | LinkUp | LinkDown | FrameReceived | PersistFailed | StoreReported | Asked | JobTold
    | JobEnded | LimitSet | LimitReleased | Stopping
)  # fmt: skip
