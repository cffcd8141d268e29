"""Text for terminals: pieces with a tone, cut to a width, painted or plain, in Unicode or ASCII."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TextIO

GOOD, CARE, BAD, BOLD, DIM, OUT, IN = "32", "33", "31", "1", "2", "36", "35"
ASCII: Mapping[int, str] = str.maketrans(
    {"█": "#", "▌": "=", "│": "|", "·": ".", "─": "-", "→": ">", "←": "<", "✓": "+", "✗": "x", "●": "*",
     "○": "o", "▸": ">", "…": "~", "━": "=", "╌": " "}
)  # fmt: skip
"""For terminals that know no Unicode; every character becomes one character."""


class Piece(NamedTuple):
    """Text in one tone (an SGR number; empty: as it is)."""

    text: str
    tone: str = ""


Line = Sequence[Piece]


@dataclass(frozen=True)
class Look:
    """What a stream can show: `colour` where it is a terminal and NO_COLOR is unset (https://no-color.org)."""

    colour: bool
    unicode: bool

    @classmethod
    def of(cls, stream: TextIO) -> Look:
        try:
            "█✓→".encode(stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            can = False
        else:
            can = True
        return cls(stream.isatty() and not os.environ.get("NO_COLOR"), can)

    def text(self, line: Line) -> str:
        """The line as it is written."""
        whole = "".join(self._paint(piece) for piece in line)
        return whole if self.unicode else whole.translate(ASCII)

    def _paint(self, piece: Piece) -> str:
        if not self.colour or not piece.tone or not piece.text:
            return piece.text
        return f"\x1b[{piece.tone}m{piece.text}\x1b[0m"


def width_of(line: Line) -> int:
    """Characters that the line takes."""
    return sum(len(piece.text) for piece in line)


def cut(line: Line, width: int) -> list[Piece]:
    """The line at no more than `width` characters; an ellipsis tells what is missing."""
    if width_of(line) <= width:
        return list(line)
    left, kept = width - 1, list[Piece]()
    for piece in line:
        kept.append(Piece(piece.text[:left], piece.tone))
        left -= len(kept[-1].text)
    return [*kept, Piece("…", DIM)]


def fill(line: Line, width: int) -> list[Piece]:
    """The line at exactly `width` characters."""
    short = cut(line, width)
    return [*short, Piece(" " * (width - width_of(short)))]


def spread(left: Line, right: Line, width: int) -> list[Piece]:
    """One text at each end of the line; the right one stays whole."""
    return [*fill(left, max(0, width - width_of(right) - 1)), Piece(" "), *right]


def rule(title: str, width: int) -> list[Piece]:
    """A line across, with a title in it."""
    return [Piece("── ", DIM), Piece(title, BOLD), Piece(" " + "─" * max(0, width - len(title) - 4), DIM)]


def table(head: Sequence[str], rows: Iterable[Sequence[Piece]]) -> list[list[Piece]]:
    """Columns as wide as their widest cell."""
    lines = [[Piece(name, DIM) for name in head], *rows]
    widths = [max(len(line[n].text) for line in lines) for n in range(len(head))]
    return [[piece for cell, width in zip(line, widths, strict=True) for piece in fill([cell], width + 2)]
            for line in lines]  # fmt: skip
