"""A cluster in a directory of the test's own, with a clock that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory

NOW = 1_800_014_400.0  # noon in UTC, so that a date is the same in almost every time zone
DAY = 86400.0


@dataclass
class Clock:
    """Stands still until the test moves it (Unix seconds)."""

    now: float = field(default=NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(tmp_path: Path, clock: Clock) -> ClusterDirectory:
    """A cluster just made, reached at master.example:4222."""
    made = ClusterDirectory(tmp_path / "cluster", clock)
    made.init([Address("master.example", 4222)])
    return made
