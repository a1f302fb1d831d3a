"""The program as its users run it: `python -m argosy` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.machines import ONE_MACHINE, Machines
from tests.support.mortal import mortal
from tests.support.restic import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 100.0
# What a cluster's members do, too.
_SPREAD_VERBS = ("backup", "restore", "check")


@dataclass(frozen=True)
class Argosy:
    """The program with a repository, a state directory and a cache below ``home``. ``environment`` is added.

    Its backups, restores and checks run on ``machines``.
    """

    home: Path
    password: str = field(default=PASSWORD, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict)
    machines: Machines = field(default=ONE_MACHINE, repr=False, kw_only=True)

    @property
    def repository(self) -> Path:
        """Where its repository lies, unless -r says otherwise."""
        return self.home / "repository"

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.home / "state"

    def run(
        self,
        *arguments: str | bytes | Path,
        expect: int = 0,
        cwd: Path | None = None,
        given: bytes = b"",
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``argosy ARGUMENTS`` with ``given`` on standard input; the test fails on another exit code."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.variables(),
            cwd=cwd or self.home,
            input=given,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        if done.returncode != expect:
            output = (done.stdout + done.stderr).decode("utf-8", "replace")
            pytest.fail(f"argosy {arguments} ended with {done.returncode}, not {expect}:\n{output}")
        return done

    def says(self, *arguments: str | bytes | Path, expect: int = 0, cwd: Path | None = None) -> str:
        """Both channels as text."""
        done = self.run(*arguments, expect=expect, cwd=cwd)
        return (done.stdout + done.stderr).decode("utf-8", "surrogateescape")

    def documents(self, *arguments: str | bytes | Path, expect: int = 0, cwd: Path | None = None) -> list[Any]:
        """Run with --json and decode standard output, a document a line."""
        return decode_lines(self.run(*arguments, "--json", expect=expect, cwd=cwd).stdout)

    @contextmanager
    def started(self, *arguments: str | bytes | Path) -> Iterator[subprocess.Popen[bytes]]:
        """The running program; killed with its workers at the end, if it still runs."""
        with subprocess.Popen(
            mortal(self.command(*arguments)),
            env=self.variables(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def command(self, *arguments: str | bytes | Path) -> Sequence[str | bytes | Path]:
        """The words of the command line."""
        words = list(arguments)
        verb = next((place for place, word in enumerate(words) if word in _SPREAD_VERBS), None)
        if verb is not None:
            words[verb + 1 : verb + 1] = self.machines.flags()
        return [sys.executable, "-P", "-m", "argosy", *words]

    def variables(self) -> dict[str, str]:
        """Its environment: nothing of the user's but PATH."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(ROOT / "src"),
            "ARGOSY_REPOSITORY": str(self.repository),
            "ARGOSY_PASSWORD": self.password,
            "ARGOSY_STATE_DIR": str(self.state),
            "ARGOSY_CACHE_DIR": str(self.home / "cache"),
            **{name: value for name, value in os.environ.items() if name.startswith("ARGOSY_TEST_")},
            **self.environment,
        }


def decode_lines(output: bytes) -> list[Any]:
    """JSON documents, one a line."""
    return [json.loads(line) for line in output.splitlines() if line.strip()]
