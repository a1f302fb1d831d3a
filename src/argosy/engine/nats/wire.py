"""What master and members say to each other: msgpack arrays of declared types, and the subjects that carry them.

The number ``PROTOCOL`` changes whenever a type does. A member with another number is refused at its hello.
"""

from __future__ import annotations

import re
from typing import TypeAlias, TypeVar

import msgspec

from argosy.decoding import from_msgpack
from argosy.errors import EngineError

PROTOCOL = 3

WORK_STREAM = "ARGOSY_WORK"
STATE_BUCKET = "argosy_status"
# A subject's tokens are parted by dots, and '*' and '>' are wildcards.
_MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

T = TypeVar("T")


def check_member_name(name: str) -> str:
    """The name itself; EngineError if it cannot stand in a subject."""
    if not _MEMBER_NAME.fullmatch(name):
        raise EngineError(
            f"{name!r} cannot be a member's name",
            hint="Use letters, digits, '-' and '_' (63 at most): --name proxy-1.",
        )
    return name


def hello_subject(member: str) -> str:
    """Requests with which a member says that it is there."""
    return f"argosy.member.{member}.hello"


def look_subject(member: str) -> str:
    """Requests with which a member asks what the master sees of source and repository."""
    return f"argosy.member.{member}.look"


def control_subject(verb: str) -> str:
    """Requests of operators to the master."""
    return f"argosy.control.{verb}"


def segment_subject(member: str) -> str:
    """Link segments from a member to the master."""
    return f"argosy.member.{member}.segment"


def receipt_subject(member: str) -> str:
    """Receipts from a member, for segments of the master's."""
    return f"argosy.member.{member}.receipt"


def inbox_of(member: str) -> str:
    """The subjects below this are heard by this member alone, and by no other."""
    return f"_INBOX_{member}"


def may_be_answered(subject: str, reply: str) -> bool:
    """Whether a request may have its answer where it wants it.

    A sender chooses that subject, and the server's rights must not carry its answer where it may not speak itself: a
    member is answered in its own inbox, others in some inbox.
    """
    words = subject.split(".")
    own = words[2] + "." if words[:2] == ["argosy", "member"] and len(words) > 2 else ""
    return reply.startswith(inbox_of(own))


def segment_inbox(member: str) -> str:
    """Link segments from the master to a member."""
    return f"{inbox_of(member)}.segment"


def receipt_inbox(member: str) -> str:
    """Receipts for a member, for its own segments."""
    return f"{inbox_of(member)}.receipt"


def work_subject(engine: str) -> str:
    """Tokens of one engine."""
    return f"argosy.work.{engine}"


class _Message(msgspec.Struct, frozen=True, array_like=True):
    pass


class Terms(_Message, frozen=True):
    """On which terms a member takes part.

    ``weight`` is the share of its time that it works (above 0, at most 1). ``only`` keeps it to some tasks (see
    ``tailoring.Tailor``); empty: to none. ``own_credentials``: it is sent none.
    """

    weight: float = 1.0
    only: list[bytes] = []
    own_credentials: bool = False

    @property
    def is_choosy(self) -> bool:
        """Whether it leaves tasks to others although it has nothing to do."""
        return self.weight < 1 or bool(self.only)


class Hello(_Message, frozen=True):
    """A member is there. ``instance`` tells two runs of it apart; ``ended`` are links that it has given up."""

    protocol: int
    version: str
    name: str
    instance: str
    host: str
    pid: int
    workers: int
    links: list[int]
    ended: list[int]
    terms: Terms = Terms()


class Welcome(_Message, frozen=True):
    """The answer to a hello. ``refusal`` says why the member may not take part, or is empty.

    ``void`` are links, of those that the hello names, that the master does not know (any more).
    """

    master: str
    lease_seconds: float
    void: list[int]
    refusal: str = ""


class Segment(_Message, frozen=True):
    """A piece of a link's stream. One from a ``master`` names it as a Welcome does, and the ``engine``: the consumer
    that the link's tokens come from.
    """

    link: int
    number: int
    data: bytes
    engine: str = ""
    master: str = ""


class Receipt(_Message, frozen=True):
    """All segments of the link below ``expected`` have arrived. ``known`` is False if the link is void; a ``master``
    that says so names itself.
    """

    link: int
    expected: int
    known: bool = True
    master: str = ""


