"""What a scenario may do and see: the same on the real bench and in the simulated world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from hil.csms import Behaviour, Frame, Transaction
from hil.file_server import Taken
from hil.pki import Made

T = TypeVar("T")
Amps3 = tuple[float, float, float]
Mood = Literal["logs", "missing", "stalls"]
End = Literal["both", "car", "station"]
"""Which end of a cable is pulled."""


@dataclass(frozen=True)
class Outfit:
    """What stands at an EVSE, as whoever installed it would say."""

    cable: Literal["fixed", "socket"] = "fixed"
    phases: int = 3
    bay_detector: bool = False
    signed_meter: bool = False
    own_reader: bool = True
    """The reader in front of it serves this EVSE and no other."""
    iso15118: bool = False
    """A controller speaks ISO 15118 with the EV."""
    grave_fault: str = "board_internal"
    """A fault that both kinds of EVSE know and that makes the connector Faulted."""
    connectors: int = 1
    connector: int = 1
    """Which of them the drivers of this bench use; `cable` is what it has."""


class ScenarioFailed(AssertionError):
    """Something that a scenario waits for did not come."""


class SecureDoor(Protocol):
    """An address of the CSMS behind TLS."""

    @property
    def url(self) -> str: ...

    @property
    def host(self) -> str:
        """The name that the server's certificate must have."""
        ...

    @property
    def knocks(self) -> int:
        """Connections that were tried so far."""
        ...

    @property
    def presented(self) -> Sequence[int]:
        """Serial number of the station's certificate at each handshake that was good; 0 where there was none."""
        ...

    def shows(self, made: Made, *, old: bool = False) -> None:
        """This certificate of the server from now on; `old`: with TLS 1.1 at most."""
        ...

    def wants(self, authority: Made) -> None:
        """From now on the station needs a certificate by this authority."""
        ...

    def drop(self) -> None:
        """End every connection."""
        ...


@runtime_checkable
class Controlled(Protocol):
    """A bench with an external control system at the station."""

    def limits_from_outside(self, amps: float) -> None:
        """An energy management system limits the whole station to so many A per phase, until it says otherwise."""
        ...


class Bench(Protocol):
    """All calls are synchronous; a verb has happened when it returns, its consequences come later."""

    # ------------------------------------------------------------------------------------------ doing

    def plug(
        self, evse: int, *, amps: float = 32.0, phases: int = 3, wants: bool = True, greedy: bool = False
    ) -> None:
        """A car that takes up to `amps` on `phases` phases is plugged in; it wants energy or not yet.

        A greedy one draws its most whatever it is offered.
        """
        ...

    def unplug(self, evse: int, end: End = "both") -> None:
        """Pull the plug: with a socket at both ends at once, or only the car's end, or what is left in it.

        Raises ScenarioFailed when the station's end alone is pulled while it is locked.
        """
        ...

    def park(self, evse: int, there: bool = True) -> None:
        """A car drives into the bay, or out of it; nobody notices where there is no detector."""
        ...

    def ev_needs(self, evse: int) -> None:
        """The EV says by ISO 15118 what it needs, at first or to negotiate anew; only where `Outfit.iso15118`."""
        ...

    def pause(self, evse: int) -> None:
        """The car wants no energy for now."""
        ...

    def resume(self, evse: int) -> None: ...

    def present(self, uid: str, evse: int) -> None:
        """A card is held to the reader that serves the EVSE."""
        ...

    def raise_fault(self, evse: int, code: str) -> None: ...

    def clear_fault(self, evse: int, code: str) -> None: ...

    def cut(self, how: Literal["cut", "blackhole"] = "cut") -> None:
        """Take the network between station and CSMS away."""
        ...

    def restore(self) -> None:
        """The network is back."""
        ...

    def refuse(self, url: str, refused: bool = True) -> None:
        """Accept no connection at one of the CSMS's addresses, or accept them again."""
        ...

    def lose_power(self) -> None: ...

    def return_power(self) -> None: ...

    def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The CSMS calls the station: payload and answer in wire names; raises hil.csms.CallFailed."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...

    @property
    def behaviour(self) -> Behaviour:
        """How the CSMS behaves from now on: change its fields."""
        ...

    # ------------------------------------------------------------------------------------------ seeing

    def outfits(self) -> dict[int, Outfit]:
        """Every EVSE of the station and what stands there."""
        ...

    def connected(self) -> bool:
        """The station has an open connection with the CSMS."""
        ...

    def urls(self) -> tuple[str, str]:
        """Two addresses of the CSMS: the one that the station was given, and another one."""
        ...

    def secure_door(self, number: int = 1) -> SecureDoor:
        """An address of the CSMS behind TLS; it shows no certificate yet."""
        ...

    def expects_password(self, password: str | None) -> None:
        """The CSMS wants this password from now on, or none."""
        ...

    def file_url(self, mood: Mood = "logs") -> str:
        """A folder of a server that takes files: one that does, one that is not there, one that never answers."""
        ...

    def files(self) -> Sequence[Taken]:
        """What has arrived there, in its order."""
        ...

    def offer(self, name: str, content: bytes, seconds: float = 0.0) -> str:
        """A file that can be fetched from now on, which takes so long; its URL."""
        ...

    def knocks(self, url: str) -> int:
        """Connections that were tried at one of them so far, refused ones included."""
        ...

    def locked(self, evse: int) -> bool:
        """The plug is retained in the station's socket."""
        ...

    def now(self) -> float:
        """Seconds on the bench's clock."""
        ...

    def amps(self, evse: int) -> Amps3:
        """What flows into the car now."""
        ...

    def peak_amps(self, evse: int, since: float) -> float:
        """The highest current of any phase after that moment."""
        ...

    def closed(self, evse: int) -> bool:
        """The contactor is closed."""
        ...

    def shown(self) -> Sequence[str]:
        """The lines that a driver can read on the display."""
        ...

    def energy_wh(self, evse: int) -> float:
        """What really flowed since the bench started."""
        ...

    def calls(self, *actions: str) -> Sequence[Frame]:
        """CALLs of the station that reached the CSMS, of these actions (all when none is named)."""
        ...

    def transactions(self) -> Sequence[Transaction]:
        """What the CSMS knows of transactions, in the order in which it first heard of them."""
        ...

    def violations(self) -> Sequence[str]:
        """Rules of the protocol that the station broke."""
        ...

    def wait_until(self, what: str, condition: Callable[[], T], within_s: float = 30.0) -> T:
        """The first true value of `condition`; raises ScenarioFailed naming `what`."""
        ...

    # ------------------------------------------------------------------------------------------ telling

    def note(self, text: str) -> None:
        """One line of the story, for the person who watches."""
        ...

    def check(self, what: str, holds: bool, found: object = "") -> None:
        """A fact of the verdict; a scenario goes on after one that does not hold."""
        ...
