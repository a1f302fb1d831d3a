"""Commands that end with whoever starts them, so that nothing outlives a run of the tests that is stopped."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TypeVar

Word = TypeVar("Word")


def mortal(command: Sequence[Word]) -> list[Word | str]:
    """The command, killed by the kernel once the thread that starts it has ended, however that ends."""
    guard = shutil.which("setpriv")
    return [*([guard, "--pdeathsig", "KILL"] if guard else []), *command]
