"""`hil demo`: the whole minute without a terminal, its verdict, its screen, and how it ends when it is disturbed."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hil.demo import FAILED, RECONCILED, conclude
from hil.demo_messages import Conversation
from hil.demo_screen import render
from hil.demo_story import Findings
from hil.demo_summary import Evidence, Kept, Metered, Told, read_journal
from hil.demo_text import Look, width_of
from hil.demo_watch import Chapter, OutletView, View

TX = "9f1c2a3b-0000-4000-8000-000000000001"
DEMO = [sys.executable, "-m", "hil", "demo"]


# ---------------------------------------------------------------------------------------------- processes


def agents(home: Path) -> list[int]:
    """The processes that run an agent on this home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name.isdigit() and str(home / "board.toml").encode() in words:
            found.append(int(entry.name))
    return found


@contextmanager
def started(home: Path, output: int) -> Iterator[subprocess.Popen[bytes]]:
    """The demo as a process; it is gone afterwards."""
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen([*DEMO, "--home", str(home)], stdout=output, stderr=output, env=environment) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def read_until(source: int, wanted: bytes, within_s: float = 30.0) -> bytes:
    """Everything that comes, to the moment when `wanted` is in it."""
    text, deadline = b"", time.monotonic() + within_s
    while wanted not in text:
        ready, _, _ = select.select([source], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(source, 65_536) if ready else b""
        assert data, f"{wanted!r} did not come within {within_s} s: {text[-2000:]!r}"
        text += data
    return text


def test_the_demo_without_a_terminal_reconciles(tmp_path: Path) -> None:
    home = tmp_path / "d"
    run = subprocess.run([*DEMO, "--home", str(home)], capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == RECONCILED, run.stdout[-4000:] + run.stderr
    assert "\x1b" not in run.stdout
    assert "CSMS, journal and meter agree to the watt-hour" in run.stdout
    assert "never above 10.00 A again" in run.stdout
    assert "the same transactions" in " ".join(run.stdout.split())
    assert "0 violations" in run.stdout
    kept, set_aside = read_journal(home / "state" / "journal.db")
    assert (sorted(one.evse for one in kept), set_aside, [one.waiting for one in kept]) == ([1, 2], 0, [0, 0])
    for one in kept:
        assert f"{one.events} of {one.events}" in run.stdout
    assert agents(home) == []


def test_ctrl_c_gives_the_terminal_back_and_leaves_nobody_behind(tmp_path: Path) -> None:
    home = tmp_path / "d"
    near, far = pty.openpty()
    with started(home, far) as demo:
        text = read_until(near, b"BootNotification")
        assert text.startswith(b"\x1b[?1049h")
        demo.send_signal(signal.SIGINT)
        end = read_until(near, b"have ended")
        assert b"\x1b[?1049l" in end
        assert demo.wait(30) == 130
    os.close(near)
    os.close(far)
    assert agents(home) == []


def test_an_agent_that_dies_ends_the_demo_with_a_sentence_and_its_log(tmp_path: Path) -> None:
    home = tmp_path / "d"
    near, far = os.pipe()
    with started(home, far) as demo:
        read_until(near, b"BootNotification")
        (agent,) = agents(home)
        os.kill(agent, signal.SIGKILL)
        text = read_until(near, b"files of the station")
        assert b"the agent ended by itself, exit code -9" in text
        assert b"BootNotification Accepted" in text
        assert demo.wait(30) == FAILED
    os.close(near)
    os.close(far)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--csms", "ws://127.0.0.1:9/ocpp"], "nobody answers at ws://127.0.0.1:9/ocpp"),
        (["--csms", "http://127.0.0.1/"], "expected ws://host:port/path"),
        (["--cards", "Anna"], "expected two UIDs"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(arguments: list[str], said: str) -> None:
    run = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, said in run.stderr) == (2, True), run.stderr


# ---------------------------------------------------------------------------------------------- the verdict


def good() -> Evidence:
    """One session at EVSE 1, 62 Wh in three events."""
    begin, end = Decimal(1204360), Decimal(1204422)
    told = Told(TX, 1, begin, end, (0, 1, 2), ("Started", "Updated", "Ended"))
    found = Findings(before_cut={1: TX}, after_cut={1: TX})
    kept = Kept(TX, 1, begin, end, 3, 0)
    return Evidence([told], [kept], [Metered(1, 1204360.0, 1204421.7)], (), 40, 0, found, 10.0)


def judged(evidence: Evidence) -> tuple[int, str]:
    stream = io.StringIO()
    return conclude(evidence, stream), stream.getvalue()


def test_what_fits_together_reconciles() -> None:
    code, text = judged(good())
    assert code == RECONCILED
    assert "61.70" in text
    assert judged(replace(good(), told=None))[0] == RECONCILED


def doctored(case: str) -> Evidence:
    """The good evidence with one thing changed."""
    whole = good()
    assert whole.told is not None
    told, kept = whole.told[0], whole.kept[0]
    match case:
        case "register":
            return replace(whole, told=[replace(told, end_wh=Decimal(1204421))])
        case "event":
            return replace(whole, told=[replace(told, numbers=(0, 2), kinds=("Started", "Ended"))])
        case "unheard":
            return replace(whole, told=[])
        case "unknown":
            return replace(whole, told=[told, replace(told, id="another")])
        case "meter":
            return replace(whole, metered=[Metered(1, 1204360.0, 1204424.0)])
        case "two":
            return replace(whole, kept=[kept, replace(kept, id="another")])
        case "waiting":
            return replace(whole, kept=[replace(kept, waiting=1)])
        case "limit":
            return replace(whole, peak_after_limit=10.3)
        case "cut":
            return replace(whole, findings=Findings(before_cut={1: TX}, after_cut={1: "another"}))
        case "aside":
            return replace(whole, set_aside=1)
        case _:
            return replace(whole, violations=["schema: a field too many"])


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("register", "the CSMS has 1204360 to 1204421 Wh, the journal 1204360 to 1204422 Wh"),
        ("event", "the CSMS has the events [0, 2], the journal counts 3"),
        ("unheard", "the CSMS never heard of it"),
        ("unknown", "the journal does not know it"),
        ("meter", "energy 62 Wh in the journal, 64.0 Wh at the meter"),
        ("two", "2 transactions in the journal, expected 1"),
        ("waiting", "1 events never answered"),
        ("limit", "10.30 A flowed after the limit of 10 A"),
        ("cut", "other transactions after the power cut"),
        ("aside", "1 events were not taken by the CSMS"),
        ("violation", "the CSMS recorded a violation: schema: a field too many"),
    ],
)
def test_a_doctored_record_fails_with_its_reason(case: str, reason: str) -> None:
    code, text = judged(doctored(case))
    assert code == FAILED
    assert "does not reconcile" in text
    assert reason in text


