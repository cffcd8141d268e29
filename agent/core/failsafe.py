"""The claims that need no CSMS: nameplate, cable, installation, boot, CSMS silent, meter silent; and what faults do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from agent.core.context import Context
from agent.core.delays import Delays
from agent.core.electrics import grid_phases
from agent.core.evse import Evse
from agent.core.failsafe_table import SILENCES, STANDING, Action, Row, row
from agent.core.limits import Claim
from agent.core.sharing import Shared
from config_keys import failsafe, limits, site, tx
from config_keys.key import Key

NEVER_MS = -(1 << 40)


class CsmsView(Protocol):
    """What the failsafe needs to know of the CSMS."""

    accepted_once: bool
    silent_since_ms: int | None

    @property
    def has_csms(self) -> bool: ...
    def has_live_profile(self, cx: Context, evse: Evse) -> bool: ...


def nameplate(cx: Context, evse: Evse) -> Iterable[Claim]:
    """What the EVSE, its device and its operator allow at most."""
    yield Claim("nameplate", evse.site.max_amps, why="EVSE nameplate")
    if evse.capabilities is not None:
        yield Claim("hardware", evse.capabilities.max_amps, why="what the device says of itself")
    yield Claim("evse maximum", float(cx.keys.at(site.EVSE_MAX_CURRENT, evse.id)), why="LimitCtrlr.EvseMaxCurrent")


def cable(cx: Context, evse: Evse) -> Iterable[Claim]:
    """The rating of the cable: fixed ones by board.toml, loose ones by the proximity pilot."""
    connector = evse.plug
    if connector.cable == "fixed":
        yield Claim("cable", connector.max_amps, why="fixed cable")
    elif evse.connected:
        amps = connector.cable_amps if connector.cable_amps is not None else amps_of(cx, SILENCES["cable"])
        yield Claim("cable", min(amps, connector.max_amps), why="proximity pilot")


def installation(cx: Context) -> Iterable[Shared]:
    """What the installation carries, and its circuit on each phase, shared by all EVSEs (buyers' B6)."""
    most = float(cx.keys[site.INSTALLATION_MAX_CURRENT])
    yield Shared("installation", most, "LimitCtrlr.InstallationMaxCurrent")
    for phase, key in enumerate((limits.CIRCUIT_L1, limits.CIRCUIT_L2, limits.CIRCUIT_L3)):
        amps = float(cx.keys[key])
        if amps < most:
            yield Shared("circuit", amps, key.name, phases=frozenset((phase,)))


def faults(cx: Context, evse: Evse) -> Iterable[Claim]:
    """What the failsafe table says of faults that lower the current or pause charging."""
    for code in evse.faults:
        entry = row(code)
        if Action.NONE < entry.action < Action.STOP:
            yield Claim(code, amps_of(cx, entry), why=f"fault {code}")


def meter_lost(cx: Context, evse: Evse) -> Row | None:
    """The row of a silent meter once its grace is over; it wakes the step that is due then.

    A meter that does not answer can neither bill nor protect (buyers' E14).
    """
    if evse.meter_lost_ms is None:
        return None
    due = evse.meter_lost_ms + cx.keys[site.METER_SILENT_GRACE] * 1000
    if cx.ms < due:
        cx.timers.set(f"evse{evse.id}.meter", due)
        return None
    return chosen(cx, STANDING["meter_silent"])


def meter_silent(cx: Context, evse: Evse) -> Iterable[Claim]:
    """Less current, or none, without a meter."""
    found = meter_lost(cx, evse)
    if found is not None:
        yield Claim("meter silent", amps_of(cx, found), why=f"no reading; {failsafe.METER_LOST_ACTION.name}")


def chosen(cx: Context, entry: Row) -> Row:
    """The row with the action that its key picks."""
    return entry if entry.choice is None else entry._replace(action=entry.choices[cx.keys[entry.choice]])


def amps_of(cx: Context, entry: Row) -> float:
    """What a row leaves of the current (A per phase): nothing where it pauses or stops."""
    if entry.amps is None or entry.action >= Action.PAUSE:
        return 0.0
    return float(cx.keys[entry.amps]) if isinstance(entry.amps, Key) else entry.amps


def offline_amps(cx: Context, evse: Evse) -> float:
    """The fallback while the CSMS is silent: the lowest of OfflineLimit and those of the phases that the EVSE loads."""
    lines = (failsafe.OFFLINE_LIMIT_L1, failsafe.OFFLINE_LIMIT_L2, failsafe.OFFLINE_LIMIT_L3)
    loaded = (lines[phase] for phase in grid_phases(cx, evse))
    return min(float(cx.keys[key]) for key in (site.OFFLINE_LIMIT, *loaded))


def token_refused(cx: Context, evse: Evse) -> Iterable[Claim]:
    """The CSMS does not accept the token and StopTxOnInvalidId is false: suspended, now or after the allowance.

    C15.FR.06, C15.FR.07, E05.FR.02, E05.FR.03: MaxEnergyOnInvalidId Wh may still flow; without a reading none.
    """
    since = evse.authorization.refused_wh if evse.authorization is not None else None
    if since is None:
        return
    allowed, now = cx.keys.get(tx.MAX_ENERGY_ON_INVALID_ID) or 0, evse.value("energy_import_wh")
    if not allowed or now is None or since == 0.0 or now - since >= allowed:
        yield Claim("token refused", 0.0, why="the CSMS does not accept the token")


STAGGER = "power return"


class Stagger:
    """After power came back, not all chargers of a street start at the same moment: a random delay by key."""

    def __init__(self, delays: Delays) -> None:
        self.delays = delays

    def start(self, cx: Context, reason: str) -> None:
        """Delays that a restart interrupted go on; draw one when power has returned."""
        self.delays.start(cx)
        span = cx.keys[site.STAGGER_RANDOM_RANGE]
        if reason == "PowerUp" and span and not self.delays.runs(cx, STAGGER):
            self.delays.draw(cx, STAGGER, span)

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """A pause until the delay is over."""
        if self.delays.runs(cx, STAGGER):
            yield Claim("power return", 0.0, why="RecoveryCtrlr.StaggerRandomRange")


class CsmsSilent:
    """Boot limit until the CSMS first accepted us, fallback when it is silent for longer than the grace."""

    def __init__(self, view: CsmsView) -> None:
        self._view = view
        self._bound_ms = NEVER_MS
        """When the fallback was last in force because of a silence."""

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """None when standalone: there is no CSMS to be silent."""
        view = self._view
        if not view.has_csms:
            return
        if not view.accepted_once:
            yield self._boot(cx)
        if self._too_long(cx):
            self._bound_ms = cx.ms
            yield from self._fallback(cx, evse)
        elif self._holds(cx):
            yield from self._fallback(cx, evse)

    def _too_long(self, cx: Context) -> bool:
        """Whether it is silent for longer than the grace, or again before it was back for long enough."""
        since_ms = self._view.silent_since_ms
        if since_ms is None:
            return False
        left_ms = since_ms + cx.keys[site.OFFLINE_GRACE] * 1000 - cx.ms
        if left_ms > 0:
            cx.after("csms.grace", left_ms / 1000)
        return left_ms <= 0 or self._holds(cx)

    def _holds(self, cx: Context) -> bool:
        """Whether it has not been back for FallbackCtrlr.RecoverHold yet; the step in which it has is woken."""
        until_ms = self._bound_ms + cx.keys[failsafe.RECOVER_HOLD] * 1000
        if cx.ms < until_ms:
            cx.timers.set("csms.hold", until_ms)
        return cx.ms < until_ms

    def _boot(self, cx: Context) -> Claim:
        """A resumed transaction waits for the acceptance when the key demands it (B02.FR.03, B03.FR.01)."""
        allowed = cx.keys[tx.TX_BEFORE_ACCEPTED_ENABLED]
        amps = amps_of(cx, SILENCES["boot"]) if allowed else 0.0
        return Claim("boot", amps, why="not yet accepted by the CSMS since start")

    def _fallback(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """As the row of the failsafe table says (K06.FR.02)."""
        entry, mode = chosen(cx, SILENCES["CSMS silent"]), cx.keys[site.FALLBACK_MODE]
        if mode == "KeepProfile" and self._view.has_live_profile(cx, evse):
            return
        amps = 0.0 if entry.action is Action.PAUSE else offline_amps(cx, evse)
        yield Claim("CSMS silent", amps, why=f"FallbackCtrlr.Mode is {mode}")
