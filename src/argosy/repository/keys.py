"""Passwords: each key file opens the same master key with another password."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable

import msgspec

from argosy.errors import Damaged, StorageNotFound, UsageError, WrongPassword
from argosy.repository.layout import FileKind, id_of_name, object_name
from argosy.repository.process_identity import ProcessIdentity, current_identity
from argosy.restic_format.crypto import SALT_BYTES, MasterKey, derive_key_plainly
from argosy.restic_format.early_derivation import EarlyDerivation
from argosy.restic_format.key_file import (
    DEFAULT_N,
    DEFAULT_P,
    DEFAULT_R,
    KeyFile,
    decode_key_file,
    encode_key_file,
    seal_key_file,
)
from argosy.restic_format.times import format_time
from argosy.storage.interface import Storage

# restic's limit (#3776): each key costs a derivation, so a wrong password must not take minutes.
MAX_KEYS_TRIED = 20

# Opening stands at the start of every command. restic allows up to 0.5 s for a new key; what it does not go
# below, its default numbers, takes 0.05 to 0.1 s.
DERIVATION_SECONDS = 0.1


class ScryptNumbers(msgspec.Struct, frozen=True):
    """The cost of a key derivation: ``128 * n * r`` bytes of memory, time in proportion to ``n * r * p``."""

    n: int = DEFAULT_N
    r: int = DEFAULT_R
    p: int = DEFAULT_P


class StoredKey(msgspec.Struct, frozen=True):
    """A key file and its id."""

    id: bytes
    file: KeyFile


def open_with_password(
    storage: Storage, password: bytes, key_hint: str | None = None, early: EarlyDerivation | None = None
) -> tuple[bytes, MasterKey]:
    """The first key that the password opens, of ``MAX_KEYS_TRIED`` at most: its id and the master key.

    ``key_hint`` is the start of the id of a key to be tried first; ``early`` may know the key of one by now.
    WrongPassword if no key opens; Damaged if there is none, or none could be read.
    """
    ids = _key_ids(storage)
    if key_hint:
        ids.sort(key=lambda key_id: not key_id.hex().startswith(key_hint))
    tried = 0
    unreadable: Damaged | None = None
    for key_id in ids[:MAX_KEYS_TRIED]:
        try:
            return key_id, _load_key(storage, key_id).unlock(password, f"key {key_id.hex()[:8]}", early)
        except WrongPassword:
            tried += 1
        except StorageNotFound:
            continue  # removed since the listing
        except Damaged as error:
            unreadable = error
    if not tried:
        raise unreadable or Damaged(
            f"{storage.location} has no key files",
            hint="Restore its keys/ directory from a copy: without one nothing can be decrypted.",
        )
    untried = len(ids) - MAX_KEYS_TRIED
    raise WrongPassword(
        f"no key of {storage.location} opens with this password",
        hint="Check the password." if untried <= 0 else f"{untried} keys were not tried: name yours with --key-hint.",
    )


def add_key(
    storage: Storage,
    master: MasterKey,
    password: bytes,
    *,
    username: str = "",
    hostname: str = "",
    scrypt: ScryptNumbers | None = None,
    draw: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """Store a key file that opens ``master`` with another password; returns its id.

    ``username`` and ``hostname`` are notes for the reader of a list, this process's own by default. Without
    ``scrypt`` the numbers are chosen for this machine.
    """
    identity: ProcessIdentity = current_identity()
    numbers = scrypt or calibrated_scrypt()
    key = seal_key_file(
        master,
        password,
        draw,
        created=format_time(time.time_ns()),
        username=username or identity.username,
        hostname=hostname or identity.hostname,
        n=numbers.n,
        r=numbers.r,
        p=numbers.p,
    )
    data = encode_key_file(key)
    key_id = hashlib.sha256(data).digest()
    storage.put(object_name(FileKind.KEY, key_id), data, create=True)
    return key_id


def remove_key(storage: Storage, key_id: bytes, *, in_use: bytes) -> None:
    """Remove a key file. UsageError for the one that is in use: the repository could be closed for ever."""
    if key_id == in_use:
        raise UsageError(
            f"key {key_id.hex()[:8]} is the one that opened the repository",
            hint="Open the repository with another password to remove it.",
        )
    storage.delete(object_name(FileKind.KEY, key_id))


def list_keys(storage: Storage) -> list[StoredKey]:
    """All key files, oldest first. Damaged names one that cannot be read."""
    keys = [StoredKey(key_id, _load_key(storage, key_id)) for key_id in _key_ids(storage)]
    return sorted(keys, key=lambda key: (key.file.created, key.id))


def calibrated_scrypt(
    target_seconds: float = DERIVATION_SECONDS, clock: Callable[[], float] = time.process_time
) -> ScryptNumbers:
    """Numbers that make a derivation take about ``target_seconds`` here, for any program (Argosy's own takes half).

    Never less work than restic's smallest. More rounds (p) rather than more memory, since other machines must
    open the key as well.
    """
    begun = clock()
    derive_key_plainly(b"", bytes(SALT_BYTES), DEFAULT_N, DEFAULT_R, DEFAULT_P)
    one_round_seconds = max(clock() - begun, 1e-3)
    return ScryptNumbers(p=max(DEFAULT_P, int(target_seconds / one_round_seconds)))


def _key_ids(storage: Storage) -> list[bytes]:
    names = (info.name for info in storage.list(FileKind.KEY.prefix))
    return sorted(key_id for name in names if (key_id := id_of_name(name)) is not None)


def _load_key(storage: Storage, key_id: bytes) -> KeyFile:
    what = f"key {key_id.hex()[:8]}"
    data = storage.get(object_name(FileKind.KEY, key_id))
    if hashlib.sha256(data).digest() != key_id:
        raise Damaged(
            f"{what}: its bytes have another hash than its name", hint="Restore it from a copy, or remove it."
        )
    return decode_key_file(data, what)
