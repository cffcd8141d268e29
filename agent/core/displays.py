"""Messages of the CSMS for the station's displays (block O), and what each display shows now.

Of the messages whose time and state have come, AlwaysFront goes before InFront, and InFront before the normal
cycle. What drivers are told of money (agent.core.tariffs) stays beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.effects import Show
from agent.core.evse import Evse
from agent.core.instant import parse_rfc3339
from agent.core.operators import Owned
from agent.core.site import DisplaySite
from agent.core.tariffs import Tariffs
from config_keys import display
from hal.ports import Page, Screen

TABLE = "displays"
TIMER = "displays"
PRIORITIES = ("AlwaysFront", "InFront", "NormalCycle")
FALLBACK_LANGUAGE = "en"
Verdict = tuple[str, str]
"""The status of SetDisplayMessage, and the reason of a refusal."""


class Message(NamedTuple):
    """One message. Times are UTC ms; `display` is the name of one display; `given` is MessageInfo as it came."""

    id: int
    priority: str
    format: str
    text: str
    language: str | None
    state: str | None
    start: int | None
    end: int | None
    tx: str | None
    display: str | None
    given: Mapping[str, Any]

    def is_due(self, utc: int | None) -> bool:
        """Its time has come (O01.FR.06); without a clock nobody knows that of a message with a start."""
        return self.start is None or (utc is not None and utc >= self.start)

    def is_over(self, utc: int | None) -> bool:
        """Its end has passed (O01.FR.07)."""
        return self.end is not None and utc is not None and utc >= self.end


def message(given: Mapping[str, Any], named: str | None) -> Message:
    """A MessageInfo in the core's words. Raises ValueError for a time that is none."""
    content = given["message"]
    start, end = (parse_rfc3339(given[n]) if n in given else None for n in ("startDateTime", "endDateTime"))
    return Message(
        given["id"], given["priority"], content["format"], content["content"], content.get("language"),
        given.get("state"), start, end, given.get("transactionId"), named, given,
    )  # fmt: skip


