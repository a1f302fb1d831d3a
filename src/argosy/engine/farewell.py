"""The orderly end of worker processes: ask, wait for a bounded time while they still speak."""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Iterable

from argosy.engine.framing import Frame, Kind, encode_frame
from argosy.engine.worker_process import WorkerProcess
from argosy.errors import EngineError

_log = logging.getLogger(__name__)
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


def ask_to_close(workers: Iterable[WorkerProcess], deadline_seconds: float) -> None:
    """Send CLOSE to each ready worker and wait until they have ended, or until the deadline (monotonic
    clock).

    What they still say is read, since a worker whose socket is full cannot end, and dropped. The caller
    kills what is left and buries all.
    """
    with selectors.DefaultSelector() as selector:
        waiting = 0
        for worker in workers:
            if worker.is_ready:
                worker.send(encode_frame(Kind.CLOSE))
                selector.register(worker.socket, _interest(worker), worker)
                selector.register(worker.output, selectors.EVENT_READ, worker)
                waiting += 1
        while waiting and (patience := deadline_seconds - time.monotonic()) > 0:
            for key, mask in selector.select(patience):
                worker = key.data
                if key.fileobj is worker.output:
                    if not worker.read_output():
                        selector.unregister(worker.output)
                elif not _listen(worker, mask):
                    selector.unregister(worker.socket)
                    waiting -= 1
                elif _interest(worker) != key.events:
                    selector.modify(worker.socket, _interest(worker), worker)


def _interest(worker: WorkerProcess) -> int:
    return _BOTH if worker.unsent_bytes else selectors.EVENT_READ


def _listen(worker: WorkerProcess, mask: int) -> bool:
    if mask & selectors.EVENT_WRITE:
        worker.write()
    if not mask & selectors.EVENT_READ:
        return True
    try:
        frames = worker.read()
    except EngineError as error:
        _log.warning("worker %d: %s", worker.number, error.message)
        return False
    for frame in frames or ():
        _log_failure(worker, frame)
    return frames is not None


def _log_failure(worker: WorkerProcess, frame: Frame) -> None:
    if frame.kind == Kind.CRASHED:
        _log.warning("worker %d failed as it closed: %s", worker.number, frame.payload.decode())
