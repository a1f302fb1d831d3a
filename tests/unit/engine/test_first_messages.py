"""Threads that meet a type of message at the same moment, the first ones to do so, decode it all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from argosy.operations.{verb} import messages
from argosy.storage.options import StorageOptions
{manner}
setup = messages.WorkerSetup({fields})
payload = messages.encode(setup)
sys.setswitchinterval(1e-6)
meeting, decoded = threading.Barrier(4), []

def decode():
    meeting.wait()
    decoded.append(messages.decode_setup(payload))

threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert decoded == [setup] * 4
"""
CHECK = PROGRAM.format(verb="check", manner="", fields="1, '/r', StorageOptions(), b'k', b'c', '/cache', 0")
PRUNE = PROGRAM.format(
    verb="prune",
    manner="from argosy.operations.prune.repacking import RepackManner",
    fields="1, '/r', StorageOptions(), b'k', b'c', RepackManner(1, 'auto', False, True), 1.0",
)


@pytest.mark.parametrize("program", [CHECK, PRUNE], ids=["check", "prune"])
def test_several_workers_begin_at_once(program: str) -> None:
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr.decode())
