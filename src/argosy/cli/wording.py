"""Sizes, durations, times and names, as restic words them."""

from __future__ import annotations

import time

_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def size(size_bytes: float) -> str:
    """``2.861 MiB``."""
    for unit, name in _UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.3f} {name}"
    return f"{int(size_bytes)} B"


def duration(seconds: float) -> str:
    """``0:07``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def moment(unix_seconds: float) -> str:
    """``2026-11-23 08:47:54``, local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))


def counted(number: int, singular: str, plural: str = "") -> str:
    """``1 file``, ``2 files``, ``1,234 entries``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def printable(name: bytes | str) -> str:
    r"""A name fit to print: what could steer a terminal, and what is not UTF-8, is escaped and then quoted.

    ``plain`` stays ``plain``; a newline within becomes ``"a\nb"``, a byte that is not UTF-8 ``"\xff"``.
    """
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.isprintable():
        return text
    return '"' + "".join(_escape(character) for character in text) + '"'


def json_text(name: bytes | str) -> str:
    """A name as JSON can hold it: what is not UTF-8 becomes U+FFFD, as in restic's output."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
