from __future__ import annotations

import pytest

from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.expiry import State, expiry_warnings, state_of
from argosy.certificates.register import Entry
from argosy.certificates.role import Role
from tests.unit.certificates.conftest import DAY, NOW

ENTRY = Entry(name="nas", role=Role.MEMBER, serial="1", valid_from=int(NOW), valid_until=int(NOW + 365 * DAY))


@pytest.mark.parametrize(
    ("days", "state"),
    [(0, State.VALID), (335, State.VALID), (335.1, State.EXPIRING), (364.9, State.EXPIRING), (365, State.EXPIRED)],
)
def test_a_certificate_is_expiring_for_its_last_thirty_days(days: float, state: State) -> None:
    assert state_of(ENTRY, NOW + days * DAY) is state


def test_expiry_is_told_of_each_names_newest_certificate(cluster: ClusterDirectory) -> None:
    for name in ("short", "renewed", "revoked"):
        cluster.add(name, Role.MEMBER, cluster.path / name, [], 10)
    cluster.renew("renewed", cluster.path / "renewed-2", 365)
    cluster.revoke("revoked")
    told = expiry_warnings(cluster.register(), cluster.authority_valid_until(), NOW)
    assert told == ["the certificate of short expires on 2027-01-25: `argosy cluster renew short` makes a new one"]
    told = expiry_warnings(cluster.register(), cluster.authority_valid_until(), NOW + 11 * DAY)
    assert told == ["the certificate of short expired on 2027-01-25: `argosy cluster renew short` makes a new one"]


def test_the_authoritys_end_is_told_too(cluster: ClusterDirectory) -> None:
    told = expiry_warnings(cluster.register(), cluster.authority_valid_until(), NOW + 3625 * DAY)
    assert any("the cluster's authority ends on" in text for text in told)
