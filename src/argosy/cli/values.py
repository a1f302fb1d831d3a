"""Values that flags take: durations, sizes, rates, moments, tags.

Each function is given to click as ``type=``; it raises click.BadParameter, which names the flag, for text that is none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import click

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h|d))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgt]?)((?:i?b)?)", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MOMENTS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_DAYS = ("%Y-%m-%d", "%d.%m.%Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S %z")
_MOST_BYTES = 1 << 62
_MOST_PARALLEL = 1024

Parse = Callable[[str], int]


def duration(text: str) -> float:
    """``90s``, ``1h30m``, ``2d``: seconds."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise click.BadParameter(f"{text!r} is no duration; write a number and a unit: 90s, 5m, 8h, 2d")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))


def size_in(unit_bytes: int, *, least: int = 0, most: int = _MOST_BYTES) -> Parse:
    """A parser of sizes: a bare number counts ``unit_bytes`` each, k, M, G and T are powers of 1024. Bytes."""

    def parse(text: str) -> int:
        found = _SIZE.fullmatch(text)
        if not found:
            raise click.BadParameter(f"{text!r} is no size; write a number and, if needed, one of k, M, G, T: 10M")
        bare = not (found[2] or found[3])
        size_bytes = int(float(found[1]) * (unit_bytes if bare else _FACTORS[found[2].lower()]))
        if not least <= size_bytes <= most:
            raise click.BadParameter(f"{text!r} is not between {least >> 20} MiB and {most >> 20} MiB")
        return size_bytes

    return parse


rate = size_in(1 << 10)
"""KiB/s as restic takes them, or with a suffix: ``10M`` is 10 MiB/s. Bytes a second."""

size_in_mib = size_in(1 << 20)
"""MiB, or with a suffix. Bytes."""

# restic's limits: its reader caches whole packs, and an index names each.
pack_size = size_in(1 << 20, least=4 << 20, most=128 << 20)
"""MiB as restic takes them, or with a suffix. Bytes."""


def moment(text: str) -> int:
    """``2012-11-01 22:08:41`` in local time: nanoseconds since 1970."""
    for form in _MOMENTS:
        try:
            return int(time.mktime(time.strptime(text, form))) * 10**9
        except (ValueError, OverflowError):
            continue
    raise click.BadParameter(f"{text!r} is no time; write it as 2012-11-01 22:08:41")


def moment_or_day(text: str) -> int:
    """A time as restic's find takes it, ``2012-11-01``, ``01.11.2012 22:08``, ``2012-11-01 22:08:41 +0100``, in local
    time unless an offset (or UTC) is given: nanoseconds since 1970."""
    import calendar

    read = re.sub(r" (UTC|GMT)$", " +0000", text)
    for form in (day + clock for day in _DAYS for clock in _CLOCKS):
        try:
            parsed = time.strptime(read, form)
            offset_seconds = parsed.tm_gmtoff if form.endswith("%z") else None
            seconds = time.mktime(parsed) if offset_seconds is None else calendar.timegm(parsed) - offset_seconds
            return int(seconds) * 10**9
        except (ValueError, OverflowError):
            continue
    raise click.BadParameter(f"{text!r} is no time; write it as 2012-11-01 or 2012-11-01 22:08:41")


def number(text: str) -> int:
    """A number from 1 on."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise click.BadParameter(f"{text!r} is no number from 1 on")
    return int(text)


def keep_count(text: str) -> int:
    """How many snapshots a rule keeps: a number from 0 on (0: no rule), or ``unlimited``: -1."""
    if text == "unlimited":
        return -1
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{text!r} is no number from 0 on; write 'unlimited' to keep all")
    return int(text)


def parallel(text: str) -> int:
    """How many at once: a number from 1 to 1024. A slip of the finger must not start a million processes."""
    if number(text) > _MOST_PARALLEL:
        raise click.BadParameter(f"{text!r} is more than {_MOST_PARALLEL}")
    return number(text)


def parallel_or_auto(text: str) -> int | None:
    """How many at once, or ``auto``: None."""
    return None if text == "auto" else parallel(text)


def share(text: str) -> float:
    """A part of the whole: above 0, at most 1."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise click.BadParameter(f"{text!r} is no share; write a number above 0 and at most 1, as 0.5")
    return found


def split_tags(given: tuple[str, ...]) -> tuple[str, ...]:
    """``--tag a,b --tag c``: (a, b, c). Empty ones are left out, doubled ones kept once."""
    tags = (tag.strip() for text in given for tag in text.split(","))
    return tuple(dict.fromkeys(tag for tag in tags if tag))
