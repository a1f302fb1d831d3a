"""Text files that list patterns or paths, read as restic reads them: lines as raw bytes, a byte order mark obeyed."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

# Go's unicode.IsSpace, as UTF-8. (Python's strip() would also take the separators 0x1c to 0x1f.)
_SPACE = (
    rb"(?:[\t\n\v\f\r ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]"
    rb"|\xe2\x81\x9f|\xe3\x80\x80)+"
)
_SPACE_AROUND = re.compile(rb"\A" + _SPACE + rb"|" + _SPACE + rb"\Z")

# Go's os.Expand: ${x} for a special character x; ${} and an unclosed ${ are eaten; a lone $ stays.
_VARIABLE = re.compile(
    rb"\$(?:\{(?P<braced_special>[*#$@!?0-9-])\}|\{(?P<braced>[^}]+)\}|(?P<eaten>\{\}?)"
    rb"|(?P<special>[*#$@!?0-9-])|(?P<plain>\w+))",
    re.ASCII,
)


def text_lines(data: bytes) -> list[bytes]:
    """The lines of a text file without their ends. UTF-16 is told by its byte order mark; no mark means bytes as is."""
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    elif data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        data = data.decode("utf-16", "replace").encode()
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def listed_patterns(data: bytes) -> list[bytes]:
    """The lines that hold something: trimmed, without empty ones and comments (``#`` at the start)."""
    trimmed = [_SPACE_AROUND.sub(b"", line) for line in text_lines(data)]
    return [line for line in trimmed if line and not line.startswith(b"#")]


def expand_variables(line: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """Replace ``$NAME`` and ``${NAME}``; an unknown name becomes nothing, ``$$`` a dollar sign."""

    def value(found: re.Match[bytes]) -> bytes:
        name = found["braced_special"] or found["braced"] or found["special"] or found["plain"]
        if name is None:
            return b""
        return b"$" if name == b"$" else environment.get(name, b"")

    return _VARIABLE.sub(value, line)
