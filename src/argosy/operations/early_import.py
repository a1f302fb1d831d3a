"""What is imported while something else is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def imported_meanwhile(load: Callable[[], object]) -> Iterator[None]:
    """Within, ``load`` runs in a thread of its own. At the end it is over: an import cannot go on while a process ends,
    as it soon does where the repository is not there or is locked. What goes wrong in it is met again, and told, where
    what it loads is needed.
    """
    thread = threading.Thread(target=_load_quietly, args=(load,), name="import")
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _load_quietly(load: Callable[[], object]) -> None:
    with suppress(Exception):
        load()
