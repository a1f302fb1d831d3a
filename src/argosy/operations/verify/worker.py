"""A worker's half of a verification: compares directories of the source with their nodes. It knows nothing of the
repository, and writes nothing."""

from __future__ import annotations

import errno
import os
import stat
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

from argosy.engine.interface import Outlet, Task
from argosy.errors import Damaged, EngineError, SourceGone
from argosy.filesystem.directory import open_below, open_directory
from argosy.filesystem.exclude import SNAPSHOT_DIRECTORIES
from argosy.filesystem.metadata import node_type
from argosy.operations.verify.contents import ContentReader, manifest_line
from argosy.operations.verify.entries import differing_fields
from argosy.operations.verify.messages import (
    CHANGED,
    CHANGING,
    MISSING_IN_SNAPSHOT,
    MISSING_IN_SOURCE,
    PROTOCOL,
    UNREADABLE,
    Difference,
    Outcome,
    Part,
    Progress,
    VerifyWork,
    WorkerSetup,
    decode,
    encode,
)
from argosy.operations.verify.paths import join, location
from argosy.restic_format.node import Node
from argosy.restorer.messages import worker_error
from argosy.restorer.selection import Selection
from argosy.restorer.tree_nodes import decode_nodes, usable_name

_PROGRESS_SECONDS = 0.5
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
_STALE = frozenset((errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN))


def verify_worker(setup: bytes, outlet: Outlet) -> VerifyWorker:
    """The engine's factory of workers."""
    return VerifyWorker(decode(setup, WorkerSetup), outlet)


