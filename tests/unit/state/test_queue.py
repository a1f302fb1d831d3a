"""The global queue: lowest first, durable before it is handed out, one attempt accepted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from argosy.state import queue as queue_module
from argosy.state.job_database import JobDatabase
from argosy.state.queue import MOST_RUNS, BatchQueue
from tests.unit.state.conftest import JobFile

CommitWhile = Callable[[Callable[[], None]], None]


@pytest.fixture
def queue(job: JobDatabase) -> BatchQueue:
    return BatchQueue(job)


def lease(queue: BatchQueue) -> tuple[int, int, bytes]:
    """(number, attempt, payload)"""
    leased = queue.lease()
    assert leased is not None
    batch, payload = leased
    return batch.seq, batch.attempt, payload


def reloaded(file: JobFile) -> BatchQueue:
    """After a crash, and the commit that makes the new run durable."""
    queue = BatchQueue(file.crash())
    queue.load()
    assert queue.lease() is None, "an attempt of this run might have been handed out by a run that left no trace"
    file.job.commit()
    return queue


def test_a_batch_is_handed_out_only_once_it_is_durable(
    queue: BatchQueue, file: JobFile, commit_while: CommitWhile
) -> None:
    assert queue.enqueue(b"one", 1, 10) == 1
    assert queue.lease() is None
    assert queue.waiting == 1
    commit_while(lambda: [queue.lease(), queue.enqueue(b"two", 1, 10)].clear())
    assert lease(queue) == (1, 1, b"one")
    assert queue.lease() is None
    file.job.commit()
    assert lease(queue) == (2, 1, b"two")


def test_the_lowest_number_is_handed_out_first(queue: BatchQueue, job: JobDatabase) -> None:
    for number in range(1, 5):
        queue.enqueue(b"%d" % number, 1, 10)
    job.commit()
    first = lease(queue)
    assert first[0] == 1
    assert lease(queue)[0] == 2
    queue.give_back(first[0], first[1], failed=False)
    assert [lease(queue)[:2] for _ in range(3)] == [(1, 2), (3, 1), (4, 1)]


def test_completion_is_a_compare_and_set(queue: BatchQueue, file: JobFile) -> None:
    queue.enqueue(b"one", 1, 10)
    file.job.commit()
    number, attempt, _ = lease(queue)
    queue.give_back(number, attempt, failed=False)
    lease(queue)
    assert not queue.complete(number, attempt)
    assert queue.complete(number, attempt + 1)
    assert not queue.complete(number, attempt + 1)
    assert not queue.complete(99, 1)
    file.job.commit()
    assert file.rows("batches") == []
    assert (queue.unfinished, queue.waiting) == (0, 0)


def test_a_lost_workers_result_that_comes_after_all_is_accepted(queue: BatchQueue, job: JobDatabase) -> None:
    """As long as nobody else has the batch; and then it is handed out no more."""
    for payload in (b"one", b"two", b"three"):
        queue.enqueue(payload, 1, 10)
    job.commit()
    attempts = [lease(queue) for _ in range(3)]
    for number, attempt, _ in attempts:
        queue.give_back(number, attempt, failed=False)
    queue.replace_payload(1, b"lenient")
    assert queue.complete(1, 1)
    assert queue.waiting == 2
    assert [lease(queue)[:2], lease(queue)[:2]] == [(2, 2), (3, 2)]
    assert queue.lease() is None


def test_an_attempt_is_given_back_once(queue: BatchQueue, job: JobDatabase) -> None:
    """A worker may fail its batch and then be lost."""
    queue.enqueue(b"one", 1, 10)
    job.commit()
    number, attempt, _ = lease(queue)
    assert queue.give_back(number, attempt, failed=True) is not None
    assert queue.give_back(number, attempt, failed=True) is None
    assert queue.waiting == 1
    assert lease(queue) == (1, 2, b"one")
    assert queue.lease() is None
    assert queue.give_back(number, attempt, failed=True) is None
    batch = queue.give_back(number, 2, failed=True)
    assert batch is not None
    assert batch.failures == 2


def test_a_completed_batch_is_not_given_back(queue: BatchQueue, job: JobDatabase) -> None:
    queue.enqueue(b"one", 1, 10)
    job.commit()
    number, attempt, _ = lease(queue)
    assert queue.complete(number, attempt)
    assert queue.give_back(number, attempt, failed=False) is None
    assert queue.lease() is None
    assert queue.waiting == 0


def test_a_batch_of_a_lost_worker_reads_in_progress(queue: BatchQueue, file: JobFile) -> None:
    """S4: never as failed or done, in the file too."""
    queue.enqueue(b"one", 4, 400)
    file.job.commit()
    number, attempt, _ = lease(queue)
    queue.taken(number, attempt, "member", 3)
    queue.progress(number, attempt, 2, 150)
    assert queue.remaining_bytes() == 250
    queue.give_back(number, attempt, failed=False)
    (batch,) = queue.in_progress()
    assert (batch.state, batch.member, batch.worker, batch.files_done) == ("in progress", "member", 3, 2)
    file.job.commit()
    queue = reloaded(file)
    (batch,) = queue.in_progress()
    assert (batch.state, batch.member, batch.bytes_done) == ("in progress", "member", 150)
    lease(queue)
    assert queue.remaining_bytes() == 400


def test_news_of_an_attempt_that_is_over_changes_nothing(queue: BatchQueue, job: JobDatabase) -> None:
    queue.enqueue(b"one", 4, 400)
    job.commit()
    number, attempt, _ = lease(queue)
    queue.give_back(number, attempt, failed=False)
    lease(queue)
    queue.taken(number, attempt, "late", 1)
    queue.progress(number, attempt, 3, 300)
    assert queue.in_progress() == []
    assert queue.remaining_bytes() == 400
    queue.complete(number, attempt + 1)
    queue.progress(number, attempt + 1, 3, 300)
    assert queue.remaining_bytes() == 0


def test_after_a_crash_all_that_is_not_complete_waits_again(queue: BatchQueue, file: JobFile) -> None:
    for payload in (b"one", b"two", b"three"):
        queue.enqueue(payload, 1, 10)
    file.job.commit()
    lease(queue)
    number, attempt, _ = lease(queue)
    queue.complete(number, attempt)
    file.job.commit()
    queue.enqueue(b"not committed", 1, 10)
    queue = reloaded(file)
    assert queue.unfinished == queue.waiting == 2
    assert [lease(queue)[::2] for _ in range(2)] == [(1, b"one"), (3, b"three")]
    assert queue.enqueue(b"four", 1, 10) == 4, "the number of a batch that nobody saw may be given again"


def test_numbers_grow_though_all_batches_are_gone(queue: BatchQueue, file: JobFile) -> None:
    queue.enqueue(b"one", 1, 10)
    file.job.commit()
    number, attempt, _ = lease(queue)
    queue.complete(number, attempt)
    file.job.commit()
    queue = reloaded(file)
    assert queue.next_number == 2
    assert queue.enqueue(b"two", 1, 10) == 2


def test_no_attempt_is_handed_out_by_two_runs(queue: BatchQueue, file: JobFile) -> None:
    """A member may outlive the master: its result must not pass for the attempt of a later run."""
    queue.enqueue(b"one", 1, 10)
    file.job.commit()
    seen = {lease(queue)[1]}
    for _ in range(3):
        queue = reloaded(file)
        for old in seen:
            assert not queue.complete(1, old)
            assert queue.give_back(1, old, failed=False) is None
        number, attempt, _ = lease(queue)
        assert attempt not in seen
        seen.add(attempt)
    assert queue.complete(number, attempt)


def test_payloads_beyond_memory_are_read_from_the_file(
    queue: BatchQueue, job: JobDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "PAYLOADS_IN_MEMORY_BYTES", 10)
    payloads = [b"%02d" % number * 3 for number in range(10)]
    for payload in payloads:
        queue.enqueue(payload, 1, 10)
    job.commit()
    assert [lease(queue)[2] for _ in payloads] == payloads
    assert queue._payload_bytes == 0


def test_a_replaced_payload_is_what_later_attempts_get(queue: BatchQueue, file: JobFile) -> None:
    queue.enqueue(b"strict", 1, 10)
    file.job.commit()
    number, attempt, _ = lease(queue)
    queue.give_back(number, attempt, failed=True)
    assert queue.payload(number) == b"strict"
    queue.replace_payload(number, b"lenient")
    assert lease(queue)[2] == b"lenient"
    file.job.commit()
    queue = reloaded(file)
    assert lease(queue)[2] == b"lenient"
    queue.replace_payload(99, b"of none")
    assert queue.payload(99) is None
    assert queue._payload_bytes == 0


def test_what_remains_is_what_is_not_complete(queue: BatchQueue, job: JobDatabase) -> None:
    for size in (100, 200, 300):
        queue.enqueue(b"", 10, size)
    job.commit()
    assert queue.remaining() == (30, 600)
    number, attempt, _ = lease(queue)
    queue.taken(number, attempt, "member", 1)
    queue.progress(number, attempt, 2, 60)
    assert queue.remaining() == (28, 540)
    queue.complete(number, attempt)
    assert queue.remaining() == (20, queue.remaining_bytes()) == (20, 500)


def test_the_first_result_of_two_attempts_counts_once(queue: BatchQueue, job: JobDatabase) -> None:
    for _ in range(2):
        queue.enqueue(b"payload", 1, 10)
    job.commit()
    for seq, first_wins in ((1, True), (2, False)):
        assert queue.lease_again(seq) is None
        number, first, _ = lease(queue)
        assert queue.lease_again(seq) == b"payload"
        assert number == seq
        attempts = (first, first + 1) if first_wins else (first + 1, first)
        assert [queue.complete(seq, attempt) for attempt in attempts] == [True, False]
    assert queue.unfinished == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_batch_waits_again_once_both_of_two_attempts_were_lost(
    queue: BatchQueue, job: JobDatabase, order: tuple[int, int]
) -> None:
    queue.enqueue(b"payload", 1, 10)
    job.commit()
    number, attempt, _ = lease(queue)
    queue.lease_again(number)
    assert queue.give_back(number, attempt + order[0]) is None
    assert queue.waiting == 0
    assert queue.give_back(number, attempt + order[1]) is not None
    assert queue.waiting == 1
    assert lease(queue)[1] == attempt + 2


def test_a_batch_is_handed_out_so_often_at_most_beside_attempts_that_go_on(queue: BatchQueue, job: JobDatabase) -> None:
    """Any of their results may be the first, and one that is lost does not end the others."""
    queue.enqueue(b"payload", 1, 10)
    job.commit()
    number, first, _ = lease(queue)
    for run in range(1, MOST_RUNS):
        assert queue.lease_again(number) == b"payload"
        batch = queue.find(number)
        assert batch is not None
        assert (batch.run, batch.runs) == (run, run + 1)
    assert queue.lease_again(number) is None
    assert queue.give_back(number, first) is None
    assert not queue.complete(number, first + MOST_RUNS)
    assert queue.complete(number, first + 1)


def test_one_of_two_attempts_goes_on_when_the_other_is_lost(queue: BatchQueue, job: JobDatabase) -> None:
    queue.enqueue(b"payload", 1, 10)
    job.commit()
    number, attempt, _ = lease(queue)
    queue.lease_again(number)
    queue.give_back(number, attempt + 1)
    assert queue.complete(number, attempt)


def test_only_the_batch_that_a_lost_worker_was_at_is_suspected(queue: BatchQueue, job: JobDatabase) -> None:
    """Not those that it held until their packs were durable, and not those of another worker."""
    for payload in (b"one", b"two", b"three"):
        queue.enqueue(payload, 1, 10)
    job.commit()
    for worker in (1, 1, 2):
        number, attempt, _ = lease(queue)
        queue.taken(number, attempt, "member", worker)
    found = [queue.give_back(number, 1, suspect=True) for number in (1, 2, 3)]
    assert [batch and batch.suspicions for batch in found] == [0, 1, 1]
    number, attempt, _ = lease(queue)
    queue.taken(number, attempt, "member", 3)
    again = queue.give_back(number, attempt, suspect=True)
    assert again is not None
    assert (number, again.suspicions) == (1, 1)


def test_a_replaced_payload_is_read_before_it_is_durable(queue: BatchQueue, job: JobDatabase) -> None:
    queue.enqueue(b"one", 1, 10)
    job.commit()
    queue.replace_payload(1, b"other")
    assert queue.payload(1) == b"other"
    job.commit()
    assert queue.payload(1) == b"other"
    assert queue.payload(2) is None
