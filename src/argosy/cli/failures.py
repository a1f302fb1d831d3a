"""From an exception to a message and an exit code; the one place where commands end in failure."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

import click

from argosy.cli.context import Context
from argosy.cli.output import Output
from argosy.cli.signals import EXIT_INTERRUPTED
from argosy.errors import ArgosyError

EXIT_FAILED = 1
EXIT_BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended (128 + 13)."""


def report(error: BaseException, output: Output, context: Context | None) -> int:
    """Say what happened; returns the exit code."""
    if isinstance(error, ArgosyError):
        label = "" if error.exit_code == EXIT_INTERRUPTED else "Fatal: "
        return _say(output, label, error.message, error.hint, error.exit_code)
    if isinstance(error, click.UsageError):
        command = "argosy" if error.ctx is None else error.ctx.command_path
        hint = f"'{command} --help' lists what there is."
        return _say(output, "Fatal: ", error.format_message(), hint, EXIT_FAILED)
    if isinstance(error, click.ClickException):
        return _say(output, "Fatal: ", error.format_message(), "", EXIT_FAILED)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _say(output, "", "interrupted", "", EXIT_INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    return _report_bug(error, output, context)


def _say(output: Output, label: str, message: str, hint: str, code: int) -> int:
    if output.json:
        text = f"{label}{message}" + (f"\n{hint}" if hint else "")
        output.error_document({"message_type": "exit_error", "code": code, "message": text})
    else:
        output.error_line(f"{label}{message}")
        if hint:
            output.error_line(hint)
    return code


def _report_bug(error: BaseException, output: Output, context: Context | None) -> int:
    """A bug of ours: one line for the user, the traceback for the one who mends it.

    An OSError may well be no bug (standard output on a full disk, a cache directory that cannot be made).
    """
    text = "".join(traceback.format_exception(error))
    kept = _keep(text, context)
    if context is not None and context.verbosity >= 2:
        output.error_line(text.rstrip())
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        where = f"Where it happened stands in {kept}." if kept else "With -v -v it says where it happened."
    else:
        message = f"this is a bug in Argosy: {type(error).__name__}: {error}"
        where = f"The traceback is in {kept}: please report it." if kept else "With -v -v it prints the traceback."
    return _say(output, "Fatal: ", message, where, EXIT_FAILED)


def _keep(text: str, context: Context | None) -> Path | None:
    try:
        directory = context.state_directory if context is not None else None
        if directory is None:
            return None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except (OSError, ArgosyError):
        return None
    return path


def _silence_stdout() -> None:
    """The reader of standard output is gone: what is still buffered must not fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