class _Tagged(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Begin(_Tagged, frozen=True):
    """The first word on a link: what the workers run. Holds secrets: it stands in memory alone."""

    handler: str
    setup: bytes
    idle_seconds: float
    close_seconds: float

    def __repr__(self) -> str:
        return f"Begin(handler={self.handler!r})"


class Hand(_Tagged, frozen=True):
    """The answer to a drawn token: a task."""

    token: int
    task_id: int
    attempt: int
    payload: bytes


class Void(_Tagged, frozen=True):
    """The answer to a drawn token: nothing waits, or nothing that suits this member."""

    token: int
    unsuited: bool = False


class Withdraw(_Tagged, frozen=True):
    """Give this task back unless its work has begun."""

    task_id: int
    attempt: int


class Tell(_Tagged, frozen=True):
    """A broadcast for all workers; ``keep`` as in ``interface.Engine.broadcast``."""

    payload: bytes
    keep: bool = False


class Flush(_Tagged, frozen=True):
    """Flush all workers."""


class Close(_Tagged, frozen=True):
    """End in order, then say Closed."""


class Cancel(_Tagged, frozen=True):
    """End at once."""


Down: TypeAlias = Begin | Hand | Void | Withdraw | Tell | Flush | Close | Cancel


class Draw(_Tagged, frozen=True):
    """The member has drawn a token and takes a task for it."""

    token: int


class Crew(_Tagged, frozen=True):
    """The running workers: number and pid of each."""

    workers: list[tuple[int, int]]


class Room(_Tagged, frozen=True):
    """So many of the tasks handed over on this link have left the window, in all."""

    left_window: int


class Begun(_Tagged, frozen=True):
    """The member can be given tasks. ``reports`` are what its workers said in earlier runs of the same work."""

    reports: list[bytes]


class Joined(_Tagged, frozen=True):
    """The first worker is ready."""


class Taken(_Tagged, frozen=True):
    """See ``interface.TaskTaken``."""

    task_id: int
    attempt: int
    worker: int


class Progress(_Tagged, frozen=True):
    """See ``interface.TaskProgress``."""

    task_id: int
    attempt: int
    worker: int
    payload: bytes


class Complete(_Tagged, frozen=True):
    """See ``interface.TaskComplete``."""

    task_id: int
    attempt: int
    worker: int
    payload: bytes


class Failed(_Tagged, frozen=True):
    """See ``interface.TaskFailed``."""

    task_id: int
    attempt: int
    worker: int
    payload: bytes
    raised: bool


class Lapsed(_Tagged, frozen=True):
    """See ``interface.TaskLapsed``."""

    task_id: int
    attempt: int
    worker: int
    reason: str
    taken: bool


class GivenBack(_Tagged, frozen=True):
    """A withdrawn task waits again."""

    task_id: int
    attempt: int


class Said(_Tagged, frozen=True):
    """See ``interface.Report``."""

    worker: int
    payload: bytes


class Broken(_Tagged, frozen=True):
    """The member cannot work for this engine: the last word on the link."""

    message: str
    hint: str


class Closed(_Tagged, frozen=True):
    """The workers have ended in order: the last word on the link."""


Up: TypeAlias = (
    Draw
    | Crew
    | Room
    | Begun
    | Joined
    | Taken
    | Progress
    | Complete
    | Failed
    | Lapsed
    | GivenBack
    | Said
    | Broken
    | Closed
)

_down: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)
_up: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)


def encode(message: msgspec.Struct) -> bytes:
    """A message's bytes."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes, kind: type[T]) -> T:
    """The inverse of ``encode``; EngineError if the bytes are no such message."""
    try:
        found: T = from_msgpack(data, kind)
        return found
    except msgspec.MsgspecError as error:
        raise EngineError(f"a message of the cluster is garbled: {error}") from error


def decode_down(data: bytes) -> Down:
    """A message to a member; EngineError if it is none."""
    try:
        return _down.decode(data)
    except msgspec.MsgspecError as error:
        raise EngineError(f"a message from the master is garbled: {error}") from error


def decode_up(data: bytes) -> Up:
    """A message from a member; EngineError if it is none."""
    try:
        return _up.decode(data)
    except msgspec.MsgspecError as error:
        raise EngineError(f"a message from a member is garbled: {error}") from error
