"""Batches under suspicion: what takes their place, in one transaction, and what is named in the end."""

from __future__ import annotations

import pytest

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import DirectoryPart
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.archiver.results import Results
from argosy.archiver.suspects import MOST_FAILURES, MOST_IN_A_ROW, Suspects
from argosy.errors import EngineError
from argosy.filesystem.directory import Entry
from argosy.state.frontier import ScanDirectory
from argosy.state.queue import Batch
from tests.unit.archiver.conftest import DEVICE, DIRECTORY, listed, nodes_of, pending, prefix_of, stat_of, taken


@pytest.fixture
def suspects(ledger: Ledger) -> Suspects:
    return Suspects(ledger, Results(ledger, lambda *_: None))


def seal(ledger: Ledger, directory: ScanDirectory, *names: bytes, whole: bool = False) -> None:
    """One batch, which ends its directory."""
    prefix = prefix_of(Entry(directory.name, stat_of(DIRECTORY)))
    part = DirectoryPart(directory.id, directory.parent_id, directory.name, directory.path, prefix, DEVICE, whole=whole)
    batch = OpenBatch(BatchLimits())
    batch.parts.append(part)
    for name in names:
        batch.add(part, Entry(name, stat_of()))
    batch.ended.append(directory)
    ledger.seal(batch, None)


def lose(ledger: Ledger) -> Batch:
    """A worker takes the next batch and dies of it."""
    ledger.job.commit()
    leased = ledger.queue.lease()
    assert leased is not None
    batch = leased[0]
    ledger.queue.taken(batch.seq, batch.attempt, "member", batch.attempt)
    given_back = ledger.queue.give_back(batch.seq, batch.attempt, suspect=True)
    assert given_back is batch
    return batch


def test_a_whole_directory_that_is_cut_is_joined_by_the_master(ledger: Ledger, suspects: Suspects) -> None:
    """Its assembly waits for both halves; a late result of the batch itself is not taken."""
    directory = taken(ledger, b"d")
    seal(ledger, directory, b"a", b"b", b"c", whole=True)
    batch = lose(ledger)
    suspects.narrow(batch, "why")
    assert pending(ledger, directory.id) == 2
    assert not ledger.queue.complete(batch.seq, batch.attempt)
    assert (ledger.queue.unfinished, ledger.queue.remaining_bytes()) == (2, 9)
    assert lose(ledger).seq == batch.seq + 1


def test_one_entry_is_set_aside_and_its_directory_goes_on(ledger: Ledger, suspects: Suspects) -> None:
    directory = listed(ledger, b"d")
    seal(ledger, directory, b"a")
    suspects.narrow(lose(ledger), "it was killed; its last lines:\nmore")
    ledger.job.commit()
    ((path, reason),) = ledger.reports.unread_entries()
    assert path == b"/source/d/a"
    assert reason == "set aside, since every attempt to read it failed: it was killed"
    assert ledger.state.counters["unread"] == 1
    assert nodes_of(ledger, directory.id) == {}
    assert list(ledger.assemblies.ready) == [directory.id]
    assert ledger.queue.unfinished == 0


@pytest.mark.parametrize("names", [(), (b"a",)])
def test_a_whole_directory_with_nothing_left(ledger: Ledger, suspects: Suspects, names: tuple[bytes, ...]) -> None:
    """Without its only entry it is empty; one that was empty is itself what could not be read."""
    directory = taken(ledger, b"d")
    seal(ledger, directory, *names, whole=True)
    suspects.narrow(lose(ledger), "why")
    ledger.job.commit()
    assert [path for path, _ in ledger.reports.unread_entries()] == [b"/source/d/a" if names else b"/source/d"]
    assert (ledger.assemblies.find(directory.id) is not None) == bool(names)
    assert pending(ledger, 1) == (2 if names else 1)


def test_a_half_is_cut_at_the_next_loss_but_one_entry_is_tried_again(ledger: Ledger, suspects: Suspects) -> None:
    seal(ledger, listed(ledger, b"d"), b"a", b"b", b"c")
    suspects.narrow(lose(ledger), "why")
    assert [lose(ledger).suspicions for _ in range(2)] == [2, 3]
    ledger.queue.complete(2, 2)
    assert lose(ledger).suspicions == MOST_FAILURES


def test_when_nothing_else_happens_the_files_are_not_to_blame(ledger: Ledger, suspects: Suspects) -> None:
    """A completed batch shows that workers can work."""
    seal(ledger, listed(ledger, b"d"), *[b"%03d" % number for number in range(200)])
    for _ in range(MOST_IN_A_ROW):
        suspects.narrow(lose(ledger), "why")
    suspects.completed()
    suspects.narrow(lose(ledger), "why")
    for _ in range(MOST_IN_A_ROW - 1):
        suspects.narrow(lose(ledger), "why")
    with pytest.raises(EngineError, match="none is completed: why"):
        suspects.narrow(lose(ledger), "why")
