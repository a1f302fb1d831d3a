"""--host, --tag and --path as restic takes them."""

from __future__ import annotations

import pytest

from argosy.cli.choosing import snapshot_filter, snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.repository.snapshots import SnapshotFilter
from argosy.restic_format.snapshot import Snapshot

SNAPSHOT = Snapshot(time="2026-01-01T00:00:00Z", tree=bytes(32), paths=["/a", "/b"], hostname="h", tags=["x", "y"])
UNTAGGED = Snapshot(time="2026-01-01T00:00:00Z", tree=bytes(32), paths=["/a"], hostname="h")


def test_without_flags_every_snapshot_is_meant() -> None:
    assert snapshot_filter((), (), ()).matches(SNAPSHOT)


def test_one_host_of_several_is_enough() -> None:
    assert snapshot_filter(("other", "h"), (), ()).matches(SNAPSHOT)
    assert not snapshot_filter(("other",), (), ()).matches(SNAPSHOT)


def test_tags_in_one_flag_are_all_wanted_those_of_another_flag_instead() -> None:
    assert snapshot_filter((), ("x, y",), ()).matches(SNAPSHOT)
    assert not snapshot_filter((), ("x,z",), ()).matches(SNAPSHOT)
    assert snapshot_filter((), ("x,z", "y"), ()).matches(SNAPSHOT)


def test_an_empty_tag_means_none() -> None:
    assert snapshot_filter((), ("",), ()).matches(UNTAGGED)
    assert not snapshot_filter((), ("",), ()).matches(SNAPSHOT)


def test_all_paths_are_wanted() -> None:
    assert snapshot_filter((), (), ("/a", "/b")).matches(SNAPSHOT)
    assert not snapshot_filter((), (), ("/a", "/c")).matches(SNAPSHOT)


@pytest.mark.parametrize(
    ("arguments", "hosts"), [([], ("from-the-variable",)), (["-H", "a", "--host", "b"], ("a", "b"))]
)
def test_a_command_gets_what_the_flags_or_the_variable_say(
    arguments: list[str], hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_HOST", "from-the-variable")
    given: list[SnapshotFilter] = []

    @verb("try")
    @snapshot_flags
    def command(_ctx: Context, wanted: SnapshotFilter) -> None:
        given.append(wanted)

    command.main([*arguments, "--tag", "x,y", "--path", "/p"], standalone_mode=False)
    assert given == [SnapshotFilter(hosts=hosts, tags=[["x", "y"]], paths=("/p",))]
