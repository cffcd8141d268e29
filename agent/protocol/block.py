"""What a functional block is: a list of handlers and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from agent.core.charger import Charger
from agent.core.context import Context
from agent.core.instant import rfc3339
from agent.core.metering import resolve
from agent.protocol.errors import ErrorCode, Violation

MOST_BYTES = "__most_bytes__"
Handler = TypeVar("Handler", bound=Callable[..., Any])


class Block:
    """Base of the blocks A to P. Handlers turn OCPP types into core calls and core facts into OCPP types."""

    triggers: Mapping[str, Callable[[Any, Context], bool | None]] = {}
    """What TriggerMessage can ask for: the `@triggers` methods of all blocks."""

    def __init__(self, charger: Charger) -> None:
        self.charger = charger

    def handlers(self, role: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """(action or name, bound method) of every handler with this role: answers, sends, follows or triggers."""
        for name in dir(type(self)):
            wanted = getattr(getattr(type(self), name), f"__{role}__", None)
            if wanted is not None:
                yield wanted, getattr(self, name)


def answers(action: str, most_bytes: Any = None) -> Callable[[Handler], Handler]:
    """The method answers this CALL of the CSMS: (request, context) -> call_result.

    A frame longer than the key `most_bytes` says is answered for it with FormatViolation (B06.FR.17, B08.FR.18).
    """

    def mark(method: Handler) -> Handler:
        setattr(method, MOST_BYTES, most_bytes)
        return _mark("answers", action)(method)

    return mark


def sends(action: str) -> Callable[[Handler], Handler]:
    """The method builds the request of this CALL: (data, context) -> call."""
    return _mark("sends", action)


def follows(name: str) -> Callable[[Handler], Handler]:
    """The method takes the answer to the call that named it: (response, call data, call context, context)."""
    return _mark("follows", name)


def triggers(message: str) -> Callable[[Handler], Handler]:
    """The method makes `message` come when TriggerMessage asks for it (F06): (request, context) -> bool | None.

    True: it comes, behind the answer (F06.FR.04); False: it cannot come now (Rejected); None: this station never
    sends it (NotImplemented). A message without such a method is not implemented either (F06.FR.08).
    """
    return _mark("triggers", message)


def too_many(items: int, most: int) -> Violation | None:
    """ItemsPerMessage: more elements than that in one message."""
    return Violation(ErrorCode.OCCURRENCE, f"{items} items; at most {most}") if items > most else None


def _mark(role: str, value: str) -> Callable[[Handler], Handler]:
    def mark(method: Handler) -> Handler:
        setattr(method, f"__{role}__", value)
        return method

    return mark


def moment(cx: Context, stamped: dict[str, Any]) -> str:
    """The time of a stamp as OCPP wants it; a frame is only built when UTC is known."""
    resolve(cx, stamped)
    utc = stamped["utc"]
    assert utc is not None, "a frame before any clock"
    return rfc3339(utc)
