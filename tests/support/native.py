"""The native kernel for tests: built if it is not there yet."""

from __future__ import annotations

import pytest

from argosy.native.bindings import Kernel, load_kernel
from argosy.native.build import NoCompiler, build


def built_kernel() -> Kernel:
    """The kernel; skips the test on a machine without a C compiler."""
    try:
        build()
    except NoCompiler:
        pytest.skip("needs gcc: apt-get install gcc libc6-dev")
    return load_kernel()
