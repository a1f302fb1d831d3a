"""Nodes: one file, directory or other entry of a tree, as the exact bytes that restic writes.

Encoding is the hot path: it runs once a file. Its first half, ``encode_metadata``, is all that a stat tells;
the rest, ``encode_tail`` and ``finish_…``, what had to be read. Keys stand in restic's order
(internal/data/node.go) and are left out where restic leaves them out. One node is

    encode_metadata(…) + encode_tail(…), closed by finish_file, finish_directory or finish_other

``Node`` is a node read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from argosy.errors import Damaged
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_base64, decode_document, encode_base64
from argosy.restic_format.ids import decode_id
from argosy.restic_format.mode import go_to_mode, mode_to_go
from argosy.restic_format.names import decode_name, json_text, quote_name
from argosy.restic_format.times import format_time, parse_time

__all__ = [
    "ExtendedAttribute",
    "Node",
    "NodeFields",
    "decode_node",
    "encode_changed",
    "encode_fields",
    "encode_metadata",
    "encode_node",
    "encode_tail",
    "finish_directory",
    "finish_file",
    "finish_other",
    "format_time",
    "go_to_mode",
    "is_canonical",
    "mode_to_go",
    "owner_keys",
    "replace_subtree",
    "unknown_keys",
]


# Types for which restic stores no number of links.
_WITHOUT_LINKS = frozenset(("dir", "fifo", "socket"))


class NodeFields(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that a node holds besides its content: what ``encode_metadata`` and ``encode_tail`` take, in one
    value.

    ``type``: file, dir, symlink, dev, chardev, fifo, socket. ``mode``: Go's. ``size``: of a file, the bytes
    read. ``user``, ``group``: empty if unknown. ``device``: the device number of a dev or chardev.
    """

    name: bytes
    type: str
    mode: int
    mtime_ns: int
    atime_ns: int
    ctime_ns: int
    uid: int
    gid: int
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: bytes | None = None
    xattrs: Sequence[tuple[str, bytes]] = ()
    device: int = 0


def encode_metadata(
    name: bytes,
    node_type: str,
    mode: int,
    mtime_ns: int,
    atime_ns: int,
    ctime_ns: int,
    uid: int,
    gid: int,
    user: str,
    group: str,
    inode: int,
    device_id: int,
    size: int,
    links: int,
) -> bytes:
    """The start of a node, from ``{"name"`` to ``"links"``. Arguments as in ``NodeFields``. 2 µs.

    ``size`` and ``links`` may be what lstat says: they are left out for the types for which restic has none.
    """
    mtime = format_time(mtime_ns)
    atime = mtime if atime_ns == mtime_ns else format_time(atime_ns)
    ctime = mtime if ctime_ns == mtime_ns else format_time(ctime_ns)
    mode_key = f',"mode":{mode}' if mode else ""
    inode_key = f',"inode":{inode}' if inode else ""
    device_id_key = f',"device_id":{device_id}' if device_id else ""
    size_key = f',"size":{size}' if size and node_type == "file" else ""
    links_key = f',"links":{links}' if links and node_type not in _WITHOUT_LINKS else ""
    return (
        f'{{"name":"{quote_name(name)}","type":"{node_type}"{mode_key},'
        f'"mtime":"{mtime}","atime":"{atime}","ctime":"{ctime}"'
        f"{owner_keys(uid, gid, user, group)}{inode_key}{device_id_key}{size_key}{links_key}"
    ).encode()


def encode_tail(linktarget: bytes | None, xattrs: Sequence[tuple[str, bytes]], device: int) -> bytes:
    """What follows the metadata of a node: nothing for most files. ``xattrs`` in the order to be written."""
    if not (linktarget or xattrs or device):
        return b""
    parts = [_link_keys(linktarget)] if linktarget else []
    if xattrs:
        parts.append(f',"extended_attributes":[{",".join(_encode_xattr(*xattr) for xattr in xattrs)}]')
    if device:
        parts.append(f',"device":{device}')
    return "".join(parts).encode()


