"""`argosy prune` from its options to its result."""

from __future__ import annotations

import time

from argosy.engine.here import make_engine_here
from argosy.engine.interface import MakeEngine
from argosy.errors import Interrupted, UsageError
from argosy.operations.jobs import words_of_losers
from argosy.operations.prune.contents import PackContents
from argosy.operations.prune.copies import pack_uses
from argosy.operations.prune.execute import Execution
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.plan import PrunePlan, plan_prune
from argosy.operations.prune.used import find_used
from argosy.operations.session import Access, Session, open_session
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind
from argosy.repository.snapshots import load_snapshots

# No upload of one object takes a day. The lock keeps writers out, but not every program that writes here need know of
# locks, and clocks differ.
_WRITER_IS_DEAD_NS = 24 * 60 * 60 * 10**9


def run_prune(
    access: Access, options: PruneOptions, observer: PruneObserver, make_engine: MakeEngine = make_engine_here
) -> PrunePlan:
    """Remove what no snapshot uses; returns the plan that was carried out (or in a dry run would be).
    ``make_engine`` makes what has workers repack.

    Damaged, and nothing is changed, if what snapshots use cannot be found out or is not there; RepositoryLocked if
    anybody else uses the repository; Interrupted if asked to stop.
    """
    if access.no_lock and not options.dry_run:
        raise UsageError("prune needs its lock", hint="Leave out --no-lock, or add --dry-run.")
    with open_session(access, exclusive=True, confirm=False) as session:
        return prune_in(session, options, observer, make_engine)


def prune_in(
    session: Session, options: PruneOptions, observer: PruneObserver, make_engine: MakeEngine = make_engine_here
) -> PrunePlan:
    """The same in a session whose lock is exclusive, confirmed or not."""

    def stop() -> None:
        if observer.stop_requested():
            raise Interrupted("stopped on request", hint="Nothing is lost. Run the prune again.")
        if session.lock is not None:
            session.lock.confirm_if_due()

    repository = session.repository
    observer.detail("loading indexes")
    index_ids = repository.list_ids(FileKind.INDEX)
    contents = PackContents.load(repository, index_ids)
    snapshots = [stored for stored in load_snapshots(repository) if stored.id not in options.without]
    observer.detail(f"looking for what {len(snapshots)} snapshots use")
    roots = (stored.snapshot.tree for stored in snapshots)
    used = find_used(BlobReader(repository, contents), roots, stop, repository.native_session())
    unfinished = repository.storage.unfinished(time.time_ns() - _WRITER_IS_DEAD_NS)
    present = dict(repository.list_files(FileKind.PACK))
    plan = plan_prune(pack_uses(contents, used), present, options.limits, unfinished)
    if session.lock is not None:
        # Reading harms nobody, so the lock has stood its time alone meanwhile.
        session.lock.confirm()
    observer.show(plan.summary(dry_run=options.dry_run))
    if not options.dry_run and not plan.is_empty:
        if options.state_directory is not None and not plan.spares_packs:
            for words in words_of_losers(options.state_directory, session.access.location):
                observer.message(words)
        assert session.lock is not None, "only a dry run goes without"
        Execution(session, options, observer, make_engine, session.lock, stop).run(plan, contents, used)
    return plan
