"""What a master sends to members that differ."""

from __future__ import annotations

import pytest

from argosy.archiver.messages import BatchWork, DirectoryPart, Segment, WorkerSetup, decode, encode
from argosy.daemon.tailoring import MembersTailor, with_credentials
from argosy.errors import EngineError
from argosy.operations.backup.handler import HANDLER as BACKUP
from argosy.storage.options import StorageOptions
from tests.unit.daemon.test_fitting import OPTIONS


def payload(*parts: bytes, segments: tuple[bytes, ...] = ()) -> bytes:
    """A batch of parts and segments that lie in these directories."""
    work = BatchWork([], {}, {}, [DirectoryPart(1, 0, b"d", path, b"", 1, names=[b"f"]) for path in parts], [], [])
    work.segments = [Segment(1, path, b"big", 1, 1, 1, 0, 1) for path in segments]
    return encode(work)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (payload(b"/mnt/a"), True),
        (payload(b"/mnt/a/x", b"/mnt/b"), True),
        (payload(b"/mnt/ab"), False),
        (payload(b"/mnt"), False),
        (payload(b"/mnt/a", b"/mnt/c"), False),
        (payload(segments=(b"/mnt/b/deep",)), True),
        (payload(segments=(b"/mnt/c",)), False),
    ],
)
def test_a_batch_suits_a_member_that_is_kept_to_where_all_of_it_lies(batch: bytes, expected: bool) -> None:
    tailor = MembersTailor()
    assert tailor.suits(BACKUP, batch, [b"/mnt/a", b"/mnt/b"]) == expected
    assert tailor.suits(BACKUP, batch, [b"/"])
    assert tailor.suits("another:handler", b"anything", [b"/mnt/a"])


def test_a_setup_goes_out_without_the_stores_credentials() -> None:
    options = StorageOptions(credentials={"AWS_SECRET_ACCESS_KEY": "secret"}, connections=9)
    setup = encode(WorkerSetup(2, "job", "s3:x/y", options, b"k" * 64, b"{}", "/lookup", OPTIONS))
    sent = MembersTailor().without_credentials(BACKUP, setup)
    assert b"secret" not in sent
    found = decode(with_credentials(BACKUP, sent, lambda location: {"AWS_SECRET_ACCESS_KEY": location}), WorkerSetup)
    assert found.storage_options == StorageOptions(credentials={"AWS_SECRET_ACCESS_KEY": "s3:x/y"}, connections=9)
    with pytest.raises(EngineError, match="cannot be replaced"):
        MembersTailor().without_credentials("another:handler", setup)
