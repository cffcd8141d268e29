"""What a scenario may do and see: the same on the real bench and in the simulated world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

from hil.csms import Frame, Transaction

T = TypeVar("T")
Amps3 = tuple[float, float, float]


class ScenarioFailed(AssertionError):
    """Something that a scenario waits for did not come."""


class Bench(Protocol):
    """All calls are synchronous; a verb has happened when it returns, its consequences come later."""

    # ------------------------------------------------------------------------------------------ doing

    def plug(self, evse: int, *, amps: float = 32.0, phases: int = 3) -> None:
        """A car that takes up to `amps` on `phases` phases is plugged in and wants energy."""
        ...

    def unplug(self, evse: int) -> None: ...

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

    def lose_power(self) -> None: ...

    def return_power(self) -> None: ...

    def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The CSMS calls the station: payload and answer in wire names; raises hil.csms.CallFailed."""
        ...

    # ------------------------------------------------------------------------------------------ seeing

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
