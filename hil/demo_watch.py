"""What the demo's live view knows: the bench's instruments, and what the agent says of itself over its socket."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.demo_messages import Conversation, Message
from hil.real_bench import RealBench

LOOK_EVERY_S = 0.2
ANSWERS_WITHIN_S = 2.0
TOLD_AGAIN = 100
"""Frames that a restarted agent is asked for, so that those of its first moments are not missed."""


@dataclass(frozen=True)
class Chapter:
    """One step of the story: what happens, and why; `at` is seconds since the start."""

    at: float
    title: str
    why: str


@dataclass(frozen=True)
class OutletView:
    """An EVSE as the instruments see it."""

    evse: int
    smart: bool
    max_amps: float
    pilot: str
    closed: bool
    amps: tuple[float, float, float]
    plugged: bool


@dataclass(frozen=True)
class View:
    """One moment of the demo. `status` is the agent's own screen, None while it does not answer."""

    elapsed_s: float
    started_at: float
    """UTC seconds."""
    powered: bool
    linked: bool
    pid: int | None
    status: Mapping[str, Any] | None
    most_queued: int
    outlets: tuple[OutletView, ...]
    messages: tuple[Message, ...]
    chapters: tuple[Chapter, ...]
    chapters_planned: int

    def evse(self, number: int) -> Mapping[str, Any]:
        """An EVSE on the agent's screen; empty while there is none."""
        return evse_of(self.status, number)


@dataclass
class Watch:
    """Looks at bench and agent five times a second and hands a View to `show`, until `stop`.

    It also keeps the story: `tell` begins a chapter. All public names may be used from any thread.
    """

    bench: RealBench
    show: Callable[[View], None]
    chapters_planned: int = 0
    status: Mapping[str, Any] | None = None
    most_queued: int = 0
    """The most events that waited for the CSMS since `most_queued` was last set."""
    chapters: list[Chapter] = field(default_factory=list)
    trouble: Exception | None = None
    """Why the view ended before its time."""
    _conversation: Conversation = field(default_factory=Conversation)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _started_at: float = field(default_factory=time.time)
    _started: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """Begin to look; the bench must be open."""
        for act in (self._look, self._listen):
            thread = threading.Thread(target=act, name=f"demo{act.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Look once more and end."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def tell(self, title: str, why: str) -> None:
        """A new chapter begins."""
        self.chapters.append(Chapter(self.elapsed_s, title, why))

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def evse(self, number: int) -> Mapping[str, Any]:
        """An EVSE on the agent's screen; empty while there is none."""
        return evse_of(self.status, number)

    # ------------------------------------------------------------------------------------------ looking

    def _look(self) -> None:
        try:
            while not self._over.wait(LOOK_EVERY_S):
                self.status = ask(self._socket, "status")
                queued = self.status["queue"]["events"] if self.status else 0
                self.most_queued = max(self.most_queued, queued)
                self.show(self._view())
            self.show(self._view())
        except Exception as error:  # whatever it is, the story must not go on unseen
            self.trouble = error

    @property
    def _socket(self) -> Path:
        return self.bench.rig.home / "state" / "control.sock"

    def _view(self) -> View:
        rig = self.bench.rig
        return View(
            self.elapsed_s, self._started_at, rig.powered, rig.cutter.mode == "open", rig.agent.pid, self.status,
            self.most_queued, tuple(self._outlets()), tuple(self._conversation.messages),
            tuple(self.chapters), self.chapters_planned,
        )  # fmt: skip

    def _outlets(self) -> Iterator[OutletView]:
        for plan in self.bench.plan.evses:
            outlet = self.bench.rig.outlet(plan.id)
            yield OutletView(
                plan.id, plan.controller is not None, plan.max_amps, outlet.stage.pilot,
                outlet.stage.contactor.closed, outlet.amps, outlet.car.plugged,
            )  # fmt: skip

    def _listen(self) -> None:
        """Follow the agent's frames through all its lives."""
        while not self._over.wait(0.1):
            with contextlib.suppress(OSError):
                self._follow()
            if not self._over.is_set():
                self._conversation.hang_up()

    def _follow(self) -> None:
        request = json.dumps({"verb": "ocpp.tail", "args": {"last": TOLD_AGAIN}}) + "\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(LOOK_EVERY_S)
            connection.connect(str(self._socket))
            connection.sendall(request.encode())
            rest = b""
            while not self._over.is_set():
                try:
                    data = connection.recv(65_536)
                except TimeoutError:
                    continue
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._conversation.take(json.loads(line))


def ask(path: Path, verb: str) -> Any:
    """What the agent at this control socket answers; None while nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWERS_WITHIN_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                answer = json.loads(lines.readline() or "{}")
        except OSError:
            return None
    return answer.get("data") if answer.get("ok") else None


def evse_of(status: Mapping[str, Any] | None, number: int) -> Mapping[str, Any]:
    """An EVSE on the agent's screen; empty when there is none."""
    evses = status["evses"] if status else ()
    return next((evse for evse in evses if evse["id"] == number), {})
