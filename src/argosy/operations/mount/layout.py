"""Where snapshots appear below a mount point: restic's templates, and Go's layouts of times in them."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import product

import msgspec

from argosy.repository.snapshots import StoredSnapshot

DEFAULT_PATHS = ("ids/%i", "snapshots/%T", "hosts/%h/%T", "tags/%t/%T")
DEFAULT_TIME = "2006-01-02T15:04:05Z07:00"

_SHORT_DIGITS = 8
_VERB = re.compile(r"%(.)", re.DOTALL)
_GO_TIME = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|01|02|03|04|05|06|15|-07:00|-0700|-07|Z07:00|Z0700|PM|pm|_2|1|2|3|4|5"
)
_FRACTION = re.compile(r"(\.\d+)")


class Place(msgspec.Struct):
    """A directory of the layout: a snapshot, a link to a place beside it, or other places by name."""

    snapshot: StoredSnapshot | None = None
    link: str = ""
    names: dict[str, Place] = msgspec.field(default_factory=dict)


def build_layout(
    snapshots: Iterable[StoredSnapshot], paths: Sequence[str] = DEFAULT_PATHS, time: str = DEFAULT_TIME
) -> Place:
    """The places of snapshots, given oldest first. A template that ends with %T gets a link ``latest``, too."""
    root = Place()
    for template in paths:
        _directory(root, _fixed_start(template))
    for stored in snapshots:
        moment = format_go_time(stored.snapshot.time, time)
        for template in paths:
            ends_with_time = template.endswith("%T") and not template.endswith("%%T")
            head = template.removesuffix("%T") if ends_with_time else template
            for start in _filled(head, stored, moment):
                suffix = _unused(root, start, moment if ends_with_time else "")
                place = _directory(root, start + suffix)
                place.snapshot = stored
                if ends_with_time:
                    _directory(root, start + "/latest").link = suffix
                    _directory(root, start + "/latest").snapshot = stored
    return root


def changed_links(before: Place, after: Place, path: bytes = b"") -> Iterator[bytes]:
    """The paths of links that lead elsewhere now, or are gone."""
    for name, place in before.names.items():
        below, now = path + b"/" + os.fsencode(name), after.names.get(name, Place())
        if place.link and place.link != now.link:
            yield below
        yield from changed_links(place, now, below)


def format_go_time(text: str, layout: str) -> str:
    """An RFC 3339 time in its own zone, written as Go's layout says (https://pkg.go.dev/time#Layout)."""
    moment = datetime.fromisoformat(_FRACTION.sub(lambda found: f"{found[1]:0<7}"[:7], text.replace("Z", "+00:00")))
    offset = moment.strftime("%z")
    colon = f"{offset[:3]}:{offset[3:]}"
    is_utc = offset in ("+0000", "-0000")
    hour = moment.hour % 12 or 12
    written = {
        "January": moment.strftime("%B"),
        "Jan": moment.strftime("%b"),
        "Monday": moment.strftime("%A"),
        "Mon": moment.strftime("%a"),
        "MST": "UTC" if is_utc else offset,
        "2006": f"{moment.year:04d}",
        "06": f"{moment.year % 100:02d}",
        "01": f"{moment.month:02d}",
        "1": f"{moment.month}",
        "02": f"{moment.day:02d}",
        "_2": f"{moment.day:2d}",
        "2": f"{moment.day}",
        "15": f"{moment.hour:02d}",
        "03": f"{hour:02d}",
        "3": f"{hour}",
        "04": f"{moment.minute:02d}",
        "4": f"{moment.minute}",
        "05": f"{moment.second:02d}",
        "5": f"{moment.second}",
        "PM": "PM" if moment.hour >= 12 else "AM",
        "pm": "pm" if moment.hour >= 12 else "am",
        "-07:00": colon,
        "-0700": offset,
        "-07": offset[:3],
        "Z07:00": "Z" if is_utc else colon,
        "Z0700": "Z" if is_utc else offset,
    }
    return _GO_TIME.sub(lambda found: written[found[0]], layout)


def _filled(template: str, stored: StoredSnapshot, moment: str) -> list[str]:
    """The paths that a template gives for a snapshot: one for each tag where it has %t, so none without tags."""
    snapshot = stored.snapshot
    values = {
        "T": [moment],
        "t": [_file_name(tag) for tag in snapshot.tags],
        "i": [stored.id.hex()[:_SHORT_DIGITS]],
        "I": [stored.id.hex()],
        "u": [_file_name(snapshot.username)],
        "h": [_file_name(snapshot.hostname)],
    }
    parts = _VERB.split(template)
    choices = [[part] if at % 2 == 0 else values.get(part, [part]) for at, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def _file_name(text: str) -> str:
    """A tag or name as one file may be called (restic's rule for tags)."""
    return {"": "_", ".": "_", "..": "__"}.get(text, text.replace("/", "_"))


def _fixed_start(template: str) -> str:
    """The directories before the first that depends on the snapshot: they are there without any."""
    found = re.search(r"%[iIuhtT]", template)
    return template[: found.start()].rpartition("/")[0] if found else ""


def _unused(root: Place, start: str, name: str) -> str:
    number, chosen = 0, name
    while _find(root, start + chosen) is not None:
        number += 1
        chosen = f"{name}-{number}"
    return chosen


def _parts(path: str) -> list[str]:
    return [part for part in posixpath.normpath("/" + path).split("/") if part]


def _find(root: Place, path: str) -> Place | None:
    place: Place | None = root
    for part in _parts(path):
        place = place.names.get(part) if place is not None else None
    return place


def _directory(root: Place, path: str) -> Place:
    place = root
    for part in _parts(path):
        place = place.names.setdefault(part, Place())
    return place
