"""`argosy check` as its users run it: on repositories of both restics and its own, local and in S3."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.repository.repository import open_repository
from argosy.storage.open import open_storage
from tests.support.command import Argosy
from tests.support.compared import Compared
from tests.support.damage import FlippedDataBlob, FlippedKey, FlippedLock, Ground, UnindexedPack, UnsortedTree
from tests.support.machines import Machines
from tests.support.restic import PASSWORD
from tests.support.servers import S3Server, seaweedfs

PATIENCE_SECONDS = 60.0
RESTIC_KEYS = ("message_type", "num_errors", "broken_packs", "suggest_repair_index", "suggest_prune")


@pytest.fixture
def argosy(tmp_path: Path, machines: Machines) -> Argosy:
    """The program, with a repository of some packs."""
    made = Argosy(tmp_path, machines=machines)
    source = tmp_path / "source"
    source.mkdir()
    for number in range(30):
        (source / f"{number:02d}").write_bytes(os.urandom(300_000) + b"text " * 1000)
    made.run("backup", "--init", "--pack-size", "4", "source")
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs(tmp_path_factory) as running:
        yield running


def ground(argosy: Argosy) -> Ground:
    return Ground(argosy.repository, open_repository(open_storage(str(argosy.repository)), PASSWORD.encode()))


@pytest.mark.parametrize(
    "flags", [(), ("--read-data",), ("--read-data-subset", "1/2"), ("--with-cache",)], ids=" ".join
)
def test_a_repository_that_restic_wrote_is_in_order(
    compared: Compared, machines: Machines, flags: tuple[str, ...]
) -> None:
    argosy = replace(compared.argosy, machines=machines)
    said = argosy.says("check", *flags)
    assert said.endswith("no errors were found\n")
    assert "error:" not in said
    (summary,) = argosy.documents("check", *flags)
    assert [summary[key] for key in RESTIC_KEYS] == ["summary", 0, None, False, False]


def test_the_summary_has_restics_keys_first(compared: Compared, machines: Machines) -> None:
    ours = replace(compared.argosy, machines=machines).run("check", "--json").stdout
    theirs = compared.model.run("check", "--json").stdout
    assert list(json.loads(ours))[: len(RESTIC_KEYS)] == list(json.loads(theirs))


def test_the_parts_make_up_the_whole(argosy: Argosy) -> None:
    (whole,) = argosy.documents("check", "--read-data")
    parts = [argosy.documents("check", "--read-data-subset", f"{number}/3")[0] for number in (1, 2, 3)]
    assert sum(part["bytes_read"] for part in parts) == whole["bytes_read"]
    (one,) = argosy.documents("check", "--read-data-subset", "1%")
    assert one["packs_read"] == 1


@pytest.mark.always_on_both
def test_damage_is_named_with_advice_and_ends_in_1(argosy: Argosy) -> None:
    planted = FlippedDataBlob().plant(ground(argosy))
    said = argosy.says("check", "--read-data", expect=1)
    assert planted.words[0] in said
    assert "argosy repair packs" in said
    assert "repository contains errors" in said
    done = argosy.run("check", "--read-data", "--json", "--report", "report.json", expect=1)
    (summary,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert summary["broken_packs"] == [planted.words[0].removeprefix("pack ")]
    errors = [json.loads(line) for line in done.stderr.splitlines()]
    assert {error["message_type"] for error in errors} == {"error"}
    assert summary["num_errors"] == len(errors)
    report = json.loads((argosy.home / "report.json").read_bytes())
    assert report["summary"] == summary
    assert len(report["problems"]) == len(errors)


def test_quiet_still_names_damage(argosy: Argosy) -> None:
    planted = UnsortedTree().plant(ground(argosy))
    done = argosy.run("check", "-q", expect=1)
    assert done.stdout == b""
    assert planted.words[0].encode() in done.stderr


def test_an_unindexed_pack_is_named_for_those_who_ask(argosy: Argosy) -> None:
    UnindexedPack().plant(ground(argosy))
    assert "1 packs are in no index" in argosy.says("check")
    assert "is in no index\n" in argosy.says("check", "-v")
    assert argosy.documents("check")[0]["suggest_prune"] is True


def test_a_repository_that_cannot_be_opened_says_why(argosy: Argosy) -> None:
    planted = FlippedKey().plant(ground(argosy))
    said = argosy.says("check", expect=1)
    assert planted.words[0] in said
    (argosy.home / "nowhere").mkdir()
    said = replace(argosy, home=argosy.home / "nowhere").says("check", expect=10)
    assert "no repository" in said
    assert "Traceback" not in said


def test_flags_that_make_no_sense_are_refused(argosy: Argosy) -> None:
    both = ("--read-data-rolling", "9d", "--read-data-subset", "1/2")
    for flags in (
        ("--read-data", "--read-data-subset", "1/2"),
        both,
        ("--read-data-rolling", "9"),
        ("--read-data-subset", "2/1"),
        ("extra",),
    ):
        argosy.run("check", *flags, expect=1)


def test_a_lock_of_restic_refuses_it(compared: Compared, machines: Machines) -> None:
    argosy = replace(compared.argosy, machines=machines)
    with compared.model.locked():
        assert "is locked" in argosy.says("check", expect=11)
        argosy.run("check", "--no-lock")


@pytest.mark.long
def test_a_damaged_lock_is_named(argosy: Argosy) -> None:
    """After as long as restic waits for it, half a minute."""
    planted = FlippedLock().plant(ground(argosy))
    said = argosy.says("check", expect=11)
    assert planted.words[0] in said
    assert "unlock --remove-all" in said


def test_an_interrupt_ends_it_and_leaves_no_lock(argosy: Argosy) -> None:
    with argosy.started("check", "--read-data", "--limit-download", "1M") as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        assert process.stdout is not None
        while b"read all data" not in process.stdout.readline():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert process.stderr is not None
        assert b"not read again" in process.stderr.read()
    assert argosy.run("list", "locks").stdout == b""


@pytest.mark.server
def test_a_repository_in_s3(server: S3Server, machines: Machines, tmp_path: Path) -> None:
    """Read by several threads a worker; damage is found there too."""
    source = tmp_path / "source"
    (source / "directory").mkdir(parents=True)
    for number in range(20):
        (source / "directory" / str(number)).write_bytes(os.urandom(600_000) + b"text " * 1000)
    location = server.location(f"e2e-{tmp_path.name}")  # damaged at the end, and of this form alone
    environment = {**server.credentials, "ARGOSY_REPOSITORY": location}
    argosy = Argosy(tmp_path, environment=environment, machines=machines)
    argosy.run("backup", "--init", "--pack-size", "4", "source")
    for flags in ((), ("--read-data",), ("--read-data", "--with-cache"), ("--read-data", "--no-cache")):
        (summary,) = argosy.documents("check", *flags)
        assert summary["num_errors"] == 0
        assert (summary["packs_read"] == summary["packs"]) is bool(flags)
    storage = open_storage(location, server.options)
    repository = open_repository(storage, PASSWORD.encode())
    pack = next(info.name for info in storage.list("data/") if info.size_bytes > 1_000_000)
    data = bytearray(storage.get(pack))
    data[1000] ^= 1
    storage.put(pack, bytes(data))
    assert pack.rpartition("/")[2] in argosy.says("check", "--read-data", expect=1)
    assert repository.id


def test_flags_and_fields_are_documented(argosy: Argosy) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    help_text = argosy.says("check", "--help")
    flags = [word for word in help_text.partition("Global")[0].split() if word.startswith("--") and word != "--help"]
    assert "--read-data" in flags
    assert [flag for flag in flags if f"`{flag}`" not in page] == []
    (summary,) = argosy.documents("check")
    assert [field for field in summary if f"`{field}`" not in page] == []
