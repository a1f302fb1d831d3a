"""What master and worker say to each other survives the wire."""

from __future__ import annotations

from typing import Any

from argosy.archiver.messages import (
    BatchResult,
    BatchWork,
    DirectoryPart,
    SourceLost,
    WorkerError,
    WorkerOptions,
    WorkerSetup,
    decode,
    decode_failure,
    encode,
    worker_error,
)
from argosy.errors import ArgosyError, StorageFull
from argosy.storage.options import StorageOptions


def test_a_workers_error_is_raised_as_what_it_was() -> None:
    """Its class, message, hint and exit code."""
    failure = decode_failure(worker_error(StorageFull("no room", hint="make some")))
    assert isinstance(failure, WorkerError)
    error = failure.as_error()
    assert type(error) is StorageFull
    assert (error.message, error.hint) == ("no room", "make some")


def test_an_unknown_error_is_one_of_argosys() -> None:
    """Of another version, or of a name that is no error."""
    for kind in ("NoSuchError", "annotations", "__builtins__"):
        assert type(WorkerError(kind, "text", "").as_error()) is ArgosyError


def test_a_lost_source_is_told_from_an_error() -> None:
    assert decode_failure(encode(SourceLost(b"/\xff", "stale"))) == SourceLost(b"/\xff", "stale")


def test_batches_and_results_are_decoded_as_they_were() -> None:
    part = DirectoryPart(2, 1, b"\xff", b"/\xfe", b"{", 7, names=[b"a"], modes=[1], inodes=[1 << 63], sizes=[0])
    work = BatchWork([(b"/", 1)], {0: "root"}, {0: ""}, [part], [], [], lenient=True)
    assert decode(encode(work), BatchWork) == work
    result = BatchResult([], [], [], [(b"/\xff", "why")], files=1)
    assert decode(encode(result), BatchResult) == result


def test_a_setup_does_not_show_its_secrets() -> None:
    """It stands in tracebacks and logs."""
    options = WorkerOptions("auto", True, 1, 1, 1, False, True, False)
    fields: dict[str, Any] = dict.fromkeys(WorkerSetup.__struct_fields__, "")
    fields.update(location="/repository", master_key="SECRET", storage_options=StorageOptions(), options=options)
    assert "SECRET" not in repr(WorkerSetup(**fields))
