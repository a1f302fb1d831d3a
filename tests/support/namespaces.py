"""Mounts that only one script sees, so that an ordinary user may make them and none is left behind."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.support.command import TIMEOUT_SECONDS, Argosy

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private")


def in_a_namespace(argosy: Argosy, script: str, *, expect: int) -> str:
    """Run a shell script as root of a mount namespace of its own; returns what it said.

    ``$argosy`` runs the program; ``$repository`` and ``$home`` are where the repository, and all else, lie.
    """
    if subprocess.run((*_UNSHARE, "true"), capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    variables = {
        **argosy.variables(),
        "repository": str(argosy.repository),
        "home": str(argosy.home),
        "argosy": shlex.join(map(str, argosy.command())),
    }
    command = (*_UNSHARE, "sh", "-e", "-c", script)
    done = subprocess.run(command, env=variables, capture_output=True, check=False, timeout=TIMEOUT_SECONDS)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == expect, said
    return said
