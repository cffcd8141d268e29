"""The bench of real wires and a real agent process, driven by a scenario in another thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar

from hil.agent_process import SOURCES
from hil.bench import Amps3, End, Mood, Outfit, ScenarioFailed, SecureDoor
from hil.csms import Behaviour, BenchCsms, Frame, Transaction
from hil.cutter import Address, Cutter, Death
from hil.file_server import FileServer, Taken
from hil.plan import BenchPlan
from hil.rig import Rig
from hil.tls_door import SafeDoor, TlsDoor

T = TypeVar("T")
POLL_S = 0.05
OPENS_WITHIN_S = 60.0
LOG_TAIL = 15
"""Lines of the agent's log that a failure shows."""


@dataclass(frozen=True)
class Check:
    """One fact of a verdict."""

    what: str
    holds: bool
    found: str


class RealBench:
    """A context manager: entering starts loop, CSMS, rig and agent; leaving stops them all.

    With `csms` the agent is led to that one instead, and the bench CSMS hears nothing.
    Reading the CSMS's record and the instruments from the scenario's thread needs no lock: they only grow or
    are replaced as a whole.
    """

    def __init__(
        self, plan: BenchPlan, *, agent: bool = True, csms: Address | None = None,
        tell: Callable[[str], None] = lambda text: None, connector: int = 1,
    ) -> None:  # fmt: skip
        """`connector`: at which cars are plugged in, where an EVSE has so many and nothing else is said."""
        self.plan = plan
        self._outfits = outfits(plan, connector)
        self.checks: list[Check] = []
        self.csms = BenchCsms()
        self._files = FileServer()
        self._doors: dict[int, TlsDoor] = {}
        self._files_port = 0
        self.rig: Rig
        self._agent = agent
        self._foreign = csms
        self._tell = tell
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bench", daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> RealBench:
        self._thread.start()
        opening = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        try:
            opening.result(OPENS_WITHIN_S)
        except BaseException:  # interrupted by a person, too: no agent may stay behind
            self._abandon(opening)
            raise
        return self

    def _abandon(self, opening: Future[None]) -> None:
        """Opening has failed, or is not wanted any more: what it has started is ended."""
        wait([opening], OPENS_WITHIN_S)
        try:
            if opening.done() and opening.exception() is None:
                self._await(self._close())
        finally:
            self._stop_loop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._await(self._close())
        finally:
            self._stop_loop()

    async def _open(self) -> None:
        passwords = {self.plan.network.identity: self.plan.network.password}
        self.csms.behaviour.passwords = {name: word for name, word in passwords.items() if word is not None}
        port = await self.csms.start("127.0.0.1", 0)
        self._files_port = await self._files.open_http()
        self.rig = Rig(self.plan, self._foreign or Address("127.0.0.1", port))
        await self.rig.open()
        if self._agent:
            self.rig.start_agent()

    async def _close(self) -> None:
        for door in self._doors.values():
            await door.close()
        await self.rig.agent.terminate()
        await self.rig.close()
        await self.csms.stop()
        await self._files.close()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, coroutine: Coroutine[Any, Any, T], timeout_s: float = 60.0) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def _do(self, act: Callable[[], object]) -> None:
        """Run `act` on the loop's thread and wait for it."""

        async def run() -> None:
            act()

        self._await(run())

    # ------------------------------------------------------------------------------------------ doing

    def plug(
        self, evse: int, *, amps: float = 32.0, phases: int = 3, wants: bool = True, greedy: bool = False,
        connector: int | None = None,
    ) -> None:  # fmt: skip
        there = connector or self._outfits[evse].connector

        def arrive() -> None:
            self.rig.plug(evse, there, max_amps=amps, phases=phases, ignores_limit=greedy)
            self.rig.pause(evse, not wants, there)

        self._do(arrive)

    def unplug(self, evse: int, end: End = "both", connector: int | None = None) -> None:
        if end == "station" and self.locked(evse):
            raise ScenarioFailed(f"the plug of EVSE {evse} is locked")
        there = connector or self._outfits[evse].connector
        self._do(lambda: self.rig.unplug(evse, there, keeps_cable=end == "car"))

    def park(self, evse: int, there: bool = True) -> None:
        """No bay of this bench has a detector."""

    def ev_needs(self, evse: int) -> None:
        """No car of this bench speaks ISO 15118."""
        raise ScenarioFailed(f"the car at EVSE {evse} does not speak ISO 15118")

    def pause(self, evse: int) -> None:
        self._do(lambda: self.rig.pause(evse, True, self._outfits[evse].connector))

    def resume(self, evse: int) -> None:
        self._do(lambda: self.rig.pause(evse, False, self._outfits[evse].connector))

    def present(self, uid: str, evse: int) -> None:
        self._do(lambda: self.rig.present(uid, evse))

    def raise_fault(self, evse: int, code: str) -> None:
        self._do(lambda: self.rig.raise_fault(evse, code))

    def clear_fault(self, evse: int, code: str) -> None:
        self._do(lambda: self.rig.raise_fault(evse, code, False))

    def cut(self, how: Literal["cut", "blackhole"] = "cut") -> None:
        self._do(self.rig.cutter.cut if how == "cut" else self.rig.cutter.blackhole)

    def restore(self) -> None:
        self._do(self.rig.cutter.restore)

    def kill_link(self, death: Death) -> None:
        """End the station's connection in that way; it may dial again at once."""
        self._do(lambda: self.rig.cutter.kill(death))

    def hang_up(self, code: int) -> None:
        """The CSMS ends the connection with a close frame of that code."""
        self._await(self.csms.drop(self.plan.network.identity, abruptly=False, code=code))

    def listen(self, wanted: bool = True) -> None:
        """The CSMS's port is closed, or open again."""
        self._await(self.rig.cutter.open() if wanted else self.rig.cutter.vanish())

    def lead_to(self, server: Address | None) -> None:
        """Whoever dials from now on comes to that server; None: to the CSMS of the bench again."""
        self.rig.cutter.target = server or self.rig.back_door.target

    def refuse(self, url: str, refused: bool = True) -> None:
        door = self._door(url)
        self._do(door.cut if refused else door.restore)

    def urls(self) -> tuple[str, str]:
        first, second = (f"ws://{d.listen}{self.plan.network.path}" for d in (self.rig.cutter, self.rig.back_door))
        return first, second

    def file_url(self, mood: Mood = "logs") -> str:
        return f"http://127.0.0.1:{self._files_port}/{mood}/"

    def files(self) -> Sequence[Taken]:
        return list(self._files.taken)

    def offer(self, name: str, content: bytes, seconds: float = 0.0) -> str:
        self._files.offered[f"/{name}"] = (content, seconds)
        return f"http://127.0.0.1:{self._files_port}/{name}"

    def secure_door(self, number: int = 1) -> SecureDoor:
        if number not in self._doors:
            door = TlsDoor(self.rig.cutter.target, self.plan.network.path)
            self._await(door.open())
            self._doors[number] = door
        return SafeDoor(self._doors[number], self._do)

    def expects_password(self, password: str | None) -> None:
        passwords = self.csms.behaviour.passwords
        passwords.pop(self.plan.network.identity, None)
        if password is not None:
            passwords[self.plan.network.identity] = password

    def knocks(self, url: str) -> int:
        return self._door(url).knocks

    def _door(self, url: str) -> Cutter:
        return self.rig.cutter if url == self.urls()[0] else self.rig.back_door

    def lose_power(self) -> None:
        self._do(self.rig.power_cut)

    def return_power(self) -> None:
        self._do(self.rig.power_restore)

    def stop_agent(self) -> int | None:
        """SIGTERM; the exit code."""
        self._agent = False
        return self._await(self.rig.agent.terminate())

    def start_agent(self) -> None:
        """Start it (again), on the board file as it is now."""
        self._do(self.rig.start_agent)
        self._agent = True

    def crash(self, in_s: float, away_s: float) -> None:
        """SIGKILL the agent `in_s` from now and start it again `away_s` later; returns at once."""
        self._loop.call_soon_threadsafe(self._loop.call_later, in_s, self._crash, away_s)

    def _crash(self, away_s: float) -> None:
        self._agent = False
        self.rig.agent.kill()
        self._loop.call_later(away_s, self._revive)

    def _revive(self) -> None:
        self.rig.start_agent()
        self._agent = True

    def limits_from_outside(self, amps: float) -> None:
        """Said with chargerctl, in the place of the energy management system."""
        place = ["--source", "EMS", "--socket", str(self.rig.home / "state" / "control.sock")]
        command = [sys.executable, "-m", "agent.cli", "limit", "set", f"{amps:g}", *place]
        said = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=60, check=False)
        if said.returncode != 0:
            raise ScenarioFailed(f"the limit was not taken: {said.stderr}")

    def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        return self._await(self.csms.call(self.plan.network.identity, action, payload))

    def send(self, frames: Iterable[str | bytes]) -> Future[None]:
        """Send the station anything, as it is and as fast as it is taken; answers are recorded, not judged."""

        async def run() -> None:
            for frame in frames:
                await self.csms.send_text(self.plan.network.identity, frame)
                await asyncio.sleep(0)

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.wait_until("time to pass", lambda: time.monotonic() >= end, seconds + 1)

    @property
    def behaviour(self) -> Behaviour:
        return self.csms.behaviour

    # ------------------------------------------------------------------------------------------ seeing

    def outfits(self) -> dict[int, Outfit]:
        return self._outfits

    def connected(self) -> bool:
        return self.plan.network.identity in self.csms.identities

    def locked(self, evse: int) -> bool:
        return self._outfits[evse].connector in self.rig.outlet(evse).locks

    def now(self) -> float:
        return time.monotonic()

    def amps(self, evse: int) -> Amps3:
        return self.rig.outlet(evse).amps

    def peak_amps(self, evse: int, since: float) -> float:
        samples: list[float] = []
        self._do(lambda: samples.extend(max(s.amps) for s in self.rig.since(since) if s.evse == evse))
        return max(samples, default=0.0)

    def closed(self, evse: int) -> bool:
        return self.rig.outlet(evse).stage.contactor.closed

    def shown(self) -> Sequence[str]:
        return self.rig.shown()

    def energy_wh(self, evse: int) -> float:
        return self.rig.outlet(evse).energy_wh

    def calls(self, *actions: str) -> Sequence[Frame]:
        return self.csms.calls(*actions)

    def transactions(self) -> Sequence[Transaction]:
        return list(self.csms.transactions.values())

    def violations(self) -> Sequence[str]:
        return [f"{violation.rule}: {violation.detail}" for violation in self.csms.violations]

    def wait_until(self, what: str, condition: Callable[[], T], within_s: float = 30.0) -> T:
        deadline = time.monotonic() + within_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise ScenarioFailed(f"waited {within_s:g} s in vain: {what}\n{self._whereabouts()}")
            if self._agent and self.rig.powered and not (self.rig.agent.running or self.rig.agent.resets):
                raise ScenarioFailed(f"the agent ended while waiting: {what}\n{self._whereabouts()}")
            time.sleep(POLL_S)
        return value

    def _whereabouts(self) -> str:
        """What a person needs to know when a wait failed."""
        lines = [f"  EVSE {n}: {outlet.sample(time.monotonic())}" for n, outlet in self.rig.outlets.items()]
        lines.append(f"  agent exit code: {self.rig.agent.exit_code}; log {self.rig.agent.log}:")
        if self.rig.agent.log.exists():
            text = self.rig.agent.log.read_text(encoding="utf-8", errors="replace")
            lines += [f"    {line}" for line in text.splitlines()[-LOG_TAIL:]]
        return "\n".join(lines)

    # ------------------------------------------------------------------------------------------ telling

    def note(self, text: str) -> None:
        self._tell(f"{time.monotonic() - self._started:7.2f} s  {text}")

    def check(self, what: str, holds: bool, found: object = "") -> None:
        self.checks.append(Check(what, holds, str(found)))
        self.note(f"{'ok  ' if holds else 'FAIL'} {what}{f' ({found})' if found != '' else ''}")

    @property
    def passed(self) -> bool:
        """Every check holds, and there was at least one."""
        return bool(self.checks) and all(check.holds for check in self.checks)


def outfits(plan: BenchPlan, connector: int = 1) -> dict[int, Outfit]:
    """What the bench file puts at each EVSE, where drivers use that connector or else the last."""
    used = {evse.id: min(connector, len(evse.sockets)) for evse in plan.evses}
    return {
        evse.id: Outfit(
            cable="socket" if evse.sockets[used[evse.id] - 1] else "fixed",
            phases=evse.phases,
            signed_meter=evse.meter.signs,
            own_reader=any(reader.evses == (evse.id,) for reader in plan.readers),
            connectors=len(evse.sockets),
            connector=used[evse.id],
        )
        for evse in plan.evses
    }
