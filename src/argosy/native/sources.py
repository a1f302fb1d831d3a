"""Which library belongs to the sources here.

It lies beside them, under a name that holds the machine's kind and a hash of the sources. So a library made from other
sources, or for another kind of machine that shares the checkout, is never loaded.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent
# No -march: the library may run on another processor of the kind.
FLAGS = (
    "-std=gnu11",
    "-O2",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fstack-protector-strong",
    "-Wall",
    "-Wextra",
    "-Wl,-z,defs",  # a function that is missing is the compiler's error, not the loader's
)


def library_path(directory: Path = DIRECTORY) -> Path:
    """Where the library made from the sources in ``directory`` lies, whether or not it is there."""
    key = sha256(" ".join(FLAGS).encode())
    for source in sorted([*directory.glob("*.c"), *directory.glob("*.h")]):
        key.update(b"\0%b\0" % source.name.encode() + source.read_bytes())
    return directory / library_pattern().replace("*", key.hexdigest()[:16])


def library_pattern() -> str:
    """What the names of libraries for this kind of machine look like."""
    return f"kernel-{os.uname().machine}-*.so"
