"""What every test shares: the marks."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): OCPP requirement ids that the test checks")
    config.addinivalue_line("markers", "soak: long runs, only in `make soak`")
