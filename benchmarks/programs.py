"""The two programs, and the folder in which each works.

Both take the same verbs and flags, so that a scenario is one list of arguments for both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.data import measure_extent
from benchmarks.process import SAMPLE_SECONDS, CommandFailed, Usage, run_measured

CHECKOUT = Path(__file__).resolve().parents[1]
OUR_COMMAND = (sys.executable, "-P", "-m", "argosy")
PASSWORD = "benchmark"
# What a program inherits; the rest of the user's surroundings changes nothing.
_INHERITED = ("PATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Program:
    """``name`` is "argosy" or "restic"."""

    name: str
    command: tuple[str, ...]

    def version(self) -> str:
        """What ``version`` prints, in one line. CommandFailed if it cannot be run."""
        try:
            done = subprocess.run(
                (*self.command, "version"),
                env=_environment(Path("/nonexistent")),
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise CommandFailed(f"{' '.join(self.command)} cannot be run: {error}") from error
        return "; ".join(done.stdout.splitlines())


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one program. ``repository_bytes`` is 0 where the size does not matter."""

    usage: Usage
    repository_bytes: int = 0


class Place:
    """One program's own folder: its repository, cache and state, and what it restores.

    While ``samples_memory`` is true, runs are watched for their memory, which slows them down: the less, the more
    ``sample_seconds`` there are between two looks.
    """

    def __init__(self, program: Program, directory: Path) -> None:
        self.program = program
        self._directory = directory
        self.repository = directory / "repository"
        self.target = directory / "target"
        self.samples_memory = False
        self.sample_seconds = SAMPLE_SECONDS
        directory.mkdir()

    def init(self) -> None:
        """Make an empty repository."""
        self.run("init", "--repo", str(self.repository))

    def begin(self, template: Path) -> None:
        """Start with a copy of the empty repository ``template``, without cache and state."""
        self.reset()
        shutil.copytree(template, self.repository)

    def back_up(self, source: Path, *, verify: bool, compression: str = "auto") -> Measured:
        """Back up ``source`` as a user would; the repository's size afterwards."""
        flags = () if verify else ("--no-extra-verify",)
        measured = self.run("backup", "--repo", str(self.repository), "--compression", compression, *flags, str(source))
        return replace(measured, repository_bytes=measure_extent(self.repository).size_bytes)

    def restore(self) -> Measured:
        """Restore the latest snapshot into ``target``."""
        return self.run("restore", "latest", "--repo", str(self.repository), "--target", str(self.target))

    def check(self) -> Measured:
        """Read and verify all that the repository holds."""
        return self.run("check", "--read-data", "--repo", str(self.repository))

    def check_structure(self) -> Measured:
        """Test what the repository's indexes and trees say."""
        return self.run("check", "--repo", str(self.repository))

    def keep_last(self) -> None:
        """Forget all snapshots but the latest."""
        self.run("forget", "--keep-last", "1", "--repo", str(self.repository))

    def prune(self) -> Measured:
        """Remove what no snapshot uses."""
        return self.run("prune", "--repo", str(self.repository))

    def run(self, *arguments: str) -> Measured:
        """Run the program. CommandFailed if it fails."""
        command = (*self.program.command, *arguments)
        environment = _environment(self._directory)
        usage = run_measured(
            command,
            environment,
            self._directory,
            sample_memory=self.samples_memory,
            sample_seconds=self.sample_seconds,
        )
        return Measured(usage)

    def output_of(self, *arguments: str) -> str:
        """What the program prints. CommandFailed if it fails."""
        command = (*self.program.command, *arguments)
        done = subprocess.run(command, env=_environment(self._directory), capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandFailed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def reset(self) -> None:
        """Remove everything in this place."""
        self.remove()
        self._directory.mkdir()

    def remove(self) -> None:
        """Remove the place itself."""
        shutil.rmtree(self._directory)


def _environment(directory: Path) -> dict[str, str]:
    """Variables of a run: a private home, the password, one time zone, and where this checkout's code is.

    TMPDIR too lies in ``directory``: restic writes its packs there first.
    """
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "HOME": str(directory / "home"),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": str(CHECKOUT / "src"),
        "ARGOSY_PASSWORD": PASSWORD,
        "ARGOSY_CACHE_DIR": str(directory / "cache"),
        "ARGOSY_STATE_DIR": str(directory / "state"),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(directory / "cache"),
    }
