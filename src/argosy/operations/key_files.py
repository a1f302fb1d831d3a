"""Key files read one by one, for the operations that show or test them."""

from __future__ import annotations

import hashlib

from argosy.repository.layout import FileKind, object_name
from argosy.restic_format.damage import damaged
from argosy.restic_format.key_file import KeyFile, decode_key_file
from argosy.storage.interface import Storage


def load_key_file(storage: Storage, key_id: bytes) -> KeyFile:
    """A key file. StorageNotFound if there is none of that id, Damaged if its bytes do not hold."""
    what = f"key {key_id.hex()}"
    data = storage.get(object_name(FileKind.KEY, key_id))
    if hashlib.sha256(data).digest() != key_id:
        raise damaged(what, "its bytes have another hash than its name")
    return decode_key_file(data, what)
