"""Runs one command to its end and measures it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import memory_bytes, tree_memory_bytes

SAMPLE_SECONDS = 0.02
_SHOWN_BYTES = 2_000
_USER_FIELD = 11  # utime, then stime, of proc_pid_stat(5), counted from the state


class CommandFailed(Exception):
    """A measured command has failed: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took. ``cpu_seconds`` and ``peak_bytes`` are of all its processes.

    ``first_cpu_seconds`` and ``first_peak_bytes`` are of the first process alone (a backup's master), as of the last
    sample and of the greatest one. They and ``peak_bytes`` are 0 if nothing was sampled.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int = 0
    first_cpu_seconds: float = 0.0
    first_peak_bytes: int = 0


@dataclass(slots=True)
class _Samples:
    """What has been seen of a running command."""

    peak_bytes: int = 0
    first_cpu_seconds: float = 0.0
    first_peak_bytes: int = 0

    def take(self, process: int) -> None:
        """Look at it once."""
        self.peak_bytes = max(self.peak_bytes, tree_memory_bytes(process))
        self.first_peak_bytes = max(self.first_peak_bytes, memory_bytes(process))
        self.first_cpu_seconds = max(self.first_cpu_seconds, own_cpu_seconds(process))


def run_measured(
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    *,
    sample_memory: bool = False,
    sample_seconds: float = SAMPLE_SECONDS,
) -> Usage:
    """Run a command in ``directory``. CommandFailed, with what it printed, unless it exits with 0.

    A sample of the memory of three processes with 260 MB takes 6 ms of a processor, one of restic 2 ms: a run that is
    sampled is not one to be timed. If this process is interrupted, the command and all that it started are killed.
    """
    with open(directory / "output", "w+b") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # a session of its own would have a priority of its own, too
        )
        try:
            samples = _watch(process.pid, sample_seconds) if sample_memory else _Samples()
            _, status, usage = os.wait4(process.pid, 0)
            wall_seconds = time.perf_counter() - started
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _SHOWN_BYTES))
            said = output.read().decode(errors="replace")
            raise CommandFailed(f"{' '.join(command)}: exit code {process.returncode}\n{said}")
    return Usage(
        wall_seconds,
        usage.ru_utime + usage.ru_stime,
        samples.peak_bytes,
        samples.first_cpu_seconds,
        samples.first_peak_bytes,
    )


def _watch(process: int, sample_seconds: float) -> _Samples:
    """Sample until the process ends."""
    samples = _Samples()
    descriptor = os.pidfd_open(process)
    try:
        while not select.select([descriptor], [], [], sample_seconds)[0]:
            samples.take(process)
    finally:
        os.close(descriptor)
    return samples


def own_cpu_seconds(process: int) -> float:
    """What the process has used, without its children; 0 if it has ended."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            # The name before may hold anything: count from behind it.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    user, system = fields[_USER_FIELD : _USER_FIELD + 2]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
