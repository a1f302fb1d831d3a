"""Where snapshots appear below a mount point."""

from __future__ import annotations

import pytest

from argosy.operations.mount.layout import Place, build_layout, changed_links, format_go_time
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.snapshot import Snapshot


def stored(number: int, time: str, *tags: str, host: str = "h") -> StoredSnapshot:
    snapshot = Snapshot(time=time, tree=bytes(32), paths=["/a"], hostname=host, username="u", tags=list(tags))
    return StoredSnapshot(bytes((number,)) * 32, snapshot)


def shown(place: Place, path: str = "") -> dict[str, str]:
    """Each leaf: what it links to, or the start of its snapshot's id."""
    if place.snapshot is not None:
        return {path: place.link or place.snapshot.id.hex()[:2]}
    return {key: value for name in place.names for key, value in shown(place.names[name], f"{path}/{name}").items()}


def test_the_default_places() -> None:
    layout = build_layout(
        [stored(1, "2026-01-02T03:04:05.6Z", "x"), stored(2, "2026-01-03T03:04:05+01:00", "x", "y", host="other")]
    )
    assert shown(layout) == {
        "/ids/01010101": "01",
        "/ids/02020202": "02",
        "/snapshots/2026-01-02T03:04:05Z": "01",
        "/snapshots/2026-01-03T03:04:05+01:00": "02",
        "/snapshots/latest": "2026-01-03T03:04:05+01:00",
        "/hosts/h/2026-01-02T03:04:05Z": "01",
        "/hosts/h/latest": "2026-01-02T03:04:05Z",
        "/hosts/other/2026-01-03T03:04:05+01:00": "02",
        "/hosts/other/latest": "2026-01-03T03:04:05+01:00",
        "/tags/x/2026-01-02T03:04:05Z": "01",
        "/tags/x/2026-01-03T03:04:05+01:00": "02",
        "/tags/x/latest": "2026-01-03T03:04:05+01:00",
        "/tags/y/2026-01-03T03:04:05+01:00": "02",
        "/tags/y/latest": "2026-01-03T03:04:05+01:00",
    }


def test_equal_names_are_numbered() -> None:
    same = "2026-01-02T03:04:05Z"
    layout = build_layout([stored(1, same), stored(2, same)], ["at/%T"])
    assert shown(layout) == {f"/at/{same}": "01", f"/at/{same}-1": "02", "/at/latest": f"{same}-1"}


def test_names_lead_nowhere_else() -> None:
    layout = build_layout([stored(1, "2026-01-02T03:04:05Z", "..", "a/b", "")], ["%t/%h/%I%%"])
    assert set(layout.names) == {"__", "a_b", "_"}
    assert set(layout.names["__"].names["h"].names) == {"01" * 32 + "%"}


def test_the_directories_are_there_without_snapshots() -> None:
    assert set(build_layout([]).names) == {"ids", "snapshots", "hosts", "tags"}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("2006-01-02_15-04-05", "2026-01-02_03-04-05"),
        ("Mon Jan _2 03:04PM 06 -0700", "Fri Jan  2 03:04AM 26 +0530"),
        ("January Monday 2/1 Z07:00", "January Friday 2/1 +05:30"),
    ],
)
def test_times_are_written_as_go_writes_them(layout: str, expected: str) -> None:
    assert format_go_time("2026-01-02T03:04:05.123456789+05:30", layout) == expected


def test_links_that_lead_elsewhere_are_known() -> None:
    first = stored(1, "2026-01-02T03:04:05Z", "x")
    later = stored(2, "2026-01-03T03:04:05Z", "y", host="h")
    before = build_layout([first])
    assert list(changed_links(before, build_layout([first]))) == []
    assert sorted(changed_links(before, build_layout([first, later]))) == [b"/hosts/h/latest", b"/snapshots/latest"]
    assert sorted(changed_links(before, build_layout([]))) == [
        b"/hosts/h/latest",
        b"/snapshots/latest",
        b"/tags/x/latest",
    ]
