"""What the example displays write, and that a display that cannot be written harms nobody."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hal import display
from hal.config import DisplayConfig
from hal.ports import Page, Screen
from hal.screens import Screens

EVIL = '<script>alert(1)</script>"&\x1b[31m'


class Tags(HTMLParser):
    """The tags of a page, and the sources of its frames."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.frames: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        if tag == "iframe":
            self.frames.append(dict(attrs))


def screen(*pages: Page, lines: tuple[str, ...] = ()) -> Screen:
    return Screen("front", pages, lines)


def test_console_shows_each_page_and_line_without_control_characters() -> None:
    shown = display.console(screen(Page("one"), Page("t\x1b[31mwo\a"), lines=("0.40 EUR/kWh",)))
    assert shown == "one\nt[31mwo\n0.40 EUR/kWh\n"


@pytest.mark.parametrize("kind", ["UTF8", "ASCII", "URI"])
def test_html_never_runs_what_is_text(kind: str) -> None:
    found = Tags(display.html(screen(Page(EVIL, kind), lines=(EVIL,)))).found
    assert "script" not in found and "iframe" not in found and found.count("section") == 1


def test_html_of_the_csms_runs_in_a_sandbox() -> None:
    tags = Tags(display.html(screen(Page(EVIL, "HTML"), Page("https://example.org/a", "URI"))))
    assert "script" not in tags.found
    markup, address = tags.frames
    assert markup["sandbox"] is None and markup["srcdoc"] == EVIL
    assert address["sandbox"] is None and address["src"] == "https://example.org/a"


@pytest.mark.parametrize("address", ["file:///etc/passwd", "javascript:alert(1)"])
def test_an_address_that_is_not_of_the_web_is_only_text(address: str) -> None:
    assert Tags(display.html(screen(Page(address, "URI")))).frames == []


def test_the_newest_screen_is_in_the_file_and_a_broken_display_is_told_once(tmp_path: Path) -> None:
    good, bad = tmp_path / "front.txt", tmp_path / "missing" / "side.txt"
    notes: list[tuple[str, str, str]] = []

    async def show() -> None:
        both = DisplayConfig("front", "console", good), DisplayConfig("side", "console", bad)
        screens = Screens(both, lambda *note: notes.append(note))
        for text in ("old", "new"):
            screens.show(screen(Page(text)))
            screens.show(Screen("side", (Page(text),), ()))
            while screens.busy:
                await asyncio.sleep(0)

    asyncio.run(show())
    assert good.read_text(encoding="utf-8") == "new\n"
    assert [level for level, _, _ in notes] == ["error"] and "side" in notes[0][2]
