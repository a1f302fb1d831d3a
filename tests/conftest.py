"""What holds for the whole run: its own surroundings, the long tests, lacking programs, leaked processes."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A skip with such a reason is for want of a package; scripts/test --install promises that there is none.
WANT_OF_A_PACKAGE = re.compile(r"\bneeds\b.*\b(apt-get|package|restic|wheel)\b")
GRACE_SECONDS = 5.0
RUN_MARK = "ARGOSY_TEST_RUN"

_run_id = uuid.uuid4().hex
_leaked: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long` selects the long tests too."""
    parser.addoption("--long", action="store_true", help="run the long fault tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out, unless asked for."""
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        if long:
            config.hook.pytest_deselected(items=long)
            items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(scope="session", autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """State, cache and settings lie in the run's own directory; the user's variables reach no test."""
    home = tmp_path_factory.mktemp("surroundings")
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith(("RESTIC_", "ARGOSY_")) and not name.startswith("ARGOSY_TEST_"):
                environment.delenv(name)
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "ARGOSY_STATE_DIR"):
            environment.setenv(name, str(home / name.lower()))
        environment.delenv("STATE_DIRECTORY", raising=False)
        yield


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find a program of scripts/lib/test-packages.txt: returns its path, or skips naming the package."""
    packages = {}
    for line in (ROOT / "scripts/lib/test-packages.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            package, probe, _ = line.split(maxsplit=2)
            packages[probe] = package

    def find(name: str) -> str:
        path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if path is None:
            pytest.skip(f"needs {name}: apt-get install {packages[name]}")
        return path

    return find


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Once everything has been installed, a test skipped for want of a package has failed."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and os.environ.get("ARGOSY_TEST_COMPLETE"):
        reason = str(report.longrepr[2])
        if WANT_OF_A_PACKAGE.search(reason):
            report.outcome = "failed"
            report.longrepr = f"skipped although every package was installed: {item.nodeid}: {reason}"
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Prepare what the tests' processes inherit: the mark, which one that has lost its parent keeps, and SIGINT."""
    if _runs_tests(session.config):
        os.environ[RUN_MARK] = _run_id
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A shell's background jobs ignore Ctrl-C, and so would the programs that the tests interrupt.
            signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a process of the tests is left; end that process."""
    if _runs_tests(session.config):
        _leaked.extend(_end_leaked_processes())
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["leaked"] = _leaked
    if _leaked and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Collect what a worker of pytest-xdist has found."""
    _leaked.extend(getattr(node, "workeroutput", {}).get("leaked", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the leaked processes."""
    if _leaked:
        terminalreporter.section("processes that the tests left behind", red=True, bold=True)
        for line in _leaked:
            terminalreporter.write_line(line)


def _runs_tests(config: pytest.Config) -> bool:
    """Whether tests run in this process: not in the one that hands them to pytest-xdist's workers."""
    return hasattr(config, "workerinput") or not config.getoption("numprocesses", None)


def _end_leaked_processes() -> list[str]:
    """Give what is on its way out a moment; describe and kill what is still there."""
    leaked = []
    for process, test in _processes_of_this_run():
        with contextlib.suppress(ProcessLookupError), _descriptor_of(process) as descriptor:
            if not select.select([descriptor], [], [], GRACE_SECONDS)[0]:
                command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                leaked.append(f"pid {process}, started by {test}: {command}")
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    return leaked


@contextlib.contextmanager
def _descriptor_of(process: int) -> Iterator[int]:
    descriptor = os.pidfd_open(process)  # readable once the process has ended
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _processes_of_this_run() -> Iterator[tuple[int, str]]:
    """Each live process that was started from this one, at whatever remove, and the test that started it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:  # ended meanwhile, or another user's
                continue
            if f"{RUN_MARK}={_run_id}".encode() in variables:
                tests = [value for value in variables if value.startswith(b"PYTEST_CURRENT_TEST=")]
                yield int(entry.name), tests[0].partition(b"=")[2].decode() if tests else "no test"
