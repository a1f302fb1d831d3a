"""docs/parity.md says of each verb and flag of restic 0.18 what Argosy has of it, and says the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from argosy.cli.main import program
from tests.support.restic import Restic, require_restic

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
SECTIONS = re.compile(r"^(?:Available Commands|Advanced Options|Additional Commands):\n(.*?)(?:\n\n|\Z)", re.M | re.S)
FLAG = re.compile(r"^\s+(?:(-\w), )?(--[\w-]+)", re.MULTILINE)
# Which every verb has; the table tells of them in the row "all".
EVERYWHERE = frozenset(("-h", "--help"))


@dataclass(frozen=True)
class Row:
    """What the table says of a verb."""

    verb: str
    have: frozenset[str]
    lacks: frozenset[str]
    is_lacking: bool

    @classmethod
    def of(cls, line: str) -> Row:
        verb, have, lacks, _better, _tests = (cell.strip() for cell in line.strip("|\n").split("|"))
        return cls(verb, named(have), named(lacks), lacks.startswith("the verb") or "the verb is planned" in lacks)


def named(cell: str) -> frozenset[str]:
    """The flags in a cell; of reasons only what stands before a colon."""
    return frozenset(flag for part in cell.split(";") for flag in re.findall(r"`(-[^`\s]+)`", part.partition(":")[0]))


ROWS = {row.verb: row for row in map(Row.of, re.findall(r"^\| [a-z].*\|$", TABLE, re.MULTILINE)[1:])}


@pytest.fixture(scope="module")
def restic() -> Restic:
    return require_restic((0, 18, 0))


def verbs(restic: Restic, *above: str) -> Iterator[str]:
    """Every verb of restic's help, with those below it."""
    for section in SECTIONS.findall(restic.help(*above)):
        for verb in re.findall(r"^  ([\w-]+)", section, re.MULTILINE):
            yield " ".join([*above, verb])
            if not above:
                yield from verbs(restic, verb)


def flags(restic: Restic, verb: str) -> set[str]:
    """The flags of a verb's own; of "all" the global ones."""
    text = restic.help(*(() if verb == "all" else verb.split()))
    section = re.search(r"^Flags:\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    found = {flag for pair in FLAG.findall(section[1] if section else "") for flag in pair if flag}
    return found if verb == "all" else found - EVERYWHERE


def ours(verb: str) -> set[str] | None:
    """The flags of our command line, None if it has no such verb."""
    command: click.Command | None = program
    for word in () if verb == "all" else verb.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
        if command is None:
            return None
    assert command is not None
    return {name for param in command.params if isinstance(param, click.Option) for name in param.opts} | EVERYWHERE


def test_every_verb_and_flag_of_restic_is_in_the_table(restic: Restic) -> None:
    missing = []
    for verb in ("all", *verbs(restic)):
        row = ROWS.get(verb)
        missing += [verb] if row is None else sorted(f"{verb} {f}" for f in flags(restic, verb) - row.have - row.lacks)
    assert missing == []


def test_nothing_is_in_the_table_that_restic_has_not(restic: Restic) -> None:
    assert ROWS.keys() == {"all", *verbs(restic)}
    invented = {
        f"{row.verb} {flag}" for row in ROWS.values() for flag in (row.have | row.lacks) - flags(restic, row.verb)
    }
    assert invented == set()


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.verb)
def test_what_the_table_says_we_have_is_known_and_the_rest_is_not(row: Row) -> None:
    known = ours(row.verb)
    if row.verb == "help":
        return  # `argosy help VERB` is read as `argosy VERB --help`
    assert row.is_lacking == (known is None)
    assert row.have <= (known or set())
    assert not row.lacks & (known or set())
