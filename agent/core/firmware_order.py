"""What is to be installed, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Order(NamedTuple):
    """An UpdateFirmwareRequest; one of a person at the station has no `request` and a `file` instead of a `url`.

    Moments are UTC ms. Certificate and signature are as they were told: PEM, and base64.
    """

    request: int | None
    url: str = ""
    file: str = ""
    retrieve_ms: int = 0
    install_ms: int | None = None
    retries: int | None = None
    interval_s: int | None = None
    certificate: str | None = None
    signature: str | None = None

    @property
    def signed(self) -> bool:
        return self.certificate is not None and self.signature is not None

    def __repr__(self) -> str:
        return f"Order(request={self.request}, signed={self.signed})"


@dataclass(slots=True)
class Progress:
    """What is known of the update by now; kept at every change."""

    state: str = "idle"
    tries: int = 0
    """Attempts to fetch the file that have failed."""
    place: str = ""
    """Where the new firmware was put, in the installer's words."""
    version: str = ""
    why: str = ""
    """Why it is taken back."""
    starts: int = 0
    """Starts since the switch was asked for."""
    alive: list[int] = field(default_factory=list)
    """EVSEs whose devices all answered before the restart."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Progress:
        """From the store."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


class Verdict(NamedTuple):
    """The answer to a request: UpdateFirmwareStatus, OCPP's reasonCode, and a plain sentence."""

    status: str
    reason_code: str | None = None
    info: str = ""

    @property
    def accepted(self) -> bool:
        return self.status.startswith("Accepted")


class End(NamedTuple):
    """How an update ended: the status to tell (none for what a person took back), and why when it failed."""

    status: str
    why: str = ""
