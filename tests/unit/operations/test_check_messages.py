"""A check's workers are threads: what each decodes first, all decode at the same time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from argosy.operations.check.messages import PROTOCOL, WorkerSetup, encode
from argosy.storage.options import StorageOptions

TRIES = 5
SETUP = WorkerSetup(PROTOCOL, "/repository", StorageOptions(), b"", b"", "/cache", 1)
# python -c RACE PATH SETUP: decodes in threads that change places all the time, in a process that never did before.
RACE = """
import sys, threading
sys.path[:] = sys.argv[1].split(":")
sys.setswitchinterval(1e-6)
from argosy.operations.check.messages import decode_setup
data, begin = bytes.fromhex(sys.argv[2]), threading.Barrier(8)
def decode():
    begin.wait()
    decode_setup(data)
threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(TRIES))
def test_a_setup_is_decoded_by_threads_at_once(attempt: int) -> None:
    """msgspec ended one process in five here with SIGSEGV."""
    del attempt
    command = [sys.executable, "-c", RACE, ":".join(sys.path), encode(SETUP).hex()]
    assert subprocess.run(command, check=False).returncode == 0
