"""Network profiles: the slots, the order in which they are tried, and the one that is known to work (B09, B10).

Slot 0 begins as what board.toml says. What SetNetworkProfile stores and a new NetworkConfigurationPriority are used
from the next boot on, so that a move to another CSMS is never half made; the profile with which a CSMS accepted the
station last is kept as a whole and stays the last resort, whatever is written into the slots.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.site import Network
from config_keys import comm, security
from config_keys.key import Key
from config_keys.values import Refusal, Values, format_name

TABLE = "network"
GOOD, REACHED, BOARD = "good", "reached", "board"
"""Entries of the table beside the slots: the profile that worked last, the security profile that the station has come
up to, and what board.toml said when it was last read."""
URL = re.compile(r"wss?://[^\s/@?#]+(/[^\s?#]*)?")
URL_MOST = 512
TIMEOUT_MOST_S = 3600


KEYS_OF_BOARD = tuple(
    format_name(key)
    for key in (comm.NETWORK_CONFIGURATION_PRIORITY, security.IDENTITY, security.BASIC_AUTH_PASSWORD)
)
"""Variables that say how board.toml's CSMS is reached, too."""


class Profile(NamedTuple):
    """Where the CSMS is, how safely it is reached, and how long (s) it may take to answer."""

    url: str
    security_profile: int = 1
    message_timeout_s: int = 30
    interface: str = "Wired0"

    def data(self) -> dict[str, Any]:
        """What is kept of it."""
        return self._asdict()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Profile:
        """From the store; ValueError or TypeError when it is none."""
        found = cls(**{name: data[name] for name in cls._fields if name in data})
        if wrong := found.wrong():
            raise ValueError(wrong)
        return found

    def wrong(self) -> str | None:
        """Why no connection can be made with it, in plain words."""
        if not URL.fullmatch(self.url) or len(self.url) > URL_MOST:
            return "expected ws://host:port/path or wss://..., without credentials"
        if self.security_profile not in (1, 2, 3):
            return f"security profile {self.security_profile}; expected 1, 2 or 3"
        if self.security_profile > 1 and not self.url.startswith("wss:"):
            return f"security profile {self.security_profile} needs a URL that begins with wss://"
        if not 1 <= self.message_timeout_s <= TIMEOUT_MOST_S:
            return f"messageTimeout {self.message_timeout_s} s; expected 1 to {TIMEOUT_MOST_S}"
        return None


class Entry(NamedTuple):
    """A profile and the slot it is, or was, in."""

    slot: int
    profile: Profile


