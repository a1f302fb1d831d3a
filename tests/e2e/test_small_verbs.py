"""Verbs that have little to do, beside restic 0.18's on the same repository: `version`, `help`, `migrate`, `cache`."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from tests.support.compared import Compared

_DAY_SECONDS = 24 * 3600


def test_the_version_in_words_and_as_a_document(compared: Compared) -> None:
    ours, theirs = (run("version").stdout.decode() for run in (compared.argosy.run, compared.model.run))
    assert re.match(r"argosy \d+\.\d+\.\d+ ", ours)
    assert re.match(r"restic \d+\.\d+\.\d+ ", theirs)
    (document,), (model,) = compared.argosy.documents("version"), compared.model.json_lines("version")
    assert document["message_type"] == model["message_type"] == "version"
    assert ours.split()[1] == document["version"]


def test_help_of_a_verb_is_what_its_flag_prints(compared: Compared) -> None:
    for run in (compared.argosy.run, compared.model.run):
        assert run("help", "snapshots").stdout == run("snapshots", "--help").stdout


def test_there_is_nothing_to_migrate_and_nothing_is_changed(compared: Compared) -> None:
    before = _contents(compared.argosy.repository)
    assert b"no migrations found" in compared.model.run("migrate").stdout
    assert b"nothing to migrate" in compared.argosy.run("migrate").stdout
    assert _contents(compared.argosy.repository) == before


def test_caches_are_listed_alike_and_only_old_ones_are_removed(compared: Compared) -> None:
    """Each program has a cache of its own, of this one repository."""
    listed = []
    for program in (_argosy, _restic):
        program(compared, "snapshots")
        listed.append(program(compared, "cache", "--no-size").splitlines()[:4])
        place = compared.home / _CACHES[program.__name__]
        then = time.time() - 40 * _DAY_SECONDS
        for cache in _directories(place):
            os.utime(cache, (then, then))
        program(compared, "cache", "--cleanup", "--max-age", "50")
        assert _directories(place)
        program(compared, "cache", "--cleanup")
        assert not _directories(place)
    assert listed[0] == listed[1]
    assert listed[0][2].split()[1:] == ["0", "days", "ago"]


_CACHES = {"_argosy": "cache", "_restic": "restic-cache"}


def _argosy(compared: Compared, *arguments: str) -> str:
    return compared.argosy.run(*arguments).stdout.decode()


def _restic(compared: Compared, *arguments: str) -> str:
    """With a cache, which restic has in no other test."""
    model = compared.model
    done = subprocess.run(
        [model.restic.program, "-r", model.location, *arguments],
        env={"RESTIC_PASSWORD": model.password, "RESTIC_CACHE_DIR": str(compared.home / _CACHES["_restic"])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def _directories(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.is_dir()]


def _contents(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
