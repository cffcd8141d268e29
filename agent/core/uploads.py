"""Logs that the CSMS wants to have (N01): one upload at a time, its attempts, and what is told of it.

What goes into a log is gathered by the worker (agent/io/uploads.py); here is when, whereto, and how often.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.file_servers import allowed_url, servers
from agent.core.instant import rfc3339
from agent.core.jobs import Jobs
from agent.core.outbox import Outbox
from config_keys import security
from config_keys.values import Refusal
from state_machines.table import Edge, Subject
from state_machines.upload import UPLOAD

TABLE, JOB, LAST, OWED = "uploads", "job", "last", "owed."
"""Where the upload under way and the end of the last one are kept, and what the CSMS has not heard yet."""
ACTION = "LogStatusNotification"
WORKER = "logs.upload"
RETRIES, RETRIES_MOST = 2, 100
"""Attempts after the first one, where the CSMS leaves it to us; and the most that it may ask for."""
INTERVAL_S, INTERVAL_MOST_S = 60, 86_400
OWED_MOST = 20
TRIES = 3
"""Times that a status is sent to a CSMS that is connected and does not answer it."""
ENDS: Mapping[str, str] = {"DiagnosticsLog": "diagnostics.tar.gz", "SecurityLog": "security.jsonl.gz"}
FAILURES = ("UploadFailure", "BadMessage", "PermissionDenied", "NotSupportedOperation")


class Wanted(NamedTuple):
    """A GetLog: times in UTC ms; retries and interval None where the CSMS leaves them to us."""

    kind: str
    request: int
    url: str
    oldest_ms: int | None = None
    latest_ms: int | None = None
    retries: int | None = None
    interval_s: int | None = None


class Answer(NamedTuple):
    """GetLogResponse: its status, the file's name, and why a log is refused."""

    status: str
    filename: str | None = None
    refusal: Refusal | None = None


