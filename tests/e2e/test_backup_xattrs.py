"""Extended attributes that cannot be read: said once for each kind, counted, and no reason to leave the file out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import TIMEOUT_SECONDS, Argosy, decode_lines
from tests.support.restic import require_restic

FILES = 40


@pytest.fixture
def argosy(tmp_path: Path) -> Argosy:
    made = Argosy(tmp_path)
    made.run("init")
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files, a link and two directories, with attributes where the file system takes them."""
    root = tmp_path / "source"
    (root / "below").mkdir(parents=True)
    for number in range(FILES):
        (root / f"f{number:02d}").write_bytes(b"content %d" % number)
    (root / "link").symlink_to("f00")
    try:
        for path in (root, root / "below", *root.glob("f*")):
            os.setxattr(path, "user.colour", b"red")
    except OSError:
        pytest.skip("the temporary directory takes no extended attributes")
    return root


def backup_with(
    argosy: Argosy, source: Path, strace: str, *faults: str
) -> tuple[int, list[dict[str, object]], list[dict[str, object]]]:
    """The exit code and the documents of a backup for which the kernel answers some calls with an error."""
    options = [option for fault in faults for option in ("-e", f"inject={fault}")]
    calls = ",".join(fault.partition(":")[0] for fault in faults)
    done = subprocess.run(
        [strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", *options]
        + [os.fspath(word) for word in argosy.command("backup", "--json", "-q", source)],
        env=argosy.variables(),
        capture_output=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    return done.returncode, decode_lines(done.stdout), decode_lines(done.stderr)


def warnings(documents: list[dict[str, object]]) -> list[str]:
    return [str(document["message"]) for document in documents if document["message_type"] == "warning"]


def test_an_attribute_that_cannot_be_read_is_named_once_and_counted(
    argosy: Argosy, source: Path, program: Callable[[str], str]
) -> None:
    """Exit code 0, as restic 0.18 has it; scan and workers each say it at most once; the job remembers."""
    code, (summary,), said = backup_with(argosy, source, program("strace"), "fgetxattr:error=EACCES")
    assert code == 0
    assert summary["xattrs_unread"] == FILES + 2
    assert summary["unread"] == 0
    (warning,) = warnings(said)
    assert warning.startswith("the attribute 'user.colour' of ")
    assert "Permission denied" in warning
    logged = [document["text"] for document in argosy.documents("logs")]
    assert warning in logged
    restic = require_restic().at(argosy.repository, argosy.home)
    assert restic.run("dump", "latest", source / "f07").stdout == b"content 7"


def test_lists_and_values_are_two_kinds(argosy: Argosy, source: Path, program: Callable[[str], str]) -> None:
    """The list of a link's attributes is read by its path, that of a file by its descriptor."""
    faults = ("flistxattr:error=EIO:when=1", "fgetxattr:error=EACCES", "llistxattr:error=EIO")
    code, (summary,), said = backup_with(argosy, source, program("strace"), *faults)
    assert code == 0
    assert {warning.partition(" of ")[0] for warning in warnings(said)} >= {
        "the attribute 'user.colour'",
        "the list",
    }
    assert len(warnings(said)) <= 3
    assert isinstance(summary["xattrs_unread"], int)
    assert summary["xattrs_unread"] > FILES // 2


def test_a_file_system_without_attributes_and_one_that_is_gone_by_now_say_nothing(
    argosy: Argosy, source: Path, program: Callable[[str], str]
) -> None:
    faults = ("flistxattr:error=EOPNOTSUPP:when=1..10", "fgetxattr:error=ENODATA")
    code, (summary,), said = backup_with(argosy, source, program("strace"), *faults)
    assert (code, summary["xattrs_unread"], warnings(said)) == (0, 0, [])


def test_the_summary_says_so_in_words(argosy: Argosy, source: Path, program: Callable[[str], str]) -> None:
    done = subprocess.run(
        [program("strace"), "-f", "-qq", "-o", os.devnull, "-e", "trace=fgetxattr", "-e", "inject=fgetxattr:error=EIO"]
        + [os.fspath(word) for word in argosy.command("backup", source)],
        env=argosy.variables(),
        capture_output=True,
        check=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert f"extended attributes that could not be read: {FILES + 2}" in done.stdout.decode()
