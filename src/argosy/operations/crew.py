"""Who works on an operation's tasks: what each member has done and holds, and why one has left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from argosy.engine.interface import Engine, Event, MemberJoined, MemberLeft

MemberLook: TypeAlias = tuple[str, int, int, int, int]
"""A member for a display: its name, workers, tasks held, entries and bytes done."""


class Crew:
    """The members of one engine. ``say`` hears, in words, that one has left, and why."""

    def __init__(self, engine: Engine, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._say = say
        self._done: dict[str, tuple[int, int]] = {}

    def hear(self, event: Event) -> None:
        """Note who comes and goes; other events are others' affair."""
        match event:
            case MemberJoined(member=name):
                self._done.setdefault(name, (0, 0))
            case MemberLeft(member=name, reason=reason):
                self._say(f"{name} {reason}")

    def credit(self, member: str, entries: int, size_bytes: int) -> None:
        """Count what a member has done."""
        before_entries, before_bytes = self._done.get(member, (0, 0))
        self._done[member] = (before_entries + entries, before_bytes + size_bytes)

    def looks(self) -> list[MemberLook]:
        """Each member that there is, and each that has done something, by name."""
        held = {
            member.name: (len(member.workers), sum(len(worker.holding) for worker in member.workers))
            for member in self._engine.members()
        }
        return [
            (name, *held.get(name, (0, 0)), *self._done.get(name, (0, 0))) for name in sorted(held.keys() | self._done)
        ]
