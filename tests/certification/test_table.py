"""The table, the scripts and the declaration of features belong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil.bench import Outfit
from hil.certification import CASES, choose, features
from hil.certification.table import rows

REQUIREMENT = re.compile(r"[A-P]\d\d\.FR\.\d{2,3}")
SOCKET = Outfit(cable="socket", bay_detector=True, signed_meter=True)


WHOLE = "ABCDEFGHIJKNOP"
"""Blocks of which every case has a script."""


def test_every_case_of_the_table_has_a_script() -> None:
    assert len(rows()) == 424
    assert [id for id, row in rows().items() if row.block in WHOLE and id not in CASES] == []


def test_rows_are_complete() -> None:
    for row in rows().values():
        assert re.fullmatch(r"TC_[A-P]_\d\d", row.id) and row.name
        assert all(REQUIREMENT.fullmatch(id) for id in row.requirements), row.id


def test_every_condition_can_be_judged_and_ends_in_an_evse_or_a_reason() -> None:
    declared = features.load()
    for case in CASES.values():
        evse, why = choose(case, declared, {1: Outfit(), 2: SOCKET})
        assert bool(evse) != bool(why), case.id


@pytest.mark.parametrize(
    ("condition", "obstacle"),
    [
        ("", None),
        ("A-1 and C-2.1", None),
        ("A-1 and B-1", "B-1: too small"),
        ("B-1 or A-1", None),
        ("B-1 or D-1", "B-1: too small; D-1: too big"),
        ("not A-1", "A-1: it is there"),
        ("not (A-1 and B-1)", None),
        ("not (A-1 or B-1)", "A-1: it is there"),
        ("A-1 and not (not C-2.1 and (A-1 or B-1))", None),
        ("not C-2.1 and B-1", "C-2.1: it is there; B-1: too small"),
    ],
)
def test_conditions_name_what_is_in_the_way(condition: str, obstacle: str | None) -> None:
    station = features.Features({"A-1": None, "C-2.1": None, "B-1": "too small", "D-1": "too big"})
    assert station.obstacle(condition) == obstacle


def test_a_feature_that_nobody_declared_is_an_error() -> None:
    with pytest.raises(ValueError, match="X-9 was not declared"):
        features.Features({}).obstacle("X-9")


def test_what_stands_at_the_evse_decides_about_hardware() -> None:
    declared = features.load()
    fixed, socket = features.at(declared, Outfit()), features.at(declared, SOCKET)
    assert fixed.obstacle("HFS-1") == "HFS-1: the cable is fixed"
    assert socket.obstacle("HFS-1 and C-09.6 and C-42") is None
    assert fixed.obstacle("C-42") == "C-42: the meter does not sign"
    assert fixed.obstacle("C-10.5") == "C-10.5: the bay has no detector"


@pytest.mark.parametrize("text", ["", "[features]\nA = 3", "[features]\nA = false", "nonsense"])
def test_a_wrong_declaration_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "station.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"station\.toml"):
        features.load(file)
