"""``verb`` and ``verb_group``: what every command module is made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import click

from argosy.cli.context import Context
from argosy.cli.globals import Given, global_flags, is_global

P = ParamSpec("P")

Function = Callable[Concatenate[Context, P], int | None]

HELP_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Verb(click.Command):
    """A command whose help lists its own flags first, the global ones in a section of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both lists."""
        params = self.get_params(ctx)
        for title, chosen in (
            ("Options", [param for param in params if not is_global(param)]),
            ("Global options (before or after the verb)", [param for param in params if is_global(param)]),
        ):
            records = [record for param in chosen if (record := param.get_help_record(ctx)) is not None]
            with formatter.section(title):
                formatter.write_dl(records)


def verb(
    name: str, *, group: click.Group | None = None, unlocks: bool = False
) -> Callable[[Function[P]], click.Command]:
    """Make a command of a function: it gets a Context before its own parameters and returns an exit code or None.

    ``unlocks`` says that it opens the repository (but not where it has --cluster and is given it): that is begun before
    the verb's own modules are imported.
    """

    def decorate(function: Function[P]) -> click.Command:
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            context = context_of(click.get_current_context())
            if unlocks and not kwargs.get("cluster"):
                context.unlock_early()
            return function(context, *args, **kwargs) or 0

        run.__doc__ = function.__doc__
        run.__dict__.update(function.__dict__)  # click.option keeps its parameters there
        command = click.command(name, cls=_Verb, context_settings=HELP_SETTINGS)(global_flags(run))
        if group is not None:
            group.add_command(command)
        return command

    return decorate


def verb_group(name: str, help: str) -> click.Group:  # noqa: A002 - click's own word
    """A verb that has verbs of its own; without one it prints its help."""

    def run(**_: Any) -> None:
        ctx = click.get_current_context()
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())

    run.__doc__ = help
    decorated = click.group(name, invoke_without_command=True, context_settings=HELP_SETTINGS)
    return decorated(global_flags(run))


def context_of(ctx: click.Context) -> Context:
    """The Context of a command line, made once."""
    root = ctx.find_root()
    if not isinstance(root.obj, Context):
        root.obj = Context(Given.of(ctx))
    return root.obj
