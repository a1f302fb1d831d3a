"""Becomes nats-server, tied to its parent's life: ``python -I server_main.py PARENT_PID PROGRAM ARGUMENT...``.

Run as a script, so only the standard library is imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel to kill this process with its parent, then run the program in its place."""
    # A terminal's Ctrl-C goes to the whole group; the parent decides when the server ends.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
