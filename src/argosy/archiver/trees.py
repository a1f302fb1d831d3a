"""Trees, bottom-up: a directory whose results are all there becomes a tree, and a node of its parent.

A finished tree's sealed bytes stay in the checkpoint database until a durable pack holds them, so that the transaction
that replaces a directory's results by one subtree id never depends on a pack that a crash may cost.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from argosy.archiver.ledger import Ledger, decode_names
from argosy.archiver.merging import merge_into, merge_runs, place_runs
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.runs import decode_run, plain_bytes
from argosy.repository.encoder import BlobEncoder, EncodedBlob
from argosy.repository.packer import Packer, StoredPack
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.node import finish_directory
from argosy.restic_format.tree import PREFIX, SEPARATOR, SUFFIX, encode_tree
from argosy.state.assemblies import Assembly

ROOT_DIRECTORY = 1
"""The id of the root's assembly: its tree is the snapshot's."""

LARGE_TREE_BYTES = 32 << 20
"""A directory with more nodes than this (about 90,000) is merged from the database and streamed."""

StoreLarge = Callable[..., StoredPack]


class _Encoders(threading.local):
    """One for each thread."""

    def __init__(self, make_encoder: Callable[[], BlobEncoder]) -> None:
        self.encoder = make_encoder()


class TreeBuilder:
    """Builds trees and packs them. ``build`` may be called by several threads, all else by the coordinator alone.

    ``large`` are directories that ``build`` has left to it; ``stored_packs`` become durable in threads of the packer.
    """

    def __init__(
        self,
        ledger: Ledger,
        parents: ParentTrees,
        make_encoder: Callable[[], BlobEncoder],
        make_packer: Callable[[Callable[[StoredPack], None]], Packer],
        contains: Callable[[bytes], bool],
        store_large: StoreLarge,
        record: Callable[[StoredPack], None],
        spill_directory: Path,
    ) -> None:
        self._ledger = ledger
        self._parents = parents
        self._encoders = _Encoders(make_encoder)
        self._contains = contains
        self._store_large = store_large
        self._record = record
        self._spill_directory = spill_directory
        # Trees of this run that the lookup has not heard of yet.
        self._unheard: set[bytes] = set()
        self.large: deque[int] = deque()
        self.stored_packs: deque[StoredPack] = deque()
        self._packer = make_packer(self.stored_packs.append)
        self.root_tree: bytes | None = None

    def load(self) -> None:
        """After a crash: pack again the trees whose pack was never durable."""
        for identity, sealed, length in self._ledger.open_trees.load():
            self._unheard.add(identity)
            self._packer.add(EncodedBlob(identity, BlobType.TREE, sealed, length))
        value = self._ledger.state.get("root_tree")
        self.root_tree = value

    def heard(self, packs: Iterable[StoredPack]) -> None:
        """The lookup knows these packs from now on."""
        ids = {blob.id for pack in packs if pack.blob_type == BlobType.TREE for blob in pack.blobs}
        with self._ledger.job.mutex:
            self._unheard -= ids

    def build_ready(self, seconds: float = 0.1) -> bool:
        """Build trees that are ready in this thread, for about this long; True if more are left."""
        ready, deadline = self._ledger.assemblies.ready, time.monotonic() + seconds
        while ready:
            self.build(ready.popleft())
            self.build_large()
            if time.monotonic() > deadline:
                break
        return bool(ready)

    def send(self) -> None:
        """Begin to store the open pack."""
        self._packer.send()

    def flush(self) -> None:
        """Store the open pack and wait for all; ``stored_packs`` has them then."""
        self._packer.flush()

    def wait_for_uploads(self, timeout_seconds: float) -> None:
        """Wait for the packs that are on their way, so long at most; ``stored_packs`` has them then."""
        self._packer.wait_until_under_way(0, timeout_seconds)

    def keep_sealed(self, identity: bytes, sealed: bytes, length: int) -> None:
        """Keep a tree that a worker has sealed (the mutex is held); b"" if the repository has it."""
        if sealed and identity not in self._unheard:
            self._keep(EncodedBlob(identity, BlobType.TREE, sealed, length))

    def _keep(self, blob: EncodedBlob) -> None:
        self._unheard.add(blob.id)
        self._ledger.open_trees.add(blob.id, bytes(blob.sealed), blob.uncompressed_length)
        self._ledger.state.count(tree_blobs=1, data_added=blob.uncompressed_length, data_added_packed=len(blob.sealed))
        self._packer.add(blob)

    def build(self, directory_id: int) -> int:
        """Build the tree of a ready directory; its length, or 0 if ``build_large`` is to do it, or it waits."""
        ledger = self._ledger
        with ledger.job.mutex:
            assembly = ledger.assemblies.get(directory_id)
            if assembly.pending:
                return 0
        runs = list(ledger.assemblies.parts(assembly))
        if assembly.base_tree is None and sum(map(plain_bytes, runs)) > LARGE_TREE_BYTES:
            self.large.append(directory_id)
            ledger.wake()
            return 0
        tree_id, size_bytes, blob = self._encode_tree(assembly, runs)
        self._close(assembly, tree_id, blob)
        return size_bytes

    def build_large(self) -> None:
        """Build what ``build`` has left: it takes a commit, and records a pack of its own."""
        while self.large:
            with self._ledger.job.mutex:
                assembly = self._ledger.assemblies.get(self.large.popleft())
            self._close(assembly, self._store_large_tree(assembly), None)

    def _encode_tree(self, assembly: Assembly, runs: list[bytes]) -> tuple[bytes, int, EncodedBlob | None]:
        """The tree's id and length, and the tree to be kept; None if that is stored already."""
        changes: dict[bytes, bytes | None] = dict.fromkeys(decode_names(assembly.deleted))
        for run in runs:
            names, nodes = decode_run(run)
            changes.update(zip(names, nodes, strict=True))
        if assembly.base_tree is None:
            tree = encode_tree([node for _, node in sorted(changes.items()) if node is not None])
        else:
            tree = merge_into(self._parents.take(assembly.base_tree), changes)
        tree_id = blob_id(tree)
        if tree_id in self._unheard or self._contains(tree_id):
            return tree_id, len(tree), None
        return tree_id, len(tree), self._encoders.encoder.encode(BlobType.TREE, tree_id, tree)

    def _store_large_tree(self, assembly: Assembly) -> bytes:
        """Merge the runs from the database twice: for the hash and the length, then into a pack of its own."""
        ledger = self._ledger
        ledger.job.commit()

        def load(part: int) -> bytes:
            rows = ledger.job.read(
                "SELECT nodes FROM parts WHERE directory_id = ? AND part = ?", (assembly.directory_id, part)
            )
            return bytes(rows[0][0])

        numbers = ledger.job.read("SELECT part FROM parts WHERE directory_id = ?", (assembly.directory_id,))
        places = place_runs([row[0] for row in numbers], load)
        digest, total = hashlib.sha256(PREFIX), len(PREFIX) + len(SUFFIX)
        separator = b""
        for node in merge_runs(places, load):
            digest.update(separator + node)
            total += len(separator) + len(node)
            separator = SEPARATOR
        digest.update(SUFFIX)
        if not self._contains(digest.digest()):
            pack = self._store_large(_pieces(merge_runs(places, load)), total, directory=self._spill_directory)
            self._record(pack)
            ledger.state.count(tree_blobs=1, data_added=total, data_added_packed=pack.blobs[0].length)
        return digest.digest()

    def _close(self, assembly: Assembly, tree_id: bytes, blob: EncodedBlob | None) -> None:
        """One transaction: the results go, the subtree's id stands in the parent, the sealed tree is kept."""
        ledger = self._ledger
        with ledger.job.mutex:
            if blob is not None and tree_id not in self._unheard:
                self._keep(blob)
            if assembly.directory_id == ROOT_DIRECTORY:
                self.root_tree = tree_id
                ledger.state.put("root_tree", tree_id)
                ledger.wake()
            else:
                assert assembly.prefix is not None
                node = finish_directory(assembly.prefix, tree_id)
                ledger.assemblies.add_part(assembly.parent_id, ledger.encode_run([assembly.name], [node]))
                ledger.assemblies.settle(assembly.parent_id)
                if assembly.base_tree is None:
                    ledger.state.count(dirs_new=1)
                elif assembly.base_tree == tree_id:
                    ledger.state.count(dirs_unmodified=1)
                else:
                    ledger.state.count(dirs_changed=1)
            ledger.assemblies.close(assembly)


def _pieces(nodes: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a tree with these nodes, gathered into pieces of about a megabyte."""

    gathered, size, separator = [PREFIX], 0, b""
    for node in nodes:
        gathered += (separator, node)
        size += len(node)
        separator = SEPARATOR
        if size >= 1 << 20:
            yield b"".join(gathered)
            gathered, size = [], 0
    gathered.append(SUFFIX)
    yield b"".join(gathered)
