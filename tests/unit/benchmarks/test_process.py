"""A measured command: its processes, its failure, its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import process_tree, tree_memory_bytes
from benchmarks.process import CommandFailed, run_measured
from benchmarks.workplace import NoRoom, workplace

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def test_memory_counts_the_whole_tree() -> None:
    """A parent that holds little, and its child that holds 64 MiB."""
    child = "import sys; held = bytearray(b'x') * (64 << 20); print('ready', flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {child!r}])"
    with subprocess.Popen(python(parent), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(process_tree(process.pid)) == 2
        assert tree_memory_bytes(process.pid) >= 64 << 20
        process.communicate()
    assert tree_memory_bytes(process.pid) == 0


def test_cpu_time_is_that_of_the_children_too(tmp_path: Path) -> None:
    burn = "import os\nwhile os.times().user < 0.2: pass"
    usage = run_measured(
        python(f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {burn!r}])"), ENVIRONMENT, tmp_path
    )
    assert usage.cpu_seconds >= 0.2


def test_a_command_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"(?s)exit code 3.*out of luck"):
        run_measured(python("import sys; print('out of luck'); sys.exit(3)"), ENVIRONMENT, tmp_path)


def test_the_working_folder_goes_even_if_the_run_fails(tmp_path: Path) -> None:
    failing = python("import os, sys; os.mkdir('repository'); sys.exit(1)")
    with pytest.raises(CommandFailed), workplace(tmp_path, 0.001) as directory:
        run_measured(failing, ENVIRONMENT, directory)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match="--directory"), workplace(tmp_path, 1e9):
        pass
    assert list(tmp_path.iterdir()) == []
