"""What a backup reads and leaves out, from the flags of `argosy backup` and the files that they name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from argosy.cli.output import Output
from argosy.cli.pattern_lists import given_patterns, read_list
from argosy.cli.variables import Variables
from argosy.cli.wording import json_text, printable
from argosy.errors import UsageError
from argosy.filesystem import exclude, files_from

if TYPE_CHECKING:
    from argosy.operations.backup.stream import StreamOptions


class Sources(msgspec.Struct):
    """Paths as given, raw. ``missing`` counts those of lists that are not there. ``key`` names the lists' content."""

    paths: list[bytes] = msgspec.field(default_factory=list)
    missing: int = 0
    key: list[str] = msgspec.field(default_factory=list)


class Excludes(msgspec.Struct):
    """The rules, the patterns that the snapshot records (restic: those of --exclude), and all flags for R5."""

    rules: exclude.ExcludeRules
    recorded: tuple[str, ...]
    key: list[str]


def collect_sources(arguments: Sequence[str], flags: dict[str, Any], output: Output) -> Sources:
    """The paths of the three kinds of lists, then those of the command line, as restic orders them.

    A path of a list that is not there is named and left out: lists are made ahead. UsageError if nothing is left.
    """
    sources = Sources()
    for name in flags["files_from"]:
        unmatched: list[bytes] = []
        _add(sources, files_from.paths_from_patterns(_read_list(name, sources), unmatched), output)
        for pattern in unmatched:
            output.warning(f"the pattern {printable(pattern)} matches no file")
    for name in flags["files_from_verbatim"]:
        _add(sources, files_from.paths_verbatim(_read_list(name, sources)), output)
    for name in flags["files_from_raw"]:
        _add(sources, files_from.paths_raw(_read_list(name, sources)), output)
    sources.paths += [os.fsencode(argument) for argument in arguments]
    if not sources.paths:
        raise UsageError("there is nothing to back up", hint="Name files or directories, or lists of them.")
    if b"" in sources.paths:
        raise UsageError("a path to back up is empty", hint="Is a variable of your script not set?")
    return sources


def collect_stream(arguments: Sequence[str], flags: dict[str, Any]) -> StreamOptions | None:
    """What --stdin and --stdin-from-command ask for; None where files are to be read."""
    from argosy.operations.backup.stream import StreamOptions

    if not (flags["stdin"] or flags["stdin_from_command"]):
        if flags["stdin_filename"] is not None:
            raise UsageError(
                "--stdin-filename names what --stdin or --stdin-from-command reads", hint="Add one of them."
            )
        return None
    for other in ("files_from", "files_from_verbatim", "files_from_raw", "shown_as"):
        if flags[other]:
            name = "--as" if other == "shown_as" else f"--{other.replace('_', '-')}"
            raise UsageError(f"--stdin and {name} exclude each other", hint="A stream is the snapshot's only file.")
    file_name = os.fsencode("stdin" if flags["stdin_filename"] is None else flags["stdin_filename"])
    if not flags["stdin_from_command"]:
        if arguments:
            raise UsageError("--stdin takes no files", hint="For a command that is to be run: --stdin-from-command.")
        return StreamOptions(file_name)
    if not arguments:
        raise UsageError(
            "there is no command", hint="argosy backup --stdin-from-command --stdin-filename NAME -- COMMAND ARGUMENT…"
        )
    return StreamOptions(file_name, tuple(arguments))


def collect_excludes(
    flags: dict[str, Any], variables: Variables, own_directories: Sequence[Path], sources: Sources, shown_as: str | None
) -> Excludes:
    """The exclude flags as rules. ``own_directories`` are the program's own: left out where they lie in a source."""
    patterns = given_patterns(flags, "exclude", variables)
    insensitive = given_patterns(flags, "iexclude", variables)
    tags = [exclude.parse_tag_rule(os.fsencode(spec)) for spec in flags["exclude_if_present"]]
    if flags["exclude_caches"]:
        tags.append(exclude.CACHE_TAG)
    limit = flags["exclude_larger_than"]
    limit_bytes = None if limit is None else exclude.parse_size(limit)
    key = [f"exclude={json_text(pattern)}" for pattern in patterns]
    key += [f"iexclude={json_text(pattern)}" for pattern in insensitive]
    key += [f"if-present={json_text(tag.name)}:{tag.header.hex()}" for tag in tags]
    key += [] if limit_bytes is None else [f"larger-than={limit_bytes}"]
    rules = exclude.ExcludeRules(
        patterns,
        insensitive,
        paths=_within(own_directories, sources.paths, shown_as),
        tags=tags,
        larger_than_bytes=limit_bytes,
    )
    return Excludes(rules, tuple(json_text(pattern) for pattern in flags["exclude"]), key)


def _add(sources: Sources, paths: Sequence[bytes], output: Output) -> None:
    for path in paths:
        if os.path.lexists(path):
            sources.paths.append(path)
        else:
            sources.missing += 1
            name = json_text(path) if output.json else printable(path)
            output.error("it is in a list of files to back up, but does not exist", item=name, during="scan")


def _read_list(name: str, sources: Sources) -> bytes:
    data = read_list(name)
    sources.key.append(f"files-from={hashlib.sha256(data).hexdigest()}")
    return data


def _within(own: Sequence[Path], paths: Sequence[bytes], shown_as: str | None) -> list[bytes]:
    """The own directories that lie in a source, as the rules see them.

    Only those: a rule with literal paths costs a look at every entry.
    """
    inside = []
    for directory in map(os.fsencode, own):
        for path in paths:
            root = os.path.abspath(path)
            if directory == root or directory.startswith(root.rstrip(b"/") + b"/"):
                place = root if shown_as is None else os.path.normpath(os.fsencode(shown_as))
                inside.append(place.rstrip(b"/") + directory[len(root.rstrip(b"/")) :])
    return inside
