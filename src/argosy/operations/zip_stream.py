"""A zip archive written as it comes. The list of its entries stays in memory until the end: the format puts it last."""

from __future__ import annotations

import stat
import struct
import time
import zipfile
from collections.abc import Callable, Iterable
from typing import IO, cast

_CREATED_ON_UNIX = 3
_IS_DIRECTORY = 0x10
# "Extended timestamp" of Info-ZIP: id, length, which times follow (the modification alone), seconds since 1970.
_TIMESTAMP = struct.Struct("<HHBI")
_TIMESTAMP_ID = 0x5455
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_LAST_DATE = (2107, 12, 31, 23, 59, 58)
_LAST_SECOND = 2**32 - 1


class ZipStream:
    """Writes entries one after the other through ``write``; ``finish`` ends the archive."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._zip = zipfile.ZipFile(cast(IO[bytes], _Sink(write)), "w", allowZip64=True)

    def add(self, name: bytes, mode: int, mtime_ns: int, size_bytes: int, contents: Iterable[bytes]) -> None:
        """Add an entry; ``mode`` is st_mode, ``name`` has no slash at its start, a directory's one at its end.

        Bytes of a name that are not UTF-8, which a zip cannot hold, become ``\\xNN``. ValueError if the contents do not
        have ``size_bytes``: the archive is spoilt then.
        """
        seconds = mtime_ns // 1_000_000_000
        info = zipfile.ZipInfo(name.decode("utf-8", "backslashreplace"), _date(seconds))
        info.create_system = _CREATED_ON_UNIX
        info.external_attr = mode << 16 | (_IS_DIRECTORY if stat.S_ISDIR(mode) else 0)
        info.extra = _TIMESTAMP.pack(_TIMESTAMP_ID, 5, 1, min(max(seconds, 0), _LAST_SECOND))
        info.compress_type = zipfile.ZIP_DEFLATED if stat.S_ISREG(mode) and size_bytes else zipfile.ZIP_STORED
        info.file_size = size_bytes
        written = 0
        with self._zip.open(info, "w", force_zip64=size_bytes >= zipfile.ZIP64_LIMIT) as entry:
            for piece in contents:
                written += len(piece)
                entry.write(piece)
        if written != size_bytes:
            raise ValueError(f"{name!r} has {written} bytes, not {size_bytes}")

    def finish(self) -> None:
        """Write the list of entries."""
        self._zip.close()


class _Sink:
    """What zipfile needs of a file that it cannot seek in."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""


def _date(seconds: int) -> tuple[int, int, int, int, int, int]:
    """The date of the old field: local time, from 1980 to 2107."""
    try:
        year, month, day, hour, minute, second = time.localtime(seconds)[:6]
    except (OverflowError, OSError, ValueError):
        return _LAST_DATE if seconds > 0 else _FIRST_DATE
    return min(max((year, month, day, hour, minute, second), _FIRST_DATE), _LAST_DATE)
