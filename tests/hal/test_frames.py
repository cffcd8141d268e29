"""The board protocol: golden frames of hal/board-protocol.md, and a decoder that survives any noise."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import frames
from hal.frames import Decoder, Frame, Message, encode

TWO = frames.State(
    "A", 2667, 160, 0x0F, 0x10, 0, 1, 0, 2, 7, ((0, 314),), 2,
    (frames.Plug(1, "A", 0, 0), frames.Plug(2, "C", 32, frames.PLUG_PRESENT | frames.LOCKED)),
)  # fmt: skip
"""A car charges at connector 2 of two."""
GOLDEN: list[tuple[Message, int]] = [
    (frames.Hello(1, 3000), 1),
    (frames.Heartbeat(), 0),
    (frames.Permit(7, 160, 3), 2),
    (frames.Offer(8, 100), 3),
    (frames.Withdraw(9, "unplugged"), 4),
    (frames.Pilot(10, 1), 5),
    (frames.Phases(11, 1), 6),
    (frames.Lock(12, 1, 1), 7),
    (frames.Failsafe(13, 60), 8),
    (frames.Reset(14, 2), 9),
    (frames.Boot(1, 0, 320, 3, 0x3F, 3000, "ACME", "CB-1", "SN42", "1.0", "B"), 0),
    (frames.State("C", 2667, 160, 0x0F, 0x16, 32, 1, 0, 2, 7, ((0, 314), (2, -55))), 0),
    (frames.Ack(2, 0x10, 0, 160, 7), 0),
    (frames.Permit(7, 160, 3, 2), 2),
    (frames.Lock(12, 2, 1), 7),
    (frames.Boot(1, 0, 320, 3, 0x3F, 3000, "ACME", "CB-1", "SN42", "1.0", "B", 2), 0),
    (TWO, 0),
]
SPECIFICATION = Path(frames.__file__).with_name("board-protocol.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\w+)[^|]* \| (\d+) \| `((?:[0-9a-f]{2} ?)+)` \|$", SPECIFICATION, re.MULTILINE)


def bitwise_crc(data: bytes) -> int:
    """CRC-16/CCITT-FALSE as an engineer would write it on the board."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


@pytest.mark.parametrize(("given_frame", "row"), list(zip(GOLDEN, ROWS, strict=True)))
def test_the_golden_frames_of_the_specification(
    given_frame: tuple[Message, int], row: tuple[str, str, str]
) -> None:
    message, seq = given_frame
    name, seq_text, wire = row
    assert (type(message).__name__, seq) == (name, int(seq_text))
    assert encode(message, seq) == bytes.fromhex(wire)
    assert Decoder().feed(bytes.fromhex(wire)) == [Frame(seq, message.KIND, message)]


def test_the_crc_is_ccitt_false() -> None:
    assert frames.crc16(b"123456789") == 0x29B1
    assert frames.crc16(b"") == 0xFFFF
    assert frames.cobs(bytes.fromhex("11000022")) == bytes.fromhex("0211010222")


@given(st.binary(max_size=240))
def test_stuffing_is_reversible_and_crc_agrees_with_a_bitwise_one(data: bytes) -> None:
    stuffed = frames.cobs(data)
    assert 0 not in stuffed
    assert frames.uncobs(stuffed) == data
    assert frames.crc16(data) == bitwise_crc(data)


@given(st.lists(st.sampled_from(GOLDEN)), st.integers(1, 40))
def test_frames_arrive_however_the_line_cuts_them(sent: list[tuple[Message, int]], piece: int) -> None:
    wire = b"".join(encode(message, seq) for message, seq in sent)
    decoder = Decoder()
    got = [f for at in range(0, len(wire), piece) for f in decoder.feed(wire[at : at + piece])]
    assert [(f.message, f.seq) for f in got] == sent
    assert decoder.garbled == 0


@given(st.lists(st.binary(max_size=300)), st.sampled_from(GOLDEN))
def test_any_noise_is_survived_and_the_next_frame_is_heard(
    noise: list[bytes], sent: tuple[Message, int]
) -> None:
    decoder = Decoder()
    for piece in noise:
        decoder.feed(piece)
    assert decoder.feed(encode(*sent))[-1].message == sent[0]


@given(st.sampled_from(GOLDEN), st.data())
def test_a_flipped_byte_never_becomes_a_frame(sent: tuple[Message, int], data: st.DataObject) -> None:
    wire = bytearray(encode(*sent))
    wire[data.draw(st.integers(1, len(wire) - 2))] ^= data.draw(st.integers(1, 255))
    assert Decoder().feed(bytes(wire)) == []


def test_an_endless_line_without_delimiter_stays_bounded() -> None:
    decoder = Decoder()
    for _ in range(1000):
        assert decoder.feed(b"\x55" * 100) == []
    assert decoder.garbled > 0
    assert len(decoder.feed(encode(*GOLDEN[0]))) == 1


def test_unknown_types_and_short_payloads_are_named_so_that_they_can_be_answered() -> None:
    body = bytes((0x77, 5, 0))
    wire = b"\0" + frames.cobs(body + frames.crc16(body).to_bytes(2, "little")) + b"\0"
    assert Decoder().feed(wire) == [Frame(5, 0x77, None, frames.UNKNOWN_TYPE)]
    body = bytes((0x10, 6, 2, 1, 2))
    wire = b"\0" + frames.cobs(body + frames.crc16(body).to_bytes(2, "little")) + b"\0"
    assert Decoder().feed(wire) == [Frame(6, 0x10, None, frames.MALFORMED)]


def heard(kind: int, payload: bytes) -> Frame:
    """What is heard of a frame with that payload."""
    body = bytes((kind, 3, len(payload))) + payload
    return Decoder().feed(frames.cobs(body + frames.crc16(body).to_bytes(2, "little")) + b"\0")[0]


def test_a_board_with_one_connector_says_nothing_of_connectors() -> None:
    """Version 1 as it was: what is new stands at the end, where an older peer does not look."""
    before = frames.State("C", 2667, 160, 0x0F, 0x16, 32, 1, 0, 2, 7, ((0, 314),))
    assert before.plugs == (frames.Plug(1, "C", 32, 0x06),) and before.active == 1
    assert TWO.payload()[: len(before.payload())] == replace(TWO, several=()).payload()
    one, many = frames.Permit(7, 160, 3), frames.Permit(7, 160, 3, 1)
    assert many.payload() == one.payload() + b"\x01"
    boot = frames.Boot(1, 0, 320, 3, 0x3F, 3000, "ACME")
    assert replace(boot, connectors=2).payload() == boot.payload() + b"\x02"


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
def test_a_list_of_connectors_that_is_cut_is_malformed(cut: int) -> None:
    assert heard(0x82, TWO.payload()[:-cut]) == Frame(3, 0x82, None, frames.MALFORMED)


def test_a_connector_without_a_known_pilot_is_malformed() -> None:
    strange = replace(TWO, several=(frames.Plug(1, "G", 0, 0), frames.Plug(2, "C", 0, 0)))
    assert heard(0x82, strange.payload()) == Frame(3, 0x82, None, frames.MALFORMED)


def test_a_longer_payload_of_a_newer_peer_is_understood() -> None:
    for message in (frames.Offer(8, 100), frames.Permit(7, 160, 3, 2), TWO):
        assert heard(message.KIND, message.payload() + b"new") == Frame(3, message.KIND, message)


@given(st.floats(0, 80))
def test_amps_on_the_wire_are_never_rounded_up(amps: float) -> None:
    assert frames.tenths(amps) / 10 <= amps + 1e-6
    assert frames.tenths(6.3) == 63
