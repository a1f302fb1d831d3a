"""Global flags: restic's names, before or after the verb.

Each command and the group itself carry them. They are collected as given; ``Given`` puts them together with the
environment: command line, then ``ARGOSY_*``, then ``RESTIC_*``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from argosy.cli.values import duration, pack_size, rate, size_in_mib
from argosy.cli.variables import FAMILIES, Variables
from argosy.errors import UsageError

COMPRESSION_MODES = ("auto", "off", "max", "fastest", "better")

_META = "argosy.globals"

Decorated = TypeVar("Decorated", bound=Callable[..., Any] | click.Command)


def _collect(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Note what stands on the command line; before and after the verb count as one."""
    name = param.name
    if name is None or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return value
    given: dict[str, Any] = ctx.meta.setdefault(_META, {})
    if name == "verbose":
        given[name] = given.get(name, 0) + value
    elif name == "option":
        given[name] = (*given.get(name, ()), *value)
    else:
        given[name] = value
    return value


def is_global(param: click.Parameter) -> bool:
    """Whether a parameter is one of the global flags."""
    return isinstance(param, click.Option) and param.callback is _collect


def _flag(*names: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, expose_value=False, callback=_collect, **attributes)


_FLAGS: tuple[Callable[[Any], Any], ...] = (
    _flag("-r", "--repo", metavar="REPOSITORY", help="the repository [ARGOSY_REPOSITORY, RESTIC_REPOSITORY]"),
    _flag(
        "--repository-file", metavar="FILE", help="file that holds the repository's location [ARGOSY_REPOSITORY_FILE]"
    ),
    _flag("-p", "--password-file", metavar="FILE", help="file that holds the password [ARGOSY_PASSWORD_FILE]"),
    _flag("--password-command", metavar="COMMAND", help="command that prints the password [ARGOSY_PASSWORD_COMMAND]"),
    _flag("--insecure-no-password", is_flag=True, help="use an empty password"),
    _flag("--key-hint", metavar="KEY", help="id of the key to try first [ARGOSY_KEY_HINT]"),
    _flag("--cacert", metavar="FILE", help="trust the certificates in this file [ARGOSY_CACERT]"),
    _flag("--insecure-tls", is_flag=True, help="do not verify the server's certificate"),
    _flag("--no-lock", is_flag=True, help="do not lock the repository (only for commands that read)"),
    _flag("--retry-lock", type=duration, metavar="DURATION", help="wait this long for a locked repository: 5m, 2h"),
    _flag("--cache-dir", metavar="DIRECTORY", help="where caches lie [ARGOSY_CACHE_DIR]"),
    _flag(
        "--cache-limit",
        type=size_in_mib,
        metavar="SIZE",
        help="most copies of a repository's metadata in MiB, or with a suffix; 8G [ARGOSY_CACHE_LIMIT]",
    ),
    _flag("--no-cache", is_flag=True, help="keep no cache after this command"),
    _flag("--state-dir", metavar="DIRECTORY", help="where jobs are recorded [ARGOSY_STATE_DIR]"),
    _flag("--limit-upload", type=rate, metavar="RATE", help="most upload in KiB/s, or with a suffix: 10M"),
    _flag("--limit-download", type=rate, metavar="RATE", help="most download in KiB/s, or with a suffix: 10M"),
    _flag(
        "--pack-size", type=pack_size, metavar="SIZE", help="target size of packs in MiB, 4 to 128 [ARGOSY_PACK_SIZE]"
    ),
    _flag("--compression", type=click.Choice(COMPRESSION_MODES), help="how hard to compress [ARGOSY_COMPRESSION]"),
    _flag("--no-extra-verify", is_flag=True, help="do not verify data once more before it is uploaded"),
    _flag("-o", "--option", multiple=True, metavar="KEY=VALUE", help="an extended option: s3.region, s3.connections …"),
    _flag("--json", is_flag=True, help="print JSON documents, one a line"),
    _flag("-q", "--quiet", is_flag=True, help="print results and errors only"),
    _flag("-v", "--verbose", count=True, help="say more; twice: much more"),
)


def global_flags(command: Decorated) -> Decorated:
    """Give a command (or a group) the global flags."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


class Given(msgspec.Struct, frozen=True):
    """The global flags as given, and the environment for what was not given."""

    flags: dict[str, Any]
    variables: Variables

    @classmethod
    def of(cls, ctx: click.Context, variables: Variables | None = None) -> Given:
        """What was collected while the command line was parsed."""
        return cls(dict(ctx.meta.get(_META, {})), variables or Variables())

    def text(self, flag: str, variable: str = "") -> str | None:
        """A flag's value, else that of ARGOSY_<variable> or RESTIC_<variable>."""
        value: str | None = self.flags.get(flag)
        if value is not None:
            return value
        return self.variables.first(variable) if variable else None

    def value(self, flag: str, variable: str, convert: Callable[[str], Any], default: Any) -> Any:
        """A flag's value, else the variable's, converted like the flag's. UsageError names a bad variable."""
        if flag in self.flags:
            return self.flags[flag]
        text = self.variables.first(variable)
        if text is None:
            return default
        try:
            return convert(text)
        except click.BadParameter as error:
            raise UsageError(f"the variable {self._name(variable)} is wrong: {error.message}") from error

    def yes(self, flag: str) -> bool:
        """Whether a flag was given."""
        return bool(self.flags.get(flag))

    def choose(self, sources: dict[str, str]) -> tuple[str, str] | None:
        """Of alternatives ``{flag: variable}`` the one that is given, as (flag, value).

        The command line goes before ``ARGOSY_*`` before ``RESTIC_*``; two on the same level are a UsageError.
        A name in ``sources`` that starts with ``=`` has no flag and gives way to the others of its level.
        """
        levels = [{flag: self.flags.get(flag) for flag in sources}]
        levels += [{flag: self.variables.get(family + name) for flag, name in sources.items()} for family in FAMILIES]
        for level in levels:
            found = [(flag, value) for flag, value in level.items() if value]
            named = [one for one in found if not one[0].startswith("=")]
            if len(named) > 1:
                flags = " and ".join("--" + flag.replace("_", "-") for flag, _ in named)
                raise UsageError(f"{flags} exclude each other", hint="Give one of them, as a flag or a variable.")
            if found:
                return (named or found)[0]
        return None

    def _name(self, variable: str) -> str:
        return next(family + variable for family in FAMILIES if self.variables.get(family + variable))