class Profiles:
    """Every slot. What is written into one holds from the next boot on."""

    def __init__(
        self,
        network: Network | None,
        stored: Mapping[str, Any],
        keys: Values,
        lacks: Callable[[Values, int], Refusal | None],
    ) -> None:
        self._keys = keys
        self._network = network
        self.complaints: list[str] = []
        self._lacks = lacks
        self._route = Route((), None)
        self._written: dict[int, Profile | None] = {}
        self.good: Entry | None = None
        self._reached = 1
        self._board_is_new = False
        if network is not None:
            self._load(network, stored)
        self.checks: Mapping[Key[Any], Callable[[str], Refusal | None]] = {
            comm.NETWORK_CONFIGURATION_PRIORITY: self.check_order
        }
        self._listed = self._safe_entries()

    def _load(self, network: Network, stored: Mapping[str, Any]) -> None:
        for key, value in ((security.IDENTITY, network.identity), (security.BASIC_AUTH_PASSWORD, network.password)):
            self._keys.preset(key, value)
        self._board_is_new = stored.get(BOARD) != _fingerprint(network)
        if self._board_is_new:
            self._reached = network.security_profile
            return
        for name, data in stored.items():
            try:
                if name == GOOD:
                    self.good = Entry(int(data["slot"]), Profile.of(data))
                elif name in comm.SLOTS:
                    self._written[int(name)] = Profile.of(data) if data else None
            except (ValueError, TypeError, KeyError) as error:
                self.complaints.append(f"network profile {name} cannot be used: {error}")
        self._reached = int(stored.get(REACHED, network.security_profile))

    def start(self, cx: Context) -> None:
        """Board.toml that has changed is an installer's last word: what a CSMS wrote over it is forgotten."""
        if not self._board_is_new or self._network is None:
            return
        for name in (*comm.SLOTS, GOOD, REACHED):
            cx.put(TABLE, name, None)
        for name in KEYS_OF_BOARD:
            cx.put("keys", name, None)
        cx.put(TABLE, BOARD, _fingerprint(self._network))

    # ---------------------------------------------------------------------------------------- what there is

    def slot(self, number: int) -> Profile | None:
        """What a slot holds for the next boot; None when it is empty."""
        if number in self._written:
            return self._written[number]
        return self._of_board() if number == 0 else None

    def _of_board(self) -> Profile | None:
        network = self._network
        if network is None:
            return None
        return Profile(network.url, network.security_profile, self._keys[comm.MESSAGE_TIMEOUT])

    def route(self) -> Route:
        """What is tried in this life, in this order, and the last resort."""
        self._route = Route(self._listed, self.good)
        return self._route

    def _safe_entries(self) -> tuple[Entry, ...]:
        """B10.FR.03: the slots of the priority list; what board.toml says when there is nothing else at all."""
        found = [Entry(slot, profile) for slot in self._order() if (profile := self.slot(slot)) is not None]
        safe = tuple(entry for entry in found if self._is_safe(entry.profile.security_profile))
        board = self._of_board()
        return safe if safe or self.good or board is None else (Entry(0, board),)

    def priority(self, slot: int) -> int | None:
        """Its place in the list for the next boot, from 1; None when it is not in it."""
        order = self._order()
        return order.index(slot) + 1 if slot in order else None

    def _order(self) -> list[int]:
        """The list as it was written last: at a boot that is the one in force."""
        return [int(slot) for slot in self._keys.text(comm.NETWORK_CONFIGURATION_PRIORITY).split(",")]

    def _is_safe(self, level: int) -> bool:
        """Never down: only from 3 to 2, and only when the key permits it (A05, B09.FR.04, FR.31)."""
        permitted = self._keys[security.ALLOW_SECURITY_PROFILE_DOWNGRADE]
        return level >= self._reached or (permitted and self._reached == 3 and level == 2)

    # ---------------------------------------------------------------------------------------- what may be written

    def write(self, cx: Context, slot: int, profile: Profile) -> Refusal | None:
        """SetNetworkProfile: keep it, or why not (B09.FR.02, FR.04, FR.05, FR.31)."""
        if str(slot) not in comm.SLOTS:
            return Refusal("InvalidConfSlot", f"slot {slot}; there are {', '.join(comm.SLOTS)}")
        if profile.security_profile in (1, 2, 3) and not self._is_safe(profile.security_profile):
            return Refusal("NoSecurityDowngrade", f"the station has come up to security profile {self._reached}")
        if wrong := profile.wrong():
            return Refusal("InvalidNetworkConf", wrong)
        self._written[slot] = profile
        cx.put(TABLE, str(slot), profile.data())
        cx.note("network", f"slot {slot} is {profile.url} from the next boot on", "warning")
        return None

    def check_order(self, text: str) -> Refusal | None:
        """NetworkConfigurationPriority may only name slots with a profile that can be used (B10.FR.02, A05)."""
        for slot in comm.NETWORK_CONFIGURATION_PRIORITY.type.parse(text):
            profile = self.slot(int(slot))
            if profile is None or (wrong := profile.wrong()) is not None:
                return Refusal("InvalidConfSlot", f"slot {slot}: {'is empty' if profile is None else wrong}")
            if not self._is_safe(profile.security_profile):
                return Refusal("NoSecurityDowngrade", f"slot {slot} has security profile {profile.security_profile}")
            level = profile.security_profile
            if level > self._reached and (lacking := self._lacks(self._keys, level)) is not None:
                return Refusal(lacking.reason_code, f"slot {slot}: {lacking.info}")
        return None

    # ---------------------------------------------------------------------------------------- what works

    def accepted(self, cx: Context, entry: Entry) -> None:
        """A CSMS has accepted the station through this profile: it is the good one, and there is no way down."""
        if self.good != entry:
            self.good = entry
            cx.put(TABLE, GOOD, {"slot": entry.slot, **entry.profile.data()})
        if entry.profile.security_profile != self._reached:
            self._reached = entry.profile.security_profile
            cx.put(TABLE, REACHED, self._reached)
            self._leave_behind(cx)
            self._route.leave_behind(self._is_safe)

    def _leave_behind(self, cx: Context) -> None:
        """A05.FR.06: slots with a lower security profile are emptied and leave the list."""
        for slot in map(int, comm.SLOTS):
            profile = self.slot(slot)
            if profile is not None and not self._is_safe(profile.security_profile):
                self._written[slot] = None
                cx.put(TABLE, str(slot), {})
        left = tuple(str(slot) for slot in self._order() if self.slot(slot) is not None)
        cx.keys.put(comm.NETWORK_CONFIGURATION_PRIORITY, left)
        cx.put("keys", format_name(comm.NETWORK_CONFIGURATION_PRIORITY), ",".join(left))


