"""Repositories in S3, Google Cloud Storage and Azure: the only door to obstore.

Its synchronous calls are made from the caller's threads, at most ``connections`` at a time; a process that
forks afterwards must not use the store again (obstore #441), so workers are spawned. Each call makes one
attempt: repetition is ours (``Patience``), so that Ctrl-C and ``close`` end it. Reads share one client,
whose time-out starts anew with every byte; writes have one for each power of two of their size.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from argosy.errors import StorageError, StorageExists, StorageNotFound, StorageUnavailable
from argosy.storage.amazon import find_region
from argosy.storage.answers import NO_BUCKET, read_answer, translate
from argosy.storage.cloud_config import MIB, READ_SECONDS, CloudConfig, cloud_config, write_seconds
from argosy.storage.interface import Buffer, ObjectInfo, too_short
from argosy.storage.location import Location
from argosy.storage.options import StorageOptions
from argosy.storage.patience import Patience, interruptible

if TYPE_CHECKING:
    from obstore import ListStream, ObjectMeta
    from obstore.store import ObjectStore, S3Credential

T = TypeVar("T")

# What a call into obstore raises: its own tree, a missing object, a configuration that it does not take.
_ERRORS = (BaseError, FileNotFoundError, ValueError)

# A file above this is sent in parts, two at a time: S3 takes no more than 10,000 of them.
PART_BYTES = 16 * MIB
_PARTS_AT_ONCE = 2
_MOST_PARTS = 10_000
# A part that fails must not cost the whole upload, so here alone obstore repeats by itself.
_PART_RETRIES = 8

_LIST_PAGE = 1000
# How often a server may claim that an object exists which it then does not have (arrow-rs-object-store #852).
_CREATE_ROUNDS = 5


class ObjectStorage:
    """The objects of a bucket below a prefix."""

    is_local = False

    def __init__(self, location: Location, options: StorageOptions) -> None:
        self.location = str(location)
        self._where = location
        self._options = options
        self._patience = Patience(options.retry_seconds)
        self._slots = threading.BoundedSemaphore(max(1, options.connections))
        self._region_of = functools.cache(find_region)
        self._clients: dict[tuple[int, bool, int], ObjectStore] = {}
        self._clients_lock = threading.Lock()
        self._server_knows_ranges = True
        self._server_knows_conditions = True

    def local_path(self, name: str) -> Path | None:
        """None: no object is in this machine's file system."""
        del name
        return None

    def get(self, name: str) -> bytes:
        """The whole object."""
        return self._run(name, lambda: obstore.get(self._reading(), name).bytes().to_bytes())

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; Damaged if the object ends before."""
        if length == 0:
            return b""
        data = self._run(name, lambda: self._range(name, offset, length))
        if len(data) != length:
            raise too_short(f"{self.location}/{name}", offset, length, len(data))
        return data

    def size(self, name: str) -> int:
        """The object's size in bytes."""
        return self._run(name, lambda: obstore.head(self._reading(), name)["size"])

    def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
        """Store an object with one request, so that it is there whole or not at all."""
        if create:
            self._create(name, data)
        else:
            self._run(name, lambda: self._put(name, data, conditional=False))

    def put_file(self, name: str, path: Path) -> None:
        """Store a local file's bytes; a large one goes in parts and appears when the last has arrived."""
        try:
            with path.open("rb") as file:
                size_bytes = os.fstat(file.fileno()).st_size
                small = file.read() if size_bytes <= PART_BYTES else None
        except OSError as error:
            hint = "Check the file and its mode."
            raise StorageError(f"cannot read {path}: {error.strerror}", hint=hint) from error
        if small is None:
            self._run(name, lambda: self._put_parts(name, path, size_bytes))
        else:
            self.put(name, small)

    def delete(self, name: str) -> None:
        """Remove an object; a missing one is fine, a missing bucket is not."""
        try:
            self._run(name, lambda: obstore.delete(self._reading(), name))
        except StorageNotFound as missing:
            if missing.message.startswith(NO_BUCKET):
                raise

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects below ``prefix``, a page at a time; a missing bucket is an error, not an empty one."""
        pages = _Pages(lambda last: obstore.list(self._reading(), prefix, offset=last, chunk_size=_LIST_PAGE))
        while page := self._run("", pages.next_page):
            for meta in page:
                yield ObjectInfo(meta["path"], meta["size"])

    def unfinished(self, before_ns: int) -> Iterator[ObjectInfo]:
        """None: an object is there whole or not at all. The bucket's life-cycle rule ends uploads in parts."""
        del before_ns
        return iter(())

    def close(self) -> None:
        """End pauses, drop connections."""
        self._patience.close()
        with self._clients_lock:
            self._clients.clear()

    def _run(self, name: str, request: Callable[[], T]) -> T:
        def attempt() -> T:
            with self._slots:
                try:
                    return interruptible(request)
                except _ERRORS as error:
                    failure = translate(error, store=self.location, bucket=self._where.bucket, name=name)
            # Outside the handler: the library's text may hold a signed URL, and must not be kept as the cause.
            raise failure

        return self._patience.run(attempt)

    def _range(self, name: str, offset: int, length: int) -> bytes:
        if self._server_knows_ranges:
            try:
                return obstore.get_range(self._reading(), name, start=offset, length=length).to_bytes()
            except BaseError as error:
                # rclone's serve s3 answers 200 where 206 is due, which obstore refuses.
                if "non-partial response" not in str(error):
                    raise
                self._server_knows_ranges = False
        whole = memoryview(obstore.get(self._reading(), name).bytes())
        return bytes(whole[offset : offset + length])

    def _put(self, name: str, data: Buffer, *, conditional: bool) -> None:
        client = self._client(write_seconds(len(data), self._options.connections), reading=False)
        obstore.put(client, name, data, use_multipart=False, mode="create" if conditional else "overwrite")

    def _put_parts(self, name: str, path: Path, size_bytes: int) -> None:
        part_bytes = max(PART_BYTES, math.ceil(size_bytes / _MOST_PARTS / MIB) * MIB)
        seconds = write_seconds(part_bytes, self._options.connections)
        client = self._client(seconds, reading=False, retries=_PART_RETRIES)
        obstore.put(client, name, path, use_multipart=True, chunk_size=part_bytes, max_concurrency=_PARTS_AT_ONCE)

    def _create(self, name: str, data: Buffer) -> None:
        """Store an object that must not be there yet.

        It is looked for first, for servers that ignore conditions. A refusal is believed only if the object
        is there, and is a success if it holds our bytes and an earlier attempt of ours may have arrived.
        """
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            attempts += 1
            try:
                self._put(name, data, conditional=self._server_knows_conditions)
            except BaseError as error:
                if isinstance(error, AlreadyExistsError) or read_answer(str(error)).status != 501:
                    raise
                # "A header you provided implies functionality that is not implemented".
                self._server_knows_conditions = False
                self._put(name, data, conditional=False)

        if self._has(name):
            raise StorageExists(f"{self.location}/{name} exists already", hint="It was left as it is.")
        for _ in range(_CREATE_ROUNDS):
            try:
                return self._run(name, attempt)
            except StorageExists:
                if self._has(name):
                    if attempts > 1 and self.get(name) == data:
                        return None
                    raise
        raise StorageUnavailable(
            f"{self.location}/{name}: the server claims that it exists, and does not have it",
            hint="Try again later.",
        )

    def _has(self, name: str) -> bool:
        try:
            self.size(name)
        except StorageNotFound:
            return False
        return True

    def _reading(self) -> ObjectStore:
        return self._client(READ_SECONDS, reading=True)

    def _client(self, timeout_seconds: int, *, reading: bool, retries: int = 0) -> ObjectStore:
        key = (timeout_seconds, reading, retries)
        client = self._clients.get(key)
        if client is None:
            with self._clients_lock:
                client = self._clients.get(key)
                if client is None:
                    config = cloud_config(
                        self._where,
                        self._options,
                        timeout_seconds=timeout_seconds,
                        reading=reading,
                        region_of=self._region_of,
                    )
                    client = self._clients[key] = _new_client(self._where, config, retries)
        return client


