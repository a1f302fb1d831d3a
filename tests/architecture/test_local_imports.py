"""A command that works on one machine loads no library of the cluster, the web or mounts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = {"nats", "starlette", "uvicorn", "jinja2", "prometheus_client", "mfusepy", "asyncio", "pytest"}


def modules_loaded_by(*arguments: str) -> set[str]:
    """Run the command; returns the top-level names of all that it imported (Python's -X importtime)."""
    command = [sys.executable, "-P", "-X", "importtime", "-m", "argosy", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "ARGOSY_PASSWORD": "correct horse"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }


def test_version_loads_no_foreign_library() -> None:
    loaded = modules_loaded_by("version")
    assert "argosy" in loaded
    assert not loaded & FOREIGN


@pytest.mark.parametrize("verb", ["backup", "snapshots"])
def test_a_local_command_loads_no_foreign_library(verb: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    repository = str(tmp_path / "repository")
    loaded = modules_loaded_by("backup", "--init", "-r", repository, str(source))
    if verb != "backup":
        loaded = modules_loaded_by(verb, "-r", repository)
    assert "argosy" in loaded
    assert not loaded & FOREIGN
