"""The moments that the runner hands to the station: monotonic always, UTC only when the system knows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from agent.core.instant import Instant

BUILD_MS = 1_767_225_600_000
"""2026-01-01: a system clock before the first release is a clock that was never set."""
FIRST_ASK_MS = 1_000
"""The system is asked after the start-up is over, so that asking costs the Boot frame nothing."""
RECHECK_MS = 10_000
_STA_UNSYNC = 0x40
_TIME_ERROR = 5


class SystemClock:
    """`now()` counts milliseconds from its own making. UTC needs a plausible and a trusted system clock.

    Trusted means: kept by NTP, or set at boot from a battery-backed clock. A wrong UTC is worse than none:
    the CSMS sends the time with its first answer (B01.FR.06).
    """

    def __init__(self, trusted: Callable[[], bool] | None = None) -> None:
        self._origin_ns = time.monotonic_ns()
        self._trusted = trusted or _system_clock_trusted
        self._known = False
        self._ask_at_ms = FIRST_ASK_MS

    @property
    def up_ms(self) -> int:
        """What the kernel's monotonic clock showed then."""
        return self._origin_ns // 1_000_000

    def mono_ms(self) -> int:
        """Milliseconds since this clock was made."""
        return (time.monotonic_ns() - self._origin_ns) // 1_000_000

    def now(self) -> Instant:
        """This moment."""
        mono_ms = self.mono_ms()
        utc_ms = time.time_ns() // 1_000_000
        return Instant(mono_ms, utc_ms if utc_ms >= BUILD_MS and self._trust(mono_ms) else None)

    def _trust(self, mono_ms: int) -> bool:
        if not self._known and mono_ms >= self._ask_at_ms:
            self._ask_at_ms = mono_ms + RECHECK_MS
            self._known = self._trusted()
        return self._known


def _system_clock_trusted() -> bool:
    return Path("/run/systemd/timesync/synchronized").exists() or _set_from_rtc() or _kernel_synchronised()


def _set_from_rtc() -> bool:
    for file in Path("/sys/class/rtc").glob("*/hctosys"):
        try:
            if file.read_text().strip() == "1":
                return True
        except OSError:
            continue
    return False


def _kernel_synchronised() -> bool:
    """adjtimex(2): a daemon such as chrony clears STA_UNSYNC in `status`, fifth word of `struct timex`."""
    import ctypes

    timex = (ctypes.c_long * 32)()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    status = ctypes.c_int.from_buffer(timex, 4 * ctypes.sizeof(ctypes.c_long)).value
    return state not in (-1, _TIME_ERROR) and not status & _STA_UNSYNC
