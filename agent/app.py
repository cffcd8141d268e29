"""chargerd, the process: reads the board, puts the halves together, and runs them until told to end.

The start is staged: journal and link first, so that the CSMS hears of us soon; the hardware's drivers and the
OCPP types are loaded while it answers (docs/decisions, start-up).
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agent.app_hardware import LateHardware, checked_hardware, known_kinds
from agent.core.effects import LogSecurity
from agent.core.events import Start, StoreReported
from agent.io.board import Board, BoardError, check_presets, load_board
from agent.io.clock import SystemClock
from agent.io.control import ControlError, ControlSocket
from agent.io.installers import InstallError, counts_starts, installer
from agent.io.jobs import Jobs, Place, beside
from agent.io.journal import Journal
from agent.io.link import Link
from agent.io.logs import note, station_log
from agent.io.provision import provision
from agent.io.runner import EXIT_BUG, Outlets, Runner
from agent.io.security_log import SecurityLog
from agent.io.system import VERSION, BootMarker, ServiceManager, lock_state
from agent.station import Station
from hal.ports import Screen

EXIT_BOARD, EXIT_TAKEN = 2, 75
LIVED_S = 300
"""A start that lives so long has not failed."""
SPEAK_FIRST_S = 0.25
"""The hardware's drivers are loaded after the first frame went out, or after this time without one."""
EPILOG = """exit codes:
  0   told to end (SIGTERM, SIGINT)
  2   the board file or the command line is wrong
  10  to be started again: the CSMS has asked for a reset
  70  a bug; all permissions were withdrawn
  75  another chargerd uses the state directory"""


def main(argv: list[str] | None = None) -> int:
    """The console script `chargerd`; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        board = load_board(options.config, VERSION)
        if options.state_dir:
            board = board._replace(state_dir=options.state_dir.resolve())
        if options.check:
            check_presets(board)
            _check_hardware(board)
            _check_installer(board)
            print(f"{options.config}: good")
            return 0
        return _run(board)
    except BoardError as error:
        print(error, file=sys.stderr)
        return EXIT_BOARD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chargerd", description="The charging station's OCPP agent.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="board.toml")
    parser.add_argument("--check", action="store_true", help="only check the file")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="instead of the file's state_dir")
    parser.add_argument("--version", action="version", version=f"chargerd {VERSION}")
    return parser


def _run(board: Board) -> int:
    """Take the state directory, recover, and live. A directory that cannot be used costs durability only."""
    clock = SystemClock()
    lock = None
    try:
        board.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_state(board.state_dir)
        if lock is None:
            note("error", "start", f"another chargerd uses {board.state_dir}")
            return EXIT_TAKEN
    except OSError as error:
        note("error", "start", f"{board.state_dir}: {error.strerror}")
    journal, records, tables, report = Journal.open(board.state_dir / "journal.db")
    marker = BootMarker(board.state_dir / "boot.json")
    reason, failed_starts = marker.begun(watchdog="WATCHDOG_USEC" in os.environ)
    try:
        station = _station(board, {**tables, "certificates": _certificates(board)}, failed_starts)
        station.recover(records)
        return asyncio.run(_Agent(board, clock, journal, station, marker).live(reason, report))
    except BoardError:
        marker.write(clean=True)
        raise
    finally:
        if lock:
            lock.close()


def _certificates(board: Board) -> Mapping[str, int]:
    """What the certificate store holds. Raises BoardError when it is the installer's roots that cannot be taken."""
    try:
        return provision(board.state_dir, board.root_file)
    except (OSError, ValueError) as error:
        raise BoardError(f"{board.file}: [network] root_file: {error}") from error


def _station(board: Board, tables: Mapping[str, Mapping[str, Any]], failed_starts: int) -> Station:
    """Raises BoardError when it is the presets that the station does not take."""
    try:
        return Station(board.site, board.presets, tables, failed_starts)
    except ValueError:
        check_presets(board)
        raise


def _displays(board: Board) -> Callable[[Screen], None]:
    """What shows a screen; loaded only where there is a display."""
    if not board.hardware.displays:
        return lambda screen: None
    from hal.screens import Screens

    return Screens(board.hardware.displays, note).show


def _check_hardware(board: Board) -> None:
    """Raises BoardError when a device's profile or driver is not there or not usable."""
    try:
        checked_hardware(board.hardware)
    except ValueError as error:
        raise BoardError(f"{board.file}: {error}") from error
    kinds = known_kinds()
    for evse in board.hardware.evses:
        if evse.kind not in kinds:
            expected = ", ".join(sorted(kinds))
            raise BoardError(f"{board.file}: [[evse]] {evse.id}: kind {evse.kind!r}, expected one of {expected}")


def _check_installer(board: Board) -> None:
    """Raises BoardError when [firmware] names nothing, or not all that it needs."""
    try:
        if board.installer is not None:
            installer(board.installer)
    except InstallError as error:
        raise BoardError(f"{board.file}: {error}") from None


