"""Times as restic writes them: RFC 3339, nanoseconds without trailing zeros, ``Z`` for UTC.

Inside the program a time is an int, nanoseconds since 1970-01-01 UTC. Any year counts (file systems with
64-bit seconds hold absurd ones); restic moves years outside 0..9999 to the nearest of the two, and so does
this.
"""

from __future__ import annotations

import re

from argosy.restic_format.damage import damaged

_NS = 1_000_000_000
_DAY_SECONDS = 86_400
_MINUTES = tuple(f"{hour:02d}:{minute:02d}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02d}" for second in range(60))
_MINUTE_SECONDS = {text: 60 * minute for minute, text in enumerate(_MINUTES)}
_SECOND_SECONDS = {text: second for second, text in enumerate(_SECONDS)}
_FRACTION_UNITS: tuple[int, ...] = tuple(10 ** (9 - digits) for digits in range(10))
_PATTERN = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_FRACTION = re.compile(r"\.(\d{1,9})Z", re.ASCII)
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# Days differ far less than seconds do: a source with files of 60 years has 22,000 of them.
_MAX_CACHED_DAYS = 40_000

# Day number to "2024-01-02T", and that text to the seconds of its midnight.
_dates: dict[int, str] = {}
_days: dict[str, int] = {}


def format_time(ns: int) -> str:
    """The time as JSON text, without quotes: ``2024-01-02T03:04:05.6Z``."""
    seconds, fraction = divmod(ns, _NS)
    day, second = divmod(seconds, _DAY_SECONDS)
    date = _dates.get(day) or _remember_date(day)
    if fraction:
        tail = f"{fraction:09d}".rstrip("0")
        return f"{date}{_MINUTES[second // 60]}{_SECONDS[second % 60]}.{tail}Z"
    return f"{date}{_MINUTES[second // 60]}{_SECONDS[second % 60]}Z"


def parse_time(text: str, what: str) -> int:
    """The time in RFC 3339 ``text``, any offset. Damaged (naming ``what``) if it is none."""
    # What format_time writes, of a day seen before: 0.8 µs instead of 2. A backup compares every file.
    day = _days.get(text[:11])
    minute = _MINUTE_SECONDS.get(text[11:17])
    second = _SECOND_SECONDS.get(text[17:19])
    if day is not None and minute is not None and second is not None:
        seconds = day + minute + second
        if text[19:] == "Z":
            return seconds * _NS
        fraction = _FRACTION.fullmatch(text, 19)
        if fraction is not None:
            digits = fraction[1]
            return seconds * _NS + int(digits) * _FRACTION_UNITS[len(digits)]
    return _parse_any_time(text, what)


def _parse_any_time(text: str, what: str) -> int:
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise damaged(what, f"{text[:80]!r} is not a time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    real_date = 1 <= month <= 12 and 1 <= day <= _month_days(year, month)
    if not (real_date and hour < 24 and minute < 60 and second < 60):
        raise damaged(what, f"{text!r} is not a time")
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    seconds = _remember_day(text[:11], year, month, day) + hour * 3600 + minute * 60 + second
    if sign is not None:
        offset_seconds = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds += offset_seconds if sign == "-" else -offset_seconds
    return seconds * _NS + (int(fraction.ljust(9, "0")) if fraction else 0)


def _remember_day(date: str, year: int, month: int, day: int) -> int:
    if len(_days) >= _MAX_CACHED_DAYS:
        _days.clear()
    seconds = _days[date] = _days_from_civil(year, month, day) * _DAY_SECONDS
    return seconds


def _remember_date(day: int) -> str:
    if len(_dates) >= _MAX_CACHED_DAYS:
        _dates.clear()
    year, month, day_of_month = _civil_from_days(day)
    clamped = min(max(year, 0), 9999)
    if clamped != year and day_of_month > _month_days(clamped, month):
        month, day_of_month = 3, 1  # Go's AddDate: 29 February of a year without one is 1 March
    text = _dates[day] = f"{clamped:04d}-{month:02d}-{day_of_month:02d}T"
    return text


def _month_days(year: int, month: int) -> int:
    if month == 2 and not (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)):
        return 28
    return _MONTH_DAYS[month - 1]


def _civil_from_days(days: int) -> tuple[int, int, int]:
    """Year, month, day: Howard Hinnant's algorithm, because datetime ends at the years 1 and 9999."""
    days += 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def _days_from_civil(year: int, month: int, day: int) -> int:
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468
