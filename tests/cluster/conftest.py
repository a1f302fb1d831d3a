"""How often each fault is tried."""

from __future__ import annotations

import pytest

SHORT_REPEATS, LONG_REPEATS = 3, 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """More often in the long form."""
    if "repeat" in metafunc.fixturenames:
        repeats = LONG_REPEATS if metafunc.config.getoption("--long") else SHORT_REPEATS
        metafunc.parametrize("repeat", range(repeats))
