"""Making and opening a repository, and its unpacked files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import (
    Damaged,
    RepositoryExists,
    RepositoryMissing,
    StorageExists,
    StorageNotFound,
    WrongPassword,
)
from argosy.repository.cache import SealedCache
from argosy.repository.keys import ScryptNumbers
from argosy.repository.layout import FileKind, object_name
from argosy.repository.repository import Repository, init_repository, open_repository
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.interface import Buffer
from tests.support.storage_doubles import Died, DyingBeforePut, MemoryStorage
from tests.unit.repository.conftest import Filler

CHEAP = ScryptNumbers(n=16, r=1, p=1)
PASSWORD = b"correct horse"


def test_what_is_made_can_be_opened(storage: MemoryStorage) -> None:
    made = init_repository(storage, PASSWORD, scrypt=CHEAP)
    opened = open_repository(storage, PASSWORD)
    assert (opened.id, opened.polynomial, opened.key) == (made.id, made.polynomial, made.key)
    assert opened.key_id == made.key_id
    assert len(opened.id) == 64
    assert set(storage.objects) == {"config", object_name(FileKind.KEY, made.key_id)}


def test_two_repositories_have_nothing_in_common(storage: MemoryStorage) -> None:
    one = init_repository(storage, PASSWORD, scrypt=CHEAP)
    two = init_repository(MemoryStorage(), PASSWORD, scrypt=CHEAP)
    assert one.id != two.id
    assert one.key != two.key
    assert one.polynomial != two.polynomial


def test_the_chunker_polynomial_may_be_taken_from_another(storage: MemoryStorage) -> None:
    one = init_repository(storage, PASSWORD, scrypt=CHEAP)
    two = init_repository(MemoryStorage(), PASSWORD, scrypt=CHEAP, polynomial=one.polynomial)
    assert open_repository(two.storage, PASSWORD).polynomial == one.polynomial


def test_no_repository_has_its_own_exit_code(storage: MemoryStorage) -> None:
    with pytest.raises(RepositoryMissing, match="memory:") as caught:
        open_repository(storage, PASSWORD)
    assert caught.value.exit_code == 10
    assert "init" in caught.value.hint


def test_a_wrong_password_has_its_own_exit_code(storage: MemoryStorage) -> None:
    init_repository(storage, PASSWORD, scrypt=CHEAP)
    with pytest.raises(WrongPassword) as caught:
        open_repository(storage, b"wrong")
    assert caught.value.exit_code == 12


def test_a_repository_is_never_made_over_another(storage: MemoryStorage) -> None:
    init_repository(storage, PASSWORD, scrypt=CHEAP)
    before = dict(storage.objects)
    with pytest.raises(RepositoryExists):
        init_repository(storage, PASSWORD, scrypt=CHEAP)
    del storage.objects["config"]
    with pytest.raises(RepositoryExists, match="keys/"):
        init_repository(storage, PASSWORD, scrypt=CHEAP)
    assert storage.objects.items() <= before.items()


def test_the_slower_of_two_inits_leaves_nothing_behind() -> None:
    class Racing(MemoryStorage):
        """Another init stores its config while ours stores its key."""

        def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
            super().put(name, data, create=create)
            self.objects["config"] = b"theirs"

    storage = Racing()
    with pytest.raises(RepositoryExists):
        init_repository(storage, PASSWORD, scrypt=CHEAP)
    assert storage.objects == {"config": b"theirs"}


def test_the_slower_of_two_inits_is_found_out_where_create_is_ignored() -> None:
    class Careless(MemoryStorage):
        """Lets both create the config; theirs comes last."""

        def put(self, name: str, data: Buffer, *, create: bool = False) -> None:
            del create
            super().put(name, b"theirs" if name == "config" else data)

    storage = Careless()
    with pytest.raises(RepositoryExists):
        init_repository(storage, PASSWORD, scrypt=CHEAP)
    assert storage.objects == {"config": b"theirs"}


def test_an_init_that_died_before_its_config_made_no_repository() -> None:
    storage = DyingBeforePut(2)
    with pytest.raises(Died):
        init_repository(storage, PASSWORD, scrypt=CHEAP)
    with pytest.raises(RepositoryMissing):
        open_repository(storage, PASSWORD)
    with pytest.raises(RepositoryExists) as caught:
        init_repository(storage, PASSWORD, scrypt=CHEAP)
    assert "remove keys/" in caught.value.hint


def test_a_config_of_another_key_is_damage(storage: MemoryStorage) -> None:
    other = MemoryStorage()
    init_repository(storage, PASSWORD, scrypt=CHEAP)
    init_repository(other, PASSWORD, scrypt=CHEAP)
    storage.objects["config"] = other.objects["config"]
    with pytest.raises(Damaged, match="config"):
        open_repository(storage, PASSWORD)


def test_a_worker_needs_no_password(repository: Repository) -> None:
    saved = repository.save_unpacked(FileKind.INDEX, b"{}")
    granted = Repository.from_grant(repository.storage, repository.key, repository.config)
    assert granted.load_unpacked(FileKind.INDEX, saved) == b"{}"


def test_nothing_secret_shows_in_its_repr(repository: Repository) -> None:
    text = repr(repository) + repr(repository.key) + repr(vars(repository))
    assert repository.id[:8] in text
    for secret in (repository.key.encrypt, repository.key.mac_k, repository.key.mac_r):
        assert repr(secret) not in text
        assert secret.hex() not in text


def test_an_unpacked_file_comes_back_and_is_named_by_its_stored_bytes(
    repository: Repository, storage: MemoryStorage
) -> None:
    identity = repository.save_unpacked(FileKind.SNAPSHOT, b'{"a":1}')
    assert repository.load_unpacked(FileKind.SNAPSHOT, identity) == b'{"a":1}'
    assert repository.list_ids(FileKind.SNAPSHOT) == [identity]
    assert b'{"a":1}' not in storage.objects[object_name(FileKind.SNAPSHOT, identity)]
    repository.delete(FileKind.SNAPSHOT, identity)
    repository.delete(FileKind.SNAPSHOT, identity)
    with pytest.raises(StorageNotFound):
        repository.load_unpacked(FileKind.SNAPSHOT, identity)


def test_a_sealed_file_may_be_put_again(repository: Repository) -> None:
    """A resumed job puts the snapshot that it had sealed before it died (R6)."""
    identity, sealed = repository.seal_unpacked(b"{}")
    repository.put_sealed(FileKind.SNAPSHOT, identity, sealed)
    repository.put_sealed(FileKind.SNAPSHOT, identity, sealed)
    assert repository.list_ids(FileKind.SNAPSHOT) == [identity]
    with pytest.raises(StorageExists):
        repository.storage.put(object_name(FileKind.SNAPSHOT, identity), sealed, create=True)


def test_foreign_files_are_skipped(repository: Repository, storage: MemoryStorage) -> None:
    identity = repository.save_unpacked(FileKind.INDEX, b"{}")
    for name in ("index/README", "index/abcd", f"index/{identity.hex().upper()}", "index/.DS_Store"):
        storage.objects[name] = b"?"
    assert repository.list_ids(FileKind.INDEX) == [identity]


def test_changed_bytes_are_damage_that_names_the_file(repository: Repository, storage: MemoryStorage) -> None:
    identity = repository.save_unpacked(FileKind.INDEX, b"{}")
    storage.objects[object_name(FileKind.INDEX, identity)] += b"x"
    with pytest.raises(Damaged, match=f"index {identity.hex()}"):
        repository.load_unpacked(FileKind.INDEX, identity)


def test_a_fault_on_the_way_is_overcome_by_reading_again(key: MasterKey) -> None:
    class OnceFlipping(MemoryStorage):
        reads = 0

        def get(self, name: str) -> bytes:
            self.reads += 1
            data = super().get(name)
            return data if self.reads > 1 else data[:-1] + bytes([data[-1] ^ 1])

    storage = OnceFlipping()
    repository = Repository(storage, key, make_config(os.urandom))
    identity = repository.save_unpacked(FileKind.INDEX, b"{}")
    assert repository.load_unpacked(FileKind.INDEX, identity) == b"{}"
    assert storage.reads == 2


def test_snapshots_are_read_from_the_cache_and_damaged_copies_from_the_store(
    repository: Repository, storage: MemoryStorage, tmp_path: Path
) -> None:
    cache = SealedCache(tmp_path)
    repository.use_cache(cache)
    identity = repository.save_unpacked(FileKind.SNAPSHOT, b"{}")
    name = object_name(FileKind.SNAPSHOT, identity)
    repository.load_unpacked(FileKind.SNAPSHOT, identity)
    stored = storage.objects.pop(name)
    assert repository.load_unpacked(FileKind.SNAPSHOT, identity) == b"{}"
    cache.put(name, b"damaged")
    storage.objects[name] = stored
    assert repository.load_unpacked(FileKind.SNAPSHOT, identity) == b"{}"
    assert cache.get(name) == stored
    del storage.objects[name]
    assert repository.list_ids(FileKind.SNAPSHOT) == []
    assert cache.get(name) is None


@pytest.mark.parametrize("blobs", [1, 1000])
def test_a_pack_header_is_read_from_its_end(repository: Repository, filler: Filler, blobs: int) -> None:
    filler.store(number.to_bytes(4, "big") for number in range(blobs))
    ((pack_id, size_bytes),) = repository.list_files(FileKind.PACK)
    assert len(repository.load_pack_header(pack_id, size_bytes)) == blobs
    with pytest.raises(Damaged, match=pack_id.hex()):
        repository.load_pack_header(pack_id, size_bytes - 1)


def test_a_pack_with_bytes_that_its_header_does_not_name_is_damaged(
    repository: Repository, storage: MemoryStorage, filler: Filler
) -> None:
    filler.store([b"content"])
    ((pack_id, size_bytes),) = repository.list_files(FileKind.PACK)
    name = object_name(FileKind.PACK, pack_id)
    storage.objects[name] = b"x" + storage.objects[name]
    with pytest.raises(Damaged, match="do not fill"):
        repository.load_pack_header(pack_id, size_bytes + 1)
    with pytest.raises(Damaged, match="another hash"):
        repository.load_raw_pack(pack_id)
