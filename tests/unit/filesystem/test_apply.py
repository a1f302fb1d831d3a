"""A restore's entries: made inside the target, whatever a repository or another process plants there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from argosy.errors import RestoreError
from argosy.filesystem import apply
from argosy.filesystem.apply import (
    check_name,
    create_file,
    make_device,
    make_directory,
    make_fifo,
    make_hard_link,
    make_symlink,
    open_directory_in,
    open_existing_file,
    open_target,
    remove_entry,
)
from tests.support.trees import (
    Device,
    Fifo,
    HardLink,
    Symlink,
    Tree,
    assert_same_tree,
    make_tree,
    require_root,
    snapshot_tree,
)

TIMES = frozenset({"mtime_ns"})


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """What lies beside the target and must stay as it is."""
    path = tmp_path / "outside"
    make_tree(path, {"victim": b"untouched", "dir": {"inner": b"untouched"}})
    before = snapshot_tree(path, with_root=True)
    yield path
    assert snapshot_tree(path, with_root=True) == before


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    fd = open_target(os.fsencode(tmp_path / "target"))
    yield fd
    os.close(fd)


def close(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)


# Every call that takes a name, with whatever else it needs.
MAKERS: dict[str, Callable[[int, bytes], int | None]] = {
    "file": create_file,
    "directory": make_directory,
    "symlink": lambda fd, name: make_symlink(fd, name, b"x"),
    "fifo": make_fifo,
    "device": lambda fd, name: make_device(fd, name, "chardev", os.makedev(1, 3)),
    "hard link": lambda fd, name: make_hard_link(fd, b"existing", fd, name),
    "hard link from": lambda fd, name: make_hard_link(fd, name, fd, b"new"),
    "open directory": open_directory_in,
    "open file": open_existing_file,
    "remove": remove_entry,
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("name", [b"", b".", b"..", b"/", b"/etc", b"a/b", b"../x", b"a/..", b"x\0", b"\0"])
def test_a_name_that_is_no_component_is_refused(target: int, maker: str, name: bytes) -> None:
    with pytest.raises(RestoreError, match="may not be written") as caught:
        MAKERS[maker](target, name)
    assert "argosy check" in caught.value.hint


@pytest.mark.parametrize("name", [b"...", b".a", b" ", b"\n", b"\xff", b"-rf", b"~", b"a" * 255, b"\\", b"C:"])
def test_any_other_name_is_made(tmp_path: Path, target: int, name: bytes) -> None:
    check_name(name)
    close(create_file(target, name))
    assert os.listdir(os.fsencode(tmp_path / "target")) == [name]


def test_a_target_is_made_with_its_parents(tmp_path: Path) -> None:
    close(open_target(os.fsencode(tmp_path / "a/b/c")))
    close(open_target(os.fsencode(tmp_path / "a/b/c")))
    assert (tmp_path / "a/b/c").is_dir()


def test_a_target_may_be_named_by_a_link(tmp_path: Path) -> None:
    make_tree(tmp_path, {"real": {}, "link": Symlink("real")})
    fd = open_target(os.fsencode(tmp_path / "link"))
    close(create_file(fd, b"f"))
    close(fd)
    assert (tmp_path / "real/f").exists()


def test_a_target_that_is_a_file_is_named(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": b""})
    with pytest.raises(RestoreError, match="f: "):
        open_target(os.fsencode(tmp_path / "f"))


def test_everything_starts_private(tmp_path: Path, target: int) -> None:
    close(create_file(target, b"f"))
    close(make_directory(target, b"d"))
    make_fifo(target, b"p")
    found = snapshot_tree(tmp_path / "target")
    assert {path: state.mode for path, state in found.items()} == {b"f": 0o600, b"d": 0o700, b"p": 0o600}


def test_all_types_are_made(tmp_path: Path, target: int) -> None:
    fd = create_file(target, b"f")
    os.write(fd, b"content")
    close(fd)
    inner = make_directory(target, b"d")
    make_hard_link(target, b"f", inner, b"again")
    make_symlink(inner, b"l", b"../../anywhere \xff")
    make_hard_link(inner, b"l", target, b"same link")
    make_fifo(inner, b"p")
    close(inner)
    expected: Tree = {
        "f": b"content",
        "d": {"again": HardLink("f"), "l": Symlink(b"../../anywhere \xff"), "p": Fifo()},
        "same link": HardLink("d/l"),
    }
    make_tree(tmp_path / "expected", expected)
    assert_same_tree(tmp_path / "expected", tmp_path / "target", ignore=TIMES | {"mode"})


def test_devices_are_made_by_root(tmp_path: Path, target: int) -> None:
    require_root()
    make_device(target, b"null", "chardev", os.makedev(1, 3))
    make_device(target, b"disk", "dev", os.makedev(259, 70000))
    make_tree(tmp_path / "e", {"null": Device("chardev", 1, 3), "disk": Device("dev", 259, 70000)})
    assert_same_tree(tmp_path / "e", tmp_path / "target", ignore=TIMES)


def test_a_device_number_that_cannot_be_is_refused(target: int) -> None:
    with pytest.raises(RestoreError, match="impossible number"):
        make_device(target, b"d", "dev", 1 << 70)


def test_a_directory_that_exists_is_entered(target: int) -> None:
    close(make_directory(target, b"d"))
    fd = make_directory(target, b"d")
    close(create_file(fd, b"f"))
    close(fd)
    fd = open_directory_in(target, b"d")
    assert os.listdir(fd) == ["f"]
    close(fd)


@pytest.mark.parametrize("link_target", ["../outside/victim", "../outside/dir", "../outside/new"])
@pytest.mark.parametrize("maker", ["file", "symlink", "fifo", "hard link"])
@pytest.mark.usefixtures("outside")
def test_a_planted_link_is_never_followed(tmp_path: Path, target: int, maker: str, link_target: str) -> None:
    make_tree(tmp_path / "target", {"planted": Symlink(link_target), "existing": b""})
    with pytest.raises(FileExistsError, match="target/planted"):
        MAKERS[maker](target, b"planted")


@pytest.mark.usefixtures("outside")
def test_a_planted_link_is_no_directory_and_no_file(tmp_path: Path, target: int) -> None:
    make_tree(tmp_path / "target", {"d": Symlink("../outside/dir"), "f": Symlink("../outside/victim")})
    for enter in (make_directory, open_directory_in):
        with pytest.raises(NotADirectoryError, match="target/d"):
            enter(target, b"d")
    with pytest.raises(OSError, match="target/f") as caught:
        open_existing_file(target, b"f")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.usefixtures("outside")
def test_a_link_that_a_snapshot_holds_leads_nowhere(target: int) -> None:
    """A snapshot may hold a link and, under the same name, a directory: the second finds the first."""
    make_symlink(target, b"out", b"../outside")
    with pytest.raises(NotADirectoryError):
        make_directory(target, b"out")


def test_only_a_regular_file_is_opened_to_be_overwritten(target: int) -> None:
    make_fifo(target, b"p")
    close(make_directory(target, b"d"))
    for name in (b"p", b"d"):
        with pytest.raises(OSError, match="target/"):
            open_existing_file(target, name)
    close(create_file(target, b"f"))
    fd = open_existing_file(target, b"f")
    os.pwrite(fd, b"new", 0)
    assert os.pread(fd, 10, 0) == b"new"
    close(fd)


@pytest.mark.parametrize("link_target", [b"", b"a\0b"])
def test_a_link_target_that_cannot_be_is_refused(target: int, link_target: bytes) -> None:
    with pytest.raises(RestoreError, match="may not be written"):
        make_symlink(target, b"l", link_target)


def test_removing_takes_all_below_and_nothing_beside(tmp_path: Path, target: int, outside: Path) -> None:
    make_tree(
        tmp_path / "target",
        {
            "d": {
                "out": Symlink(outside.as_posix()),
                "deep": {"e": {}, "f": b"", "p": Fifo(), "g": {"h": {"i": b""}}},
                "more": {},
                b"\xff": b"",
            },
            "kept": b"",
            "link": Symlink("../outside/dir"),
        },
    )
    remove_entry(target, b"d")
    remove_entry(target, b"link")
    assert os.listdir(tmp_path / "target") == ["kept"]
    remove_entry(target, b"kept")
    with pytest.raises(FileNotFoundError, match="target/kept"):
        remove_entry(target, b"kept")


def test_removing_knows_no_limit_of_depth(tmp_path: Path, target: int) -> None:
    fd = os.dup(target)
    for _ in range(3000):
        inner = make_directory(fd, b"d")
        close(fd)
        fd = inner
    close(fd)
    remove_entry(target, b"d")
    assert os.listdir(tmp_path / "target") == []


def test_a_directory_moved_out_while_it_is_removed_is_not_followed(
    tmp_path: Path, target: int, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ".." then leads to a directory whose entries are none of the target's."""
    make_tree(tmp_path / "target", {"d": {"victim": {"inner": {}}}})
    make_tree(tmp_path / "elsewhere", {"victim": {"kept": b""}})
    real = apply._unlink_all
    seen: list[int] = []

    def move_after_the_third(fd: int) -> list[bytes]:
        found = real(fd)
        seen.append(fd)
        if len(seen) == 3:
            (tmp_path / "target/d/victim/inner").rename(tmp_path / "elsewhere/inner")
        return found

    monkeypatch.setattr(apply, "_unlink_all", move_after_the_third)
    with pytest.raises(OSError, match="moved while"):
        remove_entry(target, b"d")
    assert (tmp_path / "elsewhere/victim/kept").exists()
    assert outside.exists()


def test_an_error_names_the_whole_path(tmp_path: Path, target: int) -> None:
    fd = make_directory(target, b"d")
    close(create_file(fd, b"f \xff"))
    with pytest.raises(FileExistsError) as caught:
        create_file(fd, b"f \xff")
    close(fd)
    assert os.fsencode(caught.value.filename) == os.fsencode(tmp_path / "target/d") + b"/f \xff"
