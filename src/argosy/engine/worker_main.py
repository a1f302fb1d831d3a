"""The first lines of a nursery and of the workers it forks: ``python -I worker_main.py FD PARENT_PID``.

FD is the nursery's end of a socket pair that keeps messages apart. The first one says which module to import and from
where (the module's name and paths between NUL bytes); only the standard library can be imported before that. Then come
requests, each answered by a number:

- FORK, with two descriptors: fork a worker, which gets the first as its stream and prints to the second; its pid, or
  minus an errno.
- END and a pid: wait for that worker; its exit code, or minus its signal.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

FORK = b"F"
END = b"E"
ANSWER = struct.Struct("<q")

_PRELUDE_BYTES = 64 * 1024
_REQUEST_BYTES = 64
_COLLECT_AFTER = 20_000
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def main() -> None:
    """Settle signals, import what workers need, and fork them until the parent is gone."""
    # Ctrl-C goes to the whole process group; what it means is the parent's decision. The parent blocks SIGINT
    # while it starts this process, so that none comes before this line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        parent.set_inheritable(False)
        _settle(b"argosy-nursery", int(sys.argv[2]))
        module, *path = map(os.fsdecode, parent.recv(_PRELUDE_BYTES).split(b"\0"))
        sys.path[:] = path
        # Python's own 700 makes a tenth of the start-up: modules are many objects, and no garbage.
        gc.set_threshold(_COLLECT_AFTER)
        # Whatever this meets is met again, and told, when a worker makes its handler.
        with suppress(Exception):
            import_module(module)
        # What is shared stays shared: a look for garbage would write to each object.
        gc.freeze()
        _answer_requests(parent)


def _answer_requests(parent: socket.socket) -> None:
    while True:
        request, descriptors, _, _ = socket.recv_fds(parent, _REQUEST_BYTES, 2)
        if not request:
            # The parent is gone, and with this process its workers.
            return
        if request == FORK:
            answer = _fork(parent, *descriptors)
        else:
            (pid,) = ANSWER.unpack(request[len(END) :])
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        parent.send(ANSWER.pack(answer))


def _fork(parent: socket.socket, stream: int, output: int) -> int:
    nursery_pid = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        _work(parent, stream, output, nursery_pid)
    os.close(stream)
    os.close(output)
    return pid


def _work(parent: socket.socket, stream: int, output: int, nursery_pid: int) -> NoReturn:
    try:
        _settle(b"argosy-worker", nursery_pid)
        parent.close()
        os.set_inheritable(stream, False)
        os.dup2(output, sys.stdout.fileno())
        os.dup2(output, sys.stderr.fileno())
        os.close(output)
        from argosy.engine.worker_loop import run

        run(stream)
    finally:
        # Whatever happens, a worker never goes on as a nursery.
        os._exit(1)


def _settle(name: bytes, parent_pid: int) -> None:
    """Take a name for ps and top, and die with the parent.

    The end of the stream tells that too, but not to a process that is stopped, or that stays within a C call which
    keeps the interpreter's lock.
    """
    try:
        import ctypes
    except ImportError:  # a Python built without libffi
        return
    library = ctypes.CDLL(None)
    library.prctl(_PR_SET_NAME, name)
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    main()
