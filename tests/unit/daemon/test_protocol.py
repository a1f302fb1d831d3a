"""What travels between a command and the master."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from argosy.daemon import protocol
from argosy.daemon.protocol import (
    BackupOrder,
    Followed,
    Order,
    PruneOrder,
    Refusal,
    Request,
    Submitted,
    backup_order,
    decode,
    encode,
    options_of,
    refusal_of,
)
from argosy.errors import ArgosyError, UsageError, WrongPassword
from argosy.filesystem.exclude import CACHE_TAG, ExcludeRules
from argosy.operations.backup.options import BackupOptions
from argosy.operations.prune.options import PruneOptions
from argosy.operations.prune.plan import MaxUnused, PruneLimits
from argosy.storage.options import StorageOptions

RULES = ExcludeRules([b"*.tmp"], [b"*.BAK"], paths=[b"/data/cache"], tags=[CACHE_TAG], larger_than_bytes=5)
OPTIONS = BackupOptions((b"/data/\xff",), host="nas", tags=("a", "b"), rules=RULES, time_ns=7, batch_files=3)


def request(options: BackupOptions = OPTIONS) -> Request:
    return Request(
        protocol.PROTOCOL,
        "/repository",
        b"open sesame",
        StorageOptions(credentials={"AWS_SECRET_ACCESS_KEY": "hidden"}),
        backup_order(options),
    )


def test_a_backups_options_arrive_as_they_were() -> None:
    arrived = options_of(decode(encode(request()), Request).order)
    for field in msgspec.structs.fields(BackupOptions):
        if field.name not in ("rules", "crash_point"):
            assert getattr(arrived, field.name) == getattr(OPTIONS, field.name), field.name
    assert arrived.rules.given == RULES.given


def test_a_prunes_options_arrive_as_they_were(tmp_path: Path) -> None:
    limits = PruneLimits(MaxUnused(size_bytes=7), max_repack_bytes=8, small_pack_bytes=9)
    options = PruneOptions(limits, dry_run=True, pack_size_bytes=4 << 20, compression="max", verify=False)
    arrived = decode(encode(PruneOrder.of(options)), Order).options(3, tmp_path)
    # Members are there already: nothing is little enough for the master alone.
    assert arrived == replace(
        options, workers=3, alone_bytes=0, state_directory=tmp_path, crash_point=arrived.crash_point
    )


def test_the_masters_own_directories_are_left_out_besides() -> None:
    arrived = options_of(backup_order(OPTIONS), more_paths=(b"/var/lib/argosy",))
    assert arrived.rules.excluded(b"/var/lib/argosy/jobs", is_dir=True)
    assert arrived.rules.excluded(b"/data/x.tmp", is_dir=False)
    assert not arrived.rules.excluded(b"/data/x", is_dir=False)


@pytest.mark.parametrize("options", [{"paths": 7}, {"no_such_option": 1}, {"paths": [b"/a"], "compression": "none"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    wrong = BackupOrder(options, RULES.given)
    with pytest.raises(UsageError, match="make no sense"):
        options_of(wrong)


def test_a_request_shows_no_secret() -> None:
    assert "sesame" not in repr(request())
    assert "hidden" not in repr(request())


def test_an_error_arrives_as_it_was_raised() -> None:
    refusal = decode(encode(refusal_of(WrongPassword("no key opens", hint="Try again."))), Submitted | Refusal)
    error = refusal.as_error()
    assert (type(error), error.message, error.hint, error.exit_code) == (
        WrongPassword,
        "no key opens",
        "Try again.",
        12,
    )


@pytest.mark.parametrize("kind", ["NoSuchError", "annotations", "Exception"])
def test_an_error_of_an_unknown_kind_is_an_error_all_the_same(kind: str) -> None:
    assert type(Refusal(kind, "what", "how").as_error()) is ArgosyError


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x91\xa7Nothing"])
def test_garbled_messages_are_an_error(data: bytes) -> None:
    with pytest.raises(ArgosyError, match="another protocol"):
        decode(data, Followed)
