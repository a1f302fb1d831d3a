"""Make or refresh the checkout's `.venv`. Run by `environment.sh`, with the key that it will look for:

    python3 -E -S -m scripts.lib.bootstrap core|dev KEY

1. Take the lock (`.cache/bootstrap.lock`); another start may have done the work meanwhile.
2. Make `.venv`, unless a sound one is there: `python3 -m venv`; where ensurepip is missing, `--without-pip`
   and the pinned pip wheel.
3. Let pip install the dependencies that pyproject.toml names, wheels only. `dev` adds every extra.
4. Compile the native kernel (src/argosy/native) if there is a C compiler. Without one, or if it refuses, Argosy works
   all the same, more slowly; a refusal is named here, and `argosy version` says which it is.
5. Write `.venv/core.stamp` (and `dev.stamp`): the interpreter's real path, then the key.

The package itself is not installed: a `.pth` file in `.venv` names `src`, relative to itself. So no git and no
build backend is needed. Messages go to standard error; a failure ends with exit code 1.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.pip_settings import load_pip_settings
from scripts.lib.pip_wheel import WheelError, fetch_wheel, read_pin

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scripts" / "lib"

# -qq: errors only. --no-user: with `user = true` in pip.conf, pip refuses to install into an environment.
_PIP_INSTALL = ("install", "-qq", "--disable-pip-version-check", "--no-user")


class SetupError(Exception):
    """The environment cannot be made. The message says what to do next."""


class Environment:
    """The checkout's virtual environment, its marks and its stamps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.python = directory / "bin" / "python"
        # Present while packages are being installed: an environment that still has it was left half-made.
        self.unfinished = directory / "unfinished"

    def is_ready(self, kind: str, key: str) -> bool:
        """Whether the stamp of `kind` was written for this key and for the interpreter now behind `.venv`."""
        try:
            stamp = self._stamp(kind).read_text(encoding="utf-8")
        except OSError:
            return False
        return stamp == self._stamp_text(key)

    def mark_ready(self, kind: str, key: str) -> None:
        """Write the stamp of `kind`, all or nothing."""
        draft = self._stamp(kind).with_suffix(".draft")
        draft.write_text(self._stamp_text(key), encoding="utf-8")
        draft.rename(self._stamp(kind))

    def is_sound(self) -> bool:
        """Whether pip runs in it and no installation was cut short."""
        if self.unfinished.exists() or not self.python.exists():
            return False
        return _run([str(self.python), "-m", "pip", "--version"], quiet=True)

    def make(self) -> None:
        """Make it anew, with pip."""
        shutil.rmtree(self.directory, ignore_errors=True)
        venv = [sys.executable, "-m", "venv", str(self.directory)]
        if importlib.util.find_spec("ensurepip") is not None and _run(venv, quiet=True):
            return
        # Some distributions ship ensurepip without the wheels that it installs: it fails only when it runs.
        shutil.rmtree(self.directory, ignore_errors=True)
        if not _run([*venv, "--without-pip"]):
            raise SetupError(f"cannot make {self.directory}; is the python3 package complete?")
        try:
            pin = read_pin(LIBRARY / "pip-wheel.txt")
            wheel = fetch_wheel(pin, load_pip_settings(os.environ), self.directory)
        except WheelError as error:
            raise SetupError(
                f"{error}\nCheck the network and pip's settings (PIP_INDEX_URL, pip.conf), or install python3-venv."
            ) from error
        if not _run([str(self.python), f"{wheel}/pip", *_PIP_INSTALL, "--no-index", "--no-deps", str(wheel)]):
            raise SetupError(f"cannot install {wheel.name} into {self.directory}")
        wheel.unlink()

    def install(self, requirements: list[str]) -> None:
        """Let pip install the requirements, and show the package the way to `src`."""
        self.unfinished.touch()
        if not _run([str(self.python), "-m", "pip", *_PIP_INSTALL, "--only-binary=:all:", *requirements]):
            raise SetupError(
                "pip could not install what pyproject.toml names (its message is above).\n"
                "Check the network and pip's settings, and that this Python and machine have wheels of them."
            )
        packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(self.directory)}))
        source = os.path.relpath(ROOT / "src", packages)
        (packages / "argosy-checkout.pth").write_text(f"{source}\n", encoding="utf-8")
        self.unfinished.unlink()

    def build_kernel(self) -> None:
        """Compile the native kernel where that is possible."""
        _run([str(self.python), "-P", "-m", "argosy.native.build", "--if-possible"])

    def _stamp(self, kind: str) -> Path:
        return self.directory / f"{kind}.stamp"

    def _stamp_text(self, key: str) -> str:
        return f"{os.path.realpath(self.python)}\n{key}\n"


def main(arguments: list[str]) -> int:
    """Make the environment ready for `core` or `dev`; returns the exit code."""
    kind, key = arguments
    environment = Environment(ROOT / ".venv")
    try:
        with _locked(ROOT / ".cache" / "bootstrap.lock"):
            if not environment.is_ready(kind, key):
                _say(f"setting up .venv ({kind}); the next start is quick")
                _prepare(environment, kind, key)
    except SetupError as error:
        _say(str(error))
        return 1
    except PermissionError as error:
        _say(f"cannot write {error.filename}: run from a copy of the checkout that is yours")
        return 1
    return 0


def _prepare(environment: Environment, kind: str, key: str) -> None:
    if not environment.is_sound():
        environment.make()
    environment.install(_requirements(with_extras=kind == "dev"))
    environment.build_kernel()
    for satisfied in {"core", kind}:
        environment.mark_ready(satisfied, key)


def _requirements(*, with_extras: bool) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = list(project["dependencies"])
    if with_extras:
        for extra in project["optional-dependencies"].values():
            requirements += extra
    return requirements


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file lock until this process and what it has started are gone, however they end."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        # Inherited on purpose: a pip that outlives a killed bootstrap still keeps others out.
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another start is setting up .venv; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], *, quiet: bool = False) -> bool:
    """Run to the end, its output on standard error: a program may be reading standard output."""
    output = subprocess.DEVNULL if quiet else sys.stderr
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=False, check=False)
    return done.returncode == 0


def _say(message: str) -> None:
    sys.stderr.write(f"argosy: {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
