"""Who works on an operation's tasks."""

from __future__ import annotations

from typing import cast

from argosy.engine.interface import Engine, Member, MemberJoined, MemberLeft, WorkerState
from argosy.operations.crew import Crew


class Members:
    """An engine with one member."""

    def __init__(self) -> None:
        self.there = [Member("two", "host", 7, (WorkerState(1, 8, (3, 4)), WorkerState(2, 9, ())), 0.0, 0.0)]

    def members(self) -> list[Member]:
        return self.there


def test_each_member_has_what_it_did_and_holds_and_one_that_left_is_still_told_of() -> None:
    engine, said = Members(), list[str]()
    crew = Crew(cast("Engine", engine), said.append)
    for name in ("one", "two"):
        crew.hear(MemberJoined(name))
    crew.credit("one", 2, 300)
    crew.credit("one", 1, 50)
    crew.hear(MemberLeft("one", "was silent for 15 seconds"))
    assert crew.looks() == [("one", 0, 0, 3, 350), ("two", 2, 2, 0, 0)]
    assert said == ["one was silent for 15 seconds"]
