"""The supervisor of the connection: it alone dials, waits and hangs up (Part 4 5.3, bug 16 of real chargers)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.core.certificates import FALLBACK_ROOT, ROOT
from agent.core.context import Context
from agent.core.effects import Connect, Disconnect, SetPing
from agent.core.network_profiles import Entry, Route
from agent.core.safeguards import Safeguards
from config_keys import comm, security
from config_keys.key import Key
from state_machines.link import LINK
from state_machines.table import Edge, Subject

RENEW, RENEW_AFTER_S, RENEW_S = "link.renew", 1.0, 5.0
"""After how long it is hung up for a new password or certificate, and dialled again: the old connection has to end."""


class Link(Subject):
    """One connection at a time; see the table."""

    TABLE = LINK

    def __init__(
        self,
        route: Route,
        safeguards: Safeguards,
        opened: Callable[[Context], None],
        lost: Callable[[Context], None],
    ) -> None:
        super().__init__("station")
        self._route = route
        self._safeguards = safeguards
        self.entry = route.entry
        """The network profile of this connection or of the last attempt."""
        self._opened = opened
        self._lost = lost
        self.connection = 0
        self.since_ms = 0
        """When the state `open` was last entered or left."""
        self.down_since_ms: int | None = 0
        self.reason = "never connected"
        self.root = ""
        """The set of roots that has vouched for the CSMS."""
        self._soon = False
        """The next dial does not wait for the back-off."""
        self._wait_s = 0.0
        self._waits: dict[Entry | None, tuple[float, int]] = {}
        """Per profile the last wait (s), and how often it was doubled."""
        self._taken_in = False
        """The CSMS of this connection knows the station and wants it."""
        self._refusals = 0

    @property
    def back_off_s(self) -> float:
        """The wait before the next dial, chosen when the last attempt failed."""
        return self._wait_s

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    def start(self, cx: Context) -> None:
        """Dial at once if there is a network profile."""
        if self.entry is not None:
            self.fire("dial", cx)

    def came_up(self, cx: Context, connection: int, tls: str = "", root: str = "") -> None:
        """The websocket with this number is open; an older one is hung up."""
        if connection == self.connection:
            self.root = root
            cx.note("link", f"connection {connection}: {tls or 'no TLS'}", "debug")
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

    def changed(self, cx: Context, key: Key[Any]) -> None:
        """A new value holds on the open connection, or on one that is opened for it."""
        if key in (comm.WEB_SOCKET_PING_INTERVAL, comm.WEB_SOCKET_PONG_TIMEOUT) and self.is_open:
            pings = cx.keys[comm.WEB_SOCKET_PING_INTERVAL], cx.keys[comm.WEB_SOCKET_PONG_TIMEOUT]
            cx.do(SetPing(self.connection, *pings))
        elif key is comm.WEB_SOCKET_COMPRESSION:
            self.renew_soon(cx)

    def renew_soon(self, cx: Context) -> None:
        """Connect anew with what has changed, such as a certificate, once all is said (A01, A02.FR.08)."""
        if self.is_open:
            cx.after(RENEW, RENEW_AFTER_S)

    def renew(self, cx: Context) -> None:
        """Hang up and dial again without the back-off."""
        self._soon = True
        self.give_up(cx, "connecting anew")
        self._soon = False

    def taken_in(self, *, accepted: bool) -> None:
        """The CSMS knows the station: this profile is dialled first when the connection is lost."""
        assert self.entry is not None
        self._taken_in = True
        self._route.worked(self.entry, good=accepted)

    def turned_away(self, cx: Context, good: Entry | None) -> None:
        """Rejected by a CSMS that never accepted the station: after so many answers the next profile is tried."""
        assert self.entry is not None
        self._refusals += 1
        if self.entry == good or not self._route.leads_elsewhere(self.entry):
            return
        if self._refusals >= cx.keys[comm.NETWORK_PROFILE_CONNECTION_ATTEMPTS]:
            self._route.skip()
            self._taken_in = True
            self.give_up(cx, f"rejected {self._refusals} times")

    # ---- actions

    def connect(self, cx: Context) -> None:
        self.entry = self._route.entry
        assert self.entry is not None
        self.connection += 1
        self._taken_in, self._refusals = False, 0
        cx.keys.put(comm.MESSAGE_TIMEOUT, self.entry.profile.message_timeout_s)
        made = order(
            cx, self.connection, self.entry, self._safeguards, good=self._route.is_good(self.entry),
            with_old=self._route.is_last,
        )  # fmt: skip
        self._safeguards.certificate.dialled = made.certificate
        cx.do(made)

    def opened(self, cx: Context) -> None:
        assert self.entry is not None
        self._waits.clear()
        cx.keys.put(comm.ACTIVE_NETWORK_PROFILE, self.entry.slot)
        cx.keys.put(security.SECURITY_PROFILE, self.entry.profile.security_profile)
        self.since_ms, self.down_since_ms = cx.ms, None
        cx.note("link", f"connection {self.connection} is open")
        self._opened(cx)

    def missed(self, cx: Context) -> None:
        self._route.failed(cx)
        self._back_off(cx)
        cx.note(
            "link",
            f"connection {self.connection} failed: {self.reason}; next try in {self._wait_s:.0f} s",
            "warning",
        )

    def lost(self, cx: Context) -> None:
        self.since_ms = self.down_since_ms = cx.ms
        if not self._taken_in:
            self._route.failed(cx)
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
        """Minimum plus a random part, then doubled up to RepeatTimes, each with a fresh random part (Part 4 5.3).

        Each profile has its own waits, so that the next one is tried soon (B10.FR.03).
        """
        if self._soon:
            self._wait_s = RENEW_S
            cx.after(self.deadline_name, self._wait_s)
            return
        random_s = cx.rng.uniform(0, cx.keys[comm.RETRY_BACK_OFF_RANDOM_RANGE])
        last_s, doublings = self._waits.get(self._route.entry, (0.0, -1))
        if doublings < 0:
            self._wait_s = cx.keys[comm.RETRY_BACK_OFF_WAIT_MINIMUM] + random_s
        elif doublings < cx.keys[comm.RETRY_BACK_OFF_REPEAT_TIMES]:
            self._wait_s = 2 * last_s + random_s
        else:
            self._wait_s, doublings = last_s, doublings - 1
        self._waits[self._route.entry] = self._wait_s, doublings + 1
        cx.after(self.deadline_name, self._wait_s)

    def moved(self, cx: Context, edge: Edge) -> None:
        cx.note("link", f"{edge.source} -> {edge.to} ({edge.trigger})", "debug")


def order(
    cx: Context, connection: int, entry: Entry, safeguards: Safeguards, *, good: bool = False, with_old: bool = False
) -> Connect:
    """What the link has to do to connect with a network profile now; `good`: a CSMS has accepted the station with it.

    Where a root of the CSMS has a successor, the old one still vouches for a CSMS that is known (M05.FR.14 to FR.16).
    `with_old`: with the station's certificate before the newest.
    """
    profile = entry.profile
    basic = profile.security_profile < 3
    return Connect(
        connection,
        profile.url,
        cx.keys.text(security.IDENTITY),
        safeguards.password.of(cx) if basic else None,
        ping_s=cx.keys[comm.WEB_SOCKET_PING_INTERVAL],
        pong_s=cx.keys[comm.WEB_SOCKET_PONG_TIMEOUT],
        compression=cx.keys[comm.WEB_SOCKET_COMPRESSION],
        security_profile=profile.security_profile,
        roots=(ROOT, FALLBACK_ROOT) if good else (ROOT,),
        system_roots=cx.keys[security.USE_SYSTEM_TRUST_STORE],
        wildcards=cx.keys[security.ALLOW_CSMS_TLS_WILDCARDS],
        revocation=cx.keys[security.REVOCATION_CHECK],
        certificate="" if basic else safeguards.certificate.of(with_old=with_old),
        floor_ms=cx.clock.floor_ms,
        utc_ms=cx.utc(),
    )