class VerifyWorker:
    """An engine handler (see ``engine.interface.Handler``)."""

    def __init__(self, setup: WorkerSetup, outlet: Outlet) -> None:
        if setup.protocol != PROTOCOL:
            raise EngineError(
                f"the master speaks protocol {setup.protocol}, this worker {PROTOCOL}", hint="Install the same version."
            )
        self._setup = setup
        self._outlet = outlet
        self._selection = Selection(setup.selection)
        self._root_fd = open_directory(os.path.realpath(setup.source))
        self._contents = ContentReader(self._read, digests=setup.manifest)
        self._listed: tuple[bytes, list[bytes]] | None = None
        self._outcome = Outcome()
        self._task_id = 0
        self._read_bytes = 0
        self._next_progress = 0.0

    def work(self, task: Task) -> None:
        """Compare the parts of a task. It fails if the source is no longer the directory that it was."""
        self._task_id, self._read_bytes = task.id, 0
        self._outcome = Outcome(elsewhere=self._setup.elsewhere)
        try:
            for part in decode(task.payload, VerifyWork).parts:
                self._compare(part)
            self._refuse_another_source()
        except SourceGone as error:
            self._outlet.fail(task.id, worker_error(error))
        else:
            self._outlet.complete(task.id, encode(self._outcome))

    def notice(self, payload: bytes) -> None:
        """There is nothing to hear."""

    def idle(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """End in order."""
        os.close(self._root_fd)

    def _read(self, size_bytes: int) -> None:
        self._read_bytes += size_bytes
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + _PROGRESS_SECONDS
            self._outlet.progress(self._task_id, encode(Progress(self._read_bytes)))

    def _refuse_another_source(self) -> None:
        """A share that went away is an empty directory: every entry would count as missing."""
        try:
            same = os.path.samestat(os.stat(self._setup.source), os.fstat(self._root_fd))
        except OSError:
            same = False
        if not same:
            raise self._gone()

    def _gone(self) -> SourceGone:
        source = self._setup.source.decode("utf-8", "backslashreplace")
        return SourceGone(f"{source} went away while it was compared", hint="Check that it is mounted.")

    # -- a part of a directory ----------------------------------------------------------------------------------

    def _compare(self, part: Part) -> None:
        decoded, malformed = decode_nodes(part.tree)
        self._outcome.problems += [(join(part.path, name), reason) for name, reason in malformed]
        # A name that no file can have is damage, too, and the master's to tell.
        nodes = {name: node for node in decoded if (name := usable_name(node.name)) is not None}
        try:
            dir_fd = open_below(self._root_fd, part.path)
        except OSError as error:
            if error.errno in _NOT_THERE:
                self._outcome.below_missing += len(self._chosen(part, list(nodes)))
            else:
                self._unreadable(part.path, error)
            return
        try:
            found = self._names(part, dir_fd)
            chosen = self._chosen(part, [*nodes, *found.difference(nodes)])
            for name in sorted(chosen):
                node = nodes.get(name)
                with self._telling(join(part.path, name)):
                    if node is None:
                        self._not_saved(dir_fd, part.path, name)
                    elif name not in found:
                        self._missing(part.path, name, node)
                    else:
                        self._compare_entry(dir_fd, part, name, node)
        except OSError as error:
            self._unreadable(part.path, error)
        finally:
            os.close(dir_fd)

    def _chosen(self, part: Part, names: list[bytes]) -> set[bytes]:
        return self._selection.chosen(location(self._setup.base, part.path), names)

    def _names(self, part: Part, dir_fd: int) -> set[bytes]:
        """The directory's names within the part's bounds. A large one is listed for the first of its parts alone."""
        if part.after and self._listed is not None and self._listed[0] == part.path:
            names = self._listed[1]
        else:
            with os.scandir(b"/proc/self/fd/%d" % dir_fd) as listing:
                names = sorted(entry.name for entry in listing)
        self._listed = (part.path, names) if part.until else None
        end = bisect_right(names, part.until) if part.until else len(names)
        return set(names[bisect_right(names, part.after) : end])

    @contextmanager
    def _telling(self, path: bytes) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._unreadable(path, error)
        except Damaged as error:
            self._outcome.problems.append((path, error.message))

    # -- entries ------------------------------------------------------------------------------------------------

    def _compare_entry(self, dir_fd: int, part: Part, name: bytes, node: Node) -> None:
        try:
            found = os.lstat(name, dir_fd=dir_fd)
        except FileNotFoundError:
            self._missing(part.path, name, node)
            return
        path = join(part.path, name)
        self._count(node)
        fields = differing_fields(dir_fd, name, node, found, self._setup.ignored)
        if node.type == "file" and "type" not in fields and name not in part.unknown:
            ids = node.content_ids()
            lengths = part.lengths.get(name, [node.size] * len(ids))
            compared = self._contents.compare(dir_fd, name, ids, lengths)
            if compared.changing:
                self._differs(Difference(path, CHANGING, node.type))
                return
            if not compared.same:
                fields["content"] = "", ""
            elif self._setup.manifest:
                self._outcome.manifest += manifest_line(compared.digest, path)
            self._outcome.size_bytes += node.size
        if fields:
            unmoved = node.size == found.st_size and node.mtime_ns() == found.st_mtime_ns
            self._differs(Difference(path, CHANGED, node.type, fields, silent="content" in fields and unmoved))

    def _missing(self, directory: bytes, name: bytes, node: Node) -> None:
        self._differs(Difference(join(directory, name), MISSING_IN_SOURCE, node.type))

    def _not_saved(self, dir_fd: int, directory: bytes, name: bytes) -> None:
        """An entry of the source alone, unless it is of a kind that a backup leaves out."""
        try:
            mode = os.lstat(name, dir_fd=dir_fd).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISSOCK(mode) or (stat.S_ISDIR(mode) and name in SNAPSHOT_DIRECTORIES):
            self._outcome.passed_over += 1
            return
        path = join(directory, name)
        below = self._entries_below(path) if stat.S_ISDIR(mode) else 0
        self._differs(Difference(path, MISSING_IN_SNAPSHOT, node_type(mode), below=below))

    def _entries_below(self, path: bytes) -> int:
        """How many entries are below a directory of the source, as far as it can be read."""
        waiting, entries = [path], 0
        while waiting:
            directory = waiting.pop()
            with self._telling(directory):
                dir_fd = open_below(self._root_fd, directory)
                try:
                    with os.scandir(b"/proc/self/fd/%d" % dir_fd) as listing:
                        for entry in listing:
                            entries += 1
                            if entry.is_dir(follow_symlinks=False):
                                waiting.append(join(directory, entry.name))
                finally:
                    os.close(dir_fd)
        return entries

    def _count(self, node: Node) -> None:
        if node.type == "file":
            self._outcome.files += 1
        elif node.type == "dir":
            self._outcome.directories += 1
        else:
            self._outcome.others += 1

    def _unreadable(self, path: bytes, error: OSError) -> None:
        if error.errno in _STALE:
            raise self._gone() from error
        self._differs(Difference(path, UNREADABLE, reason=error.strerror or str(error)))

    def _differs(self, difference: Difference) -> None:
        self._outcome.differences.append(difference)
