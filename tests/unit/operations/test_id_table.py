"""A table of ids holds what a dict holds, in a third of the memory."""

from __future__ import annotations

import hashlib
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from argosy.operations.id_table import IdTable

IDS = st.binary(min_size=32, max_size=32) | st.integers(0, 20).map(lambda number: bytes([number]) * 32)


def identity(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


@given(st.lists(st.tuples(IDS, st.binary(min_size=3, max_size=3))))
def test_it_is_a_dict_whose_first_value_stays(pairs: list[tuple[bytes, bytes]]) -> None:
    table, model = IdTable(3), dict[bytes, bytes]()
    for key, value in pairs:
        assert table.add(key, value) is (key not in model)
        model.setdefault(key, value)
    assert dict(table) == model
    assert len(table) == len(model)
    for key, value in model.items():
        assert key in table
        assert table.get(key) == value
        assert table.all(key) == [value]
        assert table.starting_with(key[:8]) is not None


@given(st.lists(IDS), st.lists(IDS))
def test_it_tells_what_is_missing(there: list[bytes], asked: list[bytes]) -> None:
    table = IdTable()
    table.extend(there)
    assert table.missing(asked) == [key for key in asked if key not in there]


def test_it_keeps_everything_while_it_grows() -> None:
    table = IdTable(2)
    for number in range(30_000):
        table.add_again(identity(number), number.to_bytes(2, "big"))
    assert all(table.get(identity(number)) == number.to_bytes(2, "big") for number in range(30_000))
    assert table.get(identity(30_000)) is None
    assert len(table) == 30_000


def test_an_id_may_have_several_payloads() -> None:
    table = IdTable(1)
    for payload in (b"a", b"b", b"a"):
        table.add_again(identity(1), payload)
    assert table.all(identity(1)) == [b"a", b"b", b"a"]
    assert table.all(identity(2)) == []


def test_a_payload_can_be_replaced_during_a_walk() -> None:
    table = IdTable(1)
    for number in range(1000):
        table.add(identity(number), b"0")
    for key, _ in table:
        table.replace(key, b"1")
    assert {payload for _, payload in table} == {b"1"}
    assert len(table) == 1000


def test_bytes_across_two_records_are_no_id() -> None:
    """What lies half in one record and half in the next is not found."""
    table = IdTable()
    one, other = bytes(32), bytes(31) + b"\1"
    table.extend([one, other, one])
    assert bytes(30) + b"\1\0" not in table
    assert one in table


def test_an_id_takes_little_more_than_its_bytes() -> None:
    ids = [identity(number) for number in range(100_000)]
    tracemalloc.start()
    try:
        table = IdTable()
        table.extend(ids)
        assert tracemalloc.get_traced_memory()[0] < 45 * len(ids)
    finally:
        tracemalloc.stop()
    assert len(table) == len(ids)


def test_fresh_ids_are_told() -> None:
    table = IdTable(8)
    assert table.add_fresh(bytes(32) + b"\1" * 32 + bytes(32), b"parent 1") == bytes(32) + b"\1" * 32
    assert table.add_fresh(b"\1" * 32 + b"\2" * 32, b"parent 2") == b"\2" * 32
    assert (table.get(b"\1" * 32), table.get(b"\2" * 32)) == (b"parent 1", b"parent 2")
