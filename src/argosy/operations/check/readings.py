"""Which packs were read whole and found sound, and when: a small file in the state directory for each repository.

A check that was interrupted goes on by it, and a rolling one knows what is due. It is a help, never a proof: whoever
removes it has everything read again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from argosy.errors import StateError
from argosy.operations.check.subset import Choose, ReadSubset
from argosy.operations.jobs import prepare_state_directory
from argosy.sqlite import Database, Migration, migrate, open_database

RESUME_WITHIN_SECONDS = 24 * 3600.0
_DAY_SECONDS = 24 * 3600.0
# What was read is noted this often; a check that is killed reads again what came since.
_NOTE_SECONDS = 2.0
_FIRST_BYTES = 4
_SEED_BITS = 62


def _first_schema(database: Database) -> None:
    # Unix seconds; last_read is NULL until a pack is read. Of both other tables there is one row at most.
    database.execute("CREATE TABLE packs (id BLOB PRIMARY KEY, first_seen REAL NOT NULL, last_read REAL) WITHOUT ROWID")
    database.execute("CREATE TABLE unfinished (what TEXT NOT NULL, seed INTEGER NOT NULL, began REAL NOT NULL)")
    database.execute("CREATE TABLE rolling (began REAL NOT NULL)")


_MIGRATIONS: tuple[Migration, ...] = (_first_schema,)


class Readings:
    """The readings of one repository, and the check under way. ``clock`` gives Unix seconds."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._began = self._next_note = clock()
        self._unnoted: list[bytes] = []
        self._draw = random.random
        self.resumes_from = 0.0

    @classmethod
    def open(cls, state_directory: Path, repository_id: str, clock: Callable[[], float] = time.time) -> Readings:
        """The file of a repository, made if it is not there. StateError if it cannot be used."""
        prepare_state_directory(state_directory)
        directory = state_directory / "check"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"cannot make {directory}: {error.strerror}", hint="Check the owner and mode of the directory above."
            ) from error
        database = open_database(directory / f"{repository_id}.sqlite", durable=False)
        migrate(database, _MIGRATIONS)
        return cls(database, clock)

    def begin(self, subset: ReadSubset, *, resume: bool = True) -> None:
        """Begin a check of this subset, or go on with one that was interrupted a short while ago.

        ``resumes_from`` is then when that began, else 0.
        """
        row = self._database.first("SELECT seed, began FROM unfinished WHERE what = ?", (subset.description,))
        if resume and row is not None and 0 <= self._began - row[1] < RESUME_WITHIN_SECONDS:
            seed, self._began = row
            self.resumes_from = self._began
        else:
            seed = random.getrandbits(_SEED_BITS)
            with self._database.transaction():
                self._database.execute("DELETE FROM unfinished")
                self._database.execute(
                    "INSERT INTO unfinished VALUES (?, ?, ?)", (subset.description, seed, self._began)
                )
        self._draw = random.Random(seed).random

    def chooser(self, subset: ReadSubset, pack_ids: Iterable[bytes], packs: int, pack_bytes: int) -> Choose:
        """As ``ReadSubset.chooser``: the same choice in a check that goes on as in the one that was interrupted."""
        if subset.rolling_seconds:
            return self._due(pack_ids, subset.rolling_seconds).__contains__
        return subset.chooser(packs, pack_bytes, self._draw)

    def was_read(self, pack_id: bytes) -> bool:
        """Whether the check that this one goes on with has read a pack and found it sound."""
        if not self.resumes_from:
            return False
        row = self._database.first("SELECT last_read FROM packs WHERE id = ?", (pack_id,))
        return row is not None and row[0] is not None and row[0] >= self.resumes_from

    def note(self, pack_id: bytes) -> None:
        """A pack was read and is sound."""
        self._unnoted.append(pack_id)
        if self._clock() >= self._next_note:
            self._write()

    def finish(self) -> None:
        """The check has come to its end: the next one starts from the beginning."""
        self._write()
        self._database.execute("DELETE FROM unfinished")

    def close(self) -> None:
        """Note what was read last, and close the file."""
        self._write()
        self._database.close()

    def _write(self) -> None:
        now = self._clock()
        rows = [(pack_id, now, now) for pack_id in self._unnoted]
        self._unnoted = []
        self._next_note = now + _NOTE_SECONDS
        if rows:
            with self._database.transaction():
                self._database.execute_many(
                    "INSERT INTO packs VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET last_read = excluded.last_read",
                    rows,
                )

    def _due(self, pack_ids: Iterable[bytes], period_seconds: float) -> set[bytes]:
        """The packs to be read now, so that none goes unread for longer than the period: also those that would before
        the next check, if that comes as long after this one as this one after the last, or a day after it.

        A new pack is due once within the first period, by its id: so they are spread evenly.
        """
        now = self._clock()
        last = self._database.first("SELECT began FROM rolling")
        ahead_seconds = max(min(_DAY_SECONDS, period_seconds), now - last[0] if last is not None else 0.0)
        due = set[bytes]()
        with self._database.transaction():
            for pack_id in pack_ids:
                first_seen, last_read = self._known(pack_id, now)
                share = int.from_bytes(pack_id[:_FIRST_BYTES], "big") / (1 << 8 * _FIRST_BYTES)
                due_at = last_read + period_seconds if last_read is not None else first_seen + share * period_seconds
                if due_at < now + ahead_seconds:
                    due.add(pack_id)
            self._forget_before(now - 3 * period_seconds)
            self._database.execute("DELETE FROM rolling")
            self._database.execute("INSERT INTO rolling VALUES (?)", (now,))
        return due

    def _known(self, pack_id: bytes, now: float) -> tuple[float, float | None]:
        row = self._database.first("SELECT first_seen, last_read FROM packs WHERE id = ?", (pack_id,))
        if row is None:
            self._database.execute("INSERT INTO packs VALUES (?, ?, NULL)", (pack_id, now))
            return now, None
        return row[0], row[1]

    def _forget_before(self, moment: float) -> None:
        """Packs of that time are gone, or have not been to be read for long."""
        self._database.execute("DELETE FROM packs WHERE coalesce(last_read, first_seen) < ?", (moment,))
