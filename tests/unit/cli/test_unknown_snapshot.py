"""A snapshot that is not there: every verb names it, ends with exit code 1 and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.cli.main import run
from tests.support.backups import Scene
from tests.support.trees import make_tree

pytestmark = pytest.mark.usefixtures("process_given_back")

_UNKNOWN = "0123456789"


def test_a_snapshot_that_does_not_exist_is_named_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(tmp_path / "scene").init()
    make_tree(tmp_path / "source", {"file": b"content"})
    scene.backup(tmp_path / "source")
    scene.backup(tmp_path / "source")
    target, password = tmp_path / "target", tmp_path / "password"
    password.write_bytes(scene.access().password())
    access = ["-r", str(scene.repository), "-p", str(password), "--cache-dir", str(tmp_path / "cache")]
    monkeypatch.chdir(tmp_path)
    before = _files(scene.repository)
    for arguments in (
        ["ls", _UNKNOWN],
        ["restore", _UNKNOWN, "--target", str(target)],
        ["dump", _UNKNOWN, "/file"],
        ["diff", "latest", _UNKNOWN],
        ["diff", _UNKNOWN, "latest"],
        ["find", "file", "--snapshot", _UNKNOWN],
        ["stats", _UNKNOWN],
        ["cat", "snapshot", _UNKNOWN],
        ["snapshots", _UNKNOWN],
        ["forget", _UNKNOWN],
        ["forget", "latest", _UNKNOWN, "--prune"],
        ["tag", "--add", "new", _UNKNOWN],
        ["rewrite", "--exclude", "file", "--forget", _UNKNOWN],
        ["repair", "snapshots", "--forget", _UNKNOWN],
        ["verify", _UNKNOWN, str(tmp_path / "source")],
        ["backup", str(tmp_path / "source"), "--parent", _UNKNOWN, "--state-dir", str(tmp_path / "state")],
    ):
        code = run([*arguments, *access])
        said = capsys.readouterr()
        assert code == 1, (arguments, said)
        assert _UNKNOWN in said.err, (arguments, said)
        assert _files(scene.repository) == before, arguments
    assert not target.exists()


def _files(repository: Path) -> dict[str, bytes]:
    """All that is in it, read-only directories and locks included."""
    return {str(path): path.read_bytes() for path in repository.rglob("*") if path.is_file()}
