"""The scripts start the program where the user is, quickly once set up, and say what they lack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import os, sys; print(repr((sys.argv[1:], os.getcwd())))\n"


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def run_shell(checkout: Path, command: str) -> str:
    sourced = "source scripts/lib/environment.sh; source scripts/lib/packages.sh"
    options = ["bash", "-euo", "pipefail", "-c", f"{sourced}; {command}"]
    return subprocess.run(options, cwd=checkout, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up, with a program that prints its arguments and its working directory."""
    root = tmp_path / "a checkout"
    package = root / "src" / "argosy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / "src" / "argosy" / "native", package / "native", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copyfile(ROOT / "pyproject.toml", root / "pyproject.toml")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)
    (packages,) = (root / ".venv" / "lib").glob("python*/site-packages")
    (packages / "argosy-checkout.pth").write_text("../../../../src\n", encoding="utf-8")
    interpreter = os.path.realpath(root / ".venv" / "bin" / "python")
    key = run_shell(root, "environment_key")
    (root / ".venv" / "core.stamp").write_text(f"{interpreter}\n{key}\n", encoding="utf-8")
    return root


def test_the_program_gets_the_arguments_as_given_and_the_users_directory(checkout: Path, tmp_path: Path) -> None:
    """Also through a link, and whatever Python files lie in that directory."""
    link = tmp_path / "argosy"
    link.symlink_to(checkout / "scripts" / "argosy")
    place = tmp_path / "place"
    place.mkdir()
    (place / "argosy.py").write_text("raise SystemExit('the wrong program')\n", encoding="utf-8")
    done = subprocess.run([link, "a b", "", "*"], cwd=place, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{(['a b', '', '*'], str(place))!r}\n", "")


@pytest.mark.parametrize(
    "changed",
    ["pyproject.toml", "scripts/lib/pip-wheel.txt", "src/argosy/native/libraries.c", ".venv/core.stamp"],
)
def test_the_environment_is_stale_once_what_it_was_made_from_has_changed(checkout: Path, changed: str) -> None:
    question = 'environment_is_ready core "$(environment_key)" && echo ready || echo stale'
    assert run_shell(checkout, question) == "ready\n"
    (checkout / changed).write_text("# changed\n" + (checkout / changed).read_text(encoding="utf-8"), encoding="utf-8")
    assert run_shell(checkout, question) == "stale\n"


def test_an_environment_of_another_python_is_stale(checkout: Path) -> None:
    """As after an upgrade of the system: the link leads to an interpreter that does not see the packages."""
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(shutil.which("true") or "/bin/true")
    assert run_shell(checkout, 'environment_is_ready core "$(environment_key)" || echo stale') == "stale\n"


def test_a_failed_set_up_ends_with_1_and_says_what_to_look_at(checkout: Path) -> None:
    (checkout / ".venv" / "core.stamp").unlink()
    done = run([str(checkout / "scripts" / "argosy")], PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "setting up .venv (core)" in done.stderr
    assert "pip's settings" in done.stderr


def test_help_sets_nothing_up(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    done = run([str(checkout / "scripts" / "test"), "--help"])
    assert done.returncode == 0
    assert "--install" in done.stdout
    assert not (checkout / ".venv").exists()


def test_a_missing_package_is_named_with_its_purpose_and_the_command(checkout: Path) -> None:
    listed = "here bash always running\ngone no-such-program always proving\nlater no-such-file long waiting\n"
    (checkout / "scripts" / "lib" / "test-packages.txt").write_text(f"# a list\n{listed}", encoding="utf-8")
    assert run_shell(checkout, "missing_packages always").split() == ["gone"]
    assert run_shell(checkout, "missing_packages long").split() == ["gone", "later"]
    said = run_shell(checkout, "name_missing gone 2>&1").splitlines()
    assert said[1].split() == ["gone", "proving"]
    assert said[-1].endswith("sudo apt-get install -y --no-install-recommends gone")


@pytest.mark.parametrize(("version", "new"), [("0.14.0", 1), ("0.17.3", 1), ("0.18.0", 0), ("0.20.1", 0), ("1.0.0", 0)])
def test_the_new_referee_is_restic_0_18_or_newer(checkout: Path, tmp_path: Path, version: str, new: int) -> None:
    program = tmp_path / "restic"
    program.write_text(f"#!/bin/sh\necho restic {version} compiled with go1.0 on linux/amd64\n", encoding="utf-8")
    program.chmod(0o755)
    said = run_shell(checkout, f'code=0; is_018 "{program}" || code=$?; echo $code')
    assert int(said) == new


def test_each_listed_package_has_a_probe_a_time_and_a_reason() -> None:
    lines = (ROOT / "scripts/lib/test-packages.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.split(maxsplit=3) for line in lines if not line.startswith("#")]
    assert entries
    assert all(len(entry) == 4 and entry[2] in ("always", "long") for entry in entries)
