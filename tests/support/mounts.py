"""A repository mounted for a test, and taken away whatever happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command import TIMEOUT_SECONDS, Argosy
from tests.support.restic import ResticRepository


@dataclass(frozen=True)
class Mounted:
    """Where it stands, and the process that serves it."""

    directory: Path
    process: subprocess.Popen[bytes]

    def end(self, signal_number: int) -> bytes:
        """Send the signal; returns what was said until the process ended."""
        self.process.send_signal(signal_number)
        said, _ = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return said


def require_mounts() -> None:
    """Skip the test where nothing can be mounted."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("there is no /dev/fuse here")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse may not be used here")
    try:
        import mfusepy  # noqa: F401 - whether it can be
    except OSError:
        pytest.skip("needs libfuse: apt-get install fuse3")


@contextmanager
def mounted(program: Argosy | ResticRepository, *flags: str, name: str = "mounted") -> Iterator[Mounted]:
    """Its ``mount``, ready to be used, in a folder of this name below its home."""
    require_mounts()
    directory = program.home / name
    directory.mkdir(exist_ok=True)
    process = subprocess.Popen(
        program.command("mount", *flags, str(directory)),
        env=program.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_served(process)
        yield Mounted(directory, process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if os.path.ismount(directory):
            subprocess.run(["fusermount3", "-u", "-z", str(directory)], check=False)


def _wait_until_served(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(b"When finished"):
            return
    text = b"".join(said).decode("utf-8", "replace")
    if "Operation not permitted" in text or "Permission denied" in text:
        pytest.skip(f"nothing may be mounted here: {text.splitlines()[0]}")
    pytest.fail(f"nothing was mounted:\n{text}")
