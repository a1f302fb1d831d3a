"""Finding snapshots: all, the latest, by the start of an id, by host, tags and paths (restic's rules)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from argosy.errors import Damaged, SnapshotMissing, StorageNotFound
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.restic_format.snapshot import Snapshot, decode_snapshot, encode_snapshot
from argosy.restic_format.tree import decode_parts

LATEST = "latest"

_LOADED_AT_ONCE = 8
_CANDIDATES_NAMED = 10


class StoredSnapshot(msgspec.Struct, frozen=True):
    """A snapshot and its id."""

    id: bytes
    snapshot: Snapshot

    @property
    def age_key(self) -> tuple[int, bytes]:
        """Sorts by time; by id where times are equal, so that "latest" is one and the same everywhere."""
        return self.snapshot.time_ns(), self.id


class SnapshotFilter(msgspec.Struct, frozen=True):
    """Which snapshots are meant; nothing set means all.

    ``hosts``: one of them. ``tags``: a list of lists; all tags of one of the lists, where the tag "" means a
    snapshot without tags. ``paths``: every one of them is among the snapshot's paths.
    """

    hosts: Sequence[str] = ()
    tags: Sequence[Sequence[str]] = ()
    paths: Sequence[str] = ()

    def matches(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot is meant."""
        if self.hosts and snapshot.hostname not in self.hosts:
            return False
        if self.tags and not any(_has_tags(snapshot, tags) for tags in self.tags):
            return False
        return all(path in snapshot.paths for path in self.paths)


ALL_SNAPSHOTS = SnapshotFilter()


def load_snapshots(
    repository: Repository, *, on_damaged: Callable[[bytes, Damaged], None] | None = None
) -> list[StoredSnapshot]:
    """All snapshots, oldest first. One removed meanwhile is left out.

    One that cannot be read is given to ``on_damaged``, or without that raises Damaged.
    """

    def load(snapshot_id: bytes) -> StoredSnapshot | Damaged | None:
        try:
            return load_snapshot(repository, snapshot_id)
        except SnapshotMissing:
            return None
        except Damaged as error:
            return error

    ids = repository.list_ids(FileKind.SNAPSHOT)
    if repository.storage.is_local or len(ids) < 2:
        results = [load(snapshot_id) for snapshot_id in ids]
    else:
        with ThreadPoolExecutor(_LOADED_AT_ONCE, thread_name_prefix="load-snapshot") as threads:
            results = list(threads.map(load, ids))
    found = []
    for snapshot_id, result in zip(ids, results, strict=True):
        if isinstance(result, StoredSnapshot):
            found.append(result)
        elif result is not None:
            if on_damaged is None:
                raise result
            on_damaged(snapshot_id, result)
    return sorted(found, key=lambda stored: stored.age_key)


def load_snapshot(repository: Repository, snapshot_id: bytes) -> StoredSnapshot:
    """The snapshot with this id; SnapshotMissing if there is none."""
    what = f"snapshot {snapshot_id.hex()}"
    try:
        data = repository.load_unpacked(FileKind.SNAPSHOT, snapshot_id)
    except StorageNotFound as error:
        raise _missing(what) from error
    return StoredSnapshot(snapshot_id, decode_snapshot(data, what))


def save_snapshot(repository: Repository, snapshot: Snapshot) -> bytes:
    """Store a snapshot; returns its id."""
    return repository.save_unpacked(FileKind.SNAPSHOT, encode_snapshot(snapshot))


def split_subpath(text: str) -> tuple[str, str]:
    """``ID:SUBPATH`` taken apart; the second is empty if there is no colon."""
    name, _, subpath = text.partition(":")
    return name, subpath


