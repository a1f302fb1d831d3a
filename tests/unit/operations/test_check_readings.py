"""What a check remembers of its readings: it goes on where it was interrupted, and in time everything is read."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy.errors import StateError
from argosy.operations.check.readings import RESUME_WITHIN_SECONDS, Readings
from argosy.operations.check.subset import READ_ALL, ReadSubset

DAY = 24 * 3600.0
PACKS = [random.Random(number).randbytes(32) for number in range(100)]
REPOSITORY = "ab" * 32


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Host:
    """A machine with a state directory."""

    state: Path
    clock: Clock

    def readings(self, subset: ReadSubset, *, resume: bool = True) -> Readings:
        opened = Readings.open(self.state, REPOSITORY, self.clock)
        opened.begin(subset, resume=resume)
        return opened

    def check_rolling(self, days: float, packs: list[bytes]) -> list[bytes]:
        """Read what is due, to the end."""
        subset = ReadSubset(rolling_seconds=days * DAY)
        readings = self.readings(subset)
        choose = readings.chooser(subset, packs, len(packs), 0)
        read = [pack_id for pack_id in packs if choose(pack_id)]
        for pack_id in read:
            readings.note(pack_id)
        readings.finish()
        readings.close()
        return read


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, Clock())


@pytest.mark.parametrize("gap_days", [0.5, 1, 3])
def test_in_its_time_a_rolling_check_reads_everything_and_no_pack_waits_longer(host: Host, gap_days: float) -> None:
    period, begun = 30, host.clock.now
    last = dict.fromkeys(PACKS, begun)
    reads = 0
    while host.clock.now < begun + 2 * period * DAY:
        read = host.check_rolling(period, PACKS)
        reads += len(read)
        for pack_id in read:
            last[pack_id] = host.clock.now
        host.clock.now += gap_days * DAY
        # The first two checks cannot know how far apart they come.
        if host.clock.now > begun + 2 * gap_days * DAY:
            assert min(last.values()) >= host.clock.now - (period + gap_days) * DAY
    assert reads <= 2 * len(PACKS) * (1 + 2 * max(1.0, gap_days) / period)


def test_the_first_rolling_checks_read_about_equally_much(host: Host) -> None:
    for _ in range(10):
        assert len(host.check_rolling(10, PACKS)) in range(2, 25)
        host.clock.now += DAY


def test_a_new_pack_is_read_within_its_first_period(host: Host) -> None:
    host.check_rolling(10, PACKS)
    new = [random.Random(1000 + number).randbytes(32) for number in range(30)]
    read = set[bytes]()
    for _ in range(11):
        host.clock.now += DAY
        read.update(host.check_rolling(10, PACKS + new))
    assert read.issuperset(new)


def test_an_interrupted_check_goes_on_for_a_day(host: Host) -> None:
    first = host.readings(READ_ALL)
    assert not first.was_read(PACKS[0])
    first.note(PACKS[0])
    host.clock.now += 5
    first.note(PACKS[1])
    first.close()
    host.clock.now += RESUME_WITHIN_SECONDS / 2
    second = host.readings(READ_ALL)
    assert [second.was_read(pack_id) for pack_id in PACKS[:3]] == [True, True, False]
    second.close()
    host.clock.now += RESUME_WITHIN_SECONDS
    late = host.readings(READ_ALL)
    assert not late.was_read(PACKS[0])
    late.close()


def test_a_check_of_another_subset_or_one_not_to_go_on_starts_from_the_beginning(host: Host) -> None:
    for subset, resume in ((ReadSubset(part=1, parts=3), True), (READ_ALL, False)):
        first = host.readings(READ_ALL)
        first.note(PACKS[0])
        first.close()
        other = host.readings(subset, resume=resume)
        assert not other.was_read(PACKS[0])
        other.close()


def test_a_check_that_came_to_its_end_is_not_gone_on_with(host: Host) -> None:
    first = host.readings(READ_ALL)
    first.note(PACKS[0])
    first.finish()
    first.close()
    second = host.readings(READ_ALL)
    assert not second.resumes_from
    assert not second.was_read(PACKS[0])
    second.close()


def test_packs_at_random_are_the_same_ones_when_it_goes_on(host: Host) -> None:
    subset = ReadSubset(percentage=30)
    chosen = []
    for _ in range(2):
        readings = host.readings(subset)
        choose = readings.chooser(subset, PACKS, len(PACKS), 0)
        chosen.append([pack_id for pack_id in PACKS if choose(pack_id)])
        readings.close()
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 30


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="file"):
        Readings.open(tmp_path / "file", REPOSITORY)
