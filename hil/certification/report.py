"""Verdicts as lines for a terminal, as JUnit XML and as one HTML page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from hil.certification.case import Verdict
from hil.certification.table import rows

STYLE = """body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; vertical-align: top }
tr { border-bottom: 1px solid #ddd } td.passed { color: #176b2c } td.failed { color: #b3261e; font-weight: 600 }
td.not { color: #666 } small { color: #666 }"""


def line(verdict: Verdict) -> str:
    """One case on one line; the reason on the same one, without what belongs into a log."""
    place = f"EVSE {verdict.evse}" if verdict.evse else ""
    why = short(verdict) or rows()[verdict.case].name
    return f"{verdict.case}  {verdict.way:<6}  {place:<6}  {verdict.outcome:<14}  {verdict.seconds:6.1f} s  {why}"


def short(verdict: Verdict) -> str:
    """The first line of the reason."""
    return verdict.reason.partition("\n")[0]


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many of each."""
    count = Counter(verdict.outcome for verdict in verdicts)
    return f"{count['passed']} passed, {count['failed']} failed, {count['not applicable']} not applicable"


def record(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Put verdicts into a JSON file by case, in place of older ones of the same case; others stay."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    for verdict in verdicts:
        told = {"outcome": verdict.outcome, "evse": verdict.evse, "way": verdict.way, "date": today}
        known[verdict.case] = told | ({"reason": short(verdict)} if verdict.outcome != "passed" else {})
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")


def junit(verdicts: Sequence[Verdict]) -> str:
    """A test suite per block; what does not apply is skipped with its reason."""
    top = ElementTree.Element("testsuites", name="OCPP 2.0.1 certification cases")
    for block in dict.fromkeys(rows()[v.case].block for v in verdicts):
        mine = [v for v in verdicts if rows()[v.case].block == block]
        count = Counter(v.outcome for v in mine)
        suite = ElementTree.SubElement(
            top, "testsuite", name=block, tests=str(len(mine)), failures=str(count["failed"]),
            skipped=str(count["not applicable"]), time=f"{sum(v.seconds for v in mine):.3f}",
        )  # fmt: skip
        for verdict in mine:
            _junit_case(suite, verdict)
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _junit_case(suite: ElementTree.Element, verdict: Verdict) -> None:
    name = f"{verdict.case} {rows()[verdict.case].name} ({verdict.way})"
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"certification.{verdict.case}", name=name, time=f"{verdict.seconds:.3f}"
    )
    if verdict.outcome == "failed":
        ElementTree.SubElement(case, "failure", message=short(verdict)).text = verdict.reason
    elif verdict.outcome == "not applicable":
        ElementTree.SubElement(case, "skipped", message=verdict.reason)


def html(verdicts: Sequence[Verdict]) -> str:
    """One page that needs nothing else."""
    head = "".join(f"<th>{name}</th>" for name in ("Case", "Sessions", "EVSE", "Verdict", "Time", "Requirements"))
    body = "\n".join(_html_row(verdict) for verdict in verdicts)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Certification cases</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>OCPP 2.0.1 certification cases</h1>\n<p>{summary(verdicts)}</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></body></html>\n"
    )


def _html_row(verdict: Verdict) -> str:
    row = rows()[verdict.case]
    why = f"<br><small>{escape(verdict.reason)}</small>" if verdict.reason else ""
    cells = (
        f"<td>{row.id}<br><small>{escape(row.name)}</small></td>",
        f"<td>{verdict.way}</td><td>{verdict.evse or ''}</td>",
        f'<td class="{verdict.outcome.split()[0]}">{verdict.outcome}{why}</td>',
        f"<td>{verdict.seconds:.1f} s</td><td><small>{' '.join(row.requirements)}</small></td>",
    )
    return f"<tr>{''.join(cells)}</tr>"
