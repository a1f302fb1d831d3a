"""``argosy version``."""

from __future__ import annotations

import os
import platform

from argosy import __version__
from argosy.cli.context import Context
from argosy.cli.decorators import verb


@verb("version")
def command(ctx: Context) -> None:
    """Print the version of Argosy and of what it runs on."""
    system = os.uname()
    if ctx.json:
        ctx.output.document(
            {
                "message_type": "version",
                "version": __version__,
                "python_version": platform.python_version(),
                "os": system.sysname.lower(),
                "arch": system.machine,
            }
        )
    else:
        python = platform.python_version()
        ctx.output.line(f"argosy {__version__} on Python {python}, {system.sysname.lower()}/{system.machine}")
