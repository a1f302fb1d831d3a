"""What the global flags say of how blobs are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy.cli.context import Context
from argosy.cli.values import pack_size

if TYPE_CHECKING:
    from argosy.operations.saving import SavingOptions


def saving_options(ctx: Context) -> SavingOptions:
    """--pack-size, --compression and --no-extra-verify, or their variables."""
    from argosy.operations.saving import SavingOptions

    defaults, given = SavingOptions(), ctx.given
    return SavingOptions(
        given.value("pack_size", "PACK_SIZE", pack_size, defaults.pack_size_bytes),
        given.value("compression", "COMPRESSION", str, defaults.compression),
        verify=not given.yes("no_extra_verify"),
    )
