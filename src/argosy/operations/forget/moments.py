"""Times of snapshots as the rules see them: the instant, and what the clock showed where the backup ran.

Rules go by the calendar of the offset that stands in the snapshot, whatever the zone of whoever runs ``forget``.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime

import msgspec

from argosy.errors import UsageError
from argosy.restic_format.times import parse_time

_NS = 1_000_000_000
_DAY_SECONDS = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# What a date of the standard library can hold: the years 1 to 9999.
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
_SPAN = re.compile(r"(?:[0-9]+[ymdh])+")
_PART = re.compile(r"([0-9]+)([ymdh])")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)$")


class Span(msgspec.Struct, frozen=True):
    """A time of the calendar, such as ``1y5m7d2h``. Without any part: no rule."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def __bool__(self) -> bool:
        return bool(self.years or self.months or self.days or self.hours)

    def __str__(self) -> str:
        parts = ((self.years, "y"), (self.months, "m"), (self.days, "d"), (self.hours, "h"))
        return "".join(f"{number}{unit}" for number, unit in parts if number)


NO_SPAN = Span()


class Moment(msgspec.Struct, frozen=True):
    """``wall`` is the clock where the backup ran, held in a datetime that says UTC; ``offset_seconds`` its zone."""

    ns: int
    wall: datetime
    offset_seconds: int


def parse_span(text: str) -> Span:
    """``1y5m7d2h``: years, months, days, hours. UsageError for anything else."""
    if not _SPAN.fullmatch(text):
        raise UsageError(
            f"{text!r} is no span of the calendar", hint="Write years, months, days and hours: 2y, 6m, 30d, 1y5m7d2h."
        )
    numbers = {unit: int(number) for number, unit in _PART.findall(text)}
    return Span(numbers.get("y", 0), numbers.get("m", 0), numbers.get("d", 0), numbers.get("h", 0))


def moment_of(text: str) -> Moment:
    """The moment in a snapshot's ``time``. Damaged if it is none."""
    ns = parse_time(text, "time of a snapshot")
    found = _OFFSET.search(text)
    offset = (int(found[2]) * 3600 + int(found[3]) * 60) * (-1 if found[1] == "-" else 1) if found else 0
    shown = min(max(ns // _NS + offset, _FIRST_SECOND), _LAST_SECOND)
    return Moment(ns, datetime.fromtimestamp(shown, UTC), offset)


def earlier(moment: Moment, span: Span) -> int | None:
    """The instant (ns) that lies ``span`` before a moment by the calendar; None: before every date there is.

    As Go's AddDate reckons: a day that the month does not have runs over into the next month.
    """
    wall = moment.wall
    year, month = divmod((wall.year - span.years) * 12 + wall.month - 1 - span.months, 12)
    if year < 1:
        return None
    days = date(year, month + 1, 1).toordinal() + wall.day - 1 - span.days - _EPOCH_ORDINAL
    second_of_day = wall.hour * 3600 + wall.minute * 60 + wall.second
    shown = days * _DAY_SECONDS + second_of_day
    return (_instant(shown, moment) - span.hours * 3600) * _NS + moment.ns % _NS


def _instant(shown: int, moment: Moment) -> int:
    """The second at which the clock showed this.

    Where the moment's offset is that of this machine's zone, Go takes the zone for it, with its summer time.
    """
    if shown >= _FIRST_SECOND and time.localtime(moment.ns // _NS).tm_gmtoff == moment.offset_seconds:
        wall = datetime.fromtimestamp(shown, UTC)
        return int(time.mktime((*wall.timetuple()[:8], -1)))
    return shown - moment.offset_seconds
