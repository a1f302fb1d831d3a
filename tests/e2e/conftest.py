"""What several end-to-end tests read, and none changes."""

from __future__ import annotations

import pytest

from tests.support.compared import Compared, make_compared
from tests.support.restic import Restic, restic_parameters


@pytest.fixture(scope="session", params=restic_parameters())
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A repository that each installed restic wrote, once for all tests: they only read it."""
    restic: Restic = request.param
    return make_compared(restic, tmp_path_factory.mktemp("compared"))
