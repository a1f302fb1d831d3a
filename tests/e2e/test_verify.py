"""`argosy verify`, as it is used: real workers, exit codes, and what an auditor's own tools make of the report."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy, decode_lines
from tests.support.trees import make_tree

FILES = {"one": b"first", "sub": {"two": b"second" * 100_000, "back\\slash": b"third"}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    argosy = Argosy(tmp_path_factory.mktemp("verify"))
    make_tree(argosy.home / "data", FILES)
    argosy.run("backup", "--init", "--workers", "1", "data")
    return argosy


def test_a_report_is_proved_by_the_repository_and_by_standard_tools(saved: Argosy, tmp_path: Path) -> None:
    report = tmp_path / "report"
    said = saved.says("verify", "latest", "data", "--report", report)
    assert "its part /data," in said
    assert "no differences were found" in said
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", report], cwd=saved.home / "data", capture_output=True, check=True
    )
    # Versions of sha256sum differ in how they print the name with the backslash.
    assert [line[-4:] for line in checked.stdout.splitlines()] == [b": OK"] * 3
    assert "is as it was written" in saved.says("verify", "--check-report", report)
    _openssl_proves(report, tmp_path)

    report.write_bytes(report.read_bytes().replace(b"sub/two", b"sub/2wo"))
    assert "changed after it was signed" in saved.says("verify", "--check-report", report, expect=1)


def _openssl_proves(report: Path, scratch: Path) -> None:
    """What docs/verify.md tells an auditor to do."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return
    *above, last = report.read_bytes().splitlines(keepends=True)
    signature: dict[str, Any] = decode_lines(last.removeprefix(b"# "))[0]
    hashed = subprocess.run(["sha256sum"], input=b"".join(above), capture_output=True, check=True).stdout.split()[0]
    assert hashed.decode() == signature["sha256"]
    (scratch / "key").write_bytes(base64.b64decode(signature["public_key"]))
    (scratch / "signature").write_bytes(base64.b64decode(signature["signature"]))
    (scratch / "statement").write_bytes(b"argosy verify report 1 sha256 " + hashed + b"\n")
    arguments: list[str | Path] = [
        "-pubin",
        "-inkey",
        scratch / "key",
        "-keyform",
        "DER",
        "-rawin",
        "-in",
        scratch / "statement",
    ]
    proved = subprocess.run(
        [openssl, "pkeyutl", "-verify", *arguments, "-sigfile", scratch / "signature"], capture_output=True, check=False
    )
    assert b"Verified Successfully" in proved.stdout, proved.stderr


def test_differences_have_an_exit_code_of_their_own(saved: Argosy, tmp_path: Path) -> None:
    saved.run("restore", "latest:/data", "--target", tmp_path / "back")
    assert saved.run("verify", "latest:/data", tmp_path / "back", "-q").stdout == b""
    (tmp_path / "back" / "one").write_bytes(b"other")
    arguments = ("latest:/data", tmp_path / "back", "--ignore", "mtime", "--exclude", "sub")
    assert "M    one (content)" in saved.says("verify", *arguments, expect=4)
    *_, difference, summary = saved.documents("verify", *arguments, expect=4)
    assert difference == {
        "message_type": "difference",
        "path": "one",
        "kind": "changed",
        "type": "file",
        "fields": {"content": {}},
    }
    assert (summary["differences"], summary["files"], summary["exit_code"]) == (1, 1, 4)


def test_wrong_use_is_refused(saved: Argosy) -> None:
    assert "a snapshot and a directory are needed" in saved.says("verify", "latest", expect=1)
    assert "compares nothing" in saved.says("verify", "latest", "data", "--check-report", "x", expect=1)
    assert "cannot be read" in saved.says("verify", "latest", "nowhere", expect=1)
