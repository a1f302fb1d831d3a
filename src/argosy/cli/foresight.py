"""Guesses, before the command line is parsed, which password will open which repository, and begins to derive the key.

Parsing takes imports, forty milliseconds of them; this module has none to speak of. A guess that is wrong costs a tenth
of a second of a processor, and decides nothing: the derivation counts only for the very password, salt and numbers that
the opening of the repository asks for.
"""

from __future__ import annotations

import binascii
import json
import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from argosy.cli.variables import Variables
from argosy.cli.verbs import OPENING
from argosy.restic_format.early_derivation import EarlyDerivation

_KEY_BYTES = 64
_LARGEST_FILE_BYTES = 64 * 1024
# Of scrypt's table: what restic's own choice of numbers keeps within.
_LARGEST_TABLE_BYTES = 64 * 1024 * 1024

_begun: EarlyDerivation | None = None


def begin(arguments: Sequence[str], variables: Variables | None = None) -> None:
    """Begin what the command will ask for, if that can be told at a glance."""
    global _begun
    # Whatever is wrong is told by the command itself.
    with suppress(OSError, ValueError, KeyError, TypeError):
        _begun = _begin(arguments, variables or Variables())


def begun() -> EarlyDerivation | None:
    """What ``begin`` has begun."""
    return _begun


def _begin(arguments: Sequence[str], variables: Variables) -> EarlyDerivation | None:
    if not arguments or arguments[0] not in OPENING or "--cluster" in arguments:
        return None
    location = _given(arguments, ("-r", "--repo")) or variables.first("REPOSITORY")
    password = _password(arguments, variables)
    if not location or not password:
        return None
    keys = os.path.join(location, "keys")
    # The first one is tried first.
    document = json.loads(_read_regular(os.path.join(keys, min(os.listdir(keys)))))
    n, r, p = (int(document[name]) for name in "Nrp")
    if 128 * n * r > _LARGEST_TABLE_BYTES:
        return None
    salt, natively = binascii.a2b_base64(document["salt"]), not variables.refuses("NATIVE")
    return EarlyDerivation(password, salt, n, r, p, _KEY_BYTES, natively=natively)


def _password(arguments: Sequence[str], variables: Variables) -> bytes:
    file = _given(arguments, ("-p", "--password-file")) or variables.first("PASSWORD_FILE")
    if file:
        return _read_regular(file).strip()
    return os.fsencode(variables.first("PASSWORD") or "")


def _given(arguments: Sequence[str], names: tuple[str, str]) -> str:
    """The value of a flag; empty without it."""
    for number, word in enumerate(arguments):
        if word in names:
            return "".join(arguments[number + 1 : number + 2])
        if word.startswith(f"{names[1]}="):
            return word.removeprefix(f"{names[1]}=")
    return ""


def _read_regular(path: str) -> bytes:
    """A file's bytes; ValueError unless it is a small regular file. A pipe serves once, even if only opened."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_FILE_BYTES:
        raise ValueError("not a small regular file")
    with open(path, "rb") as file:
        return file.read()
