"""What several end-to-end tests read and none changes, and the engines that each test runs on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.engines import ENGINES, FIXTURE, forms_of, without_an_answer
from tests.support.backups import Scene
from tests.support.clustered import ManyMachines, clustered_commands
from tests.support.compared import Compared, make_compared
from tests.support.machines import Machines, OneMachine
from tests.support.pruned import make_unpruned
from tests.support.restic import Restic, restic_parameters

HERE = Path(__file__).parent


@pytest.fixture(scope="session", params=restic_parameters())
def compared_by_all(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A repository that each installed restic wrote, once for all tests: they only read it."""
    restic: Restic = request.param
    return make_compared(restic, tmp_path_factory.mktemp("compared"))


@pytest.fixture
def compared(compared_by_all: Compared) -> Compared:
    """The same, without the lock of a test before whose time was over: it would refuse all that come after."""
    for lock in (Path(compared_by_all.argosy.repository) / "locks").iterdir():
        lock.unlink()
    return compared_by_all


@pytest.fixture(scope="session")
def unpruned(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository before its prune; tests prune copies of it."""
    return make_unpruned(tmp_path_factory.mktemp("unpruned"))


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyMachines]:
    """A master and a proxy, started for the first test that asks for them, ended after the folder's last test."""
    with clustered_commands(tmp_path_factory.mktemp("cluster")) as together:
        yield together


@pytest.fixture
def machines(request: pytest.FixtureRequest) -> Machines:
    """The engine that the test runs on: see ``engines.py``."""
    if request.param == ENGINES[0]:
        return OneMachine()
    together: ManyMachines = request.getfixturevalue("cluster")
    together.used = 0
    return together


@pytest.fixture
def scene(tmp_path: Path, machines: Machines) -> Scene:
    """An empty repository whose jobs run on both engines."""
    return Scene(tmp_path / "scene", machines).init()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that can on both engines."""
    if FIXTURE in metafunc.fixturenames:
        metafunc.parametrize(FIXTURE, forms_of(metafunc.definition), indirect=True, ids=str)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End the run if a test of this folder is kept to one engine without a reason."""
    own = [item for item in items if isinstance(item, pytest.Function) and HERE in item.path.parents]
    silent = without_an_answer((item.nodeid, item.fixturenames, item.iter_markers("one_engine")) for item in own)
    if silent:
        raise pytest.UsageError("\n".join(silent))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whatever passes on a cluster without having sent it anything has shown nothing."""
    report = yield
    engine = item.funcargs.get(FIXTURE) if isinstance(item, pytest.Function) else None
    if call.when == "call" and report.passed and isinstance(engine, ManyMachines) and not engine.used:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} sent the cluster nothing: mark it one_engine, with the reason"
    return report
