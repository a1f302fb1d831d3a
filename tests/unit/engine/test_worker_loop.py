"""The parts of a worker's loop that need no process."""

from __future__ import annotations

import pytest

from argosy.engine.framing import Frame, Kind
from argosy.engine.worker_loop import Inbox, error_text, load_factory
from argosy.errors import EngineError, StorageFull
from tests.support import engine_handlers

CLOSE = Frame(Kind.CLOSE, 0, 0, b"")


def task(task_id: int) -> Frame:
    return Frame(Kind.TASK, task_id, 1, b"")


def test_frames_come_in_order() -> None:
    inbox = Inbox()
    inbox.put(task(1))
    inbox.put(task(2))
    assert [inbox.take(None), inbox.take(None)] == [task(1), task(2)]


def test_nothing_for_a_while_means_flush() -> None:
    assert Inbox().take(0.01).kind == Kind.FLUSH


def test_a_close_drops_what_waits() -> None:
    inbox = Inbox()
    inbox.put(task(1))
    inbox.put(CLOSE)
    assert inbox.take(None) == CLOSE


def test_a_waiting_task_can_be_withdrawn_once() -> None:
    inbox = Inbox()
    inbox.put(task(1))
    inbox.put(task(2))
    assert inbox.withdraw(2, 1)
    assert not inbox.withdraw(2, 1)
    assert not inbox.withdraw(1, 2)
    assert inbox.take(None) == task(1)


def test_a_factory_is_found_by_its_name() -> None:
    assert load_factory(engine_handlers.SCRIPTED) is engine_handlers.make_scripted


def test_a_name_of_another_form_is_refused() -> None:
    with pytest.raises(EngineError, match=r"package\.module:callable"):
        load_factory("argosy.engine")


def test_an_error_of_ours_is_told_by_message_and_hint() -> None:
    assert error_text(StorageFull("no room in b", hint="Free some.")) == b"no room in b. Free some."


def test_a_foreign_error_is_told_by_type_text_and_place() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    text = error_text(caught.value)
    assert text.startswith(b"ZeroDivisionError: ")
    assert b"(test_worker_loop.py:" in text


def test_an_error_text_is_bounded_and_always_encodable() -> None:
    assert len(error_text(ValueError("x" * 1_000_000))) < 10_000
    assert b"\\udcff" in error_text(ValueError("\udcff"))
