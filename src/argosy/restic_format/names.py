r"""Names and strings as restic's JSON holds them.

A node's name is quoted twice: first Go's strconv.Quote turns the raw bytes into printable text (``\n``,
``\x7f``, ``\u00ad``, ``\xff`` for a byte that is not UTF-8), then Go's encoding/json escapes that text (``\``
and ``"`` doubled, ``<``, ``>`` and ``&`` as ``\u003c`` …). All other strings are escaped for JSON only.
"""

from __future__ import annotations

import re
from functools import cache

from argosy.restic_format.damage import damaged
from argosy.restic_format.printable import printable_ranges

# ASCII that neither step changes. Nearly every name consists of it: one translate (80 ns) tells.
_PLAIN = bytes(c for c in range(0x20, 0x7F) if chr(c) not in '"\\<>&')

# What both steps together make of ASCII that they change.
_NAME_ESCAPES = {chr(c): f"\\\\x{c:02x}" for c in (*range(0x20), 0x7F)} | {
    "\a": "\\\\a",
    "\b": "\\\\b",
    "\f": "\\\\f",
    "\n": "\\\\n",
    "\r": "\\\\r",
    "\t": "\\\\t",
    "\v": "\\\\v",
    '"': '\\\\\\"',
    "\\": "\\\\\\\\",
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
}

# encoding/json of Go 1.22 and later (restic 0.17 on); before, \b and \f were \u0008 and \u000c.
_JSON_ESCAPES = {chr(c): f"\\u{c:04x}" for c in (*range(0x20), *b"<>&", 0x2028, 0x2029)} | {
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    '"': '\\"',
    "\\": "\\\\",
}
_JSON_SPECIAL = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')

_GO_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\\"])|(.?))", re.DOTALL
)
_GO_SINGLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}


def encode_name(raw: bytes) -> bytes:
    """What stands between the quotes of a node's ``name``."""
    return quote_name(raw).encode()


def quote_name(raw: bytes) -> str:
    """What stands between the quotes of a node's ``name``, as text."""
    if not raw.translate(None, _PLAIN):
        return raw.decode("ascii")
    # Go takes the bytes of a wrong sequence one at a time, and so does surrogateescape.
    text = raw.decode("utf-8", "surrogateescape")
    return _changed_characters().sub(_quote_character, text)


def decode_name(text: str) -> bytes:
    """The raw name in a node's ``name``, given as decoded JSON text. Damaged if Go cannot have written it."""
    if "\\" not in text:
        return text.encode()
    parts: list[bytes] = []
    at = 0
    for match in _GO_ESCAPE.finditer(text):
        parts.append(text[at : match.start()].encode())
        parts.append(_unquote(match, text))
        at = match.end()
    parts.append(text[at:].encode())
    return b"".join(parts)


def json_string(text: str) -> bytes:
    """``text`` as a JSON string with its quotes. Bytes that are not UTF-8 (surrogates) become U+FFFD."""
    return json_text(text).encode()


def json_text(text: str) -> str:
    """``text`` as a JSON string with its quotes, as text."""
    return f'"{_JSON_SPECIAL.sub(_escape_character, text)}"'


@cache
def _changed_characters() -> re.Pattern[str]:
    """All characters that quoting changes. Made (6 ms) when the first name that is not plain appears."""
    printable = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in printable_ranges())
    plain = re.escape(_PLAIN.decode("ascii"))
    return re.compile(f"[^{plain}{printable}]")


def _quote_character(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code < 0x80:
        return _NAME_ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\\\x{code - 0xDC00:02x}"
    return f"\\\\u{code:04x}" if code < 0x10000 else f"\\\\U{code:08x}"


def _escape_character(match: re.Match[str]) -> str:
    return _JSON_ESCAPES.get(match.group(), "\\ufffd")


def _unquote(match: re.Match[str], text: str) -> bytes:
    hex_byte, short, long, octal, single, other = match.groups()
    try:
        if hex_byte:
            return bytes([int(hex_byte, 16)])
        if octal:
            return bytes([int(octal, 8)])
        if single:
            return bytes([_GO_SINGLE[single]])
        if other is None:
            return chr(int(short or long, 16)).encode()
    except ValueError:
        pass  # a number that is no byte or no character: reported below
    raise damaged(f"name {text[:200]!r}", f"{match.group()!r} is no escape of Go's")
