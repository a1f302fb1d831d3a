"""--host, --tag and --path as restic takes them."""

from __future__ import annotations

from argosy.cli.choosing import snapshot_filter
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
