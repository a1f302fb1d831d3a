"""Global flags: before or after the verb, above the environment, restic's names last."""

from __future__ import annotations

from collections.abc import Sequence

import click
import pytest

from argosy.cli.context import Context
from argosy.cli.decorators import verb, verb_group
from argosy.cli.globals import COMPRESSION_MODES, Given
from argosy.cli.values import pack_size
from argosy.cli.variables import Variables
from argosy.errors import UsageError

LOCATIONS = {"repo": "REPOSITORY", "repository_file": "REPOSITORY_FILE"}
PASSWORDS = {"password_command": "PASSWORD_COMMAND", "password_file": "PASSWORD_FILE", "=password": "PASSWORD"}


def parsed(*arguments: str) -> Context:
    """The context that a verb of a group gets from a command line."""
    seen: list[Context] = []
    program = verb_group("argosy", "A program.")

    @verb("try", group=program)
    @click.argument("words", nargs=-1)
    def _try(ctx: Context, words: Sequence[str]) -> None:
        del words
        seen.append(ctx)

    program.main(list(arguments), standalone_mode=False)
    return seen[0]


@pytest.mark.parametrize("arguments", [("-r", "x", "try"), ("try", "-r", "x"), ("try", "word", "--repo", "x")])
def test_a_global_flag_stands_before_or_after_the_verb(arguments: Sequence[str]) -> None:
    assert parsed(*arguments).given.text("repo") == "x"


def test_the_flag_after_the_verb_is_the_last_word() -> None:
    assert parsed("-r", "x", "try", "-r", "y").given.text("repo") == "y"


def test_verbosity_and_options_of_both_places_add_up() -> None:
    context = parsed("-v", "-o", "s3.region=a", "try", "-v", "-o", "s3.connections=2")
    assert context.verbosity == 2
    assert context.given.flags["option"] == ("s3.region=a", "s3.connections=2")


def test_what_was_not_given_is_not_there() -> None:
    """A flag's default must never hide a variable."""
    assert parsed("try").given.flags == {}


def test_quiet_ends_verbosity() -> None:
    assert parsed("try", "-q", "-v").verbosity == 0


def test_a_flag_goes_before_argosys_variable_before_restics() -> None:
    variables = {"RESTIC_KEY_HINT": "restic", "ARGOSY_KEY_HINT": "argosy"}
    assert Given({"key_hint": "flag"}, Variables(variables)).text("key_hint", "KEY_HINT") == "flag"
    assert Given({}, Variables(variables)).text("key_hint", "KEY_HINT") == "argosy"
    assert Given({}, Variables({"RESTIC_KEY_HINT": "restic"})).text("key_hint", "KEY_HINT") == "restic"
    assert Given({}, Variables({"RESTIC_KEY_HINT": ""})).text("key_hint", "KEY_HINT") is None


def test_a_variable_is_converted_like_its_flag() -> None:
    assert Given({}, Variables({"RESTIC_PACK_SIZE": "64"})).value("pack_size", "PACK_SIZE", pack_size, 0) == 64 << 20
    assert Given({"pack_size": 5}, Variables({})).value("pack_size", "PACK_SIZE", pack_size, 0) == 5
    assert Given({}, Variables({})).value("pack_size", "PACK_SIZE", pack_size, 7) == 7


def test_a_wrong_variable_is_named() -> None:
    given = Given({}, Variables({"RESTIC_PACK_SIZE": "huge"}))
    with pytest.raises(UsageError, match="RESTIC_PACK_SIZE"):
        given.value("pack_size", "PACK_SIZE", pack_size, 0)


def test_alternatives_are_chosen_level_by_level() -> None:
    """A repository file on the command line goes before a repository in the environment."""
    variables = Variables({"ARGOSY_REPOSITORY": "a", "RESTIC_REPOSITORY_FILE": "b"})
    assert Given({"repository_file": "f"}, variables).choose(LOCATIONS) == ("repository_file", "f")
    assert Given({}, variables).choose(LOCATIONS) == ("repo", "a")
    assert Given({}, Variables({})).choose(LOCATIONS) is None


def test_two_alternatives_on_one_level_are_refused() -> None:
    with pytest.raises(UsageError, match="--repo and --repository-file exclude each other"):
        Given({"repo": "a", "repository_file": "b"}, Variables({})).choose(LOCATIONS)


def test_a_plain_password_gives_way_to_a_file_of_its_level() -> None:
    """As in restic, where RESTIC_PASSWORD is looked at last."""
    both = Variables({"RESTIC_PASSWORD": "secret", "RESTIC_PASSWORD_FILE": "file"})
    assert Given({}, both).choose(PASSWORDS) == ("password_file", "file")
    ours = Variables({"ARGOSY_PASSWORD": "secret", "RESTIC_PASSWORD_FILE": "file"})
    assert Given({}, ours).choose(PASSWORDS) == ("=password", "secret")


def test_the_modes_of_compression_are_those_of_the_format() -> None:
    from typing import get_args

    from argosy.restic_format.compression import CompressionMode

    assert set(COMPRESSION_MODES) == set(get_args(CompressionMode))
