"""The real restic, as a referee.

Two of them matter: the one that Debian 12 packages (0.14) and one of at least 0.18. A test asks for one with
``require_restic`` and is skipped, with the reason, where it is not installed.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "correct horse battery staple"

Version = tuple[int, int, int]

_TIMEOUT_SECONDS = 100
_REMEDY = "apt-get install restic, or name one in ARGOSY_TEST_RESTIC or (0.18 or later) ARGOSY_TEST_RESTIC_018"


@dataclass(frozen=True)
class Restic:
    """One restic program."""

    program: Path
    version: Version

    def __str__(self) -> str:
        return f"restic {'.'.join(map(str, self.version))}"

    def help(self, *verb: str) -> str:
        """What ``restic VERB --help`` prints."""
        command = [str(self.program), *verb, "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS).stdout

    def at(self, location: Path | str, home: Path) -> ResticRepository:
        """This program working on the repository at ``location``; ``home`` takes what it leaves behind."""
        return ResticRepository(self, str(location), home)


@dataclass(frozen=True)
class ResticRepository:
    """restic with a repository and its password. ``environment`` is added to a clean one (TZ=UTC)."""

    restic: Restic
    location: str
    home: Path
    password: str = field(default=PASSWORD, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str | bytes | Path, expect: Sequence[int] = (0,), cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``restic ARGUMENTS``. The test fails on an exit code not in ``expect``."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.variables(),
            cwd=cwd,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        if done.returncode not in expect:
            output = (done.stdout + done.stderr).decode("utf-8", "replace")
            pytest.fail(f"{self.restic}: {arguments} ended with {done.returncode}:\n{output}")
        return done

    def json_lines(self, *arguments: str | bytes | Path, **options: Any) -> list[Any]:
        """Run with ``--json`` and decode each line of the output."""
        done = self.run(*arguments, "--json", **options)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def init(self) -> None:
        """Make the repository."""
        self.run("init")

    def check(self) -> None:
        """Fail the test unless all data is readable and every structure is in order."""
        self.run("check", "--read-data")

    @contextmanager
    def locked(self) -> Iterator[int]:
        """restic holds its non-exclusive lock, as a backup that waits for its input; gives its pid."""
        with subprocess.Popen(
            self.command("-v", "backup", "--stdin"),
            env=self.variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith(b"read data from stdin"):
                    break
            else:
                pytest.fail(f"{self.restic} took no lock:\n{b''.join(said).decode('utf-8', 'replace')}")
            try:
                yield process.pid
            finally:
                process.communicate(b"data", timeout=_TIMEOUT_SECONDS)
        assert process.returncode == 0

    def command(self, *arguments: str | bytes | Path) -> list[str | bytes | Path]:
        """The words of its command line."""
        return [self.restic.program, "--no-cache", "-r", self.location, *arguments]

    def variables(self) -> dict[str, str]:
        """The environment that it runs in."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "TZ": "UTC",
            "RESTIC_PASSWORD": self.password,
            **self.environment,
        }


def require_restic(at_least: Version = (0, 14, 0)) -> Restic:
    """A restic of at least that version; the test is skipped if none is found."""
    for restic in installed():
        if restic.version >= at_least:
            return restic
    wanted = ".".join(map(str, at_least))
    pytest.skip(f"needs restic {wanted} or later: {_REMEDY}")


def restic_parameters() -> list[Any]:
    """For pytest.mark.parametrize: each installed restic, or a skip that says what is missing."""
    found = [pytest.param(restic, id=str(restic).replace(" ", "-")) for restic in installed()]
    missing = pytest.param(None, marks=pytest.mark.skip(reason=f"needs restic: {_REMEDY}"), id="no-restic")
    return found or [missing]


@functools.cache
def installed() -> tuple[Restic, ...]:
    """All restics that can be found, oldest first, one for each version."""
    candidates = [
        os.environ.get("ARGOSY_TEST_RESTIC") or shutil.which("restic"),
        os.environ.get("ARGOSY_TEST_RESTIC_018"),
    ]
    found: dict[Version, Restic] = {}
    for candidate in candidates:
        if candidate:
            restic = Restic(Path(candidate), _version(candidate))
            found[restic.version] = restic
    return tuple(found[version] for version in sorted(found))


def _version(program: str) -> Version:
    output = subprocess.run(
        [program, "version"], capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS
    ).stdout
    match = re.match(r"restic (\d+)\.(\d+)\.(\d+)", output)
    if match is None:
        raise RuntimeError(f"{program} does not say which version of restic it is: {output!r}")
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)
