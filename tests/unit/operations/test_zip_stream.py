"""A zip archive that Python's own reader reads back."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from argosy.operations.zip_stream import ZipStream

MOMENT_NS = 1_600_000_000 * 10**9


def archive(*entries: tuple[bytes, int, int, bytes]) -> zipfile.ZipFile:
    pieces: list[bytes] = []
    stream = ZipStream(pieces.append)
    for name, mode, mtime_ns, content in entries:
        stream.add(name, mode, mtime_ns, len(content), [content[:3], content[3:]])
    stream.finish()
    return zipfile.ZipFile(io.BytesIO(b"".join(pieces)))


def test_entries_come_back() -> None:
    read = archive(
        (b"d/", stat.S_IFDIR | 0o750, MOMENT_NS, b""),
        (b"d/file", stat.S_IFREG | 0o4755, MOMENT_NS, b"text " * 1000),
        (b"link", stat.S_IFLNK | 0o777, MOMENT_NS, b"d/file"),
        (b"empty", stat.S_IFREG, MOMENT_NS, b""),
    )
    assert read.testzip() is None
    directory, file, link, empty = read.infolist()
    assert directory.is_dir()
    assert [info.external_attr >> 16 for info in (directory, file, link)] == [0o40750, 0o104755, 0o120777]
    assert read.read(file) == b"text " * 1000
    assert file.compress_size < 1000
    assert read.read(link) == b"d/file"
    assert read.read(empty) == b""


def test_a_name_that_is_not_utf_8_stays_readable_and_its_own() -> None:
    names = [info.filename for info in archive((b"a\xff", 0o100644, 0, b""), (b"a\xfe", 0o100644, 0, b"")).infolist()]
    assert names == ["a\\xff", "a\\xfe"]


@pytest.mark.parametrize("seconds", [-(10**10), 0, 10**9, 5 * 10**9, 10**18])
def test_any_time_has_a_date(seconds: int) -> None:
    (info,) = archive((b"f", 0o100644, seconds * 10**9, b"")).infolist()
    assert 1980 <= info.date_time[0] <= 2107


@pytest.mark.parametrize("content", [b"ab", b"abcd"])
def test_contents_of_another_size_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not 3"):
        ZipStream(lambda _: None).add(b"f", 0o100644, 0, 3, [content])
