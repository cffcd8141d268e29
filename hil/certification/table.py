"""What the certification programme says of each station case: facts only, from table.tsv beside this file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Row(NamedTuple):
    """One case. `condition` is an expression over features (hil.certification.features); empty: always applies."""

    id: str
    name: str
    profiles: tuple[str, ...]
    condition: str
    requirements: tuple[str, ...]

    @property
    def block(self) -> str:
        """The letter of its functional block."""
        return self.id.split("_")[1]


@cache
def rows() -> dict[str, Row]:
    """Every case by its id, in the order of the file."""
    text = files(__package__).joinpath("table.tsv").read_text(encoding="utf-8")
    found = [_row(line) for line in csv.DictReader(text.splitlines(), delimiter="\t")]
    return {row.id: row for row in found}


def _row(line: Mapping[str, str]) -> Row:
    profiles = tuple(filter(None, line["profile"].split(",")))
    return Row(line["id"], line["name"], profiles, line["condition"], tuple(line["requirements"].split()))
