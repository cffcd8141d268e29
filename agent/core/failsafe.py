"""The claims that need no CSMS: nameplate, cable, installation, boot, CSMS silent, meter silent; and what faults do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.sharing import Shared
from config_keys import site, tx


class CsmsView(Protocol):
    """What the failsafe needs to know of the CSMS."""

    accepted_once: bool
    silent_since_ms: int | None

    @property
    def has_csms(self) -> bool: ...
    def has_live_profile(self, cx: Context, evse: Evse) -> bool: ...


SOCKET_WITHOUT_CABLE_AMPS = 13.0
"""What a socket offers to a cable that does not tell its rating: the smallest standard cable."""
DERATES: Mapping[str, float] = {"derating": 6.0}
"""Faults that only reduce the current, to these amps per phase; reduced is not Faulted (bug 30)."""
UNTIL_UNPLUG = frozenset({"diode", "residual_current", "over_current", "contactor_dropped"})
"""Latched: their cause may be gone, they stay until the car is unplugged."""
ENDS_SESSION: Mapping[str, str] = {
    "diode": "Other", "ground": "GroundFault", "residual_current": "GroundFault", "residual_selftest": "GroundFault",
    "over_current": "OvercurrentFault", "emergency_stop": "EmergencyStop", "contactor_welded": "Other",
    "board_internal": "Other", "meter_implausible": "Other", "power_loss": "PowerLoss",
}  # fmt: skip
"""Faults after which a session does not go on by itself, with OCPP's stoppedReason (E06.FR.16)."""


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
        amps = connector.cable_amps if connector.cable_amps is not None else SOCKET_WITHOUT_CABLE_AMPS
        yield Claim("cable", min(amps, connector.max_amps), why="proximity pilot")


def installation(cx: Context) -> Iterable[Shared]:
    """What the installation carries, shared by all EVSEs."""
    yield Shared("installation", float(cx.keys[site.INSTALLATION_MAX_CURRENT]), "LimitCtrlr.InstallationMaxCurrent")


def faults(cx: Context, evse: Evse) -> Iterable[Claim]:
    """Faults that derate."""
    for code in evse.faults:
        if code in DERATES:
            yield Claim(code, DERATES[code], why=f"fault {code}")


def meter_silent(cx: Context, evse: Evse) -> Iterable[Claim]:
    """A meter that does not answer cannot protect or bill: reduced (E14 of the buyers' list)."""
    if evse.site.has_meter and "meter" in evse.silent:
        yield Claim("meter silent", float(cx.keys[site.METER_LOST_LIMIT]), why="no reading within the grace")


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


class Stagger:
    """After power came back, not all chargers of a street start at the same moment: a random delay by key."""

    def __init__(self) -> None:
        self._until_ms = 0

    def start(self, cx: Context, reason: str) -> None:
        """Draw the delay, once per boot."""
        span = cx.keys[site.STAGGER_RANDOM_RANGE]
        if reason == "PowerUp" and span:
            self._until_ms = cx.ms + round(cx.rng.uniform(0, span) * 1000)
            cx.timers.set("stagger", self._until_ms)

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """A pause until the delay is over."""
        if cx.ms < self._until_ms:
            yield Claim("power return", 0.0, why="RecoveryCtrlr.StaggerRandomRange")


class CsmsSilent:
    """Boot limit until the CSMS first accepted us, fallback when it is silent for longer than the grace."""

    def __init__(self, view: CsmsView) -> None:
        self._view = view

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """None when standalone: there is no CSMS to be silent."""
        view = self._view
        if not view.has_csms:
            return
        if not view.accepted_once:
            yield self._boot(cx)
        if view.silent_since_ms is None:
            return
        left_ms = view.silent_since_ms + cx.keys[site.OFFLINE_GRACE] * 1000 - cx.ms
        if left_ms > 0:
            cx.after("csms.grace", left_ms / 1000)
            return
        yield from self._fallback(cx, evse)

    def _boot(self, cx: Context) -> Claim:
        """A resumed transaction waits for the acceptance when the key demands it (B02.FR.03, B03.FR.01)."""
        allowed = cx.keys[tx.TX_BEFORE_ACCEPTED_ENABLED]
        amps = float(cx.keys[site.BOOT_LIMIT]) if allowed else 0.0
        return Claim("boot", amps, why="not yet accepted by the CSMS since start")

    def _fallback(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        mode = cx.keys[site.FALLBACK_MODE]
        if mode == "Pause":
            yield Claim("CSMS silent", 0.0, why="FallbackCtrlr.Mode is Pause")
        elif mode == "Reduce" or not self._view.has_live_profile(cx, evse):
            yield Claim("CSMS silent", float(cx.keys[site.OFFLINE_LIMIT]), why=f"FallbackCtrlr.Mode is {mode}")
