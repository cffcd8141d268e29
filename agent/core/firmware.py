"""Firmware updates: fetched, checked, installed when nobody charges, proved after the restart or taken back (L01, L02).

The order and how far it has come are kept at every change, so that a start in any state goes on from there. What is
done to files and boot loaders are jobs (agent/io/transfers.py, signatures.py, firmware.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.file_servers import allowed_url, servers
from agent.core.firmware_order import End, Order, Progress, Verdict
from agent.core.firmware_statuses import Statuses
from agent.core.hours import within
from config_keys import firmware, physical
from config_keys.values import Refusal
from state_machines.firmware import AFTER_RESTART, CANCELLABLE, FIRMWARE, STATUSES
from state_machines.table import Edge, Subject

if TYPE_CHECKING:
    from agent.core.charger import Charger

TABLE, ORDER, PROGRESS = "firmware", "order", "progress"
DUE = "firmware.due"
LOOK_AGAIN_MS = 3_600_000
"""A moment far away is looked at once an hour: clocks are corrected meanwhile."""
STARTS_MOST = 3
"""Starts in which the new firmware may try to prove itself, or the old one to go on, or the way back may be tried."""
CLOSED = "firmware update"
NO_INSTALLER = "board.toml names no way to install firmware"
SHUT = ("installing", "announcing", "switching", "proving", "reverting")
"""States in which nobody new may charge."""

Done = Callable[[Context, Verdict], None]


class Firmware(Subject):
    """The one update; see the table."""

    TABLE = FIRMWARE

    def __init__(self, charger: Charger, stored: Mapping[str, Any], statuses: Mapping[str, Any]) -> None:
        super().__init__("station")
        self._charger = charger
        self.statuses = Statuses(charger.outbox, statuses)
        self.order: Order | None = Order(**stored[ORDER]) if ORDER in stored else None
        self.progress = Progress.of(stored.get(PROGRESS, {}))
        self.state = self.progress.state
        self.fetched: Mapping[str, Any] = {}
        """Bytes that are here, and `of` how many, while a file is fetched."""
        self._dirty = self._closed = False
        self._work: tuple[int, int, Callable[[Context], None]] | None = None
        """The job that the update waits for, the step that asked for it, and how it is asked for."""

    # ---------------------------------------------------------------------------------------- asked for

    def ask(self, cx: Context, order: Order, done: Done) -> Verdict | None:
        """A request: the verdict, or None when the certificate has to be checked first; then `done` hears it."""
        refused = self._refusal(cx, order)
        if refused is not None or not order.signed:
            return refused or self._begin(cx, order)

        def checked(cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
            done(cx, self._refusal(cx, order) or self._judge_signer(cx, order, ok, told))

        data = {"certificate": order.certificate, "utc_ms": cx.utc()}
        self._charger.jobs.start(cx, "firmware.signer", data, checked)
        return None

    def _refusal(self, cx: Context, order: Order) -> Verdict | None:
        """Why the request is refused, without anything being touched."""
        if not self._charger.site.updates:
            return Verdict("Rejected", "UnsupportedRequest", NO_INSTALLER)
        url = None if order.file else allowed_url(order.url, cx.keys)
        if isinstance(url, Refusal):
            return Verdict("Rejected", url.reason_code, url.info)
        if (order.certificate is None) != (order.signature is None):
            return Verdict("Rejected", "MissingParam", "a signing certificate and a signature come together")
        if not order.signed and cx.keys[firmware.SIGNED_ONLY]:
            return Verdict("Rejected", "MissingParam", "only signed firmware is taken (FwCtrlr.SignedOnly)")
        if self.state not in ("idle", *CANCELLABLE):
            return Verdict("Rejected", "FwUpdateInProgress", f"an update is {self.state} and cannot be stopped")
        return None

    def _judge_signer(self, cx: Context, order: Order, ok: bool, told: Mapping[str, Any]) -> Verdict:
        """L01.FR.21, FR.22: what became of the check of the signing certificate."""
        if ok and told["valid"]:
            return self._begin(cx, order)
        why = str(told["info"] if ok else told["error"])
        self._charger.security.report(cx, "InvalidFirmwareSigningCertificate", why)
        return Verdict("InvalidCertificate", "InvalidCertificate", why)

    def _begin(self, cx: Context, order: Order) -> Verdict:
        cancelled = self.state != "idle"
        if cancelled:
            self.cancel(cx)
        self.order, self.progress = order, Progress()
        cx.put(TABLE, ORDER, order._asdict())
        self.fire("begin", cx)
        return Verdict("AcceptedCanceled" if cancelled else "Accepted")

    def cancel(self, cx: Context) -> None:
        """Another one takes its place (L01.FR.24); the one that ends says so."""
        fetching = self.state in ("scheduled", "downloading", "paused")
        if self._work is not None:
            self._charger.jobs.cancel(cx, self._work[0])
            self._work = None
        self.fire("cancel", cx)
        self._tell(cx, "DownloadFailed" if fetching else "InstallationFailed", "another update was asked for")

    def take_back(self, cx: Context, why: str) -> str | None:
        """A person wants the firmware before; why that is not possible, or None."""
        if not self._charger.site.updates:
            return NO_INSTALLER
        if self.state != "idle":
            return f"an update is {self.state}"
        if any(self._is_busy(evse) for evse in self._charger.evses.values()):
            return "somebody charges"
        self.order, self.progress = None, Progress(why=why)
        cx.put(TABLE, ORDER, None)
        self.fire("back", cx)
        return None

    # ---------------------------------------------------------------------------------------- life

    def start(self, cx: Context) -> None:
        """Go on where the process before has ended."""
        self.statuses.start(cx)
        self._dirty = self.state != "idle"
        if self.state in AFTER_RESTART:
            self._do(cx, "firmware.booted", {}, self._booted)
        elif self.state == "paused":
            cx.after(self.deadline_name, self.interval_s)
        elif self.state in ("downloading", "checking", "installing"):
            {"downloading": self.fetch, "checking": self.check, "installing": self.install}[self.state](cx)
        self.arm(cx)

    def settle(self, cx: Context) -> None:
        """At the end of a step: say what is to be said, and go on when what was waited for is there."""
        self.statuses.owed.settle(cx)
        if self.state == "idle" and not self._dirty:
            return
        if self.state == "waiting" and self.is_too_soon(cx):
            self.fire("shut", cx)
        elif self.state == "ready" and not self.is_too_soon(cx):
            self.fire("due", cx)
        elif self.state == "waiting" and not any(self._is_busy(evse) for evse in self._charger.evses.values()):
            self.fire("free", cx)
        elif self.state == "announcing" and not (self.statuses.owed and self._charger.outbox.online):
            self.fire("announced", cx)
        elif self.state == "proving" and self._work is None and self._ailment(cx) is None:
            self.fire("healthy", cx)
        self._close(cx)
        if self._dirty:
            self._dirty = False
            cx.put(TABLE, PROGRESS, asdict(self.progress))

    def moved(self, cx: Context, edge: Edge) -> None:
        """Every new state is told (L01.FR.01) and kept."""
        cx.note("firmware", f"{edge.source} -> {edge.to} ({edge.trigger})", "debug")
        self.progress.state = edge.to
        if edge.to == "reverting" != edge.source:
            self.progress.starts = 0
        self._dirty = True
        if (status := STATUSES.get(edge.to)) is not None:
            self._tell(cx, status)
        self.arm(cx)

    def arm(self, cx: Context) -> None:
        """Wake up when the time to fetch or to install has come; again when the clock was set."""
        moment = self._moment(cx)
        utc = cx.utc()
        if moment is None or utc is None:
            cx.forget(DUE)
        else:
            cx.timers.set(DUE, cx.ms + max(0, min(moment - utc, LOOK_AGAIN_MS)))

    def due(self, cx: Context) -> None:
        """The deadline by the clock on the wall."""
        moment, utc = self._moment(cx), cx.utc()
        if moment is not None and utc is not None and utc >= moment and self.state != "waiting":
            self.fire("due", cx)
        else:
            self.arm(cx)

    def unrecorded(self, cx: Context, since: int) -> None:
        """What step `since` and later ones asked for was dropped with their batches."""
        if self._work is not None and self._work[1] >= since:
            self._charger.jobs.cancel(cx, self._work[0])
            self._work[2](cx)

    def _moment(self, cx: Context) -> int | None:
        """What a state waits for, in UTC ms."""
        if self.order is None:
            return None
        if self.state == "scheduled":
            return self.order.retrieve_ms
        return self._span(cx)[self.state == "waiting"] if self.state in ("ready", "waiting") else None

    def _span(self, cx: Context) -> tuple[int | None, int | None]:
        """From when on (UTC ms) the firmware may be installed, and until when; None: whenever it is."""
        assert self.order is not None
        begin, window, utc = self.order.install_ms, self._window(cx), cx.utc()
        if not window or utc is None:
            return begin, None
        at = max(utc, begin or 0)
        inside, change_ms = within(window, at)
        return (at, at + change_ms) if inside else (at + change_ms, None)

    def _window(self, cx: Context) -> str:
        """The hours for what the CSMS has asked for; a person at the station knows what time it is."""
        assert self.order is not None
        return "" if self.order.request is None else cx.keys.text(firmware.WINDOW)

    # ---------------------------------------------------------------------------------------- the table's guards

    def is_early(self, cx: Context) -> bool:
        """retrieveDateTime is in the future."""
        assert self.order is not None
        utc = cx.utc()
        return not self.order.file and utc is not None and utc < self.order.retrieve_ms

    def is_too_soon(self, cx: Context) -> bool:
        """installDateTime is in the future, or the window shut; without a clock nobody knows."""
        utc, begin = cx.utc(), self._span(cx)[0]
        if utc is None:
            return bool(self._window(cx)) or begin is not None
        return begin is not None and utc < begin

    def may_try_again(self, cx: Context) -> bool:
        """`retries` are attempts after the first one; there is a first one even with none (MicroOcpp#436)."""
        assert self.order is not None
        retries = self.order.retries if self.order.retries is not None else cx.keys[firmware.RETRIES]
        return not self.order.file and self.progress.tries < retries

    def may_start_again(self, cx: Context) -> bool:
        """The firmware has not been started too often in this state."""
        return self.progress.starts <= STARTS_MOST

    @property
    def interval_s(self) -> float:
        """Between attempts to fetch the file."""
        own: int = self._charger.keys[firmware.RETRY_INTERVAL]
        asked = None if self.order is None else self.order.interval_s
        return float(own if asked is None else max(1, asked))

    # ---------------------------------------------------------------------------------------- the table's actions

    def fetch(self, cx: Context) -> None:
        """One attempt; what an earlier one has brought is not fetched again."""
        assert self.order is not None
        data = {
            "url": self.order.url, "file": self.order.file, "most": cx.keys[firmware.SIZE_LIMIT],
            "within_s": cx.keys[firmware.FETCH_LIMIT], **servers(cx.keys),
        }  # fmt: skip
        self.fetched = {}
        self._do(cx, "firmware.fetch", data, self._fetched, self._heard)

    def _heard(self, cx: Context, told: Mapping[str, Any]) -> None:
        self.fetched = told

    def _fetched(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        if ok:
            self.fire("fetched", cx)
            return
        cx.note("firmware", f"the file was not fetched: {told['error']}", "warning")
        if told.get("final"):
            self.progress.tries = 1 << 30
        self.fire("broke", cx, end=End("DownloadFailed", str(told["error"])))

    def pause(self, cx: Context, end: End) -> None:
        """What is here stays: DownloadPaused until the next attempt (L01.FR.14)."""
        self.progress.tries += 1
        if self.fetched.get("bytes"):
            self._tell(cx, "DownloadPaused")

    def check(self, cx: Context) -> None:
        """L01.FR.04: the signature over the whole file, before anything of it is used."""
        assert self.order is not None
        if not self.order.signed:
            self.fire("genuine", cx)
            return
        data = {
            "certificate": self.order.certificate, "signature": self.order.signature, "utc_ms": cx.utc(),
        }  # fmt: skip
        self._do(cx, "firmware.check", data, self._checked)

    def _checked(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        if not ok:
            self.fire("failed", cx, end=End("InstallationFailed", str(told["error"])))
        elif told["genuine"]:
            self._tell(cx, "SignatureVerified")
            self.fire("genuine", cx)
        else:
            self._charger.security.report(cx, "InvalidFirmwareSignature", told["info"])
            self.fire("forged", cx, end=End("InvalidSignature", told["info"]))

    def wait(self, cx: Context) -> None:
        """L01.FR.34: it is told when others have to finish first."""
        if any(self._is_busy(evse) for evse in self._charger.evses.values()):
            self._tell(cx, "InstallScheduled")

    def install(self, cx: Context) -> None:
        """Write it to its place; what runs is not touched."""
        data = {"running": self._charger.site.firmware, "downgrade": cx.keys[firmware.ALLOW_DOWNGRADE]}
        self._do(cx, "firmware.install", data, self._installed)

    def _installed(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        if ok:
            self.progress.place, self.progress.version = told["place"], told["version"]
            self.fire("placed", cx)
            return
        status = "InstallVerificationFailed" if told.get("unfit") else "InstallationFailed"
        self.fire("failed", cx, end=End(status, str(told["error"])))

    def switch(self, cx: Context, end: End | None = None) -> None:
        """The next start is the new firmware's."""
        self.progress.alive = [e.id for e in self._charger.evses.values() if _answers(e)]
        self._dirty = True
        self._do(cx, "firmware.switch", {"place": self.progress.place}, self._switched)

    def revert(self, cx: Context, end: End | None = None) -> None:
        """The next start is the old firmware's again."""
        self.progress.why = self.progress.why or (end.why if end else "") or self._ailment(cx) or "it was not good"
        self._dirty = True
        self._do(cx, "firmware.back", {"place": self.progress.place}, self._switched)

    def _switched(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        if ok:
            self._charger.resets.restart(cx, "FirmwareUpdate")
        else:
            self.fire("failed", cx, end=self._lost(str(told["error"])))

    def confirm(self, cx: Context) -> None:
        """It stays."""
        self._do(cx, "firmware.confirm", {"place": self.progress.place}, self._confirmed)

    def _confirmed(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        if ok:
            self.fire("confirmed", cx, end=End("Installed"))
        else:
            self.fire("failed", cx, end=self._lost(str(told["error"])))

    def end(self, cx: Context, end: End) -> None:
        """It is over; nothing is left to go on with."""
        if end.status:
            self._tell(cx, end.status, end.why)
        if end.status == "Installed":
            text = f"{self._charger.site.firmware} ({self.progress.place})"
            self._charger.security.report(cx, "FirmwareUpdated", text)
        self.order = None
        cx.put(TABLE, ORDER, None)

    # ---------------------------------------------------------------------------------------- after the restart

    def _booted(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        """Which firmware is it that has started?"""
        self.progress.starts += 1
        self._dirty = True
        if not ok:
            self.fire("failed", cx, end=self._lost(str(told["error"])))
            return
        new = told["place"] == self.progress.place
        why = self.progress.why if self.state == "reverting" else "the new firmware did not start"
        given_up = not new and self.progress.place in told["bad"]
        self.fire("failed" if given_up else "started_new" if new else "started_old", cx, end=self._lost(why))

    def _lost(self, why: str) -> End:
        """The old firmware stays: a failure, unless a person has wanted it back."""
        return End("InstallationFailed" if self.order is not None else "", why)

    def _ailment(self, cx: Context) -> str | None:
        """What the new firmware still lacks to be trusted, or None: hardware that answers, and a CSMS that accepts."""
        for evse in self._charger.evses.values():
            if evse.id in self.progress.alive and not _answers(evse):
                return f"the hardware of EVSE {evse.id} does not answer"
        if self._charger.has_csms and not self._charger.is_online:
            return "the CSMS has not accepted it in time"
        return None

    # ---------------------------------------------------------------------------------------- the rest

    def _do(
        self, cx: Context, kind: str, data: Mapping[str, Any],
        ended: Callable[[Context, bool, Mapping[str, Any]], None],
        told: Callable[[Context, Mapping[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        """Start the job that the update waits for."""

        def over(cx: Context, ok: bool, result: Mapping[str, Any]) -> None:
            self._work = None
            ended(cx, ok, result)

        def again(cx: Context) -> None:
            self._work = (self._charger.jobs.start(cx, kind, data, over, told), cx.step, again)

        again(cx)

    def _tell(self, cx: Context, status: str, why: str = "") -> None:
        self.statuses.tell(cx, status, None if self.order is None else self.order.request, why)

    def _is_busy(self, evse: Evse) -> bool:
        return evse.is_busy or evse.contactor.may_carry or self._charger.locks.keeps(evse)

    def _close(self, cx: Context) -> None:
        """L01.FR.07: EVSEs are not for new sessions while the update waits for the others, unless the key allows."""
        closed = self.state in SHUT
        if self.state == "waiting":
            closed = not cx.keys[physical.ALLOW_NEW_SESSIONS_PENDING_FIRMWARE_UPDATE]
        if closed != self._closed:
            self._closed = closed
            for evse in self._charger.evses.values():
                (evse.closed_for.add if closed else evse.closed_for.discard)(CLOSED)

    def describe(self) -> dict[str, Any]:
        """For people: `chargerctl fw status`."""
        return {
            "running": self._charger.site.firmware, "state": self.state, **self.statuses.last,
            "new": self.progress.version or None, "fetched": self.fetched.get("bytes"), "of": self.fetched.get("of"),
        }  # fmt: skip


def _answers(evse: Evse) -> bool:
    """All devices of an EVSE have been heard and none is silent."""
    metered = evse.reading is not None or not evse.site.has_meter
    return evse.is_seen and not evse.silent and evse.capabilities is not None and metered
