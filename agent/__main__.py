"""`python -m agent` is `chargerd`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Load the process without looking for garbage on the way: nothing made while loading is any.

    The collector is turned on again when everything is loaded.
    """
    gc.disable()
    from agent.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
