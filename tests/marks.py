"""Marks of the test suite."""

from __future__ import annotations

import pytest


def req(*ids: str) -> pytest.MarkDecorator:
    """The OCPP requirements (such as "E04.FR.01") whose loss makes the marked test fail."""
    return pytest.mark.req(*ids)
