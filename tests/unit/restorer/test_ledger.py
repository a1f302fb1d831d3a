"""Directories that wait for what is in them."""

from __future__ import annotations

from argosy.restorer.ledger import Ledger, LedgerEntry


def finishing() -> tuple[Ledger, list[bytes]]:
    finished: list[bytes] = []
    return Ledger(lambda entry: finished.append(entry.path)), finished


def begin(ledger: Ledger, parent: LedgerEntry | None, path: bytes) -> LedgerEntry:
    if parent is not None:
        parent.awaited += 1
    return ledger.begin(parent, path, b"node")


def test_children_are_finished_before_their_parents() -> None:
    ledger, finished = finishing()
    root = begin(ledger, None, b"")
    a = begin(ledger, root, b"a")
    b = begin(ledger, a, b"a/b")
    for entry in (root, a, b):
        ledger.touch(entry)
        ledger.walked(entry) if entry is not b else None
    assert finished == []
    b.awaited += 2
    ledger.walked(b)
    ledger.settle(ledger.entry(b.number))
    assert finished == []
    ledger.settle(b)
    assert finished == [b"a/b", b"a", b""]
    assert len(ledger) == 0


def test_only_what_is_touched_is_finished_and_counted() -> None:
    """A directory with something restored in it touches all above it; the target itself is not counted."""
    ledger, finished = finishing()
    root = begin(ledger, None, b"")
    empty, above = begin(ledger, root, b"empty"), begin(ledger, root, b"above")
    below = begin(ledger, above, b"above/below")
    ledger.touch(below)
    ledger.touch(below)
    for entry in (root, empty, above, below):
        ledger.walked(entry)
    assert finished == [b"above/below", b"above", b""]
    assert ledger.touched == 2


def test_what_is_broken_or_over_is_not_finished() -> None:
    ledger, finished = finishing()
    root = begin(ledger, None, b"")
    broken, over = begin(ledger, root, b"broken"), begin(ledger, root, b"over")
    inside = begin(ledger, broken, b"broken/inside")
    for entry in (inside, over):
        ledger.touch(entry)
    assert ledger.break_off(b"broken")
    assert not ledger.break_off(b"broken")
    assert not ledger.break_off(b"broken/inside")
    assert not ledger.break_off(b"unheard of")
    assert inside.lost
    over.over = True
    for entry in (root, broken, over, inside):
        ledger.walked(entry)
    assert finished == [b""]
