"""What else the machine does during a run."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_IDLE_FIELDS = (3, 4)  # idle and iowait, of proc_stat(5)
_FIELDS = 8  # without the time of guests, which counts as user time too


class Disturbance:
    """Counts from its making: how many processors others kept busy, those the hypervisor withheld among them."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._busy = _machine_busy_seconds()
        self._own = _own_seconds()

    def processors(self) -> float:
        """The average until now."""
        seconds = time.monotonic() - self._started
        others = (_machine_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, others / seconds)


def _machine_busy_seconds() -> float:
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    ticks = [int(text) for text in line.split()[1 : 1 + _FIELDS]]
    return (sum(ticks) - sum(ticks[field] for field in _IDLE_FIELDS)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