def finish_file(prefix: bytes, content: Sequence[bytes]) -> bytes:
    """The node of a regular file whose content is made of these data blobs (none: an empty file)."""
    if len(content) == 1:
        return b'%b,"content":["%b"]}' % (prefix, content[0].hex().encode())
    ids = '","'.join([identity.hex() for identity in content])
    return prefix + (f',"content":["{ids}"]}}' if ids else ',"content":[]}').encode()


def finish_directory(prefix: bytes, subtree: bytes) -> bytes:
    """The node of a directory whose tree has the id ``subtree``."""
    return prefix + f',"content":null,"subtree":"{subtree.hex()}"}}'.encode()


def finish_other(prefix: bytes) -> bytes:
    """The node of anything else: symlink, device, fifo, socket."""
    return prefix + b',"content":null}'


def encode_fields(fields: NodeFields) -> bytes:
    """``encode_metadata`` and ``encode_tail`` of ``fields``, to be finished."""
    f = fields
    return encode_metadata(
        f.name,
        f.type,
        f.mode,
        f.mtime_ns,
        f.atime_ns,
        f.ctime_ns,
        f.uid,
        f.gid,
        f.user,
        f.group,
        f.inode,
        f.device_id,
        f.size,
        f.links,
    ) + encode_tail(f.linktarget, f.xattrs, f.device)


class ExtendedAttribute(msgspec.Struct, frozen=True, gc=False):
    """One extended attribute as in JSON; ``value`` is base64, or None for an empty one."""

    name: str
    value: str | None = None


class Node(msgspec.Struct, gc=False):
    """A node read back: restic's keys as they stand in JSON, absent ones with their zero value.

    The helpers give the values as the program uses them; they raise Damaged if the text is not what it should
    be.
    """

    name: str
    type: str = ""
    mode: int = 0
    mtime: str = ""
    atime: str = ""
    ctime: str = ""
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: str = ""
    linktarget_raw: str = ""
    extended_attributes: list[ExtendedAttribute] | None = None
    generic_attributes: msgspec.Raw = msgspec.Raw()
    device: int = 0
    content: list[str] | None = None
    subtree: str | None = None
    error: str = ""

    def name_bytes(self) -> bytes:
        """The raw name."""
        return decode_name(self.name)

    def content_ids(self) -> list[bytes]:
        """The data blobs of a file, in order; none for anything else."""
        return [decode_id(text, f"content of {self.name!r}") for text in self.content or ()]

    def subtree_id(self) -> bytes | None:
        """The tree of a directory."""
        return None if self.subtree is None else decode_id(self.subtree, f"subtree of {self.name!r}")

    def mtime_ns(self) -> int:
        """The time of the last change of content."""
        return parse_time(self.mtime, f"mtime of {self.name!r}")

    def atime_ns(self) -> int:
        """The time of the last access (restic and Argosy store mtime here unless asked)."""
        return parse_time(self.atime, f"atime of {self.name!r}")

    def ctime_ns(self) -> int:
        """The time of the last change of metadata."""
        return parse_time(self.ctime, f"ctime of {self.name!r}")

    def st_mode(self) -> int:
        """The Unix mode, type included."""
        return go_to_mode(self.mode)

    def linktarget_bytes(self) -> bytes:
        """A symlink's target; exact even if it is not UTF-8, when restic 0.16 or later wrote it."""
        if self.linktarget_raw:
            return decode_base64(self.linktarget_raw, f"linktarget_raw of {self.name!r}")
        return self.linktarget.encode()

    def xattrs(self) -> list[tuple[str, bytes]]:
        """Extended attributes, POSIX ACLs among them, in stored order."""
        what = f"extended attribute of {self.name!r}"
        return [(a.name, decode_base64(a.value or "", what)) for a in self.extended_attributes or ()]


