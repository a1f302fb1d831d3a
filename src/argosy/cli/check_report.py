"""The report of a check: what it found, in a file, for whoever must show later that it was done."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.check.options import Problem


class CheckReport:
    """Gathers what is told. Made before the check begins, so that a file that cannot be written is said then."""

    def __init__(self, path: Path, location: str) -> None:
        self._path = path
        self._location = location
        self._began = time.time()
        self._problems: list[dict[str, str]] = []
        self._hints: list[str] = []
        self._write({"finished": False})

    def add_problem(self, problem: Problem) -> None:
        """A problem, with what can be done about it."""
        self._problems.append(
            {"part": problem.part.value, "what": problem.what, "reason": problem.reason, "advice": problem.advice}
        )

    def add_hint(self, text: str) -> None:
        """A hint."""
        self._hints.append(text)

    def end(self, summary: dict[str, object]) -> None:
        """The check came to its end: the whole report."""
        self._write({"finished": True, "ended": _text(time.time()), "summary": summary})

    def _write(self, more: dict[str, object]) -> None:
        document = {"repository": self._location, "began": _text(self._began), **more}
        if more["finished"]:
            document |= {"problems": self._problems, "hints": self._hints}
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.draft")
        try:
            draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise UsageError(
                f"the report {self._path} cannot be written: {error.strerror}", hint="Name another file with --report."
            ) from error


def _text(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
