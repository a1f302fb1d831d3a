"""A tar archive written as it comes: USTAR where that holds the entry, else PAX (POSIX.1-2001), as Go writes it.

Python's own tarfile reads contents from files and holds names as text; here they are blobs, and bytes.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterable

import msgspec

_BLOCK_BYTES = 512
_ZEROS = bytes(_BLOCK_BYTES)
_END = bytes(2 * _BLOCK_BYTES)
_NAME_BYTES = 100
_PREFIX_BYTES = 155
_OWNER_BYTES = 32
_MOST_ID = 0o7777777
_MOST_NUMBER = 0o77777777777

FILE, SYMLINK, DIRECTORY = b"0", b"2", b"5"

# Layout of struct posix_acl_xattr (linux/posix_acl_xattr.h): version 2, then (tag, permissions, id).
_ACL_VERSION = (2).to_bytes(4, "little")
_ACL_KEYS = {"system.posix_acl_access": b"SCHILY.acl.access", "system.posix_acl_default": b"SCHILY.acl.default"}
_ACL_TAGS = {0x01: "user", 0x02: "user", 0x04: "group", 0x08: "group", 0x10: "mask", 0x20: "other"}
_ACL_NAMED = (0x02, 0x08)
_ACL_ENTRY = struct.Struct("<HHI")


class TarEntry(msgspec.Struct, frozen=True):
    """An entry. ``name`` without a slash at its start; ``mode`` is st_mode; ``xattrs`` as in a node."""

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    user: str
    group: str
    mtime_ns: int
    size_bytes: int = 0
    linkname: bytes = b""
    xattrs: list[tuple[str, bytes]] = msgspec.field(default_factory=list)


class TarStream:
    """Writes entries one after the other through ``write``; ``finish`` ends the archive."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def add(self, entry: TarEntry, contents: Iterable[bytes] = ()) -> None:
        """Add an entry. ``contents`` must have ``size_bytes`` in all: ValueError if not, and the archive is spoilt."""
        records = _pax_records(entry)
        if records:
            body = b"".join(_record(key, value) for key, value in records.items())
            directory, _, last = entry.name.rstrip(b"/").rpartition(b"/")
            pax_name = b"/".join(part for part in (directory, b"PaxHeaders.0", last) if part)
            self._write(_header(pax_name, b"x", 0, 0, 0, b"", b"", 0, len(body), b""))
            self._write(body + _padding(len(body)))
        self._write(
            _header(
                entry.name,
                entry.kind,
                stat.S_IMODE(entry.mode),
                entry.uid,
                entry.gid,
                entry.user.encode(),
                entry.group.encode(),
                _seconds(entry.mtime_ns),
                entry.size_bytes,
                entry.linkname,
            )
        )
        written = 0
        for piece in contents:
            written += len(piece)
            self._write(piece)
        if written != entry.size_bytes:
            raise ValueError(f"{entry.name!r} has {written} bytes, not {entry.size_bytes}")
        self._write(_padding(written))

    def finish(self) -> None:
        """Write the end of the archive."""
        self._write(_END)


def format_acl(value: bytes) -> bytes | None:
    """A POSIX ACL of Linux (an attribute's value) in the long text form, with numbers; None if it is none."""
    if value[:4] != _ACL_VERSION or len(value) % 8 != 4:
        return None
    lines = []
    for at in range(4, len(value), 8):
        tag, permissions, number = _ACL_ENTRY.unpack_from(value, at)
        if tag not in _ACL_TAGS:
            return None
        flags = "".join(flag if permissions & bit else "-" for flag, bit in (("r", 4), ("w", 2), ("x", 1)))
        lines.append(f"{_ACL_TAGS[tag]}:{number if tag in _ACL_NAMED else ''}:{flags}\n")
    return "".join(lines).encode("ascii")


def _pax_records(entry: TarEntry) -> dict[bytes, bytes]:
    """What the fixed fields cannot hold."""
    records: dict[bytes, bytes] = {}
    if not entry.name.isascii() or _split_name(entry.name) is None:
        records[b"path"] = entry.name
    if not entry.linkname.isascii() or len(entry.linkname) > _NAME_BYTES:
        records[b"linkpath"] = entry.linkname
    owners = ((b"uname", entry.user.encode()), (b"gname", entry.group.encode()))
    records |= {key: owner for key, owner in owners if not owner.isascii() or len(owner) > _OWNER_BYTES}
    for key, number, most in (
        (b"uid", entry.uid, _MOST_ID),
        (b"gid", entry.gid, _MOST_ID),
        (b"size", entry.size_bytes, _MOST_NUMBER),
        (b"mtime", _seconds(entry.mtime_ns), _MOST_NUMBER),
    ):
        if not 0 <= number <= most:
            records[key] = b"%d" % number
    for name, value in entry.xattrs:
        if name in _ACL_KEYS:
            text = format_acl(value)
            if text is not None:
                records[_ACL_KEYS[name]] = text
        else:
            # "=" ends a key; GNU tar writes it this way.
            escaped = name.replace("%", "%25").replace("=", "%3D") if "=" in name else name
            records[b"SCHILY.xattr." + escaped.encode()] = value
    return records


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE\\n``, where the length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)


def _split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """The name in two fields, prefix and name; None if they are too short for it."""
    if len(name) <= _NAME_BYTES:
        return b"", name
    end = name.rfind(b"/", 0, min(len(name) - 1, _PREFIX_BYTES + 1))
    if end <= 0 or len(name) - end - 1 > _NAME_BYTES:
        return None
    return name[:end], name[end + 1 :]


def _header(
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    user: bytes,
    group: bytes,
    mtime: int,
    size_bytes: int,
    linkname: bytes,
) -> bytes:
    """One block. What does not fit a field is cut or 0 there: a PAX record says it."""
    prefix, last = _split_name(name) or (b"", name[-_NAME_BYTES:] if name.endswith(b"/") else name[:_NAME_BYTES])
    fields = (
        _text(last, _NAME_BYTES),
        _octal(mode, 8),
        _octal(uid, 8),
        _octal(gid, 8),
        _octal(size_bytes, 12),
        _octal(mtime, 12),
        b"        ",
        kind,
        _text(linkname, _NAME_BYTES),
        b"ustar\x0000",
        _text(user, _OWNER_BYTES),
        _text(group, _OWNER_BYTES),
        _octal(0, 8),
        _octal(0, 8),
        _text(prefix, _PREFIX_BYTES),
    )
    block = b"".join(fields).ljust(_BLOCK_BYTES, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _text(value: bytes, length: int) -> bytes:
    return value[:length].ljust(length, b"\0")


def _octal(number: int, length: int) -> bytes:
    fits = 0 <= number < 8 ** (length - 1)
    return b"%0*o\0" % (length - 1, number if fits else 0)


def _padding(length: int) -> bytes:
    return _ZEROS[: -length % _BLOCK_BYTES]


def _seconds(time_ns: int) -> int:
    """Rounded to the nearest second, as Go does for an archive without times of its own."""
    return (time_ns + 500_000_000) // 1_000_000_000
