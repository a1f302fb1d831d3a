"""`argosy key`: the passwords of a repository. Each key file opens the same master key with another password."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import ArgosyError, Damaged, RepositoryError, StorageNotFound, WrongPassword
from argosy.operations.file_ids import find_id
from argosy.operations.key_files import load_key_file
from argosy.operations.session import Access, Session, open_session
from argosy.repository.keys import StoredKey, add_key, remove_key
from argosy.repository.layout import FileKind


class KeyListResult(msgspec.Struct, frozen=True):
    """Key files, oldest first, the id of the one that opened the repository, and those that cannot be read."""

    keys: Sequence[StoredKey]
    current: bytes
    damaged: Sequence[Damaged] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 if a key file cannot be read."""
        return 1 if self.damaged else 0


class NewKey(msgspec.Struct, frozen=True):
    """A key to be made. ``password`` is asked for once the repository is open and locked.

    ``username`` and ``hostname`` are notes for whoever lists the keys; empty: of this process.
    """

    password: Callable[[], bytes]
    username: str = ""
    hostname: str = ""


def run_key_list(access: Access) -> KeyListResult:
    """List the key files."""
    keys: list[StoredKey] = []
    unreadable: list[Damaged] = []
    with open_session(access) as session:
        repository = session.repository
        for key_id in repository.list_ids(FileKind.KEY):
            try:
                keys.append(StoredKey(key_id, load_key_file(repository.storage, key_id)))
            except StorageNotFound:
                continue  # removed since the listing
            except Damaged as error:
                unreadable.append(error)
    keys.sort(key=lambda key: (key.file.created, key.id))
    return KeyListResult(keys, repository.key_id, unreadable)


def run_key_add(access: Access, new: NewKey) -> bytes:
    """Add a key; returns its id."""
    with open_session(access) as session:
        return _add(session, new)


def run_key_passwd(access: Access, new: NewKey) -> bytes:
    """Add a key and remove the one that opened the repository; returns the new one's id."""
    with open_session(access, exclusive=True) as session:
        key_id = _add(session, new)
        # Safe to die here: two keys open the repository, and the new password is one of them.
        _check_lock(session)
        remove_key(session.storage, session.repository.key_id, in_use=key_id)
        return key_id


def run_key_remove(access: Access, start: str) -> bytes:
    """Remove the key whose id starts so; returns its id. UsageError for the one that opened the repository."""
    with open_session(access, exclusive=True) as session:
        repository = session.repository
        key_id = find_id(repository, FileKind.KEY, start)
        if key_id not in repository.list_ids(FileKind.KEY):
            raise StorageNotFound(f"there is no key {key_id.hex()}", hint="`argosy key list` lists all of them.")
        _check_lock(session)
        remove_key(session.storage, key_id, in_use=repository.key_id)
        return key_id


def _add(session: Session, new: NewKey) -> bytes:
    password = new.password()
    _check_lock(session)
    storage, master = session.storage, session.repository.key
    key_id = add_key(storage, master, password, username=new.username, hostname=new.hostname)
    # A key that does not open would lock its owner out once the old one is gone: it is read back and tried.
    try:
        opened = load_key_file(storage, key_id).unlock(password, f"key {key_id.hex()[:8]}") == master
    except (Damaged, WrongPassword, StorageNotFound):
        opened = False
    if not opened:
        storage_trouble = _remove_broken(session, key_id)
        raise RepositoryError(
            f"the new key {key_id.hex()[:8]} does not open the repository{storage_trouble}",
            hint="The old passwords still do. Test this machine's memory and the store, then try again.",
        )
    return key_id


def _remove_broken(session: Session, key_id: bytes) -> str:
    """Remove a key that does not open; returns what there is to say about it."""
    try:
        session.repository.delete(FileKind.KEY, key_id)
    except ArgosyError as error:
        return f", and could not be removed ({error.message})"
    return " and was removed"


def _check_lock(session: Session) -> None:
    if session.lock is not None:
        session.lock.check()
