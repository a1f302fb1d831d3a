"""What every store promises (argosy.storage.interface), held against each implementation.

The memory double is held to it as well: tests that use it in a store's place rely on that. rclone's S3 server
ignores conditions and answers ranges with the status of a whole object; SeaweedFS does neither.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy.errors import ArgosyError, Damaged, StorageDenied, StorageError, StorageExists, StorageNotFound
from argosy.storage.interface import ObjectInfo, Storage
from argosy.storage.limiter import LimitedStorage
from argosy.storage.open import StorageOptions, open_storage
from tests.support import servers
from tests.support.servers import SECRET_KEY, S3Server
from tests.support.storage_doubles import MemoryStorage

OpenAgain = Callable[[], Storage]

KINDS = [
    "local",
    "limited",
    "memory",
    pytest.param("seaweedfs", marks=pytest.mark.server),
    pytest.param("rclone", marks=pytest.mark.server),
]
END_OF_TIME_NS = 1 << 62
LAYOUT = ["config", "keys/k1", "data/ab/p1", "data/cd/p2", "data2/no", "snapshots/s1", "index/i1"]


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.seaweedfs(tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(params=KINDS)
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> OpenAgain:
    """Opens the same empty store each time it is called."""
    kind = request.param
    if kind == "memory":
        memory = MemoryStorage()
        return lambda: memory
    if kind == "local":
        return lambda: open_storage(str(tmp_path / "new" / "repository"))
    if kind == "limited":
        options = StorageOptions(limit_upload_bytes_per_second=1 << 40, limit_download_bytes_per_second=1 << 40)
        return lambda: open_storage(f"local:{tmp_path}", options)
    server: S3Server = request.getfixturevalue(kind)
    location = server.location(f"contract/{uuid.uuid4().hex}")
    return lambda: open_storage(location, server.options)


@pytest.fixture
def storage(open_again: OpenAgain) -> Iterator[Storage]:
    with contextlib.closing(open_again()) as opened:
        yield opened


def names(storage: Storage, prefix: str) -> list[str]:
    return sorted(info.name for info in storage.list(prefix))


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, (1 << 20) + 7])
def test_an_object_reads_back_as_it_was_put(storage: Storage, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    storage.put("data/ab/object", data)
    assert storage.get("data/ab/object") == data
    assert storage.size("data/ab/object") == size_bytes


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_put(storage: Storage, kind: Callable[[bytes], bytes]) -> None:
    storage.put("keys/one", kind(b"from a buffer"))
    storage.put("keys/two", kind(b"created"), create=True)
    assert storage.get("keys/one") == b"from a buffer"
    assert storage.get("keys/two") == b"created"


def test_a_part_of_a_buffer_can_be_put(storage: Storage) -> None:
    storage.put("keys/one", memoryview(bytearray(b"0123456789"))[2:5])
    assert storage.get("keys/one") == b"234"


def test_what_one_has_put_another_sees(storage: Storage, open_again: OpenAgain) -> None:
    storage.put("index/one", b"payload")
    with contextlib.closing(open_again()) as other:
        assert other.get("index/one") == b"payload"
        assert names(other, "index/") == ["index/one"]


def test_a_range_is_exact(storage: Storage) -> None:
    data = os.urandom(10_000)
    storage.put("data/ab/object", data)
    for offset, length in [(0, 10_000), (0, 1), (9_999, 1), (17, 4_321), (5, 0), (10_000, 0)]:
        assert storage.get_range("data/ab/object", offset, length) == data[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (9, 2), (10, 1), (50, 5)])
def test_a_range_beyond_the_end_is_damage(storage: Storage, offset: int, length: int) -> None:
    """Never fewer bytes than asked for: a reader must not take a torn object for a whole one."""
    storage.put("data/ab/torn", b"0123456789")
    with pytest.raises(Damaged, match="data/ab/torn"):
        storage.get_range("data/ab/torn", offset, length)


@pytest.mark.parametrize(
    "read",
    [
        lambda s: s.get("data/ab/none"),
        lambda s: s.size("data/ab/none"),
        lambda s: s.get_range("data/ab/none", 0, 1),
    ],
)
def test_a_missing_object_is_named(storage: Storage, read: Callable[[Storage], object]) -> None:
    storage.put("data/ab/other", b"x")
    with pytest.raises(StorageNotFound, match="data/ab/none"):
        read(storage)


def test_put_replaces(storage: Storage) -> None:
    storage.put("config", b"the first")
    assert storage.get_range("config", 0, 3) == b"the"
    storage.put("config", b"THE SECOND")
    assert storage.get("config") == b"THE SECOND"
    assert storage.get_range("config", 0, 3) == b"THE"
    assert storage.size("config") == 10


def test_create_keeps_what_is_there(storage: Storage) -> None:
    storage.put("locks/one", b"mine", create=True)
    for data in (b"yours", b"mine"):
        with pytest.raises(StorageExists, match="locks/one"):
            storage.put("locks/one", data, create=True)
    assert storage.get("locks/one") == b"mine"


def test_one_of_many_creators_wins(storage: Storage, request: pytest.FixtureRequest) -> None:
    if "rclone" in request.node.name:
        pytest.skip("this server ignores conditions: two creators at the same instant both win")

    def create(number: int) -> int | None:
        try:
            storage.put("config", b"%d" % number, create=True)
        except StorageExists:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(8)) if number is not None]
    assert len(winners) == 1
    assert storage.get("config") == b"%d" % winners[0]


@pytest.mark.parametrize("size_bytes", [0, 12_345, (20 << 20) + 1])
def test_a_file_is_put_whole(storage: Storage, tmp_path: Path, size_bytes: int) -> None:
    """Also one that an object store takes in parts."""
    source = tmp_path / "to be put"
    source.write_bytes(os.urandom(size_bytes))
    storage.put_file("data/ab/file", source)
    assert storage.get("data/ab/file") == source.read_bytes()
    assert storage.size("data/ab/file") == size_bytes


def test_a_file_that_cannot_be_read_is_named(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        storage.put_file("data/ab/file", tmp_path / "nowhere")
    assert names(storage, "data/") == []


def test_delete_removes(storage: Storage) -> None:
    storage.put("data/ab/object", b"x")
    assert storage.get_range("data/ab/object", 0, 1) == b"x"
    storage.delete("data/ab/object")
    assert names(storage, "data/") == []
    with pytest.raises(StorageNotFound):
        storage.get_range("data/ab/object", 0, 1)


def test_deleting_what_is_missing_is_fine(storage: Storage) -> None:
    storage.delete("locks/none")
    storage.put("locks/other", b"x")
    storage.delete("locks/none")
    assert names(storage, "locks/") == ["locks/other"]


def test_a_list_shows_all_below_its_prefix(storage: Storage) -> None:
    for size_bytes, name in enumerate(LAYOUT):
        storage.put(name, b"x" * size_bytes)
    assert names(storage, "") == sorted(LAYOUT)
    assert names(storage, "data/") == ["data/ab/p1", "data/cd/p2"]
    assert names(storage, "data/cd/") == ["data/cd/p2"]
    assert names(storage, "locks/") == []
    assert {info.name: info.size_bytes for info in storage.list("")} == {name: size for size, name in enumerate(LAYOUT)}


def test_a_list_of_an_empty_store_is_empty(storage: Storage) -> None:
    assert list(storage.list("")) == []
    assert list(storage.list("snapshots/")) == []


def test_a_long_list_is_complete(storage: Storage) -> None:
    """Longer than the page of an object store's answer."""
    expected = [f"data/{number % 7:02x}/{number:04d}" for number in range(1_200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put(name, b"x"), expected))
    assert names(storage, "data/") == sorted(expected)


