"""What a repair tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from argosy.errors import ArgosyError


class Loss(msgspec.Struct, frozen=True):
    """A thing that is gone or was changed, and what became of it. ``snapshot`` is the id of the one that has it, if one
    does; ``path`` is raw, of a file or directory; of a pack it is empty, and ``pack`` its id."""

    reason: str
    snapshot: bytes = b""
    path: bytes = b""
    pack: bytes = b""


def _nothing(_: object) -> None:
    """What is not observed."""


class RepairObserver(msgspec.Struct, frozen=True):
    """``message``: what goes on. ``problem``: damage, and what to do about it. ``lost``: what cannot be had back."""

    message: Callable[[str], None] = _nothing
    problem: Callable[[ArgosyError], None] = _nothing
    lost: Callable[[Loss], None] = _nothing
    stop_requested: Callable[[], bool] = lambda: False
