"""Who hears what on which channel."""

from __future__ import annotations

import io
import json

import pytest

from argosy.cli.output import Output


class Channels:
    """An Output and what came out."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbosity: int = 0) -> None:
        self.stdout = io.StringIO()
        self.stderr = io.StringIO()
        self.output = Output(json=json, quiet=quiet, verbosity=verbosity, stdout=self.stdout, stderr=self.stderr)


def test_results_go_to_standard_output_even_if_quiet() -> None:
    channels = Channels(quiet=True)
    channels.output.line("result")
    assert channels.stdout.getvalue() == "result\n"


def test_messages_are_for_those_who_are_not_quiet() -> None:
    loud, quiet = Channels(), Channels(quiet=True)
    for channels in (loud, quiet):
        channels.output.message("how it came about")
    assert loud.stdout.getvalue() == "how it came about\n"
    assert quiet.stdout.getvalue() == quiet.stderr.getvalue() == ""


@pytest.mark.parametrize(("verbosity", "heard"), [(0, ""), (1, "one\n"), (2, "one\ntwo\n")])
def test_details_are_for_those_who_ask(verbosity: int, heard: str) -> None:
    channels = Channels(verbosity=verbosity)
    channels.output.detail("one")
    channels.output.detail("two", 2)
    assert channels.stdout.getvalue() == heard


def test_with_json_each_line_of_both_channels_is_a_document() -> None:
    channels = Channels(json=True, verbosity=2)
    channels.output.document({"message_type": "summary"})
    channels.output.message("text")
    channels.output.detail("text")
    channels.output.warning("text")
    channels.output.error("permission denied", item="/a", during="archival")
    out = [json.loads(line) for line in channels.stdout.getvalue().splitlines()]
    err = [json.loads(line) for line in channels.stderr.getvalue().splitlines()]
    assert [document["message_type"] for document in out] == ["summary"]
    assert [document["message_type"] for document in err] == ["message", "message", "warning", "error"]
    assert err[-1]["error"] == {"message": "permission denied"}
    assert (err[-1]["during"], err[-1]["item"]) == ("archival", "/a")


def test_errors_are_said_with_the_name_of_what_failed() -> None:
    channels = Channels(quiet=True)
    channels.output.error("permission denied", item="/a")
    channels.output.error("odd")
    assert channels.stderr.getvalue() == "error: /a: permission denied\nerror: odd\n"


def test_a_live_display_is_asked_to_make_room() -> None:
    channels = Channels()
    heard: list[tuple[str, bool]] = []
    channels.output.interrupt = lambda text, is_error: heard.append((text, is_error))
    channels.output.message("message")
    channels.output.error("odd")
    assert heard == [("message", False), ("error: odd", True)]
    assert channels.stdout.getvalue() == channels.stderr.getvalue() == ""
