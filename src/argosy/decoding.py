"""One decoder for each type of message, made by one thread.

msgspec looks at a type when it first meets it, and may end the process (a NULL pointer) where two threads do so at
once.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import msgspec

_making = threading.Lock()


def from_msgpack(data: bytes, kind: Any) -> Any:
    """What msgpack says, as a value of a declared type (or union of types). msgspec.MsgspecError if it is none."""
    return _msgpack(kind).decode(data)


def from_json(data: bytes, kind: Any) -> Any:
    """The same of JSON."""
    return _json(kind).decode(data)


@cache
def _msgpack(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    with _making:
        return msgspec.msgpack.Decoder(kind)


@cache
def _json(kind: Any) -> msgspec.json.Decoder[Any]:
    with _making:
        return msgspec.json.Decoder(kind)