# ---------------------------------------------------------------------------------------------- the screen


def agent_says() -> dict[str, object]:
    """The agent's screen while EVSE 1 charges and EVSE 2 is free."""
    values = {"power_w": {"total": "6842.0"}, "energy_import_wh": {"total": "1204391"}}
    running = {"id": TX, "state": "Charging", "begin_wh": "1204360"}
    first = {"id": 1, "status": "Occupied", "session": "powered", "limit": {"amps": 10.0, "owner": "TxDefaultProfile"},
             "transaction": running, "meter": {"values": values}}  # fmt: skip
    second = {"id": 2, "status": "Available", "session": "idle", "limit": {"amps": 32.0, "owner": "nameplate"},
              "transaction": None, "meter": None}  # fmt: skip
    return {"online": True, "queue": {"events": 3}, "evses": [first, second]}


def view(**changes: Any) -> View:
    frames = [
        (">", [2, "1", "BootNotification", {"reason": "PowerUp"}]),
        ("<", [3, "1", {"status": "Accepted"}]),
        (">", [2, "2", "Authorize", {"idToken": {"idToken": "04A1B2C3D4E5F6"}}]),
    ]
    talk = Conversation()
    for n, (way, frame) in enumerate(frames):
        talk.take({"ts": f"2026-01-01T00:00:0{n}Z", "dir": way, "frame": json.dumps(frame)})
    outlets = (
        OutletView(1, True, 16.0, "C", True, (10.0, 10.0, 10.0), True),
        OutletView(2, False, 32.0, "A", False, (0.0, 0.0, 0.0), False),
    )
    chapters = (Chapter(0.1, "The station starts", "Why. " * 10), Chapter(5.0, "A card", "Because of this. " * 12))
    whole = View(
        65.0, 1767225600.0, True, True, 4242, agent_says(), 3, outlets, tuple(talk.messages), chapters, 12
    )
    return replace(whole, **changes)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("rows", [20, 24, 50])
def test_the_screen_fits_its_terminal(columns: int, rows: int) -> None:
    for moment in (view(), view(status=None, pid=None, powered=False), view(linked=False, chapters=())):
        lines = render(moment, columns, rows)
        assert len(lines) <= rows
        assert max(width_of(line) for line in lines) <= columns


def test_the_screen_tells_who_limits_whom() -> None:
    text = "\n".join(Look(False, True).text(line) for line in render(view(), 80, 24))
    assert "limit 10 A because of TxDefaultProfile" in text
    assert "31 Wh" in text
    assert "6.84 kW" in text
    assert "█│·" in text, "what flows, the limit, and what is free"
    assert "queue ███ 3" in text
    assert "BootNotification  PowerUp" in text
    assert "✓ Accepted 1000 ms" in text
    assert "▸ A card" in text
    assert "1:05" in text


def test_a_dead_agent_is_seen() -> None:
    text = "\n".join(Look(False, True).text(line) for line in render(view(status=None, pid=None), 80, 24))
    assert "agent dead" in text
    assert "no agent" in text


def test_colours_and_characters_are_what_the_terminal_can_show() -> None:
    line = render(view(), 80, 24)[1]
    assert "\x1b[32m" in Look(True, True).text(line)
    assert "\x1b" not in Look(False, True).text(line)
    assert all(Look(True, False).text(line).isascii() for line in render(view(), 80, 24))


def test_a_message_waits_for_its_answer_and_a_frame_told_twice_is_one() -> None:
    talk = Conversation()
    call = {"ts": "2026-01-01T00:00:00Z", "dir": ">", "frame": '[2,"7","Heartbeat",{}]'}
    talk.take(call)
    talk.take(call)
    assert [message.answer for message in talk.messages] == [None]
    talk.hang_up()
    assert [(message.answer, message.good) for message in talk.messages] == [("no answer", False)]
    talk.take({"ts": "2026-01-01T00:00:01Z", "dir": "<", "frame": "no JSON"})
    assert len(talk.messages) == 1
