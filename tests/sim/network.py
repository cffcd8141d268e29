"""The link between the board and the CSMS: connections, latency, silence, and cuts that nobody is told of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from agent.core.effects import Connect, Disconnect, Say, SetPing
from agent.core.events import FrameReceived, LinkDown, LinkUp
from tests.sim.clock import Life, Timeline

Hear = Callable[[LinkUp | LinkDown | FrameReceived], None]
LATENCY_MS = (5, 60)


@dataclass(frozen=True, slots=True)
class Break:
    """The connection is reset within the next frame up or down; `whole`: the peer had all of it already."""

    up: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Flaw:
    """What TLS made of an attempt: a security event, and the words for people."""

    event: str
    reason: str


class Peer(Protocol):
    """Who is at the other end."""

    def connected(self, connection: int) -> None: ...
    def disconnected(self, connection: int) -> None: ...
    def receives(self, connection: int, text: str) -> None: ...
    def admits(self, identity: str, password: str | None) -> int | None:
        """None to let the station in, else the HTTP status of the refusal."""


@dataclass(slots=True)
class _Line:
    number: int
    ping_s: int
    pong_s: int
    compression: bool
    life: Life
    peer: Peer | None
    up: bool = False
    closing: bool = False
    """The station has hung up."""
    dead: bool = False
    """Nothing gets through any more, and neither side has been told."""
    foreign: bool = False
    """The server speaks another subprotocol: nothing may be said."""
    to_csms_ms: int = 0
    to_station_ms: int = 0


class Network:
    """Executes Connect, Say, Disconnect and SetPing. Each direction of a connection keeps its order."""

    def __init__(self, timeline: Timeline, rng: Random, peer: Peer) -> None:
        self.timeline = timeline
        self.rng = rng
        self.peer = peer
        self.elsewhere: dict[str, Peer | None] = {}
        """Other hosts: who is there, or None when nobody answers; every other name leads to `peer`."""
        self.dialled: list[str] = []
        """The host of every attempt, in order."""
        self.reachable = True
        self.latency_ms = LATENCY_MS
        self.refuses: int | None = None
        """Handshakes end with this HTTP status."""
        self.speaks: str | None = None
        """The subprotocol that the server chooses; None: the one that is offered."""
        self.home: Path | None = None
        """Where the station's certificates are, when its store is real."""
        self.tls: Callable[[Connect], str | Flaw] = lambda order: order.roots[0]
        """How a handshake at a wss address goes: the set of roots that vouches for the CSMS, or a flaw."""
        self.breaks: Break | None = None
        """What happens to the next frame."""
        self.line: _Line | None = None
        self.connects = 0
        self._process = Life()
        self._hear: Hear = lambda event: None

    # -------------------------------------------------- the station's side

    def opens(self, process: Life, hear: Hear) -> None:
        """A new process of the station uses the network."""
        self._process, self._hear = process, hear

    def connect(self, effect: Connect) -> None:
        """Try to open a connection; LinkUp or LinkDown follows."""
        if self.line is not None and self.line.closing:  # both were held up by the same commit
            self._later(1, lambda: self.connect(effect))
            return
        self.connects += 1
        if self.line is not None:
            raise AssertionError(f"connection {effect.connection} asked for while {self.line.number} is open")
        host = urlsplit(effect.url).netloc
        self.dialled.append(host)
        pinged = (effect.connection, effect.ping_s, effect.pong_s)
        line = _Line(*pinged, effect.compression, Life(), self.elsewhere.get(host, self.peer))
        self.line = line
        self._later(self._latency() * 3, lambda: self._shake_hands(line, effect))

    def say(self, effect: Say) -> None:
        """Put a frame on the wire; dropped when its connection is gone."""
        line = self.line
        if line is None or line.number != effect.connection or not line.up or line.dead:
            return
        if line.foreign:
            raise AssertionError(f"a frame on connection {line.number}, which speaks no protocol of ours")
        line.to_csms_ms = max(line.to_csms_ms, self.timeline.clock.true_ms + self._latency())
        if self._breaks(up=True):
            self._reset(line, line.to_csms_ms, lambda: self._arrives(line, effect.text))
            return
        self.timeline.at(line.to_csms_ms, lambda: self._arrives(line, effect.text), line.life)

    def execute(self, effect: Disconnect | SetPing) -> None:
        """What concerns an open connection."""
        self.set_ping(effect) if isinstance(effect, SetPing) else self.disconnect(effect)

    def disconnect(self, effect: Disconnect) -> None:
        """Close from our side; what is on the wire still arrives."""
        line = self.line
        if line is not None and line.number == effect.connection:
            line.up, line.closing = False, True
            self._later(self._latency() + 1, lambda: self._ends(line, f"closed: {effect.reason}"))

    def set_ping(self, effect: SetPing) -> None:
        """Another ping interval from now on."""
        if self.line is not None and self.line.number == effect.connection:
            self.line.ping_s, self.line.pong_s = effect.ping_s, effect.pong_s

    # -------------------------------------------------- the CSMS's side

    def says_to_station(self, connection: int, text: str) -> None:
        """The CSMS sends a frame."""
        line = self.line
        if line is None or line.number != connection or line.dead or not line.up:
            return
        line.to_station_ms = max(line.to_station_ms, self.timeline.clock.true_ms + self._latency())

        def arrive() -> None:
            if line is self.line and not line.dead:
                self._hear(FrameReceived(connection, text))

        if self._breaks(up=False):
            self._reset(line, line.to_station_ms, arrive)
        else:
            self.timeline.at(line.to_station_ms, arrive, line.life)

    # -------------------------------------------------- the world's side

    def vanishes(self, *, half_open: bool = False) -> None:
        """The link breaks: at once for both sides, or silently, so that only a missing pong tells."""
        self.reachable = False
        line = self.line
        if line is None or line.dead:
            return
        line.dead = True
        line.life.alive = False
        if not half_open:
            self._later(1, lambda: self._ends(line, "connection reset"))
        elif line.ping_s > 0:
            self._later(1000 * (line.ping_s + min(line.ping_s, line.pong_s)), lambda: self._ends(line, "no pong"))

    def returns(self) -> None:
        """New connections get through again."""
        self.reachable = True

    def heals(self) -> None:
        """Everything gets through, in good time."""
        self.reachable, self.latency_ms = True, LATENCY_MS
        self.refuses = self.speaks = self.breaks = None

    def process_ends(self) -> None:
        """The station's process is gone, and its sockets with it."""
        if self.line is not None:
            self._hang_up(self.line)
            self.line = None

    # -------------------------------------------------- inside

    def _latency(self) -> int:
        return self.rng.randint(*self.latency_ms)

    def _later(self, ms: int, happening: Callable[[], None]) -> None:
        self.timeline.after(ms, happening, self._process)

    def _breaks(self, *, up: bool) -> bool:
        return self.breaks is not None and self.breaks.up == up

    def _reset(self, line: _Line, at_ms: int, arrive: Callable[[], None]) -> None:
        """This frame is the last: it arrives whole or not at all, then both sides hear of the reset."""
        assert self.breaks is not None
        whole, self.breaks = self.breaks.whole, None

        def breaks() -> None:
            if line is not self.line or line.dead:
                return
            if whole:
                arrive()
            self._ends(line, "reset within a frame")

        self.timeline.at(at_ms, breaks, line.life)

    def _shake_hands(self, line: _Line, effect: Connect) -> None:
        if line is not self.line:
            return
        if not self.reachable or line.dead or line.peer is None:
            return self._ends(line, "connection refused")
        root = self.tls(effect) if effect.url.startswith("wss:") else ""
        if isinstance(root, Flaw):
            return self._ends(line, root.reason, flaw=root.event)
        status = self.refuses or line.peer.admits(effect.identity, effect.password)
        if status is not None:
            return self._ends(line, f"HTTP {status}", status)
        line.up, line.foreign = True, self.speaks is not None
        if not line.foreign:
            line.peer.connected(line.number)
        self._hear(LinkUp(line.number, effect.subprotocols[0] if self.speaks is None else self.speaks, root=root))

    def _ends(self, line: _Line, reason: str, status: int | None = None, flaw: str = "") -> None:
        if line is not self.line:
            return
        self.line = None
        self._hang_up(line)
        self._hear(LinkDown(line.number, reason, status, flaw))

    def _hang_up(self, line: _Line) -> None:
        line.life.alive = False
        if line.peer is not None:
            line.peer.disconnected(line.number)

    def _arrives(self, line: _Line, text: str) -> None:
        if not line.dead and line.peer is not None:
            line.peer.receives(line.number, text)
