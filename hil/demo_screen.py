"""The demo's live view: a screen that redraws itself on a terminal, timestamped lines everywhere else."""

from __future__ import annotations

import contextlib
import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from hil.demo_messages import Message
from hil.demo_text import BAD, BOLD, CARE, DIM, GOOD, IN, OUT, Line, Look, Piece, cut, fill, rule, spread
from hil.demo_watch import Chapter, OutletView, View

SIDE_BY_SIDE = 110
"""Columns from which the EVSEs stand beside each other."""
LEAST_COLUMNS, LEAST_ROWS = 60, 20
FLOWS_AMPS = 0.05
TONES = {
    "Available": DIM, "Charging": GOOD, "SuspendedEVSE": CARE, "SuspendedEV": CARE, "Faulted": BAD,
    "Unavailable": CARE, "open": DIM, "closed": GOOD, "welded": BAD, "failed": BAD, "CSMS silent": CARE, "boot": CARE,
}  # fmt: skip


class Viewer(Protocol):
    """Shows the demo while it runs."""

    def show(self, view: View) -> None: ...
    def close(self) -> None: ...


def viewer(stream: TextIO) -> Viewer:
    """A screen where the stream is a terminal that can move its cursor, else lines."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Screen(stream)
    return Lines(stream)


class Screen:
    """Redraws the whole terminal in place, on its alternate screen; `close` gives the old one back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._look = Look.of(stream)
        self._write("\x1b[?1049h\x1b[?25l\x1b[2J")

    def show(self, view: View) -> None:
        columns, rows = shutil.get_terminal_size((80, 24))
        lines = render(view, max(columns, LEAST_COLUMNS), max(rows, LEAST_ROWS))
        shown = (self._look.text(cut(line, columns)) + "\x1b[K" for line in lines[:rows])
        self._write("\x1b[H" + "\r\n".join(shown) + "\x1b[J")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._write("\x1b[?25h\x1b[?1049l")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Lines:
    """One line per event: chapters, changes of an EVSE, OCPP messages. For pipes and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._look = Look(False, Look.of(stream).unicode)
        self._chapters = 0
        self._messages = 0
        self._states: dict[int, str] = {}
        self._queued = 0

    def show(self, view: View) -> None:
        for chapter in view.chapters[self._chapters :]:
            self._say(chapter.at, f"── {chapter.title}. {chapter.why}")
        self._chapters = len(view.chapters)
        self._show_messages(view)
        for outlet in view.outlets:
            self._show_outlet(view, outlet)
        self._show_queue(view)

    def close(self) -> None:
        """Nothing has to be given back."""

    def _show_messages(self, view: View) -> None:
        """Those that have their answer, in order; one that still waits holds back what came after it."""
        for message in view.messages[self._messages :]:
            if message.answer is None:
                break
            self._messages += 1
            arrow = "→" if message.out else "←"
            answer = f"{'✓' if message.good else '✗'} {message.answer}".strip()
            self._say(message.at - view.started_at, f"{arrow} {message.action} {message.detail}  {answer}")

    def _show_outlet(self, view: View, outlet: OutletView) -> None:
        """A line when something but the current itself is new."""
        state = ", ".join(piece for piece in (_pilot(outlet), *_agent_words(view.evse(outlet.evse))) if piece)
        if self._states.get(outlet.evse) != state:
            self._states[outlet.evse] = state
            amps = " ".join(f"{a:.1f}" for a in outlet.amps)
            self._say(view.elapsed_s, f"EVSE {outlet.evse}: {state}; {amps} A")

    def _show_queue(self, view: View) -> None:
        queued = view.status["queue"]["events"] if view.status else self._queued
        if view.status and not view.status["online"] and queued != self._queued:
            self._say(view.elapsed_s, f"queue: {queued} events wait for the CSMS")
        self._queued = queued

    def _say(self, at: float, text: str) -> None:
        self._stream.write(self._look.text([Piece(f"{at:7.2f} s  {text}\n")]))
        self._stream.flush()


# ---------------------------------------------------------------------------------------------- the screen


def render(view: View, columns: int, rows: int) -> list[Line]:
    """The whole screen: never more than `rows` lines of at most `columns` characters."""
    lines: list[Line] = [_header(view, columns), _place(view, columns), []]
    if columns >= SIDE_BY_SIDE:
        lines += _beside(view, columns)
    else:
        for outlet in view.outlets:
            lines += _panel(view, outlet, columns)
    story = _story(view, columns, max(3, (rows - len(lines) - 2) // 3))
    left = rows - len(lines) - len(story) - 2
    lines += [rule("OCPP", columns), *_messages(view, columns, left), rule("story", columns), *story]
    return [cut(line, columns) for line in lines[:rows]]


def _header(view: View, columns: int) -> Line:
    clock = f"{int(view.elapsed_s) // 60}:{int(view.elapsed_s) % 60:02d}"
    chapter = f"{len(view.chapters)}/{view.chapters_planned}"
    return spread(
        [Piece(" chargerd", BOLD), Piece("  one station, two cars, one bad day", DIM)],
        [Piece(f"step {chapter}", DIM), Piece(f"   {clock} ", BOLD)], columns,
    )  # fmt: skip


def _place(view: View, columns: int) -> Line:
    """Mains, agent, network and CSMS in a row, and how much waits."""
    left = [
        Piece(" "), *_lamp("mains", view.powered), Piece("   "),
        *_lamp(f"agent {view.pid or 'dead'}", view.pid is not None), Piece(" "), *_wire(view), Piece(" "),
        *_lamp("CSMS", bool(view.status and view.status["online"])),
    ]  # fmt: skip
    return spread(left, [*_queue(view), Piece(" ")], columns)


def _lamp(name: str, on: bool) -> list[Piece]:
    return [Piece("● " if on else "○ ", GOOD if on else BAD), Piece(name)]


def _wire(view: View) -> list[Piece]:
    if not view.linked:
        return [Piece("━━╌ cut ╌━━", BAD)]
    online = bool(view.status and view.status["online"])
    return [Piece("━━━━━━━━━━━", GOOD if online else DIM)]


def _queue(view: View) -> list[Piece]:
    if view.status is None:
        return [Piece("queue on flash", DIM)]
    waiting = view.status["queue"]["events"]
    return [Piece("queue "), Piece(f"{'█' * min(waiting, 16)} {waiting}".strip(), CARE if waiting else DIM)]


def _beside(view: View, columns: int) -> list[Line]:
    """The panels of two EVSEs, line by line."""
    half = columns // 2
    panels = [_panel(view, outlet, half) for outlet in view.outlets]
    one, two = panels[0], panels[1] if len(panels) > 1 else []
    more = [line for panel in panels[2:] for line in panel]
    pairs: list[Line] = [[*fill(a, half), *b] for a, b in zip(one, two, strict=True)] if two else list(one)
    return [*pairs, *more]


def _panel(view: View, outlet: OutletView, width: int) -> list[Line]:
    """Six lines on one EVSE."""
    evse = view.evse(outlet.evse)
    what = "smart wallbox, Modbus RTU" if outlet.smart else "raw board, serial protocol"
    head = spread([Piece(f" EVSE {outlet.evse} ", BOLD), Piece(what, DIM)], [*_state(evse), Piece(" ")], width)
    limit = (evse.get("limit") or {}).get("amps")
    scale = outlet.max_amps
    cells = max(10, width - 22)
    bars = [_bar(phase, amps, limit, scale, cells) for phase, amps in enumerate(outlet.amps, start=1)]
    return [head, _facts(outlet, evse, width), _limit(evse, view.powered, width), *bars]


def _state(evse: Mapping[str, Any]) -> list[Piece]:
    """The transaction and its charging state; without one the connector's status."""
    if not evse:
        return [Piece("no agent", BAD)]
    running = evse["transaction"]
    word = str(running["state"] if running else evse["status"] or "starting")
    name = [Piece(f"tx {running['id'][:8]}  ", DIM)] if running else []
    return [*name, Piece(word, TONES.get(word, ""))]


