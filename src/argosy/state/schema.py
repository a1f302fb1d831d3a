"""The job file's schema, as numbered migrations. Times are Unix seconds (REAL) or nanoseconds (`_ns`)."""

from __future__ import annotations

from argosy.sqlite import Database, Migration

_TABLES = (
    # One row a key: the job's record, its counters, the sealed snapshot (values are msgpack or raw bytes).
    "CREATE TABLE job (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # Scan rows: directories found and not finished. `thread` is set while one is in progress.
    """CREATE TABLE frontier (
        directory_id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL, name BLOB NOT NULL, path BLOB NOT NULL,
        base_tree BLOB, thread INTEGER, sealed_through BLOB, known_subdirectories BLOB)""",
    # What each scan thread is putting into the batch that it fills.
    """CREATE TABLE scan_threads (
        thread INTEGER PRIMARY KEY, path BLOB, directories INTEGER, files INTEGER, bytes INTEGER, updated REAL)""",
    # The global queue: sealed batches in scan order. A completed batch has no row.
    """CREATE TABLE batches (
        seq INTEGER PRIMARY KEY, state TEXT NOT NULL, attempt INTEGER NOT NULL, files INTEGER NOT NULL,
        bytes INTEGER NOT NULL, member TEXT, worker INTEGER, files_done INTEGER NOT NULL DEFAULT 0,
        bytes_done INTEGER NOT NULL DEFAULT 0, updated REAL, failures INTEGER NOT NULL DEFAULT 0,
        payload BLOB NOT NULL)""",
    # Directories whose trees wait for results.
    """CREATE TABLE assemblies (
        directory_id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL, name BLOB NOT NULL, prefix BLOB,
        base_tree BLOB, deleted BLOB, pending INTEGER NOT NULL, parts INTEGER NOT NULL)""",
    """CREATE TABLE parts (
        directory_id INTEGER NOT NULL, part INTEGER NOT NULL, nodes BLOB NOT NULL,
        PRIMARY KEY (directory_id, part)) WITHOUT ROWID""",
    # Results of big files' segments, until all of a file are there.
    """CREATE TABLE segments (
        sealing INTEGER NOT NULL, segment INTEGER NOT NULL, result BLOB NOT NULL,
        PRIMARY KEY (sealing, segment)) WITHOUT ROWID""",
    # Hard links: the first name that was met, and its node once it was read; names that wait for it.
    """CREATE TABLE hard_links (
        device INTEGER NOT NULL, inode INTEGER NOT NULL, node BLOB, waiting BLOB,
        PRIMARY KEY (device, inode)) WITHOUT ROWID""",
    # Packs that are durable, with their headers; index_id once an index names them.
    """CREATE TABLE packs (
        pack_id BLOB PRIMARY KEY, size INTEGER NOT NULL, header BLOB NOT NULL, kind TEXT NOT NULL,
        index_id BLOB) WITHOUT ROWID""",
    # Sealed tree blobs that no durable pack holds yet.
    """CREATE TABLE open_trees (
        blob_id BLOB PRIMARY KEY, sealed BLOB NOT NULL, uncompressed_length INTEGER NOT NULL) WITHOUT ROWID""",
    # The state map: one row a member.
    """CREATE TABLE members (
        name TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, workers INTEGER NOT NULL,
        joined REAL NOT NULL, last_seen REAL NOT NULL, left_at REAL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
        batches INTEGER NOT NULL) WITHOUT ROWID""",
    # What could not be read, and what happened to the job, for its report.
    "CREATE TABLE unread (number INTEGER PRIMARY KEY, path BLOB NOT NULL, reason TEXT NOT NULL)",
    "CREATE TABLE log (number INTEGER PRIMARY KEY, time REAL NOT NULL, text TEXT NOT NULL)",
)


def _first_schema(database: Database) -> None:
    for statement in _TABLES:
        database.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (_first_schema,)
