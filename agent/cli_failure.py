"""What chargerctl exits with."""

from __future__ import annotations

OK, REFUSED, USAGE, NOT_REACHABLE, NOT_PERMITTED = range(5)
EXIT_CODES = """exit codes:
  0  done
  1  the agent refused, or the doctor has found something; it says what
  2  the command line is wrong, or a file that it names
  3  the agent is not reachable
  4  no permission to use its socket"""


class Failure(Exception):
    """What went wrong, in one sentence, and the exit code for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
