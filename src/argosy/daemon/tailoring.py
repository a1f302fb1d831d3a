"""What a master sends to members that differ: whose source a batch is, and a setup without the store's credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from argosy.archiver.messages import BatchWork, WorkerSetup, decode, encode
from argosy.errors import EngineError
from argosy.operations.backup.handler import HANDLER as BACKUP

_SETUPS: dict[str, Any] = {BACKUP: WorkerSetup}
"""By handler: the type of its setup. All have ``storage_options``."""


class MembersTailor:
    """See ``engine.nats.tailoring.Tailor``."""

    def suits(self, handler: str, payload: bytes, only: Sequence[bytes]) -> bool:
        """Whether all that a batch reads lies at or below one of these paths; of other tasks, always."""
        if handler != BACKUP:
            return True
        work = decode(payload, BatchWork)
        places = {part.path for part in work.parts} | {segment.path for segment in work.segments}
        return all(any(_is_at_or_below(place, path) for path in only) for place in places)

    def without_credentials(self, handler: str, setup: bytes) -> bytes:
        """The setup, for a member that uses its own."""
        return with_credentials(handler, setup, {})


def with_credentials(handler: str, setup: bytes, credentials: Mapping[str, str]) -> bytes:
    """The setup with these credentials for the store, and no others."""
    if handler not in _SETUPS:
        raise EngineError(f"the credentials in a setup of {handler} cannot be replaced")
    found = decode(setup, _SETUPS[handler])
    options = msgspec.structs.replace(found.storage_options, credentials=dict(credentials))
    return encode(msgspec.structs.replace(found, storage_options=options))


def _is_at_or_below(place: bytes, path: bytes) -> bool:
    return place == path or place.startswith(path.rstrip(b"/") + b"/")
