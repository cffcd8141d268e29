"""From a card at the reader to the question on the wire, or to the contactor; and a local list of 10,000 tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, spread
from benchmarks.process import rss_mb
from benchmarks.reaction import Tap
from benchmarks.workbench import Workbench, workbench
from hal.frames import Decoder, Permit
from hil.instruments.smart import MAX_CURRENT
from hil.wire import PtyEnd

TOKENS, PER_MESSAGE = 10_000, 100
QUESTIONS, SESSIONS, STARTS = 60, 12, 7
REST_S = 10.5
"""A contactor is not closed again sooner."""
PERMIT, LEAST_AMPS = Permit.KIND, 60
"""A Permit of the board's protocol, and the register value of 6 A: what lets the contactor close."""


class Bench:
    """The workbench with our own reader, and taps on what the agent writes to both power stages."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.csms = bench, bench.csms
        self.reader = PtyEnd(lambda _: None)
        self.taps = {1: Tap(bench.home / "rs485"), 2: Tap(bench.home / "board2", _permits())}
        wires = {"rs485": self.taps[1].path, "board2": self.taps[2].path, "reader-front": Path(self.reader.device)}
        bench.point_at(self.csms.port, **wires)

    def shows(self, card: str) -> float:
        """Hold a card to the reader; perf_counter just before."""
        before = time.perf_counter()
        self.reader.write(card.encode() + b"\r")
        return before

    def close(self) -> None:
        self.bench.kill_agent()
        self.reader.close()
        for tap in self.taps.values():
            tap.close()

    async def sets(self, name: str, value: str) -> None:
        component, _, variable = name.partition(".")
        data = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
        _, _, answer = await self.csms.exchange("SetVariables", {"setVariableData": [data]})
        assert answer["setVariableResult"][0]["attributeStatus"] == "Accepted", answer


def _permits() -> Any:
    """What finds the Permits in the bytes to a board, with their current in tenths of an ampere."""
    decoder = Decoder()

    def parse(chunk: bytes) -> Iterator[tuple[int, int]]:
        for frame in decoder.feed(chunk):
            if isinstance(frame.message, Permit):
                yield PERMIT, frame.message.tenths

    return parse


def card(number: int) -> str:
    """A UID of seven bytes."""
    return f"04{number:012X}"


# ---------------------------------------------------------------------------------------- the list


async def _list(bench: Bench) -> list[Figure]:
    """Fill the list as a CSMS has to: 100 tokens a message; then one more change, and a full list of one message."""
    seconds = [await _send(bench, "Full", 1, range(PER_MESSAGE))]
    for version in range(2, TOKENS // PER_MESSAGE + 1):
        first = (version - 1) * PER_MESSAGE
        seconds.append(await _send(bench, "Differential", version, range(first, first + PER_MESSAGE)))
    single = [await _send(bench, "Differential", 200 + i, range(i, i + 1)) for i in range(50)]
    return [
        *spread("SendLocalList, 100 of 10,000 tokens, round trip", [1000 * s for s in seconds], "ms"),
        Figure("local list of 10,000 tokens, all messages", sum(seconds), "s"),
        *spread("SendLocalList, 1 token of 10,000, round trip", [1000 * s for s in single], "ms"),
    ]


async def _send(bench: Bench, kind: str, version: int, numbers: range) -> float:
    entries = [
        {
            "idToken": {"idToken": card(number), "type": "ISO14443"},
            "idTokenInfo": {"status": "Accepted", "groupIdToken": {"idToken": "FLEET", "type": "Central"}},
        }
        for number in numbers
    ]
    request = {"versionNumber": version, "updateType": kind, "localAuthorizationList": entries}
    _, seconds, answer = await bench.csms.exchange("SendLocalList", request)
    assert answer == {"status": "Accepted"}, answer
    return seconds


async def _starts(bench: Bench, name: str) -> list[Figure]:
    """Kill and start the agent; milliseconds until its BootNotification arrives."""
    times = []
    for _ in range(STARTS):
        bench.bench.kill_agent()
        bench.csms.calls.clear()
        began = time.perf_counter()
        await bench.bench.boots()
        times.append(1000 * (next(at for at, action, _ in bench.csms.calls if action == "BootNotification") - began))
        await bench.csms.wait_until(lambda: len(_told(bench)) == 2)
    return [*spread(f"start to BootNotification, {name}", times, "ms"),
            Figure(f"RSS after the start, {name}", rss_mb(bench.bench.pid), "MB")]  # fmt: skip


def _told(bench: Bench) -> set[int]:
    return {told["evseId"] for _, action, told in bench.csms.calls if action == "StatusNotification"}


# ---------------------------------------------------------------------------------------- cards


async def _to_contactor(bench: Bench, evse: int, what: str) -> list[Figure]:
    """A listed card at an EVSE with a car: until the write that lets the contactor close is issued."""
    samples, tap = [], bench.taps[evse]
    for session in range(SESSIONS):
        await bench.bench.verb("ev/plug", evse=evse)
        await asyncio.sleep(1.5 + 0.13 * (session % 7))
        tap.writes.clear()
        shown = bench.shows(card(session))
        wrote = await tap.wait_for(lambda write: write[1] in (PERMIT, MAX_CURRENT) and write[2] >= LEAST_AMPS)
        samples.append(1000 * (wrote - shown))
        await asyncio.sleep(REST_S)
        await bench.bench.unplugs(evse)
    return spread(f"listed card to {what}", samples, "ms")


async def _to_question(bench: Bench) -> list[Figure]:
    """A card that nobody knows: until its Authorize arrives."""
    samples = []
    for number in range(QUESTIONS):
        bench.csms.calls.clear()
        shown = bench.shows(card(TOKENS + number))
        await bench.csms.wait_until(lambda: _asked(bench) is not None)
        asked = _asked(bench)
        assert asked is not None
        samples.append(1000 * (asked - shown))
        await asyncio.sleep(0.1 + 0.037 * (number % 10))
    return spread("card to Authorize on the wire", samples, "ms")


def _asked(bench: Bench) -> float | None:
    return next((at for at, action, _ in bench.csms.calls if action == "Authorize"), None)


async def measure() -> list[Figure]:
    """One list, some starts, 12 sessions at each kind of power stage, 60 questions."""
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="60") as workplace:
        bench = Bench(workplace)
        try:
            await bench.bench.boots()
            figures = await _starts(bench, "no list")
            figures += await _list(bench)
            figures += await _starts(bench, "10,000 tokens")
            await bench.sets("AuthCtrlr.LocalPreAuthorize", "true")
            figures += await _to_contactor(bench, 1, "release of the wallbox (Modbus)")
            figures += await _to_contactor(bench, 2, "permit of the board (socket, lock first)")
            figures += await _to_question(bench)
        finally:
            bench.close()
    return figures
