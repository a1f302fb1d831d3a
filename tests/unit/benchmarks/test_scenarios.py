"""The scenarios, with a program that only copies in place of both."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.process import CommandFailed
from benchmarks.programs import Program
from benchmarks.rows import Row
from benchmarks.scenarios import SCENARIOS, Benchmark, Choice

COPIES = """
import os, shutil, sys
name, journal, *words = sys.argv[1:]
with open(journal, "a") as file:
    file.write(f"{name} {' '.join(word for word in words if not word.startswith('/'))}\\n")
repository = words[words.index("--repo") + 1] if "--repo" in words else ""
if words[0] == "init":
    os.mkdir(repository)
elif words[0] == "backup":
    shutil.copytree(words[-1], repository + "/saved", dirs_exist_ok=True)
elif words[0] == "restore":
    left_out = shutil.ignore_patterns("f000000.dat" if name == "forgetful" else "")
    shutil.copytree(repository + "/saved", words[-1], ignore=left_out)
"""


def copying(name: str, directory: Path) -> Program:
    script = directory / "copies.py"
    script.write_text(COPIES)
    return Program(name, (sys.executable, "-I", str(script), name, str(directory / "journal")))


def run(tmp_path: Path, choice: Choice, *, argosy: str = "argosy") -> list[tuple[str, bool | None]]:
    work = tmp_path / "work"
    work.mkdir()
    programs = copying(argosy, tmp_path), copying("restic", tmp_path)
    rows: list[Row] = []
    Benchmark(*programs, work, choice, lambda _: None, rows).run()
    assert all(len(row.argosy) == len(row.restic) > 0 for row in rows)
    assert all(len(row.sampled) == 2 for row in rows)
    return [(row.key, row.verify) for row in rows]


def journal(tmp_path: Path) -> list[str]:
    return (tmp_path / "journal").read_text().splitlines()


def test_the_programs_take_turns_on_the_same_work(tmp_path: Path) -> None:
    """One init makes the repository of both; each warms up once; then A B for memory and A B A B for time, each way."""
    rows = run(tmp_path, Choice(frozenset("a"), (False, True), runs=2, scale=0.001, ceiling=False))
    assert rows == [("a", False), ("a", True)]
    off, on = "backup --repo --compression auto --no-extra-verify", "backup --repo --compression auto"
    turns = [f"{name} {words}" for words in (off, on) for _ in range(3) for name in ("argosy", "restic")]
    assert journal(tmp_path) == ["argosy init --repo", f"argosy {off}", f"restic {off}", *turns]


def test_every_scenario_gives_its_rows(tmp_path: Path) -> None:
    rows = run(tmp_path, Choice(frozenset(SCENARIOS), (True,), runs=1, scale=0.001))
    assert sorted(rows, key=str) == [
        ("a", True),
        ("b", True),
        ("c", True),
        ("d", True),
        ("e large", None),
        ("e small", None),
        ("f large", None),
        ("f small", None),
        ("g", False),
        ("h 100k check", None),
        ("h 100k prune", None),
        ("h 1m check", None),
        ("h 1m prune", None),
        ("h small check", None),
        ("i changed", True),
        ("i same", True),
        ("j", True),
        ("start snapshots", None),
        ("start version", None),
    ]
    assert {"argosy --version", "restic version", "restic check --read-data --repo"} <= set(journal(tmp_path))
    assert "argosy backup --repo --compression fastest" in journal(tmp_path)
    assert "restic backup --repo --compression fastest" not in journal(tmp_path)
    assert {"restic prune --repo", "argosy check --repo", "argosy forget --keep-last 1 --repo"} <= set(
        journal(tmp_path)
    )


def test_a_restore_that_lacks_files_ends_the_run(tmp_path: Path) -> None:
    """Its time would look good."""
    with pytest.raises(CommandFailed, match="forgetful restored"):
        run(tmp_path, Choice(frozenset("e"), (False,), runs=1, scale=0.001), argosy="forgetful")


def test_what_was_measured_before_a_failure_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argosy, restic = copying("forgetful", tmp_path), tmp_path / "restic"
    restic.write_text(f'#!/bin/sh\nexec {shlex.join(copying("restic", tmp_path).command)} "$@"\n')
    restic.chmod(0o755)
    words = ["--scenario", "f,e", "--runs", "1", "--scale", "0.001", "--directory", str(tmp_path)]
    assert main([*words, "--argosy", shlex.join(argosy.command), "--restic", str(restic)]) == 1
    printed = capsys.readouterr()
    assert "argosy restored" in printed.err
    assert "f: small files, check --read-data" in printed.out
    assert "restore" not in printed.out


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--scenario", "a,z"])
    assert "z: not one of a, b, c" in capsys.readouterr().err
