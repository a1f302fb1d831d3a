"""One component of a pattern, in the syntax of Go's filepath.Match, as a regular expression over raw bytes.

    *            any bytes but "/"
    ?            one character but "/": a UTF-8 sequence, or one byte that is none
    [a-z] [^a]   one character in, or not in, ranges of characters; "^" negates, "!" is an ordinary character
    \\c           the character c itself

Go's matcher takes the leftmost place for what follows each ``*`` and never goes back to try another (except
for the last), and a character is never split. Atomic groups say exactly that, and keep hostile patterns
from taking exponential time. Source: Go, path/filepath/match.go.
"""

from __future__ import annotations

import re

import msgspec

WILDCARDS = b"*?[\\"

# The UTF-8 sequences of more than one byte (RFC 3629, section 4).
_LONG_SEQUENCE = (
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    rb"|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_CHARACTER = rb"(?>[^/\x80-\xff]|" + _LONG_SEQUENCE + rb"|[\x80-\xff])"
# Go reads a byte that belongs to no sequence as U+FFFD.
_STRAY_BYTE = rb"(?!" + _LONG_SEQUENCE + rb")[\x80-\xff]"
_REPLACEMENT = 0xFFFD
_NOTHING = rb"(?!)"

# Characters whose UTF-8 sequences have the same length, without the surrogates, which have none.
_SAME_LENGTH = ((0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))

_ByteRange = tuple[int, int]


class BadPattern(ValueError):
    """The component is malformed."""


class Component(msgspec.Struct, frozen=True):
    """A parsed component. Of ``literal``, ``prefix`` and ``suffix`` at most one is set.

    ``literal``: matches this name only; ``prefix``: all names that start so ("x*"); ``suffix``: all that
    end so ("*x"). These three are what most patterns are, and cost a tenth of the expression.
    ``expression`` always holds; it matches no "/" and must be followed by the end of the component.
    """

    expression: bytes
    literal: bytes | None = None
    prefix: bytes | None = None
    suffix: bytes | None = None


def parse_component(text: bytes) -> Component:
    """Translate one component. Raises BadPattern."""
    if not any(byte in WILDCARDS for byte in text):
        return Component(re.escape(text), literal=text)
    expression = _expression(text)
    head, tail = text[:1], text[1:]
    if head == b"*" and not any(byte in WILDCARDS for byte in tail):
        return Component(expression, suffix=tail)
    if text[-1:] == b"*" and not any(byte in WILDCARDS for byte in text[:-1]):
        return Component(expression, prefix=text[:-1])
    return Component(expression)


def _expression(text: bytes) -> bytes:
    chunks = _split_at_stars(text)
    parts = []
    for number, (star, chunk) in enumerate(chunks, 1):
        translated = _chunk_expression(chunk)
        if not star:
            parts.append(translated)
        elif number == len(chunks):
            parts.append(rb"[^/]*" + translated)
        else:
            parts.append(rb"(?>[^/]*?" + translated + rb")")
    return b"".join(parts)


def _split_at_stars(text: bytes) -> list[tuple[bool, bytes]]:
    """Chunks without a star, each with whether one or more stars stand before it (Go's scanChunk)."""
    chunks = []
    position = 0
    while position < len(text):
        start = position
        while text[start : start + 1] == b"*":
            start += 1
        end = _chunk_end(text, start)
        chunks.append((start > position, text[start:end]))
        position = end
    return chunks


def _chunk_end(text: bytes, position: int) -> int:
    in_class = False
    while position < len(text):
        byte = text[position : position + 1]
        if byte == b"\\":
            position += 1
        elif byte == b"[":
            in_class = True
        elif byte == b"]":
            in_class = False
        elif byte == b"*" and not in_class:
            return position
        position += 1
    return len(text)


def _chunk_expression(chunk: bytes) -> bytes:
    parts = []
    position = 0
    while position < len(chunk):
        byte = chunk[position : position + 1]
        position += 1
        if byte == b"[":
            translated, position = _class_expression(chunk, position)
            parts.append(translated)
        elif byte == b"?":
            parts.append(_CHARACTER)
        else:
            if byte == b"\\":
                byte = chunk[position : position + 1]
                position += 1
                if not byte:
                    raise BadPattern
            parts.append(re.escape(byte))
    return b"".join(parts)


def _class_expression(chunk: bytes, position: int) -> tuple[bytes, int]:
    """Translate a character class whose "[" is read; also return the position behind its "]"."""
    negated = chunk[position : position + 1] == b"^"
    position += negated
    ranges: list[tuple[int, int]] = []
    while chunk[position : position + 1] != b"]" or not ranges:
        low, position = _class_character(chunk, position)
        high = low
        if chunk[position : position + 1] == b"-":
            high, position = _class_character(chunk, position + 1)
        ranges.append((low, high))
    alternatives = [found for low, high in ranges for found in _range_expressions(low, high)]
    matched = b"|".join(alternatives) or _NOTHING
    if negated:
        return rb"(?!" + matched + rb")" + _CHARACTER, position + 1
    return rb"(?:" + matched + rb")", position + 1


def _class_character(chunk: bytes, position: int) -> tuple[int, int]:
    """One character of a class, and the position behind it, where more must follow (Go's getEsc)."""
    byte = chunk[position : position + 1]
    if byte in (b"", b"-", b"]"):
        raise BadPattern
    position += byte == b"\\"
    sequence = re.compile(rb"[\x00-\x7f]|" + _LONG_SEQUENCE, re.DOTALL).match(chunk, position)
    if not sequence or sequence.end() == len(chunk):
        raise BadPattern
    return ord(sequence[0].decode()), sequence.end()


def _range_expressions(low: int, high: int) -> list[bytes]:
    """Expressions that together match one character from ``low`` to ``high``; none for an empty range."""
    expressions = []
    if low <= 0x7F and low <= high:
        # A name holds no "/": the class must not reach over the end of its component.
        expressions.append(rb"(?!/)[\x%02x-\x%02x]" % (low, min(high, 0x7F)))
    for first, last in _SAME_LENGTH:
        start, end = max(low, first), min(high, last)
        if start <= end:
            expressions += [
                b"".join(rb"[\x%02x-\x%02x]" % pair for pair in sequence)
                for sequence in _byte_ranges(chr(start).encode(), chr(end).encode())
            ]
    if low <= _REPLACEMENT <= high:
        expressions.append(_STRAY_BYTE)
    return expressions


def _byte_ranges(low: bytes, high: bytes) -> list[list[_ByteRange]]:
    """Split the sequences from ``low`` to ``high``, of equal length, into products of byte ranges."""
    if len(low) == 1:
        return [[(low[0], high[0])]]
    least, most = b"\x80" * (len(low) - 1), b"\xbf" * (len(low) - 1)
    if low[0] == high[0]:
        return [[(low[0], low[0]), *rest] for rest in _byte_ranges(low[1:], high[1:])]
    first, last = low[0], high[0]
    split: list[list[_ByteRange]] = []
    if low[1:] != least:
        split += [[(first, first), *rest] for rest in _byte_ranges(low[1:], most)]
        first += 1
    if high[1:] != most:
        split += [[(last, last), *rest] for rest in _byte_ranges(least, high[1:])]
        last -= 1
    if first <= last:
        split.append([(first, last), *[(0x80, 0xBF)] * len(least)])
    return split