class Displays(Owned):
    """The messages that are set, and the screens that were shown last."""

    TABLES, BELONGINGS = (TABLE,), ("_messages",)

    def __init__(
        self,
        sites: tuple[DisplaySite, ...],
        stored: Mapping[str, Any],
        evses: Mapping[int, Evse],
        status: Callable[[Evse], str | None],
        tariffs: Tariffs,
    ) -> None:
        self._sites = sites
        self._evses = evses
        self._status = status
        self._tariffs = tariffs
        self.load(stored)
        self._shown: dict[str, Screen] = {}

    def load(self, *tables: Mapping[str, Any]) -> None:
        """What was kept."""
        [stored] = tables
        self._messages = {int(key): message(row["given"], row["display"]) for key, row in stored.items()}

    def adopted(self, cx: Context) -> None:
        """The screens follow at the end of the step."""
        self._count(cx)

    # ---------------------------------------------------------------------------------------- the CSMS

    def called(self, name: str | None, evse: int | None) -> DisplaySite | None:
        """The display that a component means: by its instance, else by its EVSE; None when there is none."""
        fitting = (s for s in self._sites if name in (None, s.name) and (evse is None or evse == s.evse))
        return next(fitting, None)

    def install(self, cx: Context, new: Message) -> Verdict:
        """Take a message, in place of an older one with its id (O06.FR.01); refusals change nothing."""
        refused = self._refusal(cx, new)
        if refused is not None:
            return refused
        for old in self._replaced(new):
            self._remove(cx, old.id)
        self._messages[new.id] = new
        cx.put(TABLE, str(new.id), {"given": new.given, "display": new.display})
        self._count(cx)
        return "Accepted", ""

    def _refusal(self, cx: Context, new: Message) -> Verdict | None:
        keys = cx.keys
        if not keys[display.ENABLED]:
            return "Rejected", "DisplayMessageCtrlr.Enabled is false"
        if new.priority not in keys[display.SUPPORTED_PRIORITIES]:
            return "NotSupportedPriority", new.priority
        if new.format not in keys[display.SUPPORTED_FORMATS]:
            return "NotSupportedMessageFormat", f"expected one of {', '.join(keys[display.SUPPORTED_FORMATS])}"
        if new.tx is not None and new.tx not in self._running():
            return "UnknownTransaction", "no such transaction is running"
        return self._no_room(cx, new)

    def _no_room(self, cx: Context, new: Message) -> Verdict | None:
        most = cx.keys.type_of(display.DISPLAY_MESSAGES).max_limit
        left = self._messages.keys() - {old.id for old in self._replaced(new)} - {new.id}
        if most is not None and len(left) >= most:
            return "Rejected", f"{most:g} messages are set, which is the most"
        if new.start is not None and new.end is not None and new.end <= new.start:
            return "Rejected", "endDateTime is not after startDateTime"
        return None

    def _replaced(self, new: Message) -> list[Message]:
        """Only one message is AlwaysFront on a display: the newest (O01.FR.16)."""
        if new.priority != PRIORITIES[0]:
            return []
        rivals = (m for m in self._messages.values() if m.priority == PRIORITIES[0] and m.id != new.id)
        return [m for m in rivals if new.display is None or m.display in (None, new.display)]

    def find(
        self, ids: Iterable[int] | None = None, priority: str | None = None, state: str | None = None
    ) -> list[Message]:
        """Messages that meet all that is asked (O03, O04); None asks for nothing."""
        wanted = None if ids is None else set(ids)
        return [
            m
            for m in self._messages.values()
            if (wanted is None or m.id in wanted) and priority in (None, m.priority) and state in (None, m.state)
        ]

    def clear(self, cx: Context, number: int) -> bool:
        """Remove a message (O05); False when there is none with this id."""
        if number not in self._messages:
            return False
        self._remove(cx, number)
        return True

    def _remove(self, cx: Context, number: int) -> None:
        del self._messages[number]
        cx.put(TABLE, str(number), None)
        self._count(cx)

    def _count(self, cx: Context) -> None:
        cx.keys.put(display.DISPLAY_MESSAGES, len(self._messages))

    # ---------------------------------------------------------------------------------------- the screens

    def start(self, cx: Context) -> None:
        """What was set before the restart is still set (O01.FR.10)."""
        self._count(cx)

    def settle(self, cx: Context) -> None:
        """At the end of a step: outdated messages go, and displays show what is due now."""
        if not self._sites:
            return
        if self._messages:
            self._tidy(cx)
        for site in self._sites:
            screen = Screen(site.name, self._pages(cx, site), self._tariffs.lines(cx, self._places(site)))
            if self._shown.get(site.name) != screen:
                self._shown[site.name] = screen
                cx.do(Show(screen))

    def _tidy(self, cx: Context) -> None:
        """O01.FR.07, O02.FR.02; and wake for the next message that begins or ends."""
        utc, running = cx.utc(), self._running()
        for old in list(self._messages.values()):
            if old.is_over(utc) or (old.tx is not None and old.tx not in running):
                self._remove(cx, old.id)
        times = [t for m in self._messages.values() for t in (m.start, m.end) if t is not None]
        ahead = [t - utc for t in times if utc is not None and t > utc]
        cx.after(TIMER, min(ahead) / 1000) if ahead else cx.forget(TIMER)

    def _running(self) -> set[str]:
        return {evse.tx.id for evse in self._evses.values() if evse.tx is not None}

    def _places(self, site: DisplaySite) -> list[Evse]:
        return [e for e in self._evses.values() if site.evse in (0, e.id)]

    def _pages(self, cx: Context, site: DisplaySite) -> tuple[Page, ...]:
        """The front-most rotation (O01.FR.12 to FR.15)."""
        if not self._messages:
            return ()
        utc, states = cx.utc(), self._states(site)
        due = [m for m in self._messages.values() if self._belongs(m, site) and m.is_due(utc)]
        due = [m for m in due if m.state is None or m.state in states]
        front = min((PRIORITIES.index(m.priority) for m in due), default=0)
        rotation = [m for m in due if m.priority == PRIORITIES[front]]
        languages = self._tariffs.languages(self._places(site))
        return tuple(Page(m.text, m.format, m.language) for m in _readable(rotation, languages))

    def _belongs(self, given: Message, site: DisplaySite) -> bool:
        """O01.FR.20, FR.23; a message of a transaction is shown where that runs."""
        if given.display not in (None, site.name):
            return False
        return given.tx is None or any(e.tx is not None and e.tx.id == given.tx for e in self._places(site))

    def _states(self, site: DisplaySite) -> set[str]:
        """MessageState values that are true of what the display stands for."""
        places = self._places(site)
        found = {status for e in places if (status := self._status(e)) == "Faulted"}
        if all(self._status(e) == "Unavailable" for e in places):
            found.add("Unavailable")
        charging = any(e.tx is not None and e.tx.charging_state == "Charging" for e in places)
        return found | {"Charging" if charging else "Idle"}


def _readable(rotation: list[Message], languages: tuple[str, ...]) -> list[Message]:
    """Those in a language of the driver or in none, else the English ones, else all (O01.FR.08, C01.FR.08, FR.13)."""
    if not languages:
        return rotation
    for wanted in (*languages, FALLBACK_LANGUAGE):
        if any(_speaks(m, wanted) for m in rotation):
            return [m for m in rotation if m.language is None or _speaks(m, wanted)]
    return rotation


def _speaks(given: Message, language: str) -> bool:
    return given.language is not None and _primary(given.language) == _primary(language)


def _primary(tag: str) -> str:
    """The language of an RFC 5646 tag, without region and script."""
    return tag.split("-", maxsplit=1)[0].lower()
