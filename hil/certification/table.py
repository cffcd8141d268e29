"""What the certification programme says of each station case: facts only, from table.tsv beside this file."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Row(NamedTuple):
    """One case. `condition` is an expression over features (hil.certification.features); empty: always applies."""

    id: str
    name: str
    profile: str
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
    found = [
        Row(r["id"], r["name"], r["profile"], r["condition"], tuple(r["requirements"].split()))
        for r in csv.DictReader(text.splitlines(), delimiter="\t")
    ]
    return {row.id: row for row in found}
