"""An open repository: its key, its config, and its unpacked files."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from argosy import native
from argosy.errors import RepositoryError, RepositoryExists, RepositoryMissing, StorageExists, StorageNotFound
from argosy.repository.cache import SealedCache
from argosy.repository.keys import ScryptNumbers, add_key, open_with_password
from argosy.repository.layout import CONFIG_NAME, FileKind, id_of_name, object_name
from argosy.repository.opening import BlobOpener
from argosy.restic_format.blob import PackedBlob
from argosy.restic_format.compression import Compressor
from argosy.restic_format.config import VERSION, RepositoryConfig, make_config, open_config, seal_config
from argosy.restic_format.crypto import OVERHEAD_BYTES, MasterKey, Opener, Sealer
from argosy.restic_format.damage import damaged
from argosy.restic_format.index import Index, PackListing, decode_index, list_stored_packs
from argosy.restic_format.pack import LENGTH_BYTES, decode_header, sealed_header_bytes
from argosy.restic_format.pack_verifier import PackVerifier, pack_verifier
from argosy.restic_format.unpacked import decode_unpacked, encode_unpacked
from argosy.storage.interface import Storage

if TYPE_CHECKING:
    from argosy.native.bindings import Session

# The header of a pack of about 200 blobs: most are read with the first request.
_HEADER_GUESS_BYTES = 8 * 1024


class _Ciphers(threading.local):
    """One set for each thread: they hold contexts that are reused."""

    def __init__(self, key: MasterKey) -> None:
        self.opener = Opener(key)
        self.sealer = Sealer(key, os.urandom)
        self.compressor = Compressor("auto")
        self.verifier: PackVerifier | None = None
        self.blob_opener: BlobOpener | None = None
        self.session: Session | None = None


class Repository:
    """A repository whose key is known. Thread-safe. Its repr shows no secret.

    Errors: Damaged names the file whose bytes do not hold; StorageError as the store raises it.
    """

    def __init__(self, storage: Storage, key: MasterKey, config: RepositoryConfig, *, key_id: bytes = b"") -> None:
        self.storage = storage
        self.key = key
        self.config = config
        self.key_id = key_id
        self.id = config.id.hex()
        self.polynomial = config.chunker_polynomial
        self.cache: SealedCache | None = None
        self._ciphers = _Ciphers(key)

    @classmethod
    def from_grant(cls, storage: Storage, key: MasterKey, config: RepositoryConfig) -> Self:
        """The repository for a worker, which is given key and config and asks for no password."""
        return cls(storage, key, config)

    def __repr__(self) -> str:
        return f"Repository({self.id[:8]} at {self.storage.location})"

    def use_cache(self, cache: SealedCache) -> None:
        """Keep copies of snapshots and trees on this machine, unless reading costs no network anyway."""
        if not self.storage.is_local:
            self.cache = cache

    def opener(self) -> Opener:
        """The calling thread's own opener."""
        return self._ciphers.opener

    def blob_opener(self) -> BlobOpener:
        """The calling thread's own opener of blobs."""
        ciphers = self._ciphers
        if ciphers.blob_opener is None:
            ciphers.blob_opener = BlobOpener(self.key)
        return ciphers.blob_opener

    def native_session(self) -> Session | None:
        """The calling thread's own session of the native kernel; None without that."""
        ciphers = self._ciphers
        if ciphers.session is None:
            ciphers.session = native.session(self.key.material)
        return ciphers.session

    def release_native_session(self) -> None:
        """Give back the memory that the calling thread's session keeps for its next work."""
        self._ciphers.session = None

    def pack_verifier(self) -> PackVerifier:
        """The calling thread's own verifier of packs."""
        ciphers = self._ciphers
        if ciphers.verifier is None:
            ciphers.verifier = pack_verifier(self.key)
        return ciphers.verifier

    def load_unpacked(self, kind: FileKind, identity: bytes) -> bytes:
        """The JSON of an index, snapshot or lock. StorageNotFound if there is none of that id."""
        name = object_name(kind, identity)
        cache = self.cache if kind is FileKind.SNAPSHOT else None
        if cache is not None and (copy := cache.get(name)) is not None:
            if hashlib.sha256(copy).digest() == identity:
                return decode_unpacked(copy, self.opener(), f"{kind.label} {identity.hex()}")
            cache.remove(name)
        stored = self._load_verified(kind, identity)
        if cache is not None:
            cache.put(name, stored)
        return decode_unpacked(stored, self.opener(), f"{kind.label} {identity.hex()}")

    def save_unpacked(self, kind: FileKind, json_bytes: bytes) -> bytes:
        """Store a JSON document, durable when this returns; returns its id."""
        identity, sealed = self.seal_unpacked(json_bytes)
        self.storage.put(object_name(kind, identity), sealed, create=True)
        return identity

    def seal_unpacked(self, json_bytes: bytes) -> tuple[bytes, bytes]:
        """Id and bytes of a JSON document, to be stored with ``put_sealed``, possibly more than once."""
        sealed = encode_unpacked(json_bytes, self._ciphers.sealer, self._ciphers.compressor)
        return hashlib.sha256(sealed).digest(), sealed

    def put_sealed(self, kind: FileKind, identity: bytes, sealed: bytes) -> None:
        """Store what ``seal_unpacked`` returned. That it is there already is fine: the id names its bytes."""
        try:
            self.storage.put(object_name(kind, identity), sealed, create=True)
        except StorageExists:
            return

    def load_index(self, identity: bytes) -> Index:
        """One index file, as ``DedupLookup.synchronize`` wants it."""
        return decode_index(self.load_unpacked(FileKind.INDEX, identity), f"index {identity.hex()}")

    def load_listing(self, identity: bytes) -> list[PackListing]:
        """The packs that one index file lists."""
        stored = self._load_verified(FileKind.INDEX, identity)
        return list_stored_packs(stored, self.native_session(), self.opener(), f"index {identity.hex()}")

    def list_files(self, kind: FileKind) -> Iterator[tuple[bytes, int]]:
        """Id and size in bytes of each file of a kind, in no promised order. Foreign files are skipped."""
        for info in self.storage.list(kind.prefix):
            identity = id_of_name(info.name)
            if identity is not None:
                yield identity, info.size_bytes

    def list_ids(self, kind: FileKind) -> list[bytes]:
        """The ids of all files of a kind, sorted."""
        ids = sorted(identity for identity, _ in self.list_files(kind))
        if kind is FileKind.SNAPSHOT and self.cache is not None:
            self.cache.keep_only(kind.prefix, {object_name(kind, identity) for identity in ids})
        return ids

    def delete(self, kind: FileKind, identity: bytes) -> None:
        """Remove a file; a missing one is fine."""
        name = object_name(kind, identity)
        self.storage.delete(name)
        if self.cache is not None:
            self.cache.remove(name)

    def load_raw_pack(self, pack_id: bytes) -> bytes:
        """A whole pack as it is stored, its hash verified."""
        return self._load_verified(FileKind.PACK, pack_id)

    def load_pack_header(self, pack_id: bytes, size_bytes: int) -> list[PackedBlob]:
        """What the header of a pack of ``size_bytes`` lists. Damaged unless that makes up every byte."""
        what = f"header of pack {pack_id.hex()}"
        header = self.load_raw_pack_header(pack_id, size_bytes)
        blobs = decode_header(header, what)
        if sum(blob.length for blob in blobs) + OVERHEAD_BYTES + len(header) + LENGTH_BYTES != size_bytes:
            raise damaged(what, "its blobs do not fill the pack")
        return blobs

    def load_raw_pack_header(self, pack_id: bytes, size_bytes: int) -> bytes:
        """The header of a pack of ``size_bytes``, opened and not looked into. Damaged unless its MAC holds."""
        name, what = object_name(FileKind.PACK, pack_id), f"header of pack {pack_id.hex()}"
        guess = min(size_bytes, _HEADER_GUESS_BYTES)
        tail = self.storage.get_range(name, size_bytes - guess, guess) if guess else b""
        sealed_bytes = sealed_header_bytes(tail[-LENGTH_BYTES:], size_bytes, what)
        start = len(tail) - LENGTH_BYTES - sealed_bytes
        if start >= 0:
            sealed = tail[start:-LENGTH_BYTES]
        else:
            sealed = self.storage.get_range(name, size_bytes - LENGTH_BYTES - sealed_bytes, sealed_bytes)
        return self.opener().open(sealed, what)

    def _load_verified(self, kind: FileKind, identity: bytes) -> bytes:
        name = object_name(kind, identity)
        stored = self.storage.get(name)
        if hashlib.sha256(stored).digest() != identity:
            # Once more: the fault may have been on the way.
            stored = self.storage.get(name)
            if hashlib.sha256(stored).digest() != identity:
                raise damaged(f"{kind.label} {identity.hex()}", "its bytes have another hash than its name")
        return stored


