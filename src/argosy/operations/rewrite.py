"""`argosy rewrite`: snapshots are stored anew without what patterns leave out, under another host or time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import Damaged, Interrupted, UsageError
from argosy.filesystem.exclude import ExcludeRules
from argosy.operations.saving import SavingOptions
from argosy.operations.selection import select_snapshots
from argosy.operations.session import Access, Session, open_session, refuse_no_lock
from argosy.operations.snapshot_replacing import Manner, SnapshotListener, replace_snapshot
from argosy.operations.tree_rewriting import Entry, Opened, RawNode, TreeRewriter
from argosy.operations.tree_saving import TreeSaver
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot
from argosy.repository.streamed_blob import TreeParts
from argosy.restic_format.node import Node
from argosy.restic_format.snapshot import Snapshot, SnapshotSummary
from argosy.restic_format.times import format_time
from argosy.restic_format.tree import part_entries

# What Go makes of a time that was never set: restic writes it into a summary that it adds later.
_NO_TIME = "0001-01-01T00:00:00Z"


class RewriteOptions(msgspec.Struct, frozen=True):
    """``patterns`` and ``insensitive_patterns``: what is left out, over paths within the snapshot.

    ``add_summary``: give a snapshot that has none the sums of its files.
    """

    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    patterns: Sequence[bytes] = ()
    insensitive_patterns: Sequence[bytes] = ()
    new_host: str = ""
    new_time_ns: int | None = None
    add_summary: bool = False
    forget: bool = False
    dry_run: bool = False
    saving: SavingOptions = msgspec.field(default_factory=SavingOptions)


class RewriteListener(SnapshotListener, frozen=True):
    """``excluded``: a path that is left out. ``stop_requested``: whether to end after this snapshot."""

    excluded: Callable[[bytes], None] = lambda _path: None
    stop_requested: Callable[[], bool] = lambda: False


class RewriteResult(msgspec.Struct):
    """``changed`` snapshots were stored anew (in a dry run: would be); ``damaged`` ones could not be read."""

    changed: int = 0
    damaged: list[Damaged] = msgspec.field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot could not be read."""
        return 1 if self.damaged else 0


def run_rewrite(access: Access, options: RewriteOptions, listener: RewriteListener) -> RewriteResult:
    """Rewrite snapshots, all or those chosen.

    UsageError if nothing was asked for; Damaged if a tree cannot be read: nothing of that snapshot is changed then.
    With ``forget`` RepositoryLocked if anybody else uses the repository.
    """
    refuse_no_lock(access, "rewrite", dry_run=options.dry_run)
    rules = _rules(options)
    if rules is None and not (options.new_host or options.new_time_ns is not None):
        raise UsageError("there is nothing to do", hint="Give --exclude, --new-host, --new-time or --snapshot-summary.")
    with open_session(access, exclusive=options.forget) as session:
        return _Rewrite(session, options, rules, listener).run()


def _rules(options: RewriteOptions) -> ExcludeRules | None:
    """What is left out; None if the trees need not be looked at."""
    if not (options.patterns or options.insensitive_patterns or options.add_summary):
        return None
    return ExcludeRules(options.patterns, options.insensitive_patterns, snapshot_directories=frozenset())


class _Rewrite:
    def __init__(
        self, session: Session, options: RewriteOptions, rules: ExcludeRules | None, listener: RewriteListener
    ) -> None:
        self._session = session
        self._options = options
        self._rules = rules
        self._listener = listener
        self._result = RewriteResult()
        self._lookup = session.open_lookup()
        self._reader = session.blob_reader(self._lookup)

    def run(self) -> RewriteResult:
        """See ``run_rewrite``."""
        options = self._options
        snapshots = select_snapshots(
            self._session.repository,
            options.names,
            options.wanted,
            on_damaged=lambda _id, error: self._result.damaged.append(error),
        )
        manner = Manner("rewrite", options.forget, options.dry_run)
        with TreeSaver.of(self._session, self._lookup, options.saving, dry_run=options.dry_run) as trees:
            for stored in snapshots:
                if self._listener.stop_requested():
                    raise Interrupted("stopped on request", hint="What was rewritten is stored. Run it again.")
                self._listener.begun(stored)
                changed = self._changed(stored, trees)
                if changed != stored.snapshot:
                    trees.publish()
                    replace_snapshot(self._session, stored, changed, manner, self._listener)
                    self._result.changed += 1
        return self._result

    def _changed(self, stored: StoredSnapshot, trees: TreeSaver) -> Snapshot:
        snapshot, options = stored.snapshot, self._options
        if self._rules is not None:
            editor = _Excluder(self._rules, self._listener.excluded)
            tree = TreeRewriter(self._reader, editor, trees.save).rewrite(snapshot.tree)
            summary = msgspec.structs.replace(
                snapshot.summary or SnapshotSummary(_NO_TIME, _NO_TIME),
                total_files_processed=editor.files,
                total_bytes_processed=editor.size_bytes,
            )
            snapshot = msgspec.structs.replace(snapshot, tree=tree, summary=summary)
        if options.new_host:
            snapshot = msgspec.structs.replace(snapshot, hostname=options.new_host)
        if options.new_time_ns is not None:
            snapshot = msgspec.structs.replace(snapshot, time=format_time(options.new_time_ns))
        return snapshot


class _Excluder:
    """A ``TreeEditor`` that leaves out what rules say, and counts the files that stay."""

    def __init__(self, rules: ExcludeRules, excluded: Callable[[bytes], None]) -> None:
        self._rules = rules
        self._excluded = excluded
        self.files = 0
        self.size_bytes = 0

    def open(self, tree_id: bytes, path: bytes, parts: TreeParts | Damaged) -> Opened:
        """All nodes. Damaged if the tree cannot be read, or where one makes no sense."""
        del path
        if isinstance(parts, Damaged):
            raise parts
        return Opened(part_entries(parts, f"tree {tree_id.hex()}"))

    def edit(self, path: bytes, raw: RawNode, node: Node) -> Entry | None:
        """See ``TreeEditor.edit``."""
        if self._rules.excluded(path, is_dir=node.type == "dir"):
            self._excluded(path)
            return None
        if node.type == "file":
            self.files += 1
            self.size_bytes += node.size
        return raw, node