_DECODER = msgspec.json.Decoder(Node)
_RAW_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_node(raw: bytes | msgspec.Raw, what: str = "node") -> Node:
    """The node with these JSON bytes. Damaged (naming ``what``) if it is none."""
    return decode_document(_DECODER, raw, what, "a node")


def unknown_keys(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The keys of a node that restic 0.19 does not know. ``encode_node`` loses them."""
    keys = decode_document(_RAW_KEYS, raw, "node", "a node")
    return {key: value for key, value in keys.items() if key not in Node.__struct_fields__}


def encode_node(node: Node) -> bytes:
    """The node in canonical form: restic's keys, order and escaping, times in UTC."""
    parts = [
        encode_metadata(
            node.name_bytes(),
            node.type,
            node.mode,
            node.mtime_ns(),
            node.atime_ns(),
            node.ctime_ns(),
            node.uid,
            node.gid,
            node.user,
            node.group,
            node.inode,
            node.device_id,
            node.size,
            node.links,
        ),
        encode_tail(node.linktarget_bytes(), node.xattrs(), 0),
    ]
    attributes = bytes(node.generic_attributes)
    if attributes not in (b"", b"null", b"{}"):
        parts.append(b',"generic_attributes":' + attributes)
    if node.device:
        parts.append(b',"device":%d' % node.device)
    content = "null" if node.content is None else f"[{','.join(map(json_text, node.content))}]"
    parts.append(f',"content":{content}'.encode())
    if node.subtree is not None:
        parts.append(f',"subtree":{json_text(node.subtree)}'.encode())
    if node.error:
        parts.append(f',"error":{json_text(node.error)}'.encode())
    return b"".join([*parts, b"}"])


def encode_changed(node: Node, raw: bytes | msgspec.Raw) -> bytes:
    """A node that was read from ``raw`` and changed since: in canonical form, with the keys that only ``raw`` knows."""
    more = "".join(f",{json_text(key)}:{bytes(value).decode()}" for key, value in unknown_keys(raw).items())
    return encode_node(node)[:-1] + more.encode() + b"}"


def is_canonical(raw: bytes | msgspec.Raw) -> bool:
    """Whether encoding the node again gives these bytes: no unknown key, no other spelling, times in UTC."""
    try:
        return encode_node(decode_node(raw)) == bytes(raw)
    except Damaged:
        return False


def replace_subtree(raw: bytes, old: bytes, new: bytes) -> bytes:
    """The node of a directory with another subtree; all its other bytes stay (unknown keys, spelling)."""
    # No string value can hold these bytes: its quotes would be escaped.
    before, after = f'"subtree":"{old.hex()}"'.encode(), f'"subtree":"{new.hex()}"'.encode()
    if raw.count(before) != 1:
        raise damaged("node", f"it does not have the subtree {old.hex()}")
    return raw.replace(before, after)


# Owners repeat: a source has far fewer of them than files.
@lru_cache(maxsize=4096)
def owner_keys(uid: int, gid: int, user: str, group: str) -> str:
    """A node's owner, from its uid to its group's name; names that are empty are left out."""
    user_key = f',"user":{json_text(user)}' if user else ""
    group_key = f',"group":{json_text(group)}' if group else ""
    return f',"uid":{uid},"gid":{gid}{user_key}{group_key}'


def _link_keys(linktarget: bytes) -> str:
    text = linktarget.decode("utf-8", "surrogateescape")
    key = f',"linktarget":{json_text(text)}'
    if text.isascii():
        return key
    try:
        linktarget.decode("utf-8")
    except UnicodeDecodeError:
        return f'{key},"linktarget_raw":"{encode_base64(linktarget)}"'
    return key


def _encode_xattr(name: str, value: bytes) -> str:
    return f'{{"name":{json_text(name)},"value":"{encode_base64(value)}"}}'
