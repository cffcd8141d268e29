"""The supervisor of the connection: it alone dials, waits and hangs up (Part 4 5.3, bug 16 of real chargers)."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.context import Context
from agent.core.effects import Connect, Disconnect
from agent.core.site import Network
from config_keys import comm
from state_machines.link import LINK
from state_machines.table import Edge, Subject


class Link(Subject):
    """One connection at a time; see the table."""

    TABLE = LINK

    def __init__(
        self, profile: Network | None, opened: Callable[[Context], None], lost: Callable[[Context], None]
    ) -> None:
        super().__init__("station")
        self._profile = profile
        self._opened = opened
        self._lost = lost
        self.connection = 0
        self.since_ms = 0
        """When the state `open` was last entered or left."""
        self.down_since_ms: int | None = 0
        self.reason = "never connected"
        self._wait_s = 0.0
        self._doublings = 0

    @property
    def back_off_s(self) -> float:
        """The wait before the next dial, chosen when the last attempt failed."""
        return self._wait_s

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    def start(self, cx: Context) -> None:
        """Dial at once if there is a network profile."""
        if self._profile is not None:
            self.fire("dial", cx)

    def came_up(self, cx: Context, connection: int) -> None:
        """The websocket with this number is open; an older one is hung up."""
        if connection == self.connection:
            self.fire("up", cx)
        else:
            cx.do(Disconnect(connection, "superseded"))

    def went_down(self, cx: Context, connection: int, reason: str) -> None:
        """The websocket with this number failed or ended; news of an older one is no news."""
        if connection == self.connection:
            self.reason = reason
            self.fire("failed", cx)

    def refuse(self, cx: Context, connection: int, reason: str) -> None:
        """A server that does not speak our subprotocol is a failed attempt."""
        cx.do(Disconnect(connection, reason))
        self.went_down(cx, connection, reason)

    def give_up(self, cx: Context, reason: str) -> None:
        """Close a connection that no longer answers, and dial again after the back-off."""
        self.reason = reason
        self.fire("hang_up", cx)

    # ---- actions

    def connect(self, cx: Context) -> None:
        assert self._profile is not None
        self.connection += 1
        profile = self._profile
        cx.do(
            Connect(
                self.connection,
                profile.url,
                profile.identity,
                profile.password,
                ping_s=cx.keys[comm.WEB_SOCKET_PING_INTERVAL],
                security_profile=profile.security_profile,
            )
        )

    def opened(self, cx: Context) -> None:
        self._doublings, self._wait_s = 0, 0.0
        self.since_ms, self.down_since_ms = cx.ms, None
        cx.note("link", f"connection {self.connection} is open")
        self._opened(cx)

    def missed(self, cx: Context) -> None:
        self._back_off(cx)
        cx.note(
            "link",
            f"connection {self.connection} failed: {self.reason}; next try in {self._wait_s:.0f} s",
            "warning",
        )

    def lost(self, cx: Context) -> None:
        self.since_ms = self.down_since_ms = cx.ms
        self._back_off(cx)
        cx.note(
            "link",
            f"connection {self.connection} ended: {self.reason}; next try in {self._wait_s:.0f} s",
            "warning",
        )
        self._lost(cx)

    def drop(self, cx: Context) -> None:
        self.hang_up(cx)
        self.connection += 1
        self.lost(cx)

    def hang_up(self, cx: Context) -> None:
        cx.do(Disconnect(self.connection, self.reason))

    def _back_off(self, cx: Context) -> None:
        """Minimum plus a random part, then doubled up to RepeatTimes, each with a fresh random part (Part 4 5.3)."""
        if self._wait_s == 0.0:
            self._wait_s = float(cx.keys[comm.RETRY_BACK_OFF_WAIT_MINIMUM])
        elif self._doublings < cx.keys[comm.RETRY_BACK_OFF_REPEAT_TIMES]:
            self._doublings += 1
            self._wait_s *= 2
        else:
            cx.after(self.deadline_name, self._wait_s)
            return
        self._wait_s += cx.rng.uniform(0, cx.keys[comm.RETRY_BACK_OFF_RANDOM_RANGE])
        cx.after(self.deadline_name, self._wait_s)

    def moved(self, cx: Context, edge: Edge) -> None:
        cx.note("link", f"{edge.source} -> {edge.to} ({edge.trigger})", "debug")