def _facts(outlet: OutletView, evse: Mapping[str, Any], width: int) -> Line:
    contactor = "closed" if outlet.closed else "open"
    session = str(evse.get("session") or "-").replace("_", " ")
    line = [
        Piece("   pilot ", DIM), Piece(outlet.pilot, BOLD), Piece("   contactor ", DIM),
        Piece(f"{contactor:6}", TONES[contactor]), Piece("   session ", DIM), Piece(session),
    ]  # fmt: skip
    running = evse.get("transaction")
    return spread(line, [Piece(f"{_drawn(evse, running)} Wh ", BOLD)] if running else [], width)


def _drawn(evse: Mapping[str, Any], running: Mapping[str, Any]) -> str:
    """Wh since the begin of the transaction, by the agent's own readings."""
    register = ((evse["meter"] or {}).get("values", {}).get("energy_import_wh", {})).get("total")
    if register is None or running["begin_wh"] is None:
        return "-"
    return f"{float(register) - float(running['begin_wh']):.0f}"


def _limit(evse: Mapping[str, Any], powered: bool, width: int) -> Line:
    limit = evse.get("limit")
    if not limit:
        return [Piece("   limit ", DIM), Piece("the device's own failsafe" if powered else "no mains", CARE)]
    owner = str(limit["owner"])
    watts = ((evse["meter"] or {}).get("values", {}).get("power_w", {})).get("total")
    power = f"{float(watts) / 1000:.2f} kW" if watts is not None else ""
    because = [Piece(" because of ", DIM), Piece(owner, TONES.get(owner, OUT))]
    return spread(
        [Piece("   limit ", DIM), Piece(f"{limit['amps']:g} A", BOLD), *because],
        [Piece("meter ", DIM), Piece(f"{power} ")] if power else [], width,
    )  # fmt: skip


