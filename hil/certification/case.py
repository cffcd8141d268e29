"""Which cases there are, whether one applies, and running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from hil.bench import Bench, Outfit, ScenarioFailed
from hil.certification import features
from hil.certification.registry import REGISTERED, Case
from hil.certification.states import Lab, Way
from hil.certification.table import rows
from hil.certification.talk import CaseFailed, NotApplicable
from hil.csms import CallFailed

SCRIPTS = sorted(path.stem for path in Path(__file__).parent.glob("[a-p]_*.py"))
"""One or more files per block."""
for _name in SCRIPTS:
    import_module(f"hil.certification.{_name}")
CASES: dict[str, Case] = {id: REGISTERED[id] for id in rows() if id in REGISTERED}
"""Every case that has a script, in the order of the table."""

Outcome = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Verdict:
    """How a case went at an EVSE (0: at none), and why. `seconds` on the bench's clock."""

    case: str
    way: Way
    evse: int
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0


def choose(case: Case, declared: features.Declared, outfits: Mapping[int, Outfit]) -> tuple[int, str]:
    """The first EVSE at which the case applies, or 0 and why it applies at none."""
    obstacles = []
    for evse, outfit in outfits.items():
        why = features.at(declared, outfit).obstacle(case.row.condition)
        if why is None:
            return evse, ""
        obstacles.append(why)
    if len(set(obstacles)) == 1:
        return 0, obstacles[0]
    return 0, " / ".join(f"EVSE {evse}: {why}" for evse, why in zip(outfits, obstacles, strict=True))


def run(case: Case, bench: Bench, evse: int, way: Way) -> Verdict:
    """Play a case on a bench whose station has just been started."""
    began = bench.now()
    outcome, reason = _play(case, Lab(bench, evse, way))
    return Verdict(case.id, way, evse, outcome, reason, bench.now() - began)


def _play(case: Case, lab: Lab) -> tuple[Outcome, str]:
    try:
        lab.booted()
        case.script(lab)
        _general_rules(lab)
    except (CaseFailed, ScenarioFailed, CallFailed, ConnectionError) as failure:
        return "failed", str(failure) or repr(failure)
    except NotApplicable as reason:
        return "not applicable", str(reason)
    return "passed", ""


def _general_rules(lab: Lab) -> None:
    """What holds of every case: complete transactions in order of seqNo, valid frames, meters at the outlet."""
    for transaction in lab.bench.transactions():
        numbers, kinds = transaction.seq_numbers, [e["eventType"] for e in transaction.ordered()]
        lab.check(f"seqNos of {transaction.transaction_id}", numbers, [numbers[0] + i for i in range(len(numbers))])
        lab.check(f"first event of {transaction.transaction_id}", kinds[0], "Started")
        lab.check(f"events before the last of {transaction.transaction_id}", "Ended" in kinds[:-1], False)
    lab.check("broken rules of the protocol", list(lab.bench.violations()), [])
    for frame in lab.bench.calls("MeterValues", "TransactionEvent"):
        for value in frame.payload.get("meterValue", ()):
            in_car = [s.get("measurand") for s in value["sampledValue"] if s.get("location") == "EV"]
            lab.check("measurands with location EV", [name for name in in_car if name != "SoC"], [])
