"""``argosy cache``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.table import table
from argosy.cli.values import number
from argosy.cli.wording import counted, json_text, printable, size

if TYPE_CHECKING:
    from argosy.operations.caches import RepositoryCache

_DAY_SECONDS = 86_400
_ID_DIGITS = 10


@verb("cache")
@click.option("--cleanup", is_flag=True, help="remove old caches")
@click.option(
    "--max-age", type=number, metavar="DAYS", default="30", help="a cache that was not used for so long is old"
)
@click.option("--no-size", is_flag=True, help="do not look how large they are")
def command(ctx: Context, cleanup: bool, max_age: int, no_size: bool) -> None:
    """List the caches of repositories on this machine, or remove old ones.

    No repository is opened. A cache may be removed at any time: it is made anew.
    """
    from argosy.operations.caches import list_caches, remove_caches

    caches = list_caches(ctx.cache_directory, with_sizes=not no_size)
    oldest = time.time() - max_age * _DAY_SECONDS
    old = [cache for cache in caches if cache.last_used < oldest]
    if cleanup:
        remove_caches(old)
    shown = old if cleanup else caches
    if ctx.json:
        ctx.output.documents([cache_document(cache, is_old=cache in old, with_size=not no_size) for cache in shown])
        return
    if cleanup:
        ctx.output.message(f"removed {counted(len(old), 'old cache')}" if old else "no old caches found")
    elif caches:
        heads = ["Repo ID", "Last Used", "Old", *([] if no_size else ["Size"])]
        rows = [_row(cache, is_old=cache in old, with_size=not no_size) for cache in caches]
        for line in table(heads, rows, right=[3]):
            ctx.output.line(line)
        ctx.output.message(f"{counted(len(caches), 'cache')} in {printable(str(ctx.cache_directory))}")
    else:
        ctx.output.message(f"no caches in {printable(str(ctx.cache_directory))}")


def cache_document(cache: RepositoryCache, *, is_old: bool, with_size: bool) -> dict[str, object]:
    """One cache."""
    document: dict[str, object] = {
        "repository_id": cache.repository_id,
        "path": json_text(str(cache.path)),
        "last_used": int(cache.last_used),
        "old": is_old,
    }
    return {**document, "size": cache.size_bytes} if with_size else document


def _row(cache: RepositoryCache, *, is_old: bool, with_size: bool) -> list[str]:
    days = int((time.time() - cache.last_used) // _DAY_SECONDS)
    row = [cache.repository_id[:_ID_DIGITS], f"{days} days ago", "yes" if is_old else ""]
    return [*row, size(cache.size_bytes)] if with_size else row
