"""`backup --stdin` and `--stdin-from-command`: one file from a pipe, as restic saves it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Argosy, decode_lines
from tests.support.restic import ResticRepository, require_restic

TIME = "2020-01-02 03:04:05"
CONTENTS = {
    "one byte": b"x",
    "a small file": b"hello\n" * 1000,
    "the largest that is one blob": random.Random(1).randbytes(512 << 10),
}
LARGE = random.Random(2).randbytes((1 << 20) + 12345) * 5


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    """The program, with a repository."""
    made = Argosy(tmp_path)
    made.run("init")
    return made


def referee(argosy: Argosy, at_least: tuple[int, int, int] = (0, 14, 0)) -> ResticRepository:
    return require_restic(at_least).at(argosy.repository, argosy.home)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_the_tree_is_the_one_that_restic_makes(argosy: Argosy, tmp_path: Path, content: bytes) -> None:
    """And so are the paths that the snapshot names, its tags, host and time; restic's run then adds no data."""
    given = tmp_path / "given"
    given.write_bytes(content)
    options = ("--time", TIME, "--stdin-filename", "dump.sql", "--tag", "a,b", "--host", "elsewhere")
    argosy.run("backup", *options, "--stdin", given=content)
    restic = referee(argosy, (0, 17, 0))
    done = restic.run("backup", "--json", *options, "--stdin-from-command", "--", "cat", given)
    summary = decode_lines(done.stdout)[-1]
    assert (summary["data_blobs"], summary["tree_blobs"]) == (0, 0)
    (listed,) = restic.json_lines("snapshots")
    ours, theirs = sorted(listed, key=lambda snapshot: snapshot["program_version"])
    for field in ("tree", "paths", "tags", "hostname", "time"):
        assert ours[field] == theirs[field], field


def test_a_large_stream_comes_back_and_is_stored_once(argosy: Argosy) -> None:
    """Of a stream above the size of one blob the content is what counts: each program cuts it in its own way."""
    (summary,) = decode_lines(argosy.run("backup", "--stdin", "--json", "-q", given=LARGE).stdout)
    assert summary["total_bytes_processed"] == len(LARGE)
    (again,) = decode_lines(argosy.run("backup", "--stdin", "--json", "-q", given=LARGE).stdout)
    assert again["data_blobs"] == 0
    restic = referee(argosy)
    assert restic.run("dump", "latest", "/stdin").stdout == LARGE
    assert argosy.run("dump", "latest", "/stdin").stdout == LARGE
    restic.check()


def test_a_name_may_have_directories(argosy: Argosy) -> None:
    argosy.run("backup", "--stdin", "--stdin-filename", "../db/x/../dump.sql", given=b"data")
    restic = referee(argosy)
    assert restic.run("dump", "latest", "/db/dump.sql").stdout == b"data"
    (listed,) = restic.json_lines("snapshots")
    assert listed[0]["paths"] == ["/db/dump.sql"]
    restic.check()


def test_what_a_command_prints_is_saved_and_its_errors_are_shown(argosy: Argosy) -> None:
    script = "echo a word of warning >&2; printf printed"
    said = argosy.says("backup", "--init", "--stdin-from-command", "--stdin-filename", "out", "--", "sh", "-c", script)
    assert "sh: a word of warning" in said
    assert argosy.run("dump", "latest", "/out").stdout == b"printed"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["sh", "-c", "printf half; exit 3"], "the command 'sh' ended with code 3: no snapshot was made"),
        (["sh", "-c", "printf half; kill -9 $$"], "the command 'sh' was ended by signal 9"),
        (["no-such-command"], "the command 'no-such-command' cannot be started"),
    ],
    ids=["failed", "killed", "not there"],
)
def test_a_command_that_fails_makes_no_snapshot(argosy: Argosy, command: list[str], said: str) -> None:
    """It ends with 1, as in restic; the history tells of it; nothing is left for a resume."""
    assert said in argosy.says("backup", "--stdin-from-command", "--", *command, expect=1)
    assert referee(argosy).json_lines("snapshots") == [[]]
    referee(argosy).check()
    (job,) = argosy.documents("jobs")
    assert (job["state"], job["paths"]) == ("failed", ["/stdin"])
    assert not list((argosy.state / "jobs").iterdir())


def test_nothing_at_all_is_refused_unless_it_may_be_nothing(argosy: Argosy) -> None:
    """An empty dump is what a failed one looks like; restic makes a snapshot without the file then."""
    assert "--allow-shrink" in argosy.says("backup", "--stdin", expect=1)
    argosy.run("backup", "--stdin", "--allow-shrink")
    assert argosy.run("dump", "latest", "/stdin").stdout == b""


def test_a_dry_run_writes_nothing(argosy: Argosy) -> None:
    before = sorted(argosy.repository.rglob("*"))
    (summary,) = decode_lines(argosy.run("backup", "--stdin", "-n", "--json", "-q", given=b"data").stdout)
    assert summary["dry_run"]
    assert "snapshot_id" not in summary
    assert sorted(argosy.repository.rglob("*")) == before
    assert argosy.documents("jobs") == []


def test_an_unchanged_output_makes_no_snapshot_if_that_is_asked_for(argosy: Argosy) -> None:
    """With a fixed time the trees can be equal."""
    for _ in range(2):
        argosy.run("backup", "--skip-if-unchanged", "--time", TIME, "--stdin-from-command", "echo", "same")
    (listed,) = referee(argosy).json_lines("snapshots")
    assert len(listed) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stdin", "file"], "--stdin takes no files"),
        (["--stdin", "--files-from", "-"], "--stdin and --files-from exclude each other"),
        (["--stdin", "--as", "/x"], "--stdin and --as exclude each other"),
        (["--stdin-from-command"], "there is no command"),
        (["--stdin-filename", "x", "."], "Add one of them"),
        (["--stdin", "--stdin-filename", "/"], "the name for what is read is empty"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(argosy: Argosy, arguments: list[str], said: str) -> None:
    assert said in argosy.says("backup", *arguments, expect=1)
    assert referee(argosy).json_lines("snapshots") == [[]]


def test_the_password_is_never_taken_from_the_data(argosy: Argosy) -> None:
    without = Argosy(argosy.home, password="")
    done = without.run("backup", "--stdin", given=argosy.password.encode() + b"\ndata", expect=1)
    assert b"the password cannot be asked for" in done.stderr


def test_a_stop_while_nothing_comes_ends_the_command_too(argosy: Argosy) -> None:
    """130, no lock left, what can be said of resuming; the command's process goes with it."""
    script = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(1000)"
    with argosy.started("backup", "--stdin-from-command", "--", sys.executable, "-c", script) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.strip().split(b" ")[-1].isdigit())
        child = int(line.split()[-1])
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[1].decode()
    assert process.returncode == 130
    assert "cannot be resumed" in said
    assert not os.listdir(argosy.repository / "locks")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_killed_run_leaves_a_sound_repository_and_no_job(argosy: Argosy) -> None:
    """What it had stored is garbage until the next run finds it or a prune removes it."""
    with subprocess.Popen(
        argosy.command("backup", "--stdin", "--pack-size", "4"),
        env=argosy.variables(),
        bufsize=0,  # nothing is left to be written when the pipe is closed
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        for _ in range(4):
            process.stdin.write(os.urandom(16 << 20))
        process.kill()
        process.stdin.close()
    assert argosy.documents("status")[0]["jobs"] == []
    restic = referee(argosy)
    restic.run("unlock")
    restic.check()
    argosy.run("backup", "--stdin", given=b"the next one")
