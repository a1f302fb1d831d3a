"""The names that a directory's tree has shown, so that none is restored twice."""

from __future__ import annotations

# So many are packed together: a name then costs a byte more than it has, and not the 80 of a Python object in a set.
_PACKED_AT_ONCE = 4096


class SeenNames:
    """A tree's names come in order, and then none can be there twice: from the first on that does not, all are kept in
    a set. Names hold no NUL."""

    def __init__(self) -> None:
        self._last = b""
        self._open: list[bytes] = []
        self._packed: list[bytes] = []
        self._set: set[bytes] | None = None

    def is_new(self, name: bytes) -> bool:
        """Whether it was not asked before; it counts as seen from now on."""
        if self._set is None and name > self._last:
            self._last = name
        else:
            if self._set is None:
                self._set = set(self.all())
            if name in self._set:
                return False
            self._set.add(name)
        self._open.append(name)
        if len(self._open) >= _PACKED_AT_ONCE:
            self._packed.append(b"\0".join(self._open))
            self._open = []
        return True

    def all(self) -> list[bytes]:
        """All names that were new."""
        return [name for packed in self._packed for name in packed.split(b"\0")] + self._open