def open_repository(storage: Storage, password: bytes, key_hint: str | None = None) -> Repository:
    """Open the repository in ``storage``.

    RepositoryMissing if there is no config, WrongPassword if no key opens, RepositoryError for another format
    version.
    """
    sealed_config = _sealed_config(storage)
    key_id, key = open_with_password(storage, password, key_hint)
    return Repository(storage, key, open_config(sealed_config, Opener(key)), key_id=key_id)


def open_with_key(storage: Storage, key_id: bytes, key: MasterKey) -> Repository:
    """Open the repository whose master key is known from the key file ``key_id``; errors as ``open_repository``."""
    return Repository(storage, key, open_config(_sealed_config(storage), Opener(key)), key_id=key_id)


def open_granted(storage: Storage, key: MasterKey, config: RepositoryConfig) -> Repository:
    """Open the repository for which another machine was given key and config.

    RepositoryMissing if there is none, RepositoryError if it is another one, Damaged if the key does not open it.
    """
    found = open_config(_sealed_config(storage), Opener(key))
    if found.id != config.id:
        raise RepositoryError(
            f"the repository at {storage.location} is {found.id.hex()[:8]}, not {config.id.hex()[:8]}",
            hint="Mount the same repository in the same place on every machine.",
        )
    return Repository.from_grant(storage, key, config)


