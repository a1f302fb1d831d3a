"""``argosy version``."""

from __future__ import annotations

import os
import platform

from argosy import __version__, native
from argosy.cli.context import Context
from argosy.cli.decorators import verb


@verb("version")
def command(ctx: Context) -> None:
    """Print the version of Argosy and of what it runs on."""
    system = os.uname()
    in_use, native_text = native.status()
    if ctx.json:
        ctx.output.document(
            {
                "message_type": "version",
                "version": __version__,
                "python_version": platform.python_version(),
                "os": system.sysname.lower(),
                "arch": system.machine,
                "native": in_use,
                "native_text": native_text,
            }
        )
    else:
        python = platform.python_version()
        ctx.output.line(f"argosy {__version__} on Python {python}, {system.sysname.lower()}/{system.machine}")
        ctx.output.line(f"native kernel: {native_text}" if in_use else f"native kernel: none, {native_text}")
