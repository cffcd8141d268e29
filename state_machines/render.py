"""A table as a page: its states, its diagram, its rows."""

from __future__ import annotations

from config_keys.key import Key
from state_machines.decision import ASKS, MAY, MEANING, MEANS, Decision, Rule
from state_machines.table import ANY, Row, State, Table


def page(table: Table) -> str:
    """The machine in Markdown, with a Mermaid diagram."""
    parts = [
        f"## {table.name}",
        table.doc,
        f"Starts in `{table.initial}`.",
        _states(table),
        _diagram(table),
        _rows(table),
    ]
    return "\n\n".join(parts)


def _states(table: Table) -> str:
    lines = [f"| `{name}` | {state.doc} | {_timeout(state)} |" for name, state in table.states.items()]
    return "\n".join(["| state | meaning | timeout |", "|---|---|---|", *lines])


def _timeout(state: State) -> str:
    if state.timeout is None:
        return ""
    timeout = state.timeout
    span = (
        timeout.name
        if isinstance(timeout, Key)
        else timeout
        if isinstance(timeout, str)
        else f"{timeout:g} s"
    )
    return f"{span} -> {state.then}"


def _diagram(table: Table) -> str:
    edges = dict.fromkeys(f"    {e.source} --> {e.to}: {e.trigger}" for e in table.edges if e.source != e.to)
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {table.initial}", *edges, "```"])


def _rows(table: Table) -> str:
    lines = [_row(row) for row in table.rows]
    return "\n".join(["| trigger | in | goes to | if | does |", "|---|---|---|---|---|", *lines])


def _row(row: Row) -> str:
    source = (
        "any" if row.source == ANY else row.source if isinstance(row.source, str) else ", ".join(row.source)
    )
    return f"| {row.trigger} | {source} | {row.to or 'stays'} | {row.guard or ''} | {row.do or ''} |"


def decision_page() -> str:
    """The decision table of a presented token."""
    parts = [
        "## decision",
        "What becomes of a token that is presented, or named by a remote start. The first row that fits counts.",
        "\n".join(["| fact | |", "|---|---|", *(f"| {name} | {meaning} |" for name, meaning in MEANING.items())]),
        "Whether it is good:",
        _rules(MAY),
        "A good one:",
        _rules(MEANS),
        "One that the CSMS would have to judge:",
        _rules(ASKS),
    ]
    return "\n\n".join(parts)


def _rules(rules: tuple[Rule, ...]) -> str:
    lines = [f"| {_when(rule)} | {_given(rule)} | {rule.why} | {rule.source} |" for rule in rules]
    return "\n".join(["| when | then | because | from |", "|---|---|---|---|", *lines])


def _given(rule: Rule) -> str:
    return rule.gives.value if isinstance(rule.gives, Decision) else str(rule.gives)


def _when(rule: Rule) -> str:
    named = [f"{name} = {' or '.join(_plain(value))}" for name, value in rule.when.items()]
    return ", ".join(named) or "always"


def _plain(value: object) -> list[str]:
    return [str(v).lower() for v in value] if isinstance(value, tuple) else [str(value).lower()]
