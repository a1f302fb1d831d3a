"""Hatch's hook for wheels: compiles the native kernel and puts it into the wheel.

Such a wheel is for one kind of machine. Without a C compiler it is pure Python and runs everywhere, more slowly.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeKernel(BuildHookInterface):  # type: ignore[misc]  # hatchling is there only while a wheel is built
    """Found by hatchling as the only hook of this file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile, and name the library as part of the wheel."""
        source = Path(self.root) / "src"
        sys.path.insert(0, str(source))
        from argosy.native.build import NoCompiler, build

        try:
            library = build()
        except NoCompiler as error:
            self.app.display_warning(f"the wheel has no native kernel: {error}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["force_include"][str(library)] = str(library.relative_to(source))