def resolve_snapshot(
    repository: Repository, text: str, wanted: SnapshotFilter = ALL_SNAPSHOTS
) -> tuple[StoredSnapshot, str]:
    """The snapshot and the subpath that ``text`` names: ``latest`` or the start of an id, then ``:SUBPATH``.

    ``wanted`` says among which ``latest`` is; a named snapshot need not match it. SnapshotMissing if there is
    none, or several start so.
    """
    name, subpath = split_subpath(text)
    if name == LATEST:
        return latest_snapshot(load_snapshots(repository), wanted), subpath
    return load_snapshot(repository, resolve_id(repository, name)), subpath


def resolve_id(repository: Repository, prefix: str) -> bytes:
    """The id of the one snapshot that starts with ``prefix``; SnapshotMissing if there is none or several."""
    if len(prefix) == 64:
        candidates = [bytes.fromhex(prefix)] if _is_hexadecimal(prefix) else []
    else:
        ids = repository.list_ids(FileKind.SNAPSHOT) if prefix else []
        candidates = [snapshot_id for snapshot_id in ids if snapshot_id.hex().startswith(prefix)]
    if not candidates:
        raise _missing(f"snapshot {prefix or '(no name)'}")
    if len(candidates) > 1:
        named = ", ".join(snapshot_id.hex()[:12] for snapshot_id in candidates[:_CANDIDATES_NAMED])
        more = ", …" if len(candidates) > _CANDIDATES_NAMED else ""
        raise SnapshotMissing(
            f"several snapshots start with {prefix}: {named}{more}",
            hint="Write more digits of the one that you mean.",
        )
    return candidates[0]


def latest_snapshot(snapshots: Iterable[StoredSnapshot], wanted: SnapshotFilter = ALL_SNAPSHOTS) -> StoredSnapshot:
    """The newest snapshot that matches; SnapshotMissing if none does."""
    newest = _newest(stored for stored in snapshots if wanted.matches(stored.snapshot))
    if newest is None:
        raise SnapshotMissing(
            "no snapshot matches",
            hint="`argosy snapshots` lists all of them; loosen --host, --tag or --path.",
        )
    return newest


def find_parent(
    snapshots: Iterable[StoredSnapshot],
    *,
    host: str | None,
    paths: Sequence[str] | None,
    before_ns: int,
    tags: Sequence[str] | None = None,
) -> StoredSnapshot | None:
    """The newest snapshot, not after ``before_ns``, with this host, these paths and tags; None: any."""
    wanted = SnapshotFilter(hosts=() if host is None else (host,), tags=(tags,) if tags else (), paths=paths or ())
    return _newest(
        stored for stored in snapshots if wanted.matches(stored.snapshot) and stored.snapshot.time_ns() <= before_ns
    )


def find_subtree(reader: BlobReader, tree_id: bytes, subpath: str) -> bytes:
    """The tree of the directory ``subpath`` below a tree; SnapshotMissing if there is no such directory.

    Empty components and "." count for nothing. ``subpath`` may hold surrogate escapes for bytes that are not
    UTF-8.
    """
    for part in subpath.encode("utf-8", "surrogateescape").split(b"/"):
        if part in (b"", b"."):
            continue
        nodes = decode_parts(reader.load_tree(tree_id), f"tree {tree_id.hex()}")
        subtree = next((node.subtree_id() for node in nodes if node.name_bytes() == part), None)
        if subtree is None:
            shown = subpath.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise SnapshotMissing(
                f"the snapshot has no directory {shown}", hint="`argosy ls` shows what is in the snapshot."
            )
        tree_id = subtree
    return tree_id


def _newest(snapshots: Iterable[StoredSnapshot]) -> StoredSnapshot | None:
    return max(snapshots, key=lambda stored: stored.age_key, default=None)


def _has_tags(snapshot: Snapshot, tags: Sequence[str]) -> bool:
    return all(tag in snapshot.tags or (tag == "" and not snapshot.tags) for tag in tags)


def _is_hexadecimal(text: str) -> bool:
    return not set(text) - set("0123456789abcdef")


def _missing(what: str) -> SnapshotMissing:
    return SnapshotMissing(f"{what} does not exist", hint="`argosy snapshots` lists all of them.")
