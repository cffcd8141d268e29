"""Displays for drivers (block O, I): a console and an HTML page as examples of the port.

A driver is a function from what is to be shown to the whole text of a file. The file is written anew and put
in place at once, so that whoever shows it (a terminal, a browser in kiosk mode, a program that draws on a
framebuffer) never sees half of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

from hal.ports import Page, Screen

CYCLE_S = 5
"""How long each page of a rotation is shown."""
Render = Callable[[Screen], str]
_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="{refresh}"><title>{title}</title>
<style>
body {{ background: #10202c; color: #f4f7f9; font: 3vmin/1.4 sans-serif; margin: 6vmin }}
main {{ font-size: 6vmin; min-height: 50vh; position: relative }}
section {{ position: absolute; inset: 0; opacity: 0; animation: page {whole}s infinite }}
section:only-of-type {{ opacity: 1; animation: none }}
@keyframes page {{ 0%, {share}% {{ opacity: 1 }} {after}%, 100% {{ opacity: 0 }} }}
footer p {{ border-top: 1px solid #4d6474; margin: 0; padding: 1vmin 0 }}
iframe {{ width: 100%; height: 50vh; border: 0; background: #fff }}
</style>
"""


def html(screen: Screen) -> str:
    """A page for a browser in kiosk mode. Markup of the CSMS runs in a frame without scripts or our origin."""
    pages = "".join(_section(page, at) for at, page in enumerate(screen.pages))
    lines = "".join(f"<p>{escape(line)}</p>" for line in screen.lines)
    share = 100 // max(1, len(screen.pages))
    head = _HEAD.format(
        refresh=CYCLE_S * max(2, len(screen.pages)), title=escape(screen.display),
        whole=CYCLE_S * max(1, len(screen.pages)), share=share, after=min(100, share + 1),
    )  # fmt: skip
    return f"{head}<main>{pages}</main><footer>{lines}</footer></html>\n"


def _section(page: Page, at: int) -> str:
    language = f' lang="{escape(page.language)}"' if page.language else ""
    return f'<section{language} style="animation-delay: {at * CYCLE_S}s">{_content(page)}</section>'


def _content(page: Page) -> str:
    if page.format == "HTML":
        return f'<iframe sandbox srcdoc="{escape(page.text)}"></iframe>'
    if page.format == "URI" and page.text.startswith(("https://", "http://")):
        return f'<iframe sandbox src="{escape(page.text)}"></iframe>'
    return escape(page.text).replace("\n", "<br>")


def console(screen: Screen) -> str:
    """Plain text, one page or line each; control characters are left out."""
    shown = [*(page.text for page in screen.pages), *screen.lines]
    return "".join("".join(c for c in text if c.isprintable()) + "\n" for text in shown)


KINDS: Mapping[str, Render] = {"console": console, "html": html}


def write(file: Path, text: str) -> None:
    """Put `text` in place of the file, at once. Raises OSError."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)
