"""Each kind of damage is found, named with its file, and ends in exit code 1; what is no damage is only a hint."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from argosy.errors import ArgosyError, Damaged
from argosy.operations.check.options import CheckObserver, CheckOptions, CheckResult, Part, Problem
from argosy.operations.check.run import run_check
from argosy.operations.check.subset import READ_ALL
from argosy.operations.dump import DumpObserver, DumpOptions, run_dump
from argosy.operations.restore.options import RestoreObserver, RestoreOptions
from argosy.operations.restore.run import run_restore
from argosy.operations.session import Access
from argosy.repository.repository import open_repository
from argosy.repository.snapshots import SnapshotFilter
from argosy.storage.open import open_storage
from tests.support.backups import HOST, Scene
from tests.support.damage import DAMAGES, HINTS, Damage, Ground, Planted, StaleLock, copy_repository
from tests.support.restic import PASSWORD, require_restic
from tests.support.sound import FILES, NEW, TEXT, make_sound

CONTENTS = {
    "new": NEW,
    "small": b"small",
    "other": TEXT[::-1],
    **{name: content for name, content in FILES.items() if isinstance(content, bytes)},
}
OF_THE_SOURCE = SnapshotFilter(hosts=[HOST])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository of several packs of each kind and two snapshots."""
    return make_sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def access(sound: Scene, tmp_path: Path) -> Access:
    """A copy of it, to be damaged. Its locks are of no use here, and one that is damaged would hold for 35 s."""
    directory = copy_repository(sound.repository, tmp_path / "repository")
    return Access(str(directory), PASSWORD.encode, tmp_path / "cache", no_lock=True)


class Told:
    """What a check told."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.hints: list[str] = []
        self.details: list[str] = []

    def observer(self) -> CheckObserver:
        return CheckObserver(problem=self.problems.append, hint=self.hints.append, detail=self.details.append)

    def lines(self) -> list[str]:
        return [problem.message for problem in self.problems]


def plant(damage: type[Damage], access: Access) -> Planted:
    repository = open_repository(open_storage(access.location), PASSWORD.encode())
    return damage().plant(Ground(Path(access.location), repository))


def check(access: Access, *, read: bool = True) -> tuple[CheckResult, Told]:
    told = Told()
    return run_check(access, CheckOptions(READ_ALL if read else None, workers=1), told.observer()), told


def dumped(access: Access, path: bytes) -> list[bytes]:
    """A file, or a directory as an archive, of the newest snapshot of the source."""
    pieces: list[bytes] = []
    run_dump(access, DumpOptions("latest", path, OF_THE_SOURCE), DumpObserver(lambda _is_archive: pieces.append))
    return pieces


def with_new_cache(access: Access) -> Access:
    return replace(access, cache_directory=access.cache_directory / "new")


def one_line_has(lines: Sequence[str], words: Sequence[str]) -> bool:
    return any(all(word in line for word in words) for line in lines)


@pytest.mark.parametrize("read", [False, True], ids=["structure", "read-data"])
def test_a_sound_repository_has_no_problem(access: Access, read: bool) -> None:
    result, told = check(access, read=read)
    assert told.lines() == []
    assert told.hints == []
    assert (result.exit_code, result.snapshots, result.packs_read > 0) == (0, 2, read)
    assert result.trees == 6


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found_named_and_answered(damage: type[Damage], access: Access) -> None:
    planted = plant(damage, access)
    if not damage.opens:
        with pytest.raises(Damaged) as raised:
            check(access)
        assert planted.words[0] in raised.value.message
        assert raised.value.exit_code == 1
        assert raised.value.hint
        return
    result, told = check(access)
    assert one_line_has(told.lines(), planted.words), told.lines()
    assert all(problem.advice for problem in told.problems)
    assert result.exit_code == 1
    assert result.problems == len(told.problems)


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage.opens], ids=lambda damage: damage.__name__)
def test_without_reading_data_all_is_found_but_what_only_the_data_shows(damage: type[Damage], access: Access) -> None:
    planted = plant(damage, access)
    result, told = check(access, read=False)
    assert one_line_has(told.lines(), planted.words) is not damage.found_by_reading
    assert result.exit_code == int(not damage.found_by_reading)


@pytest.mark.parametrize("damage", HINTS, ids=lambda damage: damage.__name__)
def test_what_costs_only_room_is_a_hint(damage: type[Damage], access: Access) -> None:
    planted = plant(damage, access)
    result, told = check(access)
    assert told.lines() == []
    assert result.exit_code == 0
    if planted.words:
        assert one_line_has([*told.hints, *told.details], planted.words)


def test_a_stale_lock_is_a_hint(access: Access) -> None:
    planted = plant(StaleLock, access)
    result, told = check(access, read=False)
    assert result.exit_code == 0
    assert one_line_has(told.hints, planted.words)


@pytest.mark.long
@pytest.mark.parametrize(
    "damage", [damage for damage in DAMAGES if damage.restic_sees_it], ids=lambda damage: damage.__name__
)
def test_restic_takes_it_for_damage_too(damage: type[Damage], access: Access, tmp_path: Path) -> None:
    """So the damage is what its name says."""
    restic = require_restic((0, 18, 0))
    plant(damage, access)
    done = restic.at(access.location, tmp_path).run("check", "--read-data", "--no-lock", expect=(1, 12))
    assert done.stderr


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_dump_gives_right_bytes_or_fails(damage: type[Damage], access: Access) -> None:
    """Of every file, and of the whole of it: never damaged bytes as if they were right."""
    whole = b"".join(dumped(access, b"/source"))
    plant(damage, access)
    access = with_new_cache(access)
    for name, content in FILES.items():
        if isinstance(content, bytes):
            with_luck = b""
            with suppress(ArgosyError):
                with_luck = b"".join(dumped(access, b"/source/" + name.encode()))
            assert with_luck in (b"", content)
    archive = whole
    with suppress(ArgosyError):
        archive = b"".join(dumped(access, b"/source"))
    assert archive == whole


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_restore_gives_right_bytes_or_says_so(damage: type[Damage], access: Access, tmp_path: Path) -> None:
    """A file that is there and was not reported has its content."""
    plant(damage, access)
    target = tmp_path / "target"
    reported: list[bytes] = []
    observer = RestoreObserver(error=lambda path, _reason: reported.append(path))
    options = RestoreOptions(bytes(target), wanted=OF_THE_SOURCE, workers=1)
    ended_early = True
    with suppress(ArgosyError):
        exit_code = run_restore(with_new_cache(access), options, observer).exit_code
        ended_early = False
        assert bool(exit_code) is bool(reported)
    found = {path.name: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert ended_early or reported or set(found) == set(CONTENTS)
    wrong = {name for name, content in found.items() if content != CONTENTS[name]}
    # An early end is an error, which its caller has heard.
    assert ended_early or wrong <= {path.rpartition(b"/")[2].decode() for path in reported}


def test_parts_name_what_can_be_done() -> None:
    for part in Part:
        assert Problem(part, "x", "y").advice
