"""README's two commands work for an ordinary user of a minimal Debian 12: python3, no pip, no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.lib.pip_settings import load_pip_settings

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
HOME = "home/ann"
NETWORK = ("PIP_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# What a running system has and a directory has not: a root that is mounted, processes, terminals, shared memory.
BOOT = """
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
exec chroot --userspec=ann:ann "$0" bash -c "$1"
"""
AsUser = Callable[[str], "subprocess.CompletedProcess[str]"]


def debian_mirror(work: Path) -> str:
    """The first address that the scripts would ask for Debian 13's restic."""
    script = f'source scripts/lib/environment.sh; source scripts/lib/packages.sh; debian_mirrors "{work}"'
    found = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()[0]


def give_network(system: Path) -> None:
    """Let the system resolve names, and trust and ask for packages whatever this machine does."""
    authorities = load_pip_settings(os.environ).authorities
    user_settings = Path.home() / ".config/pip/pip.conf"
    copied = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf")
    wanted = {Path(path): system / path.lstrip("/") for path in copied}
    wanted[user_settings] = system / HOME / ".config/pip/pip.conf"
    if authorities:
        wanted[Path(authorities)] = system / authorities.lstrip("/")
    for source, target in wanted.items():
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


@pytest.fixture(scope="module")
def as_user(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsUser]:
    """Runs a shell command in the checkout, as an ordinary user in a Debian of its own."""
    debootstrap = program("debootstrap")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a system and to change into it")
    work = tmp_path_factory.mktemp("debian")
    system = work / "system"
    options = ["--variant=minbase", "--include=python3"]
    subprocess.run([debootstrap, *options, "bookworm", str(system), debian_mirror(work)], check=True)
    subprocess.run(["chroot", str(system), "useradd", "--create-home", "ann"], check=True)
    checkout = system / HOME / "argosy"
    ignored = shutil.ignore_patterns(".git", ".venv", ".cache", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=ignored)
    give_network(system)
    subprocess.run(["chroot", str(system), "chown", "-R", "ann:", f"/{HOME}"], check=True)
    variables = {"PATH": "/usr/bin:/usr/sbin", "HOME": f"/{HOME}", "ARGOSY_PASSWORD": "correct horse"}
    variables |= {name: value for name, value in os.environ.items() if name.upper().startswith(NETWORK)}

    def run(command: str) -> subprocess.CompletedProcess[str]:
        # Spaces of processes and mounts of its own, which end with the command.
        enter = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-ec", BOOT, str(system)]
        enter += [f"cd ~/argosy && {command}"]
        return subprocess.run(enter, env=variables, capture_output=True, text=True, check=False)

    yield run
    shutil.rmtree(system)


def test_the_first_command_backs_up(as_user: AsUser) -> None:
    """The first start sets itself up; the second finds everything done and says nothing of it."""
    first = as_user("scripts/argosy backup --init -r ~/argosy-repo docs")
    assert first.returncode == 0, first.stderr
    assert "setting up .venv" in first.stderr
    second = as_user("scripts/argosy backup --init -r ~/argosy-repo docs")
    assert second.returncode == 0, second.stderr
    assert "setting up .venv" not in second.stderr
    checked = as_user("scripts/argosy check --read-data -r ~/argosy-repo")
    assert checked.returncode == 0, checked.stderr


def test_the_second_command_passes_the_tests(as_user: AsUser) -> None:
    """Without root it names the packages that it lacks, and skips what needs them."""
    done = as_user("scripts/test --install")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "sudo apt-get install -y" in done.stderr
