"""What is rendered for nats-server; tests/contract/test_rights.py tries it on one."""

from __future__ import annotations

import pytest

from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.nats_configuration import RIGHTS, Subjects, authorization_block
from argosy.certificates.role import Role
from argosy.errors import CertificateError
from tests.unit.certificates.conftest import DAY, NOW


def test_each_valid_certificate_of_a_client_is_a_user(cluster: ClusterDirectory) -> None:
    cluster.add("gone", Role.MEMBER, cluster.path / "gone", [], 1)
    cluster.add("stays", Role.READER, cluster.path / "stays", [], 10)
    block = authorization_block(cluster.register().users(NOW + 2 * DAY), Subjects())
    assert [f"CN={name}," in block for name in ("stays", "master", "gone", "server")] == [True, True, False, False]


def test_without_the_masters_certificate_nothing_is_rendered(cluster: ClusterDirectory) -> None:
    """A server without users would ask nobody for a certificate that it knows."""
    with pytest.raises(CertificateError, match="the master has no valid certificate"):
        authorization_block(cluster.register().users(NOW + 400 * DAY), Subjects())


def test_no_list_of_rights_is_empty() -> None:
    """To nats-server an empty list of what is allowed means everything."""
    assert all(rights.publish and rights.subscribe for rights in RIGHTS.values())
    assert {role for role in Role if role not in RIGHTS} == {Role.SERVER}
