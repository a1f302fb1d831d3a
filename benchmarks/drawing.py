"""Draws cost curves as SVG: both axes logarithmic, a line for each series, a legend. That needs no library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 50
_FONT = 'font-family="sans-serif" font-size="12"'
# Told apart by the colour-blind, too (Okabe and Ito), on light and on dark pages.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_PREFIXES = {9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "µ", -9: "n"}


@dataclass(frozen=True, slots=True)
class Series:
    """Points by size, all above zero."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where a value lies, between whole powers of ten."""

    low: int
    high: int
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> _Axis:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), begin, end)

    def place(self, value: float) -> float:
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def powers(self) -> Iterator[int]:
        return iter(range(self.low, self.high + 1))


def draw(title: str, across: str, up: str, series: Sequence[Series]) -> str:
    """The picture. ``across`` and ``up`` name the axes."""
    points = [point for each in series for point in each.points]
    x = _Axis.over([size for size, _ in points], _LEFT, _WIDTH - _RIGHT)
    y = _Axis.over([cost for _, cost in points], _HEIGHT - _BOTTOM, _TOP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_WIDTH / 2}" y="20" text-anchor="middle" font-size="14">{escape(title)}</text>',
        *_grid(x, y),
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(16 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
    ]
    for number, each in enumerate(series):
        lines += _line(each, _COLOURS[number % len(_COLOURS)], x, y, _TOP + 16 + 18 * number)
    return "\n".join([*lines, "</svg>", ""])


def _grid(x: _Axis, y: _Axis) -> Iterator[str]:
    for power in x.powers():
        at = f"{x.place(10.0**power):.1f}"
        yield f'<line x1="{at}" y1="{_TOP}" x2="{at}" y2="{_HEIGHT - _BOTTOM}" stroke="#ddd"/>'
        yield f'<text x="{at}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{_power(power)}</text>'
    for power in y.powers():
        at = f"{y.place(10.0**power):.1f}"
        yield f'<line x1="{_LEFT}" y1="{at}" x2="{_WIDTH - _RIGHT}" y2="{at}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 8}" y="{at}" text-anchor="end" dominant-baseline="middle">{_power(power)}</text>'


def _line(series: Series, colour: str, x: _Axis, y: _Axis, legend: float) -> Iterator[str]:
    places = [(x.place(size), y.place(cost)) for size, cost in sorted(series.points)]
    path = " ".join(f"{across:.1f},{up:.1f}" for across, up in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for across, up in places:
        yield f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3.5" fill="{colour}"/>'
    yield f'<rect x="{_LEFT + 12}" y="{legend - 9}" width="12" height="10" fill="{colour}"/>'
    yield f'<text x="{_LEFT + 30}" y="{legend}">{escape(series.name)}</text>'


def _power(power: int) -> str:
    """A power of ten in few letters: 100k."""
    thousands = power // 3 * 3
    return f"{10 ** (power - thousands)}{_PREFIXES[thousands]}"
