"""The kernel loads, or is absent with a reason; turned off, it is off in this process and in its workers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.native.bindings import Kernel, KernelAbsent, load_kernel
from argosy.native.sources import DIRECTORY
from tests.support.native import built_kernel


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return built_kernel()


def version(**variables: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "argosy", "version", "--json"]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_version_names_the_libraries_below_it(kernel: Kernel) -> None:
    assert version()["native"] is True
    assert version()["native_text"] == kernel.versions
    assert kernel.versions.startswith("OpenSSL 3.")


def test_the_variable_turns_it_off_and_the_version_says_so() -> None:
    for word in ("off", "No", "0"):
        found = version(ARGOSY_NATIVE=word)
        assert (found["native"], found["native_text"]) == (False, "ARGOSY_NATIVE says so")


def test_one_that_was_not_built_is_absent_with_the_remedy(tmp_path: Path) -> None:
    package = tmp_path / "argosy"
    shutil.copytree(DIRECTORY.parent, package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    question = "from argosy import native; print(native.kernel(), native.status())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", question], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("None (False, 'it was not built: install a C compiler")


def test_one_that_hashes_wrongly_is_not_used(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor, or a compiler, with a fault."""
    del kernel
    right = Kernel.hash_many
    monkeypatch.setattr(Kernel, "hash_many", lambda *given: [b"\1" * 32, *right(*given)[1:]])
    with pytest.raises(KernelAbsent, match="wrong hashes"):
        load_kernel()


def test_a_library_that_is_missing_is_named(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    del kernel
    monkeypatch.setattr("argosy.native.bindings.ZSTD_NAME", "libno-such-zstd.so.1")
    monkeypatch.setattr("argosy.native.bindings._zstd_of_python", list)
    with pytest.raises(KernelAbsent, match="libno-such-zstd"):
        load_kernel()


def test_a_library_of_another_kind_is_refused(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    del kernel
    monkeypatch.setattr("argosy.native.bindings.CRYPTO_NAME", "libz.so.1")
    with pytest.raises(KernelAbsent, match=r"libz|OpenSSL_version is missing"):
        load_kernel()


def test_the_systems_zstd_serves_as_well(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python's own zstd is no file of its own, or does not show its functions."""
    monkeypatch.setattr("argosy.native.bindings._zstd_of_python", lambda: ["/no/such/_zstd.so"])
    try:
        assert load_kernel().versions.startswith(kernel.versions.partition(",")[0])
    finally:
        monkeypatch.undo()
        load_kernel()  # the functions are found once a process: back to those that are in use


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_pieces_are_hashed_each_on_its_own(kernel: Kernel, pieces: list[bytes]) -> None:
    expected = [sha256(piece).digest() for piece in pieces]
    lengths = [len(piece) for piece in pieces]
    assert kernel.hash_many(b"".join(pieces), lengths) == expected
    assert kernel.hash_many(bytearray(b"".join(pieces)), lengths) == expected


@pytest.mark.parametrize("lengths", [[1], [2, 2], [4, -1], []])
def test_lengths_that_do_not_fit_the_data_are_refused(kernel: Kernel, lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="add up"):
        kernel.hash_many(b"abc", lengths)
