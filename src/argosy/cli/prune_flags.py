"""The flags that `prune` and `forget --prune` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.context import Context
from argosy.cli.values import pack_size, size_in
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.prune.options import PruneOptions
    from argosy.operations.prune.plan import MaxUnused

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
    return PruneOptions(
        limits,
        dry_run,
        pack_size_bytes=pack_size_bytes,
        compression=compression,
        verify=not given.yes("no_extra_verify"),
        state_directory=ctx.state_directory,
    )


def _max_unused(text: str) -> MaxUnused:
    from argosy.operations.prune.plan import MaxUnused, parse_max_unused

    if text == "unlimited" or text.endswith("%"):
        return parse_max_unused(text)
    try:
        size_bytes = _bytes(text)
    except click.BadParameter:
        return parse_max_unused(text)
    return MaxUnused(size_bytes=size_bytes)
