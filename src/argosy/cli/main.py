"""The program: finds the verb, runs it, and turns whatever happens into an exit code."""

from __future__ import annotations

import gc
import importlib
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from argosy import __version__
from argosy.cli.context import Context
from argosy.cli.decorators import HELP_SETTINGS, context_of
from argosy.cli.failures import report
from argosy.cli.globals import global_flags
from argosy.cli.output import Output
from argosy.cli.signals import interrupt_on_signals
from argosy.cli.verbs import VERBS

# Python's own 700 makes a tenth of the start-up: modules are many objects, and no garbage. A verb makes 25,000.
_COLLECT_AFTER = 50_000

_REPEATED = re.compile(r"--verbose=([0-9])")


class _Verbs(click.Group):
    """Verbs whose modules are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"argosy.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"argosy {__version__}")
        ctx.exit()


@click.command("argosy", cls=_Verbs, invoke_without_command=True, context_settings=HELP_SETTINGS)
@global_flags
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="print the version"
)
def program(**_: Any) -> None:
    """Back up files into a repository in restic's format, and give them back.

    Interrupted is not failed: the same command goes on where it stopped.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line of this process, and end it."""
    gc.set_threshold(_COLLECT_AFTER)
    code = run(sys.argv[1:])
    # The interpreter's end looks for garbage, which takes 20 ms with all that a backup has imported.
    gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name may hold any byte: it is written as it came, never refused.
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # the process's own text streams
    interrupt_on_signals()
    words = _as_click_reads(arguments)
    output = Output(json="--json" in words[: _own_words(words)])
    context: Context | None = None
    try:
        with program.make_context("argosy", words) as ctx:
            try:
                code = program.invoke(ctx)
            finally:
                context = context_of(ctx)
        context.output.flush()
        return int(code or 0)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except BaseException as error:  # noqa: BLE001 - the last stop: everything becomes a message and a code
        # A command line that cannot be parsed has no context of its own, but --json in it is meant.
        same_mode = context is not None and context.json == output.json
        return _end(error, context.output if context is not None and same_mode else output, context)
    finally:
        if context is not None:
            context.close()


def _end(error: BaseException, output: Output, context: Context | None) -> int:
    try:
        code = report(error, output, context)
        output.flush()
    except BrokenPipeError as broken:
        return report(broken, output, context)
    return code


def _as_click_reads(arguments: Sequence[str]) -> list[str]:
    """restic's ``help VERB`` and ``--verbose=2`` in the forms that click knows."""
    words = list(arguments)
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    ours = _own_words(words)
    read: list[str] = []
    for word in words[:ours]:
        repeated = _REPEATED.fullmatch(word)
        read += ["-v"] * int(repeated[1]) if repeated else [word]
    return read + words[ours:]


def _own_words(words: Sequence[str]) -> int:
    """How many words stand before ``--``."""
    return words.index("--") if "--" in words else len(words)
