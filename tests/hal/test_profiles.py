"""Devices as data: every profile passes its golden vectors, and a bad one is refused in plain words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import profile
from hal.profile import ProfileError
from hal.registers import WORDS, Encoding

NAMES = sorted(p.stem for p in profile.PACKAGED.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_golden_vectors(name: str) -> None:
    device = profile.load(name)
    assert device.name == name
    for golden in device.golden:
        assert device.points[golden.point].decode(list(golden.words)) == golden.value, golden


def test_the_meter_is_read_in_two_requests_a_second() -> None:
    spans = profile.load("eastron-sdm630").group("main").spans
    assert [(s.fc, s.address, s.count) for s in spans] == [(4, 0x00, 18), (4, 0x34, 24)]


def test_registers_that_no_manual_names_are_not_read() -> None:
    spans = profile.load("heidelberg-ec").group("settings").spans
    assert [(s.fc, s.address, s.count) for s in spans] == [(3, 257, 3), (3, 261, 2)]


def test_a_profile_directory_of_the_installer_wins(tmp_path: Path) -> None:
    text = (profile.PACKAGED / "eastron-sdm630.toml").read_text(encoding="utf-8")
    (tmp_path / "eastron-sdm630.toml").write_text(text.replace('model = "SDM630"', 'model = "mine"'))
    assert profile.load("eastron-sdm630", tmp_path).model == "mine"


def bad(tmp_path: Path, old: str, new: str) -> str:
    text = (profile.PACKAGED / "heidelberg-ec.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "bad.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        profile.load("bad", tmp_path)
    assert "bad.toml" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('kind = "controller"', 'kind = "toaster"', "kind: found 'toaster', expected one of meter"),
        ('type = "u16"', 'type = "u17"', "points.layout.type: found 'u17', expected one of u16"),
        ("address = 261", "", "points.setpoint.address: found 'nothing', expected a whole number"),
        ("address = 261", "address = -1", "found -1, expected a whole number from 0 to 65535"),
        ("address = 261", 'address = "261"', "found '261', expected a whole number"),
        ("timeout_ms = 400", "timeout = 400", "transport.timeout: found 400, expected one of"),
        ('"standby", "release"', '"standby", "relase"', "found 'relase', expected one of"),
        ("[points.setpoint]", "[points.setpiont]", "found 'setpoint', expected one of"),
        ("write_fc = 6", "write_fc = 7", "expected 6 or 16"),
        ('pilot = "B"', 'pilot = "G"', "found 'G', expected one of A, B, C, D, E, F"),
        ('fed_by = "any_telegram"', 'fed_by = "hope"', "expected one of any_telegram"),
        ("[watchdog]", "[watchdog", "line"),
    ],
)
def test_a_bad_profile_names_the_place_what_was_found_and_what_was_expected(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert told in bad(tmp_path, old, new)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"'nosuch': not found; known are .*heidelberg-ec"):
        profile.load("nosuch")


@given(st.sampled_from(["u16", "i16", "u32", "i32", "u64"]), st.booleans(), st.data())
def test_integers_round_trip(kind: str, low_first: bool, data: st.DataObject) -> None:
    bits = 16 * WORDS[kind]
    low, high = (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    number = data.draw(st.integers(low, high))
    encoding = Encoding(kind, order="low_first" if low_first else "high_first")
    assert encoding.decode(encoding.encode(Decimal(number))) == number


@given(st.decimals(0, 80, places=4))
def test_a_written_current_is_never_rounded_up(amps: Decimal) -> None:
    encoding = Encoding("u16", scale=Decimal("0.1"))
    read = encoding.decode(encoding.encode(amps))
    assert isinstance(read, Decimal)
    assert amps - Decimal("0.1") < read <= amps


def test_words_texts_sentinels_and_what_does_not_fit() -> None:
    assert Encoding("u32", order="low_first").decode([0x0001, 0x0002]) == 0x00020001
    assert Encoding("i32", absent=(0x7FFFFFFF,)).decode([0x7FFF, 0xFFFF]) is None
    assert Encoding("ascii", words=3).decode([0x4142, 0x4300, 0x0000]) == "ABC"
    with pytest.raises(ValueError, match="takes 2 registers, found 1"):
        Encoding("u32").decode([1])
    with pytest.raises(ValueError, match="does not fit into u16"):
        Encoding("u16").encode(70000)
