"""Does what takes longer than a step: one task per job beside the loop, its module loaded when first needed.

A worker is `async def worker(place, data, tell) -> result`. It raises JobFailed for what can go wrong; any other
exception is noted as a bug and ends the job as failed, never the process. What blocks goes into a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agent.core.effects import CancelJob, StartJob
from agent.core.events import Event, JobEnded, JobTold
from agent.io.installers import InstallerConfig
from agent.io.logs import StationLog

T = TypeVar("T")
Data = Mapping[str, Any]
Tell = Callable[[Data], None]

WORKERS: dict[str, str] = {
    "certificates.install": "agent.io.pki:install",
    "certificates.delete": "agent.io.pki:delete",
    "certificates.list": "agent.io.pki:listing",
    "firmware.signer": "agent.io.signatures:check_signer",
    "firmware.fetch": "agent.io.transfers:fetch",
    "firmware.check": "agent.io.signatures:check_file",
    "firmware.install": "agent.io.firmware:install",
    "firmware.switch": "agent.io.firmware:switch",
    "firmware.booted": "agent.io.firmware:booted",
    "firmware.confirm": "agent.io.firmware:confirm",
    "firmware.back": "agent.io.firmware:back",
    "logs.upload": "agent.io.uploads:upload",
    "certificates.retire": "agent.io.pki:retire",
    "credentials.request": "agent.io.credentials:request",
    "credentials.signed": "agent.io.credentials:signed",
    "credentials.discard": "agent.io.credentials:discard",
    "network.try": "agent.io.trial:connect",
}
"""Kind of job: module and function of its worker."""


class Place(NamedTuple):
    """What workers have at hand: where they may keep files, whom they may ask as people do, the station's log,
    and board.toml."""

    state_dir: Path
    ask: Callable[[str, Data], Awaitable[tuple[bool, Any]]] | None = None
    log: StationLog | None = None
    board: Path | None = None
    installer: InstallerConfig | None = None


Worker = Callable[[Place, Data, Tell], Awaitable[Data]]


class JobFailed(Exception):
    """What went wrong, for people; `data` is what the core needs to know of it."""

    def __init__(self, error: str, **data: Any) -> None:
        super().__init__(error)
        self.data: dict[str, Any] = {"error": error, **data}


async def beside(work: Callable[[], T]) -> T:
    """In a thread that the end of the process does not wait for: a server may not be there, an installer busy."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def give(result: T) -> None:
        if not done.cancelled():
            done.set_result(result)

    def fail(error: BaseException) -> None:
        if not done.cancelled():
            done.set_exception(error)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            try:
                result = work()
            except BaseException as raised:  # whatever it is, who waits has to hear of it
                loop.call_soon_threadsafe(fail, raised)
            else:
                loop.call_soon_threadsafe(give, result)

    threading.Thread(target=run, name="beside", daemon=True).start()
    return await done


class Jobs:
    """Starts and stops workers; what they say becomes events."""

    def __init__(self, place: Place, post: Callable[[Event], None], note: Callable[[str, str, str], None]) -> None:
        self._place = place
        self._post = post
        self._note = note
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def execute(self, effect: StartJob | CancelJob) -> None:
        """Start a job, or stop one where it is."""
        if isinstance(effect, CancelJob):
            if (task := self._tasks.pop(effect.job, None)) is not None:
                task.cancel()
            return
        task = asyncio.get_running_loop().create_task(self._run(effect), name=f"job {effect.kind}")
        self._tasks[effect.job] = task
        task.add_done_callback(partial(self._gone, effect.job))

    def _gone(self, job: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job) is task:
            del self._tasks[job]

    async def _run(self, job: StartJob) -> None:
        try:
            worker = await self._worker(job.kind)
            result = await worker(self._place, job.data, lambda data: self._post(JobTold(job.job, data)))
        except JobFailed as failed:
            self._post(JobEnded(job.job, False, failed.data))
        except Exception as bug:
            for line in "".join(traceback.format_exception(bug)).splitlines():
                self._note("error", "job", line)
            self._post(JobEnded(job.job, False, {"error": f"{type(bug).__name__}"}))
        else:
            self._post(JobEnded(job.job, True, result))

    async def _worker(self, kind: str) -> Worker:
        module, _, function = WORKERS[kind].partition(":")
        loaded = await asyncio.to_thread(importlib.import_module, module)
        worker: Worker = getattr(loaded, function)
        return worker

    async def close(self) -> None:
        """Stop every job."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
