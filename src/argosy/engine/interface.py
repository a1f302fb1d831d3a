"""What an engine promises, to the master that uses it and to the handlers that its workers run.

Payloads are opaque bytes, at most ``MAX_PAYLOAD_BYTES`` each. Every error that leaves an engine is an
EngineError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

import msgspec

MAX_PAYLOAD_BYTES = 256 * 1024 * 1024
WINDOW_PER_WORKER = 2


class Task(msgspec.Struct, frozen=True):
    """A piece of work. ``id`` (0 or more) orders the hand-out; ``attempt`` grows each time it is
    offered. It is not given to a member that it is to ``avoid``, where there are others."""

    id: int
    attempt: int
    payload: bytes
    avoid: tuple[str, ...] = ()


class MemberJoined(msgspec.Struct, frozen=True):
    """A member is ready for tasks. Comes before any other event of this member."""

    member: str


class MemberLeft(msgspec.Struct, frozen=True):
    """A member is gone. What its workers held has lapsed before (TaskLapsed comes first)."""

    member: str
    reason: str


class TaskTaken(msgspec.Struct, frozen=True):
    """A worker is about to call ``work()`` with the task."""

    task_id: int
    attempt: int
    member: str
    worker: int


class TaskProgress(msgspec.Struct, frozen=True):
    """The handler said something about a task that it holds."""

    task_id: int
    attempt: int
    member: str
    worker: int
    payload: bytes


class TaskComplete(msgspec.Struct, frozen=True):
    """The handler completed the task: the last event of this attempt."""

    task_id: int
    attempt: int
    member: str
    worker: int
    payload: bytes


class TaskFailed(msgspec.Struct, frozen=True):
    """The attempt failed and the worker goes on: the last event of this attempt.

    ``raised`` tells the two sources apart: True means that ``work()`` raised and ``payload`` is the
    error's text in UTF-8; False means that the handler called ``fail`` and ``payload`` is what it passed.
    """

    task_id: int
    attempt: int
    member: str
    worker: int
    payload: bytes
    raised: bool


class TaskLapsed(msgspec.Struct, frozen=True):
    """The worker died, or its lease ended, while it held the task: the last event of this attempt.

    ``taken`` is False if no TaskTaken had come: the task was waiting behind another, and is not a suspect
    in the worker's death. Work begins only once TaskTaken is on its way, so a worker's death is never put
    down to the task before. (Where a whole machine is lost, it may be lost with it.)
    """

    task_id: int
    attempt: int
    member: str
    worker: int
    reason: str
    taken: bool


class Report(msgspec.Struct, frozen=True):
    """Something a handler said that belongs to no one task."""

    member: str
    worker: int
    payload: bytes


Event: TypeAlias = (
    MemberJoined | MemberLeft | TaskTaken | TaskProgress | TaskComplete | TaskFailed | TaskLapsed | Report
)


class WorkerState(msgspec.Struct, frozen=True):
    """A running worker. ``number`` is never used twice by a member; ``holding`` are ids, lowest first."""

    number: int
    pid: int
    holding: tuple[int, ...]


class Member(msgspec.Struct, frozen=True):
    """A member as the engine sees it now. ``pid`` is its main process; times are seconds since the
    epoch. ``waiting`` are ids of tasks that are with it and not with one of its workers, as far as is known."""

    name: str
    host: str
    pid: int
    workers: tuple[WorkerState, ...]
    joined_at_seconds: float
    last_seen_seconds: float
    waiting: tuple[int, ...] = ()


class Outlet(Protocol):
    """What a handler speaks through. Every method may be called from any thread of the worker.

    What is sent arrives in that order, or not at all if the worker dies first. A method blocks while the
    master is behind by more than a few MiB. The first of ``complete`` and ``fail`` counts for a task;
    whatever follows about this task, or concerns a task that the worker does not hold, is dropped.
    """

    def report(self, payload: bytes) -> None:
        """Say something that belongs to no one task."""

    def progress(self, task_id: int, payload: bytes) -> None:
        """Say something about a task that is held."""

    def complete(self, task_id: int, payload: bytes) -> None:
        """The task is done, perhaps only during a later ``work()`` or ``idle()``."""

    def fail(self, task_id: int, payload: bytes) -> None:
        """This attempt of the task came to nothing; the worker goes on."""


class Handler(Protocol):
    """The work itself, in a worker process.

    ``work``, ``idle`` and ``close`` are called from the process's main thread, one at a time. An
    exception from ``idle`` or ``notice`` ends the worker: all that it holds lapses, with the error's text
    as the reason.
    """

    def work(self, task: Task) -> None:
        """Work on a task; the worker gets its next one when this returns, whether or not it is complete.

        Raising fails the task (TaskFailed, ``raised``), and the worker goes on.
        """

    def notice(self, payload: bytes) -> None:
        """Hear a broadcast at once: called from another thread, also while ``work`` runs; returns quickly.

        A broadcast made before a task was offered is heard before this task's ``work`` begins.
        """

    def idle(self) -> None:
        """Complete everything held. Called on a flush, and once when nothing came for ``idle_seconds``."""

    def close(self) -> None:
        """The worker ends in order. Not called when it is killed.

        The process then ends without running atexit hooks or waiting for other threads.
        """


HandlerFactory: TypeAlias = Callable[[bytes, Outlet], Handler]
"""``factory(setup, outlet)``; whatever it raises stops the engine with an EngineError that names it."""


class Engine(Protocol):
    """Hands tasks to workers.

    One thread owns an engine from its first call to ``close`` and makes all calls; only ``wake`` may come from
    others. ``wanted`` changes only by the owner's own ``offer`` and ``events`` calls. After an
    EngineError from ``events`` the engine is dead: it raises the same error again, and only ``cancel``
    and ``close`` still make sense.
    """

    @property
    def is_spread(self) -> bool:
        """Whether its members may be on several machines."""

    def prepare(self, handler: str, count: int) -> None:
        """Expect that ``count`` workers will be needed for this handler: what may be done ahead can begin.

        A hint, given before ``start`` or after, by the owning thread; nothing depends on it.
        """

    def start(self, setup: bytes, handler: str) -> None:
        """Name what workers run: the factory ``"package.module:callable"`` and its first argument.

        Returns at once; workers start when tasks are offered. ``setup`` may hold secrets: it never stands
        in a command line, an environment or a file.
        """

    def expect(self, members: Collection[str]) -> None:
        """Want nothing before these members of an earlier run of the work have come and reported what they did in it.

        Called right after ``start``. Who is not heard of within a lease is not waited for, and nobody for long.
        """

    def offer(self, task: Task) -> None:
        """Give one task to the engine. Never blocks.

        EngineError if ``wanted()`` is 0, or if a task of this id is still in the engine.
        """

    def wanted(self) -> int:
        """How many more tasks the window takes now. A task leaves the window when its ``work()``
        returns."""

    def events(self, timeout_seconds: float) -> Sequence[Event]:
        """What happened since the last call, oldest first; waits for something to happen, or for ``wake``.

        Empty after the time-out or a wake, and when nothing but ``wanted`` has grown. EngineError if
        workers cannot be started; it names the cause. The engine moves only within this call, so call it
        again soon: workers that send more than a few MiB while the owner stays away wait for it.
        """

    def wake(self) -> None:
        """Make a waiting (or else the next) ``events`` call return.

        May be called from any thread and from signal handlers; does nothing on a closed engine.
        """

    def members(self) -> Sequence[Member]:
        """The members that have joined and not left, with what each worker holds."""

    def broadcast(self, payload: bytes, *, keep: bool = False) -> None:
        """Call ``handler.notice(payload)`` in every worker.

        A worker that starts later hears before its first task those that are to be kept, in order (the last 2 MiB of
        them, one at least), and of the others the last one.
        """

    def flush(self) -> None:
        """Have every worker call ``handler.idle()`` once it has worked on what was offered to it before."""

    def expel(self, member: str, reason: str) -> None:
        """Give a member no more tasks: what it holds lapses, and it leaves. It does not come back to this engine.

        Without any member left ``events`` raises an EngineError with the reason.
        """

    def cancel(self) -> None:
        """Kill all workers at once and close the engine. Nothing is reported any more. Idempotent."""

    def close(self) -> None:
        """Let all workers end their current ``work()`` and call ``handler.close()``; kill those too slow.

        Tasks that were waiting are dropped, and what workers still say is not reported; a ``handler.close()``
        that raises is logged. Idempotent. No process, thread or file descriptor is left.
        """


MakeEngine: TypeAlias = Callable[[int, str], Engine]
"""``make(workers, name)``: an engine for one job. One of this machine has so many workers, and its member this name."""
