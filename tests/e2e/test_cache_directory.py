"""A cache directory that cannot be used, and one that goes away."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import TIMEOUT_SECONDS, Argosy
from tests.support.namespaces import in_a_namespace
from tests.support.trees import make_tree


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    make_tree(tmp_path / "source", {"file": b"content"})
    argosy = Argosy(tmp_path)
    argosy.run("backup", "--init", "source")
    return argosy


def test_one_that_is_full_or_may_not_be_written_is_named_with_what_helps(argosy: Argosy) -> None:
    said = in_a_namespace(
        argosy,
        """
        mkdir "$home/small"
        mount -t tmpfs -o size=64k small "$home/small"
        fails() {
            code=0
            $argosy ls latest --cache-dir "$home/small/cache" || code=$?
            test $code = 1
        }
        cat /dev/zero >"$home/small/ballast" 2>/dev/null || true
        fails
        rm "$home/small/ballast"
        fails
        mount -o remount,ro "$home/small"
        fails
        $argosy ls latest --cache-dir "$home/small/cache" --no-cache
        """,
        expect=0,
    )
    assert said.count("small/cache") == 3
    assert said.count("Fatal") == 3
    assert "no room left" in said
    assert "Read-only" in said
    assert said.count("--cache-dir") == 2
    assert "Traceback" not in said
    assert "/source/file" in said


def test_one_that_was_removed_is_made_anew(argosy: Argosy) -> None:
    (cache,) = argosy.documents("cache")[0]
    shutil.rmtree(cache["path"])
    assert argosy.documents("cache")[0] == []
    assert "/source/file" in argosy.says("ls", "latest")
    (again,) = argosy.documents("cache")[0]
    assert again["path"] == cache["path"]


def test_one_that_is_removed_while_a_restore_starts_its_workers_is_made_anew(argosy: Argosy) -> None:
    """The restore has its lookup open when it names the snapshot, and starts no worker before."""
    (cache,) = argosy.documents("cache")[0]
    process = subprocess.Popen(
        argosy.command("restore", "latest", "--target", argosy.home / "out"),
        env=argosy.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert "restoring snapshot" in process.stdout.readline()
    shutil.rmtree(cache["path"], ignore_errors=True)
    said, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, said
    assert (argosy.home / "out" / "source" / "file").read_bytes() == b"content"
