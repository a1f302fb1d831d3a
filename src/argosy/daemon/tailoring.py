"""What a master sends to members that differ: whose source a batch is, and a setup without the store's credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from argosy.archiver import messages as backup
from argosy.errors import EngineError
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.operations.check import messages as check
from argosy.operations.check.handler import HANDLER as CHECK
from argosy.operations.prune import messages as prune
from argosy.operations.prune.copying import HANDLER as PRUNE
from argosy.operations.restore.handler import HANDLER as RESTORE
from argosy.operations.verify.run import HANDLER as VERIFY
from argosy.restorer import messages as restore

Credentials = Callable[[str], Mapping[str, str]]
"""Those for the store at a location."""

Setup: TypeAlias = backup.WorkerSetup | restore.WorkerSetup | check.WorkerSetup | prune.WorkerSetup
"""The first thing that a worker hears, of each kind of job."""


class _Language(NamedTuple):
    """How the setups of a handler are written."""

    decode: Callable[[bytes], Setup]
    encode: Callable[..., bytes]


_LANGUAGES = {
    BACKUP: _Language(lambda setup: backup.decode(setup, backup.WorkerSetup), backup.encode),
    RESTORE: _Language(lambda setup: restore.decode(setup, restore.WorkerSetup), restore.encode),
    CHECK: _Language(check.decode_setup, check.encode),
    PRUNE: _Language(prune.decode_setup, prune.encode),
}


class MembersTailor:
    """See ``engine.nats.tailoring.Tailor``."""

    def suits(self, handler: str, payload: bytes, only: Sequence[bytes]) -> bool:
        """Whether all that a batch reads lies at or below one of these paths; of other tasks, always."""
        if handler != BACKUP:
            return True
        work = backup.decode(payload, backup.BatchWork)
        places = {part.path for part in work.parts} | {segment.path for segment in work.segments}
        return all(any(_is_at_or_below(place, path) for path in only) for place in places)

    def without_credentials(self, handler: str, setup: bytes) -> bytes:
        """The setup, for a member that uses its own."""
        return with_credentials(handler, setup, lambda _: {})


def with_credentials(handler: str, setup: bytes, credentials: Credentials) -> bytes:
    """The setup with these credentials for its store, and no others. To compare a source takes no store."""
    if handler == VERIFY:
        return setup
    language = _LANGUAGES.get(handler)
    if language is None:
        raise EngineError(f"the credentials in a setup of {handler} cannot be replaced")
    found = language.decode(setup)
    options = msgspec.structs.replace(found.storage_options, credentials=dict(credentials(found.location)))
    return language.encode(msgspec.structs.replace(found, storage_options=options))


def _is_at_or_below(place: bytes, path: bytes) -> bool:
    return place == path or place.startswith(path.rstrip(b"/") + b"/")
