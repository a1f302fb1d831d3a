"""What the program says, and on which channel.

=================  =============================  ==================================
method             as text                        with ``--json``
=================  =============================  ==================================
``line``           standard output                (for text only)
``message``        standard output; not with -q   standard error, as "message"; not with -q
``detail``         the same, from -v on           the same, from -v on
``document``       (for JSON only)                standard output, one line
``error``          standard error                 standard error, as restic's "error"
``warning``        standard error                 standard error, as "warning"
=================  =============================  ==================================

Names are made fit to print by their caller (``wording.printable``): Output writes what it is given, and bytes that are
not UTF-8 (surrogate escapes) as they came.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from argosy.errors import ArgosyError


class Output:
    """The channels of one command. A live display may put itself between with ``interrupt``."""

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbosity: int = 0,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.verbosity = verbosity
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        # A live display sets this: it prints the line above itself. (text, is an error)
        self.interrupt: Callable[[str, bool], None] | None = None

    @property
    def on_terminal(self) -> bool:
        """Whether a person may be watching standard output."""
        return self._stdout.isatty()

    def line(self, text: str) -> None:
        """A line of the result."""
        if self.interrupt is not None:
            self.interrupt(text, False)
        else:
            self._stdout.write(f"{text}\n")

    def message(self, text: str) -> None:
        """A line about the result: how it came about."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str, level: int = 1) -> None:
        """A line for those who asked for more, with ``level`` times -v."""
        if self.verbosity >= level:
            self._say(text)

    def document(self, document: Mapping[str, Any], *, flush: bool = False) -> None:
        """One JSON document on a line. ``flush`` where a reader waits for it."""
        self._stdout.write(_encode(document) + "\n")
        if flush:
            self._stdout.flush()

    def documents(self, documents: list[Any]) -> None:
        """One JSON list on a line, where restic prints a list."""
        self._stdout.write(_encode(documents) + "\n")

    def error(self, message: str, *, item: str = "", during: str = "") -> None:
        """Something went wrong with ``item`` and the command goes on. ``during`` is restic's word: scan, archival …"""
        if self.json:
            # "item" is there even if empty, as restic writes it.
            document = {"message_type": "error", "error": {"message": message}, "during": during, "item": item}
            self.error_document(document)
        else:
            self._say(f"error: {item}: {message}" if item else f"error: {message}", error=True)

    def warning(self, message: str) -> None:
        """Something that the user should know, with -q too."""
        if self.json:
            self.error_document({"message_type": "warning", "message": message})
        else:
            self._say(f"warning: {message}", error=True)

    def trouble(self, error: ArgosyError) -> None:
        """An error that does not end the command, with its next step."""
        self.warning(f"{error.message}. {error.hint}" if error.hint else error.message)

    def error_document(self, document: Mapping[str, Any]) -> None:
        """One JSON document on standard error."""
        self._stderr.write(_encode(document) + "\n")
        self._stderr.flush()

    def error_line(self, text: str) -> None:
        """One line on standard error, whatever the mode."""
        self._say(text, error=True)

    def prompt(self, text: str) -> None:
        """Ask for something: on standard error, so that a redirected result holds no question."""
        self._stderr.write(text)
        self._stderr.flush()

    def raw(self, data: bytes) -> None:
        """Bytes as they are, to standard output."""
        self._stdout.flush()
        self._stdout.buffer.write(data)

    def flush(self) -> None:
        """Bring everything out."""
        self._stdout.flush()
        self._stderr.flush()

    def _say(self, text: str, *, error: bool = False) -> None:
        if self.json and not error:
            self.error_document({"message_type": "message", "message": text})
        elif self.interrupt is not None:
            self.interrupt(text, error)
        else:
            stream = self._stderr if error else self._stdout
            stream.write(f"{text}\n")
            stream.flush()


def _encode(document: Any) -> str:
    # msgspec: every command that prints documents has imported it anyway; json would cost 7 ms more.
    import msgspec

    return msgspec.json.encode(document).decode("utf-8")
