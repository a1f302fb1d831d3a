"""From a location to an open store."""

from __future__ import annotations

from argosy.storage.interface import Storage
from argosy.storage.local import LocalStorage
from argosy.storage.location import Location, parse_location
from argosy.storage.options import StorageOptions

__all__ = ["StorageOptions", "open_storage"]


def open_storage(location: str, options: StorageOptions | None = None) -> Storage:
    """The store at ``location``; UsageError for an impossible one. Nothing is dialled or written yet."""
    options = options or StorageOptions()
    storage = _open(parse_location(location), options)
    if not (options.limit_upload_bytes_per_second or options.limit_download_bytes_per_second):
        return storage
    from argosy.storage.limiter import LimitedStorage

    return LimitedStorage(
        storage,
        upload_bytes_per_second=options.limit_upload_bytes_per_second,
        download_bytes_per_second=options.limit_download_bytes_per_second,
    )


def _open(location: Location, options: StorageOptions) -> Storage:
    if location.scheme == "local":
        return LocalStorage(location.path)
    # obstore is a large native library: a local repository, and --version, do without its start-up time.
    from argosy.storage.object_store import open_object_storage

    return open_object_storage(location, options)