class Uploads(Subject):
    """The upload under way; see the table."""

    TABLE = UPLOAD

    def __init__(
        self, jobs: Jobs, outbox: Outbox, stored: Mapping[str, Any], can_store: Callable[[], bool]
    ) -> None:
        super().__init__("log")
        self._jobs = jobs
        self._outbox = outbox
        self._can_store = can_store
        self._job: int | None = None
        self.current: dict[str, Any] | None = dict(stored[JOB]) if stored.get(JOB) else None
        """What is under way: request, kind, url, window, tries left, interval, file."""
        self.last: dict[str, Any] | None = stored.get(LAST)
        """How the last one ended: request and status."""
        owed = {int(name.removeprefix(OWED)): stored[name] for name in stored if name.startswith(OWED)}
        self._owed: dict[int, tuple[str, int | None]] = {n: (owed[n][0], owed[n][1]) for n in sorted(owed)}
        self._last = max(self._owed, default=0)
        self._tries = 0
        self.wait_s = 0.0

    def start(self, cx: Context) -> None:
        """An upload that the restart has broken off counts as a failed attempt, and goes on."""
        if self.current is not None:
            self.fire("interrupted", cx)

    def ask(self, cx: Context, wanted: Wanted) -> Answer:
        """GetLog: Accepted, AcceptedCanceled when another upload makes room, Rejected with the reason."""
        refusal = self._refusal(cx, wanted)
        if refusal is not None:
            return Answer("Rejected", None, refusal)
        before = self.current
        if before is not None:
            self._tell(cx, "AcceptedCanceled", before["request"])
        self.wait_s = 0.0
        self.fire("asked", cx, wanted=wanted)
        assert self.current is not None
        return Answer("Accepted" if before is None else "AcceptedCanceled", self.current["file"])

    def _refusal(self, cx: Context, wanted: Wanted) -> Refusal | None:
        """N01.FR.05: there is no log of that time, or no place where it could go."""
        place = allowed_url(wanted.url, cx.keys)
        if isinstance(place, Refusal):
            return place
        oldest, latest, now = wanted.oldest_ms, wanted.latest_ms, cx.utc()
        if oldest is not None and latest is not None and oldest > latest:
            return Refusal("InvalidValue", "oldestTimestamp is after latestTimestamp")
        if oldest is not None and now is not None and oldest > now:
            return Refusal("NotFound", f"nothing is logged yet of the time after {rfc3339(oldest)}")
        return None

    def trigger(self, cx: Context) -> bool:
        """TriggerMessage(LogStatusNotification): Uploading while there is one, else Idle (F06.FR.14, FR.15)."""
        if not self._outbox.online:
            return False
        now = ("Idle", None) if self.current is None else ("Uploading", self.current["request"])
        not_said_yet = list(self._owed.values())[self._outbox.has_call(ACTION) :]
        if now not in not_said_yet:
            self._owe(now)
        return True

    # ---------------------------------------------------------------------------------------- the table's words

    def may_try_again(self, cx: Context) -> bool:
        return self.current is not None and self.current["tries"] > 1

    def begin(self, cx: Context, wanted: Wanted) -> None:
        self._cancel(cx)
        retries = RETRIES if wanted.retries is None else min(max(wanted.retries, 0), RETRIES_MOST)
        interval = INTERVAL_S if wanted.interval_s is None else min(max(wanted.interval_s, 1), INTERVAL_MOST_S)
        self.current = {
            "request": wanted.request, "kind": wanted.kind, "url": wanted.url, "oldest": wanted.oldest_ms,
            "latest": wanted.latest_ms, "tries": retries + 1, "interval": interval, "file": _name(cx, wanted.kind),
        }  # fmt: skip
        self._keep(cx)
        self._tell(cx, "Uploading", wanted.request)

    def start_attempt(self, cx: Context) -> None:
        assert self.current is not None
        told = ("kind", "url", "oldest", "latest", "file")
        data = {name: self.current[name] for name in told} | servers(cx.keys)
        self._job = self._jobs.start(cx, WORKER, data, self._ended)

    def _ended(self, cx: Context, ok: bool, data: Mapping[str, Any]) -> None:
        self._job = None
        if ok:
            self.fire("done", cx)
            return
        cx.note("log", f"the upload has failed: {data['error']}", "warning")
        assert self.current is not None
        if data.get("status") in FAILURES:
            self.current["failed"] = data["status"]
        self.fire("failed", cx)

    def rest(self, cx: Context) -> None:
        """The next attempt comes after the interval; an attempt that never ended is no longer waited for."""
        assert self.current is not None
        self._cancel(cx)
        self.current["tries"] -= 1
        cx.after(self.deadline_name, self.current["interval"])
        self._keep(cx)

    def finish(self, cx: Context) -> None:
        self._over(cx, "Uploaded")

    def give_up(self, cx: Context) -> None:
        """N01.FR.10, after the last attempt."""
        assert self.current is not None
        self._cancel(cx)
        self._over(cx, self.current.get("failed", "UploadFailure"))

    def _over(self, cx: Context, status: str) -> None:
        assert self.current is not None
        self.last = {"request": self.current["request"], "status": status}
        self._tell(cx, status, self.current["request"])
        cx.put(TABLE, LAST, self.last, lazy=True)
        self.current = None
        self._keep(cx)

    def _cancel(self, cx: Context) -> None:
        if self._job is not None:
            self._jobs.cancel(cx, self._job)
            self._job = None

    def _keep(self, cx: Context) -> None:
        """On a full disk the log is wanted most: then it goes on without a record."""
        cx.put(TABLE, JOB, None if self.current is None else dict(self.current), lazy=not self._can_store())

    def moved(self, cx: Context, edge: Edge) -> None:
        cx.note("log", f"{edge.source} -> {edge.to} ({edge.trigger})", "debug")

    # ---------------------------------------------------------------------------------------- what is told

    def _tell(self, cx: Context, status: str, request: int) -> None:
        number = self._owe((status, request))
        cx.put(TABLE, f"{OWED}{number}", [status, request], lazy=not self._can_store())
        while len(self._owed) > OWED_MOST:
            self.told(cx, next(iter(self._owed)))

    def _owe(self, what: tuple[str, int | None]) -> int:
        self._last += 1
        self._owed[self._last] = what
        return self._last

    def settle(self, cx: Context) -> None:
        """Tell what is owed, in its order, one at a time."""
        if self._owed and self._outbox.online and not self._outbox.has_call(ACTION):
            number, (status, request) = next(iter(self._owed.items()))
            self._outbox.call(ACTION, {"status": status, "request": request}, "log_status", number=number)

    def told(self, cx: Context, number: int) -> None:
        """The CSMS knows, or wants no part of it."""
        self._tries = 0
        if self._owed.pop(number, None) is not None:
            cx.put(TABLE, f"{OWED}{number}", None, lazy=not self._can_store())

    def unanswered(self, cx: Context, number: int, *, refused: bool) -> None:
        """It is told again, unless the CSMS refuses it or is silent too often."""
        self._tries += self._outbox.online
        if refused or self._tries >= TRIES:
            self.told(cx, number)


def _name(cx: Context, kind: str) -> str:
    """The file's name: whose, when, what."""
    whose = re.sub(r"[^A-Za-z0-9_-]", "-", str(cx.keys.get(security.IDENTITY) or "station"))
    utc = cx.utc()
    when = re.sub(r"[-:]", "", rfc3339(utc)) if utc is not None else cx.boot_id
    return f"{whose}-{when}-{ENDS[kind]}"
