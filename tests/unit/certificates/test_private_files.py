from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from argosy.certificates.private_files import (
    check_mode,
    exists,
    locked,
    make_private_directory,
    read_private,
    read_public,
    write_private,
)
from argosy.errors import CertificateError


def status(mode: int, owner: int) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))


def test_a_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = os.umask(0)
    try:
        write_private(path, b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_private(path) == b"secret"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole_or_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"one")
    before = path.stat().st_ino
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != before
    with pytest.raises(CertificateError, match="already exists"):
        write_private(path, b"three", replace=False)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    write_private(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CertificateError, match=r"cannot write .*key: No space left on device"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o666, 0o640, 0o610])
def test_a_key_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(CertificateError, match=f"has mode {mode:04o}") as refused:
        read_private(path)
    assert "chmod 600" in refused.value.hint
    assert read_public(path) == b"secret"


def test_a_group_may_read_what_another_user_owns() -> None:
    """So systemd and Kubernetes hand a service its secrets."""
    other = os.geteuid() + 1
    check_mode(Path("key"), status(0o440, other))
    for mode in (0o444, 0o460, 0o441):
        with pytest.raises(CertificateError):
            check_mode(Path("key"), status(mode, other))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="No such file"):
        read_private(tmp_path / "missing")
    with pytest.raises(CertificateError, match="Is a directory"):
        read_private(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(CertificateError, match="is no file"):
        read_private(tmp_path / "pipe")


def test_what_cannot_be_seen_is_not_taken_for_missing(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert not exists(tmp_path / "missing")
    with pytest.raises(CertificateError, match=r"cannot read .*loop: Too many levels"):
        exists(loop)


@pytest.mark.parametrize("name", [".", "missing/key", "x" * 300])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CertificateError, match=r"cannot write|already exists"):
        write_private(Path(name), b"key", replace=False)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_its_owners_alone(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b"
    make_private_directory(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o770)
    with pytest.raises(CertificateError, match=r"others can write to .* \(mode 0770\)"):
        make_private_directory(made)
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError, match="cannot make the directory"):
        make_private_directory(tmp_path / "file" / "below")


def test_changes_to_a_directory_come_one_after_the_other(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with locked(tmp_path):
            entered.set()

    with locked(tmp_path):
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.05)
    other.join(30)
    assert entered.is_set()
    with pytest.raises(CertificateError, match="cannot read"), locked(tmp_path / "missing"):
        pass
