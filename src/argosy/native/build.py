"""Compiles the kernel: ``python -m argosy.native.build``, about a second.

Only the standard library is needed: the set-up of a checkout and the build of a wheel both come here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from argosy.native.sources import DIRECTORY, FLAGS, library_path, library_pattern

COMPILERS = ("cc", "gcc", "clang")


class NoCompiler(Exception):
    """The machine has no C compiler."""


class CompilationFailed(Exception):
    """The compiler refused; the message is what it said."""


def build(directory: Path = DIRECTORY, *, extra_flags: Sequence[str] = ()) -> Path:
    """Compile, unless it is done; returns the library's path. NoCompiler or CompilationFailed if it cannot be."""
    library = library_path(directory)
    if library.exists():
        return library
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise NoCompiler(f"there is no C compiler ({', '.join(COMPILERS)}) on PATH")
    # A process may have the old library in memory: it is replaced by name, never written over.
    draft = library.with_suffix(f".{os.getpid()}.draft")
    sources = [str(source) for source in sorted(directory.glob("*.c"))]
    command = [compiler, *FLAGS, *extra_flags, "-o", str(draft), *sources, "-ldl"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompilationFailed(f"{' '.join(command)}\n{done.stderr.strip()}")
        draft.replace(library)
    finally:
        draft.unlink(missing_ok=True)
    for old in directory.glob(library_pattern()):
        if old != library:
            old.unlink(missing_ok=True)
    return library


def main(arguments: Sequence[str]) -> int:
    """Compile; returns the exit code. With ``--if-possible`` a machine without a compiler is no failure."""
    try:
        build()
    except NoCompiler as error:
        if arguments == ["--if-possible"]:
            return 0
        return _failed(error)
    except (CompilationFailed, OSError) as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    sys.stderr.write(f"argosy: the native kernel is not built; all works without it, more slowly: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