class _Pages:
    """The pages of one listing. One that fails can be asked for again: it begins behind the last name."""

    def __init__(self, listing: Callable[[str | None], ListStream[Sequence[ObjectMeta]]]) -> None:
        self._listing = listing
        self._stream: ListStream[Sequence[ObjectMeta]] | None = None
        self._last: str | None = None

    def next_page(self) -> Sequence[ObjectMeta]:
        """The next page; an empty one is the end."""
        stream, self._stream = self._stream or self._listing(self._last), None
        page: Sequence[ObjectMeta] = next(stream, ())
        if page:
            self._stream, self._last = stream, page[-1]["path"]
        return page


def open_object_storage(location: Location, options: StorageOptions) -> ObjectStorage:
    """The store at a location that is not local. Nothing is dialled before the first call."""
    return ObjectStorage(location, options)


def _new_client(location: Location, config: CloudConfig, retries: int) -> ObjectStore:
    settings: Any = config.config
    shared: dict[str, Any] = {
        "prefix": location.prefix or None,
        "client_options": config.client,
        "retry_config": {"max_retries": retries, "retry_timeout": timedelta(minutes=3)},
    }
    if location.scheme == "gs":
        return GCSStore(location.bucket, config=settings, **shared)
    if location.scheme == "azure":
        return AzureStore(location.bucket, config=settings, **shared)
    return S3Store(location.bucket, config=settings, credential_provider=_provider(config.keys), **shared)


def _provider(keys: dict[str, str] | None) -> Callable[[], S3Credential] | None:
    """Fixed keys, given whole: a session token of the environment must not be mixed with them."""
    if keys is None:
        return None

    def provide() -> S3Credential:
        return {
            "access_key_id": keys["access_key_id"],
            "secret_access_key": keys["secret_access_key"],
            "token": keys["token"] or None,
            "expires_at": None,
        }

    return provide