def test_objects_may_be_deleted_while_they_are_listed(storage: Storage) -> None:
    expected = [f"locks/{number:02d}" for number in range(20)]
    for name in expected:
        storage.put(name, b"x")
    seen = []
    for info in storage.list("locks/"):
        seen.append(info.name)
        storage.delete(info.name)
    assert sorted(seen) == expected
    assert names(storage, "locks/") == []


def test_what_a_killed_writer_left_is_told_apart_from_objects_and_can_be_deleted(storage: Storage) -> None:
    """In a directory it is a file beside the object's; elsewhere an upload that is cut off leaves nothing."""
    assert list(storage.unfinished(END_OF_TIME_NS)) == []
    whole = ["config", f"data/ab/{'ab' * 32}", f"locks/{'cd' * 32}"]
    for name in whole:
        storage.put(name, b"whole")
    assert list(storage.unfinished(END_OF_TIME_NS)) == []
    left = ObjectInfo(f"{whole[1]}-tmp-2719", 4)
    if storage.is_local:
        Path(storage.location, left.name).write_bytes(b"half")
    assert list(storage.unfinished(END_OF_TIME_NS)) == ([left] if storage.is_local else [])
    assert list(storage.unfinished(0)) == []
    storage.delete(left.name)
    assert list(storage.unfinished(END_OF_TIME_NS)) == []
    assert names(storage, "") == whole


