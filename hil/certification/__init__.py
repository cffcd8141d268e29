"""The station cases of the OCPP 2.0.1 certification programme as scripts, for any bench (hil.bench.Bench)."""

from hil.certification import features, report
from hil.certification.case import CASES, Verdict, choose, run
from hil.certification.registry import Case
from hil.certification.states import Lab, Way
from hil.certification.talk import CaseFailed, NotApplicable

__all__ = [
    "CASES",
    "Case",
    "CaseFailed",
    "Lab",
    "NotApplicable",
    "Verdict",
    "Way",
    "choose",
    "features",
    "report",
    "run",
]
