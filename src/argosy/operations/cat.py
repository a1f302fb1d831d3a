"""`argosy cat`: an internal document or the raw bytes of a pack, blob or tree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from argosy.errors import StorageNotFound, UsageError
from argosy.operations.file_ids import find_id, parse_id
from argosy.operations.key_files import load_key_file
from argosy.operations.session import Access, Session, open_session
from argosy.repository.layout import FileKind, object_name
from argosy.repository.lock_files import load_lock
from argosy.repository.snapshots import find_subtree, resolve_snapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.config import encode_config
from argosy.restic_format.key_file import encode_key_file
from argosy.restic_format.lock_file import encode_lock
from argosy.restic_format.snapshot import encode_snapshot

WITHOUT_NAME = ("config", "masterkey")
WITH_NAME = ("index", "snapshot", "key", "lock", "pack", "blob", "tree")


class CatResult(msgspec.Struct, frozen=True):
    """What was asked for. ``is_document``: JSON without layout; else bytes to be passed on as they are.

    ``is_pretty``: restic lays the document out. ``warning`` says what is wrong with the bytes, if anything.
    """

    data: bytes
    is_document: bool = True
    is_pretty: bool = True
    warning: str = ""


def run_cat(access: Access, kind: str, name: str = "") -> CatResult:
    """``kind`` is one of WITHOUT_NAME, or of WITH_NAME and then ``name`` the start of its id (a blob's: all of it).

    A snapshot may be "latest"; a tree is named by its snapshot, with ``:PATH``.
    """
    if kind not in _READERS:
        kinds = ", ".join((*WITHOUT_NAME, *WITH_NAME))
        raise UsageError(f"there is no kind of document called {kind!r}", hint=f"Use one of {kinds}.")
    if (kind in WITH_NAME) != bool(name):
        what = "needs an id" if kind in WITH_NAME else "takes no id"
        raise UsageError(f"cat {kind} {what}", hint="`argosy list` lists ids.")
    with open_session(access) as session:
        return _READERS[kind](session, name)


def _config(session: Session, _name: str) -> CatResult:
    return CatResult(encode_config(session.repository.config))


def _master_key(session: Session, _name: str) -> CatResult:
    return CatResult(session.repository.key.to_json())


def _index(session: Session, name: str) -> CatResult:
    repository = session.repository
    data = repository.load_unpacked(FileKind.INDEX, find_id(repository, FileKind.INDEX, name))
    return CatResult(data, is_pretty=False)


def _snapshot(session: Session, name: str) -> CatResult:
    stored, _ = resolve_snapshot(session.repository, name)
    return CatResult(encode_snapshot(stored.snapshot))


def _key(session: Session, name: str) -> CatResult:
    repository = session.repository
    return CatResult(encode_key_file(load_key_file(repository.storage, find_id(repository, FileKind.KEY, name))))


def _lock(session: Session, name: str) -> CatResult:
    repository = session.repository
    return CatResult(encode_lock(load_lock(repository, find_id(repository, FileKind.LOCK, name)).file))


def _pack(session: Session, name: str) -> CatResult:
    repository = session.repository
    pack_id = find_id(repository, FileKind.PACK, name)
    data = repository.storage.get(object_name(FileKind.PACK, pack_id))
    found = hashlib.sha256(data).digest()
    warning = "" if found == pack_id else f"the pack's bytes have another hash than its name: {found.hex()}"
    return CatResult(data, is_document=False, warning=warning)


def _blob(session: Session, name: str) -> CatResult:
    blob_id = parse_id(name)
    lookup = session.open_lookup()
    for blob_type in BlobType:
        if lookup.contains(blob_id, blob_type):
            return CatResult(session.blob_reader(lookup).load_blob(blob_id, blob_type), is_document=False)
    raise StorageNotFound(f"blob {name} is in no index", hint="`argosy list blobs` lists all of them.")


def _tree(session: Session, name: str) -> CatResult:
    stored, subpath = resolve_snapshot(session.repository, name)
    reader = session.blob_reader(session.open_lookup())
    tree_id = find_subtree(reader, stored.snapshot.tree, subpath)
    return CatResult(reader.load_blob(tree_id, BlobType.TREE), is_document=False)


_READERS: dict[str, Callable[[Session, str], CatResult]] = {
    "config": _config,
    "masterkey": _master_key,
    "index": _index,
    "snapshot": _snapshot,
    "key": _key,
    "lock": _lock,
    "pack": _pack,
    "blob": _blob,
    "tree": _tree,
}
