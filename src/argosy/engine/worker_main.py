"""The first lines of a worker process, run as a script: ``python -I worker_main.py FD PARENT_PID``.

FD is the worker's end of a socket pair. What comes first on it is which module to import and from where (a length, then
the module's name and paths between NUL bytes), so that neither the command line nor the environment has to say it. Only
the standard library can be imported before that.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

_COLLECT_AFTER = 20_000
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Settle signals, take the module and the import path, and run the worker's loop."""
    # Ctrl-C goes to the whole process group; what it means is the parent's decision. The parent blocks SIGINT
    # while it starts a worker, so that none comes before this line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    _die_with_parent(int(sys.argv[2]))
    length = int.from_bytes(_read(descriptor, 4), "little")
    module, *path = map(os.fsdecode, _read(descriptor, length).split(b"\0"))
    sys.path[:] = path
    # Python's own 700 makes a tenth of the start-up: modules are many objects, and no garbage.
    gc.set_threshold(_COLLECT_AFTER)
    from argosy.engine.worker_loop import run

    run(descriptor, module)


def _die_with_parent(parent_pid: int) -> None:
    # The end of the stream tells it too (worker_loop), but not to a process that is stopped, or that stays
    # within a C call which keeps the interpreter's lock.
    try:
        import ctypes
    except ImportError:  # a Python built without libffi
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def _read(descriptor: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = os.read(descriptor, length - len(data))
        if not part:
            os._exit(1)
        data += part
    return data


if __name__ == "__main__":
    main()
