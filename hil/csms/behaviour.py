"""How the bench CSMS behaves: everything that a test or a person may switch while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class TokenAnswer:
    """The idTokenInfo for one token, and how long the CSMS thinks about it (s)."""

    status: str = "Accepted"
    delay_s: float = 0.0
    group: str | None = None
    cache_expiry: str | None = None
    """cacheExpiryDateTime, RFC 3339."""


@dataclass(slots=True)
class ErrorAnswer:
    """A CALLERROR instead of the answer, for the next `times` calls (None: for ever)."""

    code: str = "InternalError"
    description: str = ""
    times: int | None = None


@dataclass(slots=True)
class Behaviour:
    """The switches, with the defaults of a CSMS that likes everybody."""

    boot: list[str] = field(default_factory=lambda: ["Accepted"])
    """Status of the first, second, ... BootNotification; the last one stays."""
    heartbeat_s: int = 300
    """The interval of an Accepted answer (s)."""
    retry_s: int = 5
    """The interval of a Pending or Rejected answer (s)."""
    known: list[str] = field(default_factory=list)
    """Identities that were accepted in an earlier life of this CSMS and need no BootNotification."""
    tokens: dict[str, TokenAnswer] = field(default_factory=dict)
    unknown_token: TokenAnswer = field(default_factory=TokenAnswer)
    errors: dict[str, ErrorAnswer] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    """Seconds before the answer, by action."""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """A whole answer by action, in wire names, instead of the usual one."""
    silent: bool = False
    """Receive and record, but answer nothing."""
    silent_actions: list[str] = field(default_factory=list)
    refuse: int | None = None
    """HTTP status with which handshakes are refused; None lets them in."""
    passwords: dict[str, str] = field(default_factory=dict)
    """Basic auth by identity; an identity that is not listed may connect without."""
    clock_offset_s: float = 0.0
    """How wrong the CSMS's clock is."""
    message_timeout_s: float = 30.0
    """After this time an unanswered CALL of the station may be followed by another one."""

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set switches from JSON; raises ValueError for a name or a type that does not exist."""
        for name, value in changes.items():
            current = getattr(self, name, None)
            if name not in {f.name for f in fields(self)}:
                raise ValueError(f"no switch {name!r}; there are {sorted(f.name for f in fields(self))}")
            setattr(self, name, _taken(name, value, current))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _taken(name: str, value: Any, current: Any) -> Any:
    try:
        match name:
            case "tokens":
                return {token: TokenAnswer(**answer) for token, answer in value.items()}
            case "unknown_token":
                return TokenAnswer(**value)
            case "errors":
                return {action: ErrorAnswer(**answer) for action, answer in value.items()}
            case "refuse":
                return None if value is None else int(value)
            case _:
                return type(current)(value)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"switch {name!r} cannot be {value!r}: {error}") from error