def _bar(phase: int, amps: float, limit: float | None, scale: float, cells: int) -> Line:
    """One phase: what flows, and a mark where the limit is."""
    per_cell = scale / cells
    full = min(cells, int(amps / per_cell + 1e-6))
    half = "▌" if amps / per_cell - full >= 0.5 and full < cells else ""
    flow = "█" * full + half
    bar = flow + "·" * (cells - len(flow)) + " "
    mark = cells + 1 if limit is None else min(cells, round(limit / per_cell))
    after = bar[mark + 1 :]
    over = max(0, len(flow) - mark - 1)
    return [
        Piece(f"   L{phase} ", DIM), Piece(bar[: min(mark, len(flow))], GOOD), Piece(bar[len(flow) : mark], DIM),
        Piece("│" if mark <= cells else "", CARE), Piece(after[:over], CARE), Piece(after[over:], DIM),
        Piece(f" {amps:5.2f} A", BOLD if amps > FLOWS_AMPS else DIM),
    ]  # fmt: skip


def _messages(view: View, columns: int, count: int) -> list[Line]:
    """The newest messages, at the bottom the last one."""
    newest = view.messages[-count:] if count > 0 else ()
    lines: list[Line] = [_message(view, message, columns) for message in newest]
    return [*lines, *([[]] * (count - len(lines)))]


def _message(view: View, message: Message, columns: int) -> Line:
    arrow = Piece("→ ", OUT) if message.out else Piece("← ", IN)
    if message.answer is None:
        right = [Piece("… ", CARE)]
    else:
        text = f"{message.answer} {message.took_ms:.0f} ms" if message.good else message.answer
        right = [Piece("✓ " if message.good else "✗ ", GOOD if message.good else BAD), Piece(f"{text.strip()} ", DIM)]
    left = [
        Piece(f" {message.at - view.started_at:5.1f} ", DIM), arrow, Piece(f"{message.action:17} "),
        Piece(message.detail, DIM),
    ]  # fmt: skip
    return spread(left, right, columns)


def _story(view: View, columns: int, count: int) -> list[Line]:
    """What happens now and why in full; older chapters above it as long as there is room."""
    if not view.chapters:
        return [[]] * count
    *older, now = view.chapters
    lines: list[Line] = [[Piece(" ▸ ", CARE), Piece(now.title, BOLD)]]
    lines += [[Piece(f"   {text}")] for text in textwrap.wrap(now.why, columns - 4)]
    room = count - len(lines)
    past: list[Line] = [_past(chapter) for chapter in (older[-room:] if room > 0 else ())]
    return [*past, *lines, *([[]] * (room - len(past)))][:count]


def _past(chapter: Chapter) -> Line:
    return [Piece(f"   {chapter.at:5.1f}  {chapter.title}", DIM)]


def timeline(chapters: Sequence[Chapter]) -> list[Line]:
    """The story in retrospect, a line per chapter."""
    return [_past(chapter) for chapter in chapters]


def plain(lines: Sequence[Line], look: Look) -> str:
    """Lines as one text."""
    return "".join(look.text(line).rstrip() + "\n" for line in lines)


def _pilot(outlet: OutletView) -> str:
    return f"pilot {outlet.pilot}, contactor {'closed' if outlet.closed else 'open'}"


def _agent_words(evse: Mapping[str, Any]) -> tuple[str, ...]:
    if not evse:
        return ("no agent",)
    limit = evse["limit"]
    bound = f"limit {limit['amps']:g} A because of {limit['owner']}" if limit else ""
    running = evse["transaction"]
    return (str(running["state"] if running else evse["status"] or "starting"), bound)
