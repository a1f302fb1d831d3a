"""The flags that `prune` and `forget --prune` share, and the plan in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.context import Context
from argosy.cli.values import pack_size, size_in
from argosy.cli.wording import counted, size
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.prune.options import PruneObserver, PruneOptions
    from argosy.operations.prune.plan import PrunePlan

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_PACK_SIZE_BYTES = 16 << 20
_bytes = size_in(1)


def prune_flags(function: Decorated) -> Decorated:
    """Give a command the flags, as ``max_unused``, ``max_repack_size``, ``repack_…`` for ``prune_options``."""
    for flag in (
        click.option("--repack-smaller-than", type=_bytes, metavar="SIZE", help="put packs below SIZE together"),
        click.option("--repack-uncompressed", is_flag=True, help="compress what is not compressed"),
        click.option("--repack-small", is_flag=True, help="put packs below 80% of the pack size together"),
        click.option("--repack-cacheable-only", is_flag=True, help="repack only packs of trees"),
        click.option("--max-repack-size", type=_bytes, metavar="SIZE", help="repack no more than this"),
        click.option(
            "--max-unused", metavar="LIMIT", default="5%", help="what may stay unused: 5%, a size, or 'unlimited'"
        ),
    ):
        function = flag(function)
    return function


def prune_options(ctx: Context, flags: dict[str, Any], *, dry_run: bool) -> PruneOptions:
    """What the flags and the global ones say. UsageError for what makes no sense."""
    from argosy.operations.prune.options import PruneOptions
    from argosy.operations.prune.plan import PruneLimits

    given = ctx.given
    pack_size_bytes = given.value("pack_size", "PACK_SIZE", pack_size, _PACK_SIZE_BYTES)
    compression = given.value("compression", "COMPRESSION", str, "auto")
    if flags["repack_uncompressed"] and compression == "off":
        raise UsageError("--repack-uncompressed and --compression off exclude each other", hint="Leave out one.")
    small = flags["repack_smaller_than"]
    if small is not None and small > pack_size_bytes:
        raise UsageError("--repack-smaller-than exceeds the pack size", hint="Write a smaller one, or set --pack-size.")
    limits = PruneLimits(
        max_unused=_max_unused(flags["max_unused"]),
        max_repack_bytes=flags["max_repack_size"],
        cacheable_only=flags["repack_cacheable_only"],
        repack_uncompressed=flags["repack_uncompressed"],
        small_pack_bytes=small or (pack_size_bytes * 4 // 5 if flags["repack_small"] else pack_size_bytes // 25),
    )
    return PruneOptions(limits, dry_run, (), pack_size_bytes, compression, verify=not given.yes("no_extra_verify"))


@contextmanager
def observed_prune(ctx: Context, *, dry_run: bool) -> Iterator[PruneObserver]:
    """What a prune tells, printed; within, the first signal only asks it to stop."""
    from argosy.operations.prune.options import PruneObserver

    def show(plan: PrunePlan) -> None:
        if ctx.json:
            ctx.output.document(plan_document(plan, dry_run=dry_run), flush=True)
            return
        for line in plan_lines(plan):
            ctx.output.message(line)
        if not dry_run and not plan.is_empty:
            _warn_of_jobs(ctx)

    with ctx.stopping() as stop_requested:
        yield PruneObserver(ctx.output.detail, show, stop_requested)


def _warn_of_jobs(ctx: Context) -> None:
    """Unfinished backups of this machine rely on packs that no snapshot uses yet."""
    from argosy.operations.jobs import find_jobs

    for job in find_jobs(ctx.state_directory):
        if job.record.location == ctx.location:
            ctx.output.message(
                f"the unfinished backup {job.record.id} loses what it has stored; resumed, it stores that again"
            )


def plan_lines(plan: PrunePlan) -> list[str]:
    """What there is and what becomes of it."""
    stats = plan.stats
    left = stats.used.size_bytes + stats.remaining_unused_bytes
    share = stats.remaining_unused_bytes / left if left else 0.0
    freed = stats.to_drop.size_bytes + stats.to_delete.size_bytes + stats.unindexed_bytes
    lines = [
        f"used:      {counted(stats.used.blobs, 'blob')}, {size(stats.used.size_bytes)}",
        f"unused:    {counted(stats.unused.blobs, 'blob')}, {size(stats.unused.size_bytes)}",
        f"to delete: {counted(len(plan.remove), 'pack')}, {size(stats.to_delete.size_bytes)}",
        f"to repack: {counted(len(plan.repack), 'pack')}, {size(stats.to_repack.size_bytes)};"
        f" this frees {size(stats.to_drop.size_bytes)}",
    ]
    if plan.unindexed:
        lines.append(f"in no index: {counted(len(plan.unindexed), 'pack')}, {size(stats.unindexed_bytes)}, to delete")
    if plan.missing:
        lines.append(f"missing and not needed: {counted(len(plan.missing), 'pack')}, to be dropped from the indexes")
    lines.append(f"frees {size(freed)}; unused after it: {size(stats.remaining_unused_bytes)} ({share:.1%})")
    return lines


def plan_document(plan: PrunePlan, *, dry_run: bool) -> dict[str, object]:
    """The summary; sizes in bytes, of blobs as they are stored."""
    stats = plan.stats
    return {
        "message_type": "prune_summary",
        "dry_run": dry_run,
        "used_blobs": stats.used.blobs,
        "used_bytes": stats.used.size_bytes,
        "unused_blobs": stats.unused.blobs,
        "unused_bytes": stats.unused.size_bytes,
        "packs_kept": len(plan.keep),
        "packs_removed": len(plan.remove),
        "packs_repacked": len(plan.repack),
        "packs_unindexed": len(plan.unindexed),
        "deleted_blobs": stats.to_delete.blobs,
        "repacked_blobs": stats.to_repack.blobs,
        "dropped_blobs": stats.to_drop.blobs,
        "repacked_bytes": stats.to_repack.size_bytes,
        "freed_bytes": stats.to_drop.size_bytes + stats.to_delete.size_bytes + stats.unindexed_bytes,
        "remaining_unused_bytes": stats.remaining_unused_bytes,
    }


def _max_unused(text: str) -> Callable[[int], int] | None:
    from argosy.operations.prune.plan import parse_max_unused

    if text == "unlimited" or text.endswith("%"):
        return parse_max_unused(text)
    try:
        size_bytes = _bytes(text)
    except click.BadParameter:
        return parse_max_unused(text)
    return lambda _used_bytes: size_bytes
