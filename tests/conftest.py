"""What every test shares: the marks, and how hypothesis runs."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("chargerd", deadline=None)
settings.load_profile("chargerd")
"""A busy machine is no failure: nothing here is judged by the clock on the wall."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): OCPP requirement ids that the test checks")
    config.addinivalue_line("markers", "soak: long runs, only in `make soak`")
