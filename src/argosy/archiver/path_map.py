"""Where a machine sees what the master names: paths below one directory lie below another one here."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.errors import UsageError


class PathMap:
    """Pairs of the master's directory and this machine's; the longest one that fits counts, other paths stay."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._pairs = sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)

    def here(self, path: bytes) -> bytes:
        """A path's place on this machine."""
        for there, here in self._pairs:
            if path == there or path.startswith(there + b"/"):
                return here + path[len(there) :]
        return path


def parse_map(text: bytes) -> tuple[bytes, bytes]:
    """``/master/path=/path/here``; UsageError for anything else."""
    there, separator, here = text.partition(b"=")
    if not separator or not there.startswith(b"/") or not here.startswith(b"/"):
        raise UsageError(
            f"{text.decode('utf-8', 'backslashreplace')!r} maps no path",
            hint="Write the master's path and this machine's, both absolute: /mnt/a=/data/a.",
        )
    return there.rstrip(b"/"), here.rstrip(b"/")
