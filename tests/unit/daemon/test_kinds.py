"""What an operation tells its observer arrives at the observer of whoever follows the job."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from argosy.daemon.kinds import (
    BACKUP,
    CHECK,
    KINDS,
    PRUNE,
    RESTORE,
    VERIFY,
    Kind,
    decode_value,
    encode_value,
    kind_named,
)
from argosy.daemon.protocol import Said
from argosy.errors import ArgosyError
from argosy.operations.check.options import CheckObserver, CheckProgress, CheckResult, Part, Problem
from argosy.operations.prune.options import PruneObserver, PruneProgress
from argosy.operations.prune.plan import Amount, PrunePlan, PruneStats
from argosy.operations.restore.options import RestoreObserver, RestoreProgress, RestoreResult
from argosy.operations.verify.messages import Difference
from argosy.operations.verify.options import VerifyObserver, VerifyProgress, VerifyResult
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.snapshot import Snapshot

SNAPSHOT = StoredSnapshot(
    b"\x01" * 32,
    Snapshot("2026-11-23T08:00:00Z", b"\x02" * 32, ["/data"], unknown={"theirs": msgspec.Raw(b'{"a":[1]}')}),
)


def through(kind: Kind, observer: Any, *calls: tuple[Any, ...]) -> list[bytes]:
    """Make these calls at one end, and have the observer at the other hear them. The progress that was shown."""
    said: list[Said] = []
    shown: list[bytes] = []
    teller = kind.teller(said.append, shown.append, lambda: True)
    assert teller.stop_requested()
    for name, *arguments in calls:
        getattr(teller, name)(*arguments)
    for one in said:
        kind.tell(observer, one)
    return shown


def test_what_a_restore_tells_arrives() -> None:
    heard: list[Any] = []
    observer = RestoreObserver(
        begun=lambda stored, subpath: heard.append((stored, subpath)),
        message=heard.append,
        item=lambda *item: heard.append(item),
        error=lambda *error: heard.append(error),
        verifying=lambda: heard.append("verifying"),
    )
    calls = [
        ("begun", SNAPSHOT, "/sub"),
        ("message", "a name \udcff that is not UTF-8"),
        ("item", "restored", b"/\xff", 7),
        ("item", "restored", b"/dir", None),
        ("error", b"/\xfe", "why"),
        ("verifying",),
    ]
    through(RESTORE, observer, *calls)
    # What is JSON in a snapshot has no equality of its own.
    assert encode_value(heard.pop(0)) == encode_value((SNAPSHOT, "/sub"))
    assert heard == [
        r"a name \udcff that is not UTF-8",
        ("restored", b"/\xff", 7),
        ("restored", b"/dir", None),
        (b"/\xfe", "why"),
        "verifying",
    ]


def test_what_a_check_tells_arrives() -> None:
    problem = Problem(Part.PACK, "pack ab", "its bytes have another hash", b"\xab")
    heard: list[Any] = []
    through(CHECK, CheckObserver(problem=heard.append, hint=heard.append), ("problem", problem), ("hint", "stale"))
    assert heard == [problem, "stale"]


def test_what_a_prune_and_a_comparison_tell_arrives() -> None:
    heard: list[Any] = []
    plan = PrunePlan(repack={b"\1" * 32}, stats=PruneStats(used=Amount(3, 400))).summary(dry_run=True)
    through(PRUNE, PruneObserver(message=heard.append, show=heard.append), ("message", "nas-1 left"), ("show", plan))
    difference = Difference(b"\xff", "changed", "file", {"mode": ("0644", "0600")}, silent=True)
    observer = VerifyObserver(found=heard.append, problem=lambda *problem: heard.append(problem))
    through(VERIFY, observer, ("found", difference), ("problem", b"/\xff", "it is in no index"))
    assert heard == ["nas-1 left", plan, difference, (b"/\xff", "it is in no index")]


def test_progress_and_results_arrive() -> None:
    members = [("nas-1", 1, 2, 3, 4)]
    look = RestoreProgress(9, 8, 0, 0, 70, 60, 0, 1, planned=True, members=members)
    (shown,) = through(RESTORE, RestoreObserver(), ("progress", look))
    assert decode_value(shown, RESTORE.progress) == look
    counts = RESTORE.counts(look)
    assert (counts.entries, counts.size_bytes, counts.errors, counts.members) == (8, 60, 1, members)
    assert CHECK.counts(CheckProgress(5, 2, 4, 30, 60, 1)).entries == 7
    assert PRUNE.counts(PruneProgress(2, 4, 30, 60, members)).size_bytes == 30
    assert VERIFY.counts(VerifyProgress(7, 30, 1)).errors == 1
    for result in (
        RestoreResult(SNAPSHOT, "", 1, 1, 0, 0, 2, 2, 0, 0, {"owner": 1}, verified=3),
        CheckResult(problems=1, broken_packs=["ab"]),
        PrunePlan().summary(dry_run=False),
        VerifyResult(SNAPSHOT, "/sub", b"/report\xff", files=3, silent=1),
    ):
        data = encode_value(result)
        assert encode_value(decode_value(data, type(result))) == data


def test_every_kind_can_tell_all_that_its_observer_hears() -> None:
    for kind in KINDS.values():
        assert isinstance(kind.teller(lambda _: None, lambda _: None, lambda: False), kind.observer)
        assert kind_named(kind.name) is kind


@pytest.mark.parametrize("said", [Said("no such call", b"[]"), Said("message", b"[1]"), Said("message", b"nonsense")])
def test_what_another_version_says_is_an_error(said: Said) -> None:
    with pytest.raises(ArgosyError):
        BACKUP.tell(BACKUP.observer(), said)


def test_a_job_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ArgosyError, match="not known here"):
        kind_named("defragment")
