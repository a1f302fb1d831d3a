"""Passwords: which key opens, how many are tried, what a wrong one or a damaged file says."""

from __future__ import annotations

import pytest

from argosy.errors import Damaged, UsageError, WrongPassword
from argosy.repository.keys import (
    MAX_KEYS_TRIED,
    ScryptNumbers,
    add_key,
    calibrated_scrypt,
    list_keys,
    open_with_password,
    remove_key,
)
from argosy.repository.layout import FileKind, object_name
from argosy.restic_format.crypto import MasterKey
from tests.support.storage_doubles import MemoryStorage

CHEAP = ScryptNumbers(n=16, r=1, p=1)


def put_key(storage: MemoryStorage, key: MasterKey, password: bytes) -> bytes:
    return add_key(storage, key, password, scrypt=CHEAP)


def test_each_password_opens_the_same_key(storage: MemoryStorage, key: MasterKey) -> None:
    first, second = put_key(storage, key, b"one"), put_key(storage, key, b"two")
    assert open_with_password(storage, b"one") == (first, key)
    assert open_with_password(storage, b"two") == (second, key)


def test_a_wrong_password_says_where_and_shows_no_password(storage: MemoryStorage, key: MasterKey) -> None:
    put_key(storage, key, b"one")
    with pytest.raises(WrongPassword, match="memory:") as caught:
        open_with_password(storage, b"a typing error")
    assert caught.value.exit_code == 12
    assert "typing" not in str(caught.value) + caught.value.hint


def test_no_more_than_twenty_keys_are_tried(storage: MemoryStorage, key: MasterKey) -> None:
    ids = sorted(put_key(storage, key, b"theirs") for _ in range(MAX_KEYS_TRIED))
    # Keys are tried in the order of their ids: ours must come last.
    while (ours := put_key(storage, key, b"ours")) < ids[-1]:
        remove_key(storage, ours, in_use=ids[0])
    with pytest.raises(WrongPassword) as caught:
        open_with_password(storage, b"ours")
    assert "--key-hint" in caught.value.hint
    assert open_with_password(storage, b"ours", ours.hex()[:8]) == (ours, key)


def test_a_hint_that_fits_no_key_does_no_harm(storage: MemoryStorage, key: MasterKey) -> None:
    only = put_key(storage, key, b"one")
    assert open_with_password(storage, b"one", "ffff") == (only, key)


def test_a_damaged_key_does_not_hide_a_good_one(storage: MemoryStorage, key: MasterKey) -> None:
    damaged, good = sorted((put_key(storage, key, b"one"), put_key(storage, key, b"one")))
    name = object_name(FileKind.KEY, damaged)
    storage.objects[name] = storage.objects[name][:-10]
    assert open_with_password(storage, b"one") == (good, key)
    del storage.objects[object_name(FileKind.KEY, good)]
    with pytest.raises(Damaged, match=damaged.hex()[:8]):
        open_with_password(storage, b"one")
    with pytest.raises(Damaged, match=damaged.hex()[:8]):
        list_keys(storage)


def test_a_repository_without_keys_says_so(storage: MemoryStorage) -> None:
    with pytest.raises(Damaged, match="no key files"):
        open_with_password(storage, b"one")


def test_keys_are_listed_oldest_first_with_their_notes(storage: MemoryStorage, key: MasterKey) -> None:
    first = put_key(storage, key, b"one")
    second = add_key(storage, key, b"two", username="backup", hostname="nas", scrypt=CHEAP)
    assert [stored.id for stored in list_keys(storage)] == [first, second]
    last = list_keys(storage)[1].file
    assert (last.username, last.hostname, last.n) == ("backup", "nas", 16)


def test_the_key_in_use_is_not_removed(storage: MemoryStorage, key: MasterKey) -> None:
    first, second = put_key(storage, key, b"one"), put_key(storage, key, b"two")
    with pytest.raises(UsageError, match=first.hex()[:8]):
        remove_key(storage, first, in_use=first)
    remove_key(storage, second, in_use=first)
    assert [stored.id for stored in list_keys(storage)] == [first]


@pytest.mark.parametrize(("round_seconds", "rounds"), [(0.02, 5), (0.07, 1), (3.0, 1)])
def test_a_new_key_costs_what_was_aimed_at_and_never_less_than_restics(round_seconds: float, rounds: int) -> None:
    times = iter((0.0, round_seconds))
    assert calibrated_scrypt(0.1, lambda: next(times)) == ScryptNumbers(32768, 8, rounds)
