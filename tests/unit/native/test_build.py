"""The kernel is built where a compiler is, never loaded from other sources, and never needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.native.build import COMPILERS, CompilationFailed, NoCompiler, build
from argosy.native.sources import DIRECTORY, library_path

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, COMPILERS)), reason="needs gcc: apt-get install gcc libc6-dev"
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources, without a library."""
    return Path(shutil.copytree(DIRECTORY, tmp_path / "native", ignore=shutil.ignore_patterns("*.so", "__pycache__")))


@needs_compiler
def test_it_compiles_without_a_warning_and_only_once(sources: Path) -> None:
    library = build(sources, extra_flags=["-Werror"])
    assert library == library_path(sources)
    before = library.stat()
    assert build(sources).stat() == before
    assert not list(sources.glob("*.draft"))


@needs_compiler
def test_a_library_of_other_sources_is_replaced_and_never_found(sources: Path) -> None:
    old = build(sources)
    with (sources / "sha256.c").open("a", encoding="utf-8") as file:
        file.write("/* changed */\n")
    assert not library_path(sources).exists()
    assert build(sources) != old
    assert not old.exists()


@needs_compiler
def test_a_new_file_becomes_part_of_it(sources: Path) -> None:
    (sources / "more.c").write_text('#include "native.h"\nARGOSY_EXPORT int more(void) { return 42; }\n')
    question = f"import ctypes; print(ctypes.CDLL({str(build(sources))!r}).more())"
    assert subprocess.run([sys.executable, "-c", question], capture_output=True, check=True).stdout == b"42\n"


@needs_compiler
def test_what_the_compiler_says_is_passed_on(sources: Path) -> None:
    (sources / "broken.c").write_text("this is no C\n", encoding="utf-8")
    with pytest.raises(CompilationFailed, match=r"broken\.c"):
        build(sources)
    assert not list(sources.glob("*.draft"))


def test_without_a_compiler_the_set_up_says_nothing_and_goes_on(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCompiler, match="no C compiler"):
        build(sources)
    if not library_path().exists():
        command = [sys.executable, "-m", "argosy.native.build", "--if-possible"]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