class _Agent:
    """Everything that lives on the loop, and the order in which it starts and ends."""

    def __init__(
        self, board: Board, clock: SystemClock, journal: Journal, station: Station, marker: BootMarker
    ) -> None:
        self._board = board
        self._journal = journal
        self._station = station
        self._marker = marker
        self._log = station_log(board.state_dir, clock.mono_ms, station.charger.keys)
        self._runner = Runner(station, clock, [evse.id for evse in board.site.evses])
        self._link = Link(self._runner.post, self._watch, board.state_dir, self._note)
        self._hardware = LateHardware(board.hardware, self._runner.broke)
        slow = {**self._hardware.verbs(), "bundle": self._bundle, "cert.list": self._certificates}
        self._control = ControlSocket(board.control_socket, self._runner.post, slow, self._log)
        self._place = Place(board.state_dir, self._control.ask, self._log, board.file, board.installer)
        self._jobs = Jobs(self._place, self._runner.post, self._note)
        self._security_log = SecurityLog(board.state_dir)
        self._security_writer = ThreadPoolExecutor(1, "security log")
        self._clock = clock
        self._spoken = asyncio.Event()

    async def live(self, reason: str, report: StoreReported) -> int:
        """From the first step to the orderly end; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._runner.stop, signal.Signals(number).name)
        kernel_boot, up_ms = self._marker.kernel_boot, self._clock.up_ms
        start = Start(os.urandom(8).hex(), int.from_bytes(os.urandom(16)), reason, kernel_boot, up_ms)
        loop.call_later(LIVED_S, self._marker.lived)
        if report.state != "ok":
            self._runner.post(report)
        show = _displays(self._board)
        outlets = Outlets(
            self._hardware, self._journal, self._link, self._control.answer, self._note, ServiceManager(), show,
            self._jobs.execute, self._log_security,
        )  # fmt: skip
        rest = asyncio.create_task(self._start_rest())
        rest.add_done_callback(self._rest_started)
        code = await self._runner.run(outlets, start)
        rest.cancel()
        await self._end()
        self._marker.write(clean=code != EXIT_BUG)
        return code

    def _log_security(self, entry: LogSecurity) -> None:
        """Beside the loop, one after the other: no step waits for the flash."""
        self._security_writer.submit(self._security_log.append, entry.utc_ms, entry.kind, entry.info)

    def _watch(self, direction: str, connection: int, text: str) -> None:
        self._log.seen(direction, connection, text)
        if direction == ">":
            self._spoken.set()

    def _note(self, level: str, topic: str, text: str) -> None:
        note(level, topic, text)
        self._log.noted(level, topic, text)

    async def _bundle(self, args: Mapping[str, Any]) -> dict[str, str]:
        """Everything about this station in one archive, for `chargerctl bundle`."""
        made = await asyncio.to_thread(importlib.import_module, "agent.io.bundle")
        name, content = await made.bundle(self._place)
        return {"name": name, "base64": binascii.b2a_base64(content, newline=False).decode()}

    async def _certificates(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those that are installed, for `chargerctl cert list`."""
        made = await asyncio.to_thread(importlib.import_module, "agent.io.inventory")
        listed: list[dict[str, Any]] = await asyncio.to_thread(made.certificates, self._board.state_dir)
        return listed

    async def _start_rest(self) -> None:
        """What can wait until the CSMS has heard of us, each loaded beside the loop."""
        if self._board.site.network:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._spoken.wait(), SPEAK_FIRST_S)
        await self._open_hardware()
        try:
            await self._control.open()
        except ControlError as error:
            note("error", "control", str(error))
        await asyncio.to_thread(importlib.import_module, "agent.blocks")
        _ = self._station.handlers
        gc.collect()
        gc.freeze()
        gc.enable()
        await self._stay()

    async def _stay(self) -> None:
        """Without an update under way this start is a good one: a boot loader that counts them begins anew."""
        config = self._board.installer
        if config is None or not counts_starts(config) or self._station.charger.firmware.state != "idle":
            return
        try:
            await beside(lambda: installer(config).confirm(""))
        except Exception as error:  # an installer may be an OEM's; whatever it raises, the charger charges
            self._note("warning", "firmware", f"this start is not marked good: {error}")

    async def _open_hardware(self) -> None:
        """What board.toml says wrongly of devices shows here; it ends the process like any mistake in it."""
        try:
            await self._hardware.open(self._runner.post, self._clock.mono_ms)
        except ValueError as error:
            note("error", "board", f"{self._board.file}: {error}")
            self._runner.stop("board.toml", EXIT_BOARD)

    def _rest_started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._runner.broke(error)

    async def _end(self) -> None:
        """Nobody may ask any more, all is written, what waited for it is said, then hang up and let go."""
        await self._control.close()
        await self._jobs.close()
        await asyncio.to_thread(self._journal.close)
        await asyncio.to_thread(self._security_writer.shutdown)
        await asyncio.sleep(0)
        await self._link.close()
        await self._hardware.close()
        self._log.flush()


if __name__ == "__main__":
    raise SystemExit(main())