def init_repository(
    storage: Storage,
    password: bytes,
    *,
    polynomial: int | None = None,
    scrypt: ScryptNumbers | None = None,
    draw: Callable[[int], bytes] = os.urandom,
) -> Repository:
    """Make a repository. RepositoryExists if anything of one is there.

    ``polynomial`` is another repository's, so that blobs of both are cut alike; without it a new one is
    drawn.
    """
    _refuse_existing(storage)
    key = MasterKey.generate(draw)
    config = make_config(draw)
    if polynomial is not None:
        config = RepositoryConfig(VERSION, config.id, polynomial)
    key_id = add_key(storage, key, password, scrypt=scrypt, draw=draw)
    # Safe to die here: a key without a config is no repository; the next init says what to remove.
    sealed_config = seal_config(config, Sealer(key, draw))
    with suppress(StorageExists):
        storage.put(CONFIG_NAME, sealed_config, create=True)
    # Read back: some servers let two writers create the same object, and the last one wins.
    if storage.get(CONFIG_NAME) != sealed_config:
        storage.delete(object_name(FileKind.KEY, key_id))
        raise _exists(storage)
    return Repository(storage, key, config, key_id=key_id)


def _sealed_config(storage: Storage) -> bytes:
    try:
        return storage.get(CONFIG_NAME)
    except StorageNotFound as error:
        raise RepositoryMissing(
            f"there is no repository at {storage.location}",
            hint="Check the location, or make one there with `argosy init`.",
        ) from error


def _refuse_existing(storage: Storage) -> None:
    try:
        storage.size(CONFIG_NAME)
    except StorageNotFound:
        pass
    else:
        raise _exists(storage)
    for info in storage.list(FileKind.KEY.prefix):
        raise RepositoryExists(
            f"{storage.location} holds {info.name}, but no config",
            hint="Restore the config from a copy; if nothing else is there, remove keys/ and run init again.",
        )


def _exists(storage: Storage) -> RepositoryExists:
    return RepositoryExists(f"a repository is already at {storage.location}", hint="Use it, or choose another place.")
