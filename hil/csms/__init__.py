"""A CSMS for the bench, on the `ocpp` package: independent of the agent's codec and validators."""

from hil.csms.behaviour import Behaviour, ErrorAnswer, TokenAnswer
from hil.csms.main import main
from hil.csms.record import Frame, Transaction, Violation
from hil.csms.server import BenchCsms, CallFailed

__all__ = [
    "Behaviour",
    "BenchCsms",
    "CallFailed",
    "ErrorAnswer",
    "Frame",
    "TokenAnswer",
    "Transaction",
    "Violation",
    "main",
]
