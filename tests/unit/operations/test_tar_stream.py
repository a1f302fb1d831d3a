"""A tar archive that Python's own reader reads back, whatever names, sizes and attributes its entries have."""

from __future__ import annotations

import io
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.operations.tar_stream import DIRECTORY, FILE, SYMLINK, TarEntry, TarStream, format_acl

NAMES = st.lists(
    st.binary(min_size=1, max_size=120).filter(
        lambda part: not set(part) & {0, 47} and part not in (b".", b"..") and not part.endswith(b" ")
    ),
    min_size=1,
    max_size=4,
).map(b"/".join)


def entry(name: bytes, size_bytes: int = 0, **fields: Any) -> TarEntry:
    given_fields: dict[str, Any] = {
        "kind": FILE,
        "mode": stat.S_IFREG | 0o640,
        "uid": 1000,
        "gid": 100,
        "user": "user",
        "group": "group",
        "mtime_ns": 1_600_000_000 * 10**9,
        "size_bytes": size_bytes,
        **fields,
    }
    return TarEntry(name, **given_fields)


def archive(*entries: tuple[TarEntry, bytes]) -> bytes:
    pieces: list[bytes] = []
    stream = TarStream(pieces.append)
    for one, content in entries:
        stream.add(one, [content[:5], content[5:]] if content else [])
    stream.finish()
    return b"".join(pieces)


def read(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        return tar.getmembers()


@given(NAMES, st.binary(max_size=2000))
def test_any_name_and_content_come_back(name: bytes, content: bytes) -> None:
    data = archive((entry(name, len(content)), content))
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        (member,) = tar.getmembers()
        assert member.name.encode("utf-8", "surrogateescape") == name.rstrip(b"/")
        file = tar.extractfile(member)
        assert file is not None
        assert file.read() == content


def test_fields_come_back() -> None:
    (member,) = read(archive((entry(b"file", 3, mode=stat.S_IFREG | 0o4755), b"abc")))
    assert (member.mode, member.uid, member.gid) == (0o4755, 1000, 100)
    assert (member.uname, member.gname, member.mtime, member.size) == ("user", "group", 1_600_000_000, 3)
    assert member.pax_headers == {}


def test_directories_and_links_come_back() -> None:
    directory, link = read(
        archive(
            (entry(b"d/", kind=DIRECTORY, mode=stat.S_IFDIR | 0o755), b""),
            (entry(b"l", kind=SYMLINK, linkname=b"to \xff " + b"x" * 200), b""),
        )
    )
    assert directory.isdir()
    assert link.issym()
    assert link.linkname.encode("utf-8", "surrogateescape") == b"to \xff " + b"x" * 200


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": 2**31},
        {"gid": 2**32 - 1},
        {"user": "ünï"},
        {"group": "g" * 40},
        {"mtime_ns": -1_500_000_000},
        {"mtime_ns": 10**11 * 10**9},
    ],
    ids=repr,
)
def test_what_the_old_fields_cannot_hold_comes_back(fields: dict[str, Any]) -> None:
    (member,) = read(archive((entry(b"file", **fields), b"")))
    expected = entry(b"file", **fields)
    assert (member.uid, member.gid) == (expected.uid, expected.gid)
    assert (member.uname, member.gname) == (expected.user, expected.group)
    assert member.mtime == (expected.mtime_ns + 5 * 10**8) // 10**9


def test_a_file_of_ten_gibibytes_has_its_size() -> None:
    """Only the head of the archive: contents are not kept anyway."""
    pieces: list[bytes] = []
    with pytest.raises(ValueError, match="0 bytes, not"):
        TarStream(pieces.append).add(entry(b"huge", 10 << 30))
    head = tarfile.TarInfo.frombuf(pieces[0], "utf-8", "strict")
    assert head.type == tarfile.XHDTYPE
    assert b"size=10737418240\n" in pieces[1]


def test_times_are_rounded_as_go_does() -> None:
    members = read(archive(*((entry(b"f", mtime_ns=time_ns), b"") for time_ns in (1_499_999_999, 1_500_000_000))))
    assert [member.mtime for member in members] == [1, 2]


def test_attributes_come_back_with_their_zeros() -> None:
    xattrs = [("user.plain", b"v"), ("user.zero", b"a\0b\n"), ("user.a=b%", b"="), ("system.posix_acl_access", acl())]
    data = archive((entry(b"file", xattrs=xattrs), b""))
    assert b"SCHILY.xattr.user.zero=a\0b\n\n" in data
    assert b"SCHILY.xattr.user.a%3Db%25==\n" in data
    assert b"SCHILY.acl.access=user::rw-\nuser:1000:r--\ngroup::r--\nmask::r--\nother::---\n\n" in data


def test_an_acl_that_is_none_is_left_out() -> None:
    for value in (b"", b"\1\0\0\0", b"\2\0\0\0abc", b"\2\0\0\0" + b"\x40\0\7\0\0\0\0\0"):
        assert format_acl(value) is None


@pytest.mark.parametrize("content", [b"", b"ab", b"abcd"])
def test_contents_of_another_size_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not 3"):
        TarStream(lambda _: None).add(entry(b"f", 3), [content])


def test_gnu_tar_extracts_it(tmp_path: Path) -> None:
    long = b"p" * 90 + b"/" + b"q" * 90
    data = archive((entry(long, 4), b"long"), (entry("ünï".encode(), 1), b"u"), (entry(b"raw \xff", 3), b"raw"))
    subprocess.run(["tar", "-x", "-f", "-", "-C", tmp_path], input=data, check=True, capture_output=True)
    assert (tmp_path / long.decode()).read_bytes() == b"long"
    assert (tmp_path / "ünï").read_bytes() == b"u"
    with open(bytes(tmp_path) + b"/raw \xff", "rb") as file:
        assert file.read() == b"raw"


def acl() -> bytes:
    """As Linux stores one: version, then tag, permissions and id of each entry."""
    entries = [(0x01, 6, 2**32 - 1), (0x02, 4, 1000), (0x04, 4, 2**32 - 1), (0x10, 4, 2**32 - 1), (0x20, 0, 2**32 - 1)]
    return (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + number.to_bytes(4, "little")
        for tag, bits, number in entries
    )
