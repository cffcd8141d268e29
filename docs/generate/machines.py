"""Write docs/state-machines.md from the tables in `state_machines`.

`python -m docs.generate.machines` writes it; with `--check` it exits 1 when it is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from docs.generate import write_or_check
from state_machines.all import TABLES
from state_machines.reasons import Cause
from state_machines.render import decision_page, page

PAGE = Path(__file__).resolve().parent.parent / "state-machines.md"

INTRODUCTION = """\
# State machines

Generated from the tables in `state_machines/` by `python -m docs.generate.machines`. The first row that fits a
trigger wins; `stays` means that the trigger is known and changes nothing. What hardware and people cause has a row
in every state; a trigger of our own that is not listed is a bug.
"""


def text() -> str:
    """The whole page."""
    causes = [f"| {cause.name.lower()} | {cause.value.trigger} | {cause.value.stopped} |" for cause in Cause]
    head = ["| cause | triggerReason | stoppedReason if it ends it |", "|---|---|---|"]
    reasons = ["## reasons", "What a cause is called in a TransactionEvent (E.1).", "\n".join([*head, *causes])]
    return "\n\n".join([INTRODUCTION.rstrip(), *(page(table) for table in TABLES), decision_page(), *reasons]) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the page, or check it."""
    return write_or_check("machines", {PAGE: text()}, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
