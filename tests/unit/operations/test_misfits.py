"""Which member fails at one batch after the other."""

from __future__ import annotations

from argosy.operations.backup.misfits import MOST_IN_A_ROW, Misfits


def test_a_member_that_fails_at_several_batches_in_a_row_is_one() -> None:
    misfits = Misfits()
    assert [misfits.failed("m", seq) for seq in range(MOST_IN_A_ROW)] == [False] * (MOST_IN_A_ROW - 1) + [True]
    assert not misfits.failed("other", 1)


def test_one_batch_or_a_success_in_between_makes_none() -> None:
    misfits = Misfits()
    assert not any(misfits.failed("m", 1) for _ in range(10 * MOST_IN_A_ROW))
    misfits.completed("m")
    assert not any(misfits.failed("m", seq) for seq in range(MOST_IN_A_ROW - 1))