def test_threads_share_a_store(storage: Storage) -> None:
    def work(number: int) -> bool:
        name, data = f"data/{number % 4:02x}/{number}", os.urandom(2_000 + number)
        storage.put(name, data)
        same = storage.get(name) == data and storage.get_range(name, 100, 500) == data[100:600]
        if number % 3 == 0:
            storage.delete(name)
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))
    assert len(names(storage, "data/")) == 40


def test_a_reader_never_sees_a_half_replaced_object(storage: Storage) -> None:
    versions = [bytes([number]) * 50_000 for number in range(6)]
    storage.put("config", versions[0])

    def write_all() -> None:
        for version in versions:
            storage.put("config", version)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write_all)
        while not writing.done():
            assert storage.get("config") in versions
        writing.result()
    assert storage.get("config") == versions[-1]


def test_the_location_holds_no_secret(storage: Storage) -> None:
    assert storage.location
    assert SECRET_KEY not in storage.location
    assert SECRET_KEY not in repr(storage)
    with pytest.raises(ArgosyError) as caught:
        storage.get("config")
    assert SECRET_KEY not in caught.value.message + caught.value.hint


def test_a_local_path_holds_the_object(storage: Storage) -> None:
    """Where a store gives a path, the object can be read there."""
    storage.put("data/ab/object", b"here")
    path = storage.local_path("data/ab/object")
    if isinstance(storage, LimitedStorage) or not storage.is_local:
        assert path is None
    else:
        assert path is not None
        assert path.read_bytes() == b"here"


def test_close_may_be_called_twice(storage: Storage) -> None:
    storage.put("config", b"x")
    storage.close()
    storage.close()


@pytest.fixture(params=["seaweedfs", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    started: S3Server = request.getfixturevalue(request.param)
    return started


@pytest.mark.server
@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_told(server: S3Server, wrong: str) -> None:
    options = StorageOptions(credentials={**server.credentials, wrong: "mistyped"})
    storage = open_storage(server.location("denied"), options)
    for call in (
        lambda: storage.get("config"),
        lambda: storage.put("config", b"x"),
        lambda: storage.put("config", b"x", create=True),
        lambda: storage.size("config"),
        lambda: storage.delete("config"),
        lambda: list(storage.list("")),
    ):
        with pytest.raises(StorageDenied) as caught:
            call()
        assert "credentials" in caught.value.hint
        assert "mistyped" not in caught.value.message


@pytest.mark.server
def test_a_missing_bucket_is_told(server: S3Server) -> None:
    storage = open_storage(f"s3:{server.endpoint}/no-such-bucket/pre", server.options)
    for call in (
        lambda: storage.get("config"),
        lambda: storage.put("config", b"x"),
        lambda: storage.put("config", b"x", create=True),
        lambda: list(storage.list("")),
    ):
        with pytest.raises(StorageNotFound, match="no bucket no-such-bucket") as caught:
            call()
        assert caught.value.hint
