"""Tables as restic draws them: a head, a line, rows, a line."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """The lines of a table; ``right`` are the columns with numbers. A cell may hold several lines."""
    cells = [[cell.split("\n") for cell in row] for row in rows]
    widths = [
        max([_width(head), *(_width(text) for row in cells for text in row[column])])
        for column, head in enumerate(heads)
    ]
    lines = [_join(heads, widths, right)]
    rule = "-" * max(len(lines[0]), sum(widths) + 2 * (len(widths) - 1))
    lines.append(rule)
    for row in cells:
        lines += [
            _join([cell[number] if number < len(cell) else "" for cell in row], widths, right)
            for number in range(max(len(cell) for cell in row))
        ]
    lines.append(rule)
    return lines


def _join(cells: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    padded = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _width(cell))
        padded.append(space + cell if column in right else cell + space)
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
