"""A source with every shape of name and entry, and its trees as encoded from lstat."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from typing import Any

from argosy.restic_format.blob import blob_id
from argosy.restic_format.node import (
    encode_metadata,
    encode_tail,
    finish_directory,
    finish_file,
    finish_other,
    mode_to_go,
)
from argosy.restic_format.tree import encode_tree
from tests.support.trees import Device, Directory, Fifo, File, HardLink, Symlink

_SECOND = 10**9

# Every byte that a name can have, alone; text of many scripts; what quoting changes; what is not UTF-8.
NAMES = [bytes([code]) for code in range(1, 256) if code not in b"./"] + [
    "Grüße".encode(),
    "日本語".encode(),
    "😀".encode(),
    "soft\u00adhyphen".encode(),
    "no\u00a0break".encode(),
    "\u2028line\u2029paragraph".encode(),
    "\u200bzero width".encode(),
    "\u0301combining".encode(),
    "\ue000private".encode(),
    "\ufffdreplacement".encode(),
    "\U000e0001tag".encode(),
    "\U0010ffffhighest".encode(),
    "\u0378unassigned".encode(),
    "\U0001e900Adlam".encode(),
    b"a<b>&c\"d'\\e",
    b"\\x41\\u00e9",
    b"%s %d",
    b"  blanks  ",
    b"..x",
    b"-rf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xe2\x82",
    b"\xe2\x82a",
    b"\xf4\x90\x80\x80",
    b"ok\x80",
    b"x" * 255,
]
# Characters of Unicode 14 and 15, which restic 0.14 does not know yet, and of 15.1, which restic 0.18 does
# not.
NEW_NAMES = ["\U0001fae8".encode(), "\U0001f6dc".encode(), "\U0002ebf0".encode()]
TARGETS = [b"target", "ümläut<>&\u2028".encode(), b'q"uo\\te', b"../x", "\ufffd".encode(), b"a\nb\tc\x7f"]
# Go 1.22 writes \b and \f shorter; linktarget_raw came with restic 0.16.
NEW_TARGETS = [b"\b\f", b"\xff\xfe bad", b"\xe2\x82"]
MTIMES = [
    0,
    1,
    _SECOND,
    -1,
    -(10**18),
    1_600_000_000 * _SECOND,
    1_600_000_000 * _SECOND + 500_000_000,
    1_600_000_000 * _SECOND + 120,
    2**31 * _SECOND,
    4_000_000_000 * _SECOND + 999_999_999,
]
MODES = [0, 0o777, 0o4755, 0o2755, 0o1777, 0o7777, 0o600]
OWNERS = [(12345, 54321), (0, 1), (1, 0), (65534, 65534), (2**32 - 2, 2**32 - 2)]


def awkward_source(*, new: bool) -> Mapping[Any, Any]:
    """The declared tree; ``new`` adds what restic writes otherwise before 0.18. Root makes devices too."""
    source: dict[Any, Any] = {
        "names": {name: name for name in [*NAMES, *(NEW_NAMES if new else [])]},
        "links": {
            f"l{number}": Symlink(target) for number, target in enumerate([*TARGETS, *(NEW_TARGETS if new else [])])
        },
        "times": {f"t{number}": File(b"", mtime_ns=mtime_ns) for number, mtime_ns in enumerate(MTIMES)},
        "modes": {f"f{mode:o}": File(b"x", mode=mode) for mode in MODES if mode & 0o400 or os.geteuid() == 0}
        | {f"d{mode:o}": Directory({"inner": b""}, mode=mode) for mode in MODES if mode & 0o700 == 0o700},
        "empty directory": {},
        "empty file": b"",
        "fifo": Fifo(mode=0o640),
        "hard": b"twice",
        "again": HardLink("hard"),
        "nested": {"a": {"b": {"c": b"deep"}}},
    }
    if os.geteuid() == 0:
        source["owners"] = {f"{uid}-{gid}": File(b"x", owner=(uid, gid)) for uid, gid in OWNERS}
        source["devices"] = {
            "block": Device("dev", 7, 3, mode=0o660),
            "null": Device("chardev", 1, 3, mode=0o666),
            "large": Device("chardev", 0xFFF, 0xFFFFF),
            "zero": Device("chardev", 0, 0),
        }
    return source


def expected_trees(directory: bytes) -> dict[bytes, bytes]:
    """All trees below ``directory`` by id, encoded from what lstat says. Each file is one blob."""
    trees: dict[bytes, bytes] = {}
    _encode_directory(directory, trees)
    return trees


def _encode_directory(directory: bytes, trees: dict[bytes, bytes]) -> bytes:
    nodes = [_encode_entry(directory, name, trees) for name in sorted(os.listdir(directory))]
    tree = encode_tree(nodes)
    identity = blob_id(tree)
    trees[identity] = tree
    return identity


def _encode_entry(directory: bytes, name: bytes, trees: dict[bytes, bytes]) -> bytes:
    path = directory + b"/" + name
    seen = os.lstat(path)
    kind = _KINDS[stat.S_IFMT(seen.st_mode)]
    is_device = kind in ("dev", "chardev")
    metadata = encode_metadata(
        name,
        kind,
        mode_to_go(seen.st_mode),
        seen.st_mtime_ns,
        seen.st_mtime_ns,  # restic stores mtime as atime unless asked
        seen.st_ctime_ns,
        seen.st_uid,
        seen.st_gid,
        _user(seen.st_uid),
        _group(seen.st_gid),
        seen.st_ino,
        seen.st_dev,
        seen.st_size,
        seen.st_nlink,
    )
    xattrs = [
        (attribute, os.getxattr(path, attribute, follow_symlinks=False))
        for attribute in os.listxattr(path, follow_symlinks=False)
    ]
    target = os.readlink(path) if kind == "symlink" else None
    prefix = metadata + encode_tail(target, xattrs, seen.st_rdev if is_device else 0)
    if kind == "file":
        with open(path, "rb") as file:
            content = file.read()
        return finish_file(prefix, [blob_id(content)] if content else [])
    return finish_directory(prefix, _encode_directory(path, trees)) if kind == "dir" else finish_other(prefix)


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
    stat.S_IFIFO: "fifo",
}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
