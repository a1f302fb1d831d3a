"""The doubles do the damage that their names say: a test that relies on one could not fail otherwise."""

from __future__ import annotations

import threading

import pytest

from argosy.errors import StorageDenied, StorageFull, StorageNotFound, StorageUnavailable
from tests.support import storage_doubles as doubles


def test_a_full_store_refuses_what_does_not_fit() -> None:
    storage = doubles.FullStorage(10)
    storage.put("one", bytes(6))
    with pytest.raises(StorageFull):
        storage.put("two", bytes(5))
    storage.put("one", bytes(10))
    assert set(storage.objects) == {"one"}


def test_a_truncating_store_loses_the_end_of_packs() -> None:
    storage = doubles.TruncatingStorage()
    storage.put("data/ab/x", b"12345")
    storage.put("config", b"12345")
    assert (storage.get("data/ab/x"), storage.get("config")) == (b"1234", b"12345")


def test_a_flipping_store_changes_one_bit_of_packs() -> None:
    storage = doubles.FlippingStorage()
    storage.put("data/ab/x", b"\0\0\0")
    storage.put("config", b"\0\0\0")
    assert storage.get("data/ab/x") == storage.get_range("data/ab/x", 0, 3) == b"\0\1\0"
    assert storage.get("config") == b"\0\0\0"


def test_a_store_that_loses_writes_says_nothing() -> None:
    storage = doubles.LostWritesStorage()
    storage.put("data/ab/x", b"x")
    storage.put("config", b"x")
    with pytest.raises(StorageNotFound):
        storage.get("data/ab/x")
    assert [info.name for info in storage.list("")] == ["config"]


def test_a_read_only_store_refuses_changes() -> None:
    storage = doubles.ReadOnlyStorage()
    storage.objects["config"] = b"x"
    with pytest.raises(StorageDenied):
        storage.put("data/ab/x", b"x")
    with pytest.raises(StorageDenied):
        storage.delete("config")
    assert storage.get("config") == b"x"


def test_an_append_only_store_refuses_to_delete_all_but_locks() -> None:
    storage = doubles.AppendOnlyStorage()
    storage.put("data/ab/x", b"x")
    storage.put("locks/x", b"x")
    storage.delete("locks/x")
    with pytest.raises(StorageDenied):
        storage.delete("data/ab/x")
    assert set(storage.objects) == {"data/ab/x"}


def test_an_unavailable_store_answers_again_later() -> None:
    storage = doubles.UnavailableStorage()
    storage.put("config", b"x")
    storage.down = True
    for call in (
        lambda: storage.get("config"),
        lambda: storage.size("config"),
        lambda: storage.put("config", b"y"),
        lambda: storage.delete("config"),
        lambda: list(storage.list("")),
    ):
        with pytest.raises(StorageUnavailable):
            call()
    storage.down = False
    assert storage.get("config") == b"x"


@pytest.mark.parametrize(
    ("kind", "stored"), [(doubles.DyingBeforePut, 1), (doubles.DyingAfterPut, 2)], ids=["before", "after"]
)
def test_a_process_dies_at_the_put_that_was_named(kind: type[doubles.DyingBeforePut], stored: int) -> None:
    storage = kind(2, prefix="data/")
    storage.put("data/ab/1", b"x")
    storage.put("config", b"x")
    with pytest.raises(doubles.Died, match="data/ab/2"):
        storage.put("data/ab/2", b"x")
    assert sum(name.startswith("data/") for name in storage.objects) == stored
    storage.put("data/ab/3", b"x")  # the next process


def test_a_stale_list_shows_what_was() -> None:
    storage = doubles.StaleListStorage()
    storage.put("one", b"x")
    storage.settle()
    storage.put("two", b"x")
    assert [info.name for info in storage.list("")] == ["one"]
    assert storage.get("two") == b"x"


def test_a_gate_holds_puts_back() -> None:
    storage = doubles.GatedStorage()
    storage.put("config", b"x")
    thread = threading.Thread(target=storage.put, args=("data/ab/x", b"x"))
    thread.start()
    storage.arrived.acquire()
    assert set(storage.objects) == {"config"}
    storage.gate.set()
    thread.join()
    assert set(storage.objects) == {"config", "data/ab/x"}


def test_calls_are_recorded_in_order() -> None:
    storage = doubles.RecordingStorage()
    storage.put("a", b"xyz", create=True)
    storage.put("b", b"x")
    storage.get("a")
    storage.get_range("a", 1, 1)
    list(storage.list("x/"))
    storage.delete("a")
    assert storage.calls == [
        ("create", "a"),
        ("put", "b"),
        ("get", "a"),
        ("get_range", "a"),
        ("list", "x/"),
        ("delete", "a"),
    ]