def _fingerprint(network: Network) -> str:
    """Tells whether board.toml was changed; says nothing of the password."""
    text = f"{network.url} {network.identity} {network.security_profile} {network.password}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def still_valid(
    network: Network | None, table: Mapping[str, Any], keys: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The stored values of keys without those that an installer has overruled by changing board.toml since."""
    if network is None or table.get(BOARD) == _fingerprint(network):
        return keys
    return {name: value for name, value in keys.items() if name not in KEYS_OF_BOARD}


class Route:
    """Which profile is dialled: each so many times, then the next; all of them over and over (B10.FR.03, FR.09)."""

    def __init__(self, listed: tuple[Entry, ...], resort: Entry | None) -> None:
        self._listed = listed
        self._resort = resort
        self._at = 0
        self._tries = 0
        self._rounds = 0

    @property
    def _entries(self) -> tuple[Entry, ...]:
        return self._listed if self._resort is None else (*self._listed, self._resort)

    @property
    def entry(self) -> Entry | None:
        """Where the next attempt goes."""
        return self._entries[self._at] if self._entries else None

    def failed(self, cx: Context) -> None:
        """An attempt came to nothing."""
        self._tries += 1
        if self._tries >= cx.keys[comm.NETWORK_PROFILE_CONNECTION_ATTEMPTS]:
            self.skip()

    def skip(self) -> None:
        """The profile leads to nobody who takes the station in."""
        self._tries, self._at = 0, (self._at + 1) % len(self._entries)
        self._rounds += self._at == 0

    @property
    def is_last(self) -> bool:
        """All listed profiles have failed, and the last resort is next; where there is none, every other round."""
        return self._at == len(self._listed) if self._resort is not None else self._rounds % 2 == 1

    def is_good(self, entry: Entry) -> bool:
        """Whether a CSMS has accepted the station through this very profile last."""
        return entry == self._resort

    def leave_behind(self, is_safe: Callable[[int], bool]) -> None:
        """What has become too low is not tried any more in this life either (A05.FR.06)."""
        present = self._entries[self._at]
        self._listed = tuple(entry for entry in self._listed if is_safe(entry.profile.security_profile))
        self._at = self._entries.index(present)

    def leads_elsewhere(self, entry: Entry) -> bool:
        """Whether there is another profile to try."""
        return any(other != entry for other in self._entries)

    def worked(self, entry: Entry, *, good: bool) -> None:
        """The CSMS has taken the station in: a loss of the link begins here; a `good` one is the new last resort."""
        if good:
            self._resort = entry
        self._tries, self._at, self._rounds = 0, self._entries.index(entry), 0
