"""How often each fault is tried."""

from __future__ import annotations

import pytest

LONG_REPEATS = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once in the short form."""
    if "repeat" in metafunc.fixturenames:
        metafunc.parametrize("repeat", range(LONG_REPEATS if metafunc.config.getoption("--long") else 1))
