from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.contexts import client_context
from argosy.certificates.join_file import load_join_file
from argosy.certificates.role import Role
from argosy.errors import CertificateError
from tests.unit.certificates.conftest import DAY, NOW


@pytest.fixture
def file(cluster: ClusterDirectory, tmp_path: Path) -> Path:
    """The join file of nas-1."""
    return cluster.add("nas-1", Role.MEMBER, tmp_path / "nas-1.join", [], 365).path


def test_one_file_holds_all_that_a_member_needs(file: Path) -> None:
    join = load_join_file(file, now=NOW)
    assert (join.name, join.role, join.addresses) == ("nas-1", Role.MEMBER, (Address("master.example", 4222),))
    assert join.inbox_prefix == b"_INBOX_nas-1"
    assert client_context(join).check_hostname
    assert file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in repr(join)


def test_an_expired_certificate_is_named_with_what_to_do(file: Path) -> None:
    load_join_file(file, now=NOW + 365 * DAY - 1)
    with pytest.raises(CertificateError, match=r"nas-1 in .* expired on 2028-01-15") as refused:
        load_join_file(file, now=NOW + 365 * DAY)
    assert "argosy cluster renew nas-1" in refused.value.hint


def test_a_clock_far_behind_is_told_from_a_bad_certificate(file: Path) -> None:
    with pytest.raises(CertificateError, match="is valid from") as refused:
        load_join_file(file, now=NOW - 2 * 3600)
    assert "clock" in refused.value.hint


def without_last_line(text: bytes) -> bytes:
    return text.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda _: b"", "is no join file"),
        (lambda text: text[: len(text) // 2], "is no join file"),
        (without_last_line, "is no join file"),
        (lambda text: b"\xff" + text, "is no join file"),
        (lambda text: text.replace(b"version 1.", b"version 2."), "is no join file"),
        (lambda text: text.replace(b"master.example:4222", b"master.example"), "is no address"),
        (lambda text: text.replace(b"CERTIFICATE-----\nMII", b"CERTIFICATE-----\nMIX", 1), "no readable certificate"),
        (lambda text: text.replace(b"PRIVATE KEY-----\nMI", b"PRIVATE KEY-----\nXX", 1), "no readable key"),
    ],
)
def test_a_damaged_file_is_refused_in_words(file: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    good = file.read_bytes()
    file.write_bytes(damage(good))
    assert file.read_bytes() != good
    with pytest.raises(CertificateError, match=words):
        load_join_file(file, now=NOW)


def test_a_file_of_another_cluster_is_not_trusted(file: Path, tmp_path: Path) -> None:
    other = ClusterDirectory(tmp_path / "other")
    other.init()
    authority = (tmp_path / "other" / "ca.crt").read_bytes()
    start = file.read_bytes().rindex(b"-----BEGIN CERTIFICATE")
    file.write_bytes(file.read_bytes()[:start] + authority)
    with pytest.raises(CertificateError, match="was not issued by the authority beside it"):
        load_join_file(file, now=NOW)
