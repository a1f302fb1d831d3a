from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argosy.certificates import cluster_directory
from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.join_file import load_join_file
from argosy.certificates.register import Register
from argosy.certificates.role import GIVEN_OUT, Role
from argosy.certificates.x509 import hosts_of, read_facts
from argosy.errors import CertificateError, UsageError
from tests.unit.certificates.conftest import DAY, NOW, Clock


def add(cluster: ClusterDirectory, name: str, role: Role = Role.MEMBER, days: int = 365) -> Path:
    return cluster.add(name, role, cluster.path.parent / f"{name}.join", [], days).path


def server_hosts(cluster: ClusterDirectory) -> list[str]:
    return hosts_of(cluster.server_files.pair.read_bytes(), "")


def users(cluster: ClusterDirectory, now: float = NOW) -> list[str]:
    return [entry.name for entry in cluster.register().users(now)]


def test_init_is_enough_for_one_host(tmp_path: Path) -> None:
    cluster = ClusterDirectory(tmp_path / "cluster")
    cluster.init()
    for role in (Role.MASTER, Role.OPERATOR, Role.MEMBER):
        join = cluster.own(role)
        assert (join.role, join.addresses) == (role, (Address("localhost", 4222),))
    assert {"localhost", "127.0.0.1", "::1"} <= set(server_hosts(cluster))


def test_a_host_without_a_proper_name_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "b\N{LATIN SMALL LETTER U WITH DIAERESIS}ro_1..")
    cluster = ClusterDirectory(tmp_path / "cluster")
    cluster.init()
    assert server_hosts(cluster) == ["localhost", "127.0.0.1", "::1"]


def test_what_init_makes_is_its_owners_alone(cluster: ClusterDirectory) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in cluster.path.iterdir()}
    assert modes == dict.fromkeys(
        ("register.json", "ca.crt", "ca.key", "server.pem", "master.join", "operator.join", "member.join"), 0o600
    )
    assert stat.S_IMODE(cluster.path.stat().st_mode) == 0o700


def test_a_second_init_changes_nothing(cluster: ClusterDirectory) -> None:
    before = {path.name: path.read_bytes() for path in cluster.path.iterdir()}
    with pytest.raises(CertificateError, match=r"there is a cluster in .* already"):
        cluster.init()
    assert {path.name: path.read_bytes() for path in cluster.path.iterdir()} == before


def test_an_authority_is_not_replaced_because_its_register_is_lost(cluster: ClusterDirectory) -> None:
    (cluster.path / "register.json").unlink()
    key = (cluster.path / "ca.key").read_bytes()
    with pytest.raises(CertificateError, match="an authority without its register"):
        cluster.init()
    assert (cluster.path / "ca.key").read_bytes() == key


@pytest.mark.parametrize("role", GIVEN_OUT)
def test_add_gives_a_role_out(cluster: ClusterDirectory, role: Role) -> None:
    join = load_join_file(add(cluster, "nas-1", role), now=NOW)
    assert (join.name, join.role) == ("nas-1", role)
    assert users(cluster) == ["master", "operator", "member", "nas-1"]


@pytest.mark.parametrize("role", [Role.MASTER, Role.SERVER])
def test_the_masters_roles_are_not_given_out(cluster: ClusterDirectory, role: Role) -> None:
    with pytest.raises(UsageError, match="is not given out"):
        add(cluster, "nas-1", role)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "a>", "-a", "a-", "_a", "é", "a" * 64, "a\n", "../a"])
def test_a_name_is_one_part_of_a_subject(cluster: ClusterDirectory, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        cluster.add(name, Role.MEMBER, cluster.path / "x", [], 1)


@pytest.mark.parametrize("name", ["nas-1", "server", "master", "operator", "member"])
def test_a_name_is_given_out_once(cluster: ClusterDirectory, name: str) -> None:
    add(cluster, "nas-1")
    with pytest.raises(CertificateError, match=f"the name {name} is taken"):
        cluster.add(name, Role.READER, cluster.path / "x", [], 1)
    assert not (cluster.path / "x").exists()


def test_a_name_is_free_again_once_revoked_or_expired(cluster: ClusterDirectory, clock: Clock) -> None:
    add(cluster, "gone").unlink()
    cluster.revoke("gone")
    add(cluster, "gone", Role.READER)
    add(cluster, "old", days=1).unlink()
    clock.now += 2 * DAY
    add(cluster, "old")
    assert users(cluster, clock.now)[-2:] == ["gone", "old"]


def test_an_existing_file_is_kept_and_the_name_stays_free(cluster: ClusterDirectory) -> None:
    path = cluster.path.parent / "nas-1.join"
    path.write_bytes(b"precious")
    with pytest.raises(CertificateError, match="already exists"):
        add(cluster, "nas-1")
    assert path.read_bytes() == b"precious"
    assert cluster.register().of_name("nas-1") == []


def test_a_register_that_cannot_be_written_leaves_no_user(
    cluster: ClusterDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _register: Register) -> None:
        raise CertificateError("cannot write")

    monkeypatch.setattr(cluster_directory, "save_register", full)
    with pytest.raises(CertificateError):
        add(cluster, "nas-1")
    assert users(cluster) == ["master", "operator", "member"]


def test_where_the_master_is_must_be_known_before_another_host_joins(tmp_path: Path) -> None:
    cluster = ClusterDirectory(tmp_path / "cluster")
    cluster.init()
    with pytest.raises(UsageError, match="not known where other hosts reach the master"):
        add(cluster, "nas-1")


def test_another_address_reaches_the_servers_certificate_and_all_files_to_come(cluster: ClusterDirectory) -> None:
    address = Address("192.0.2.7", 4222)
    assert "192.0.2.7" not in server_hosts(cluster)
    cluster.add("nas-1", Role.MEMBER, cluster.path / "1", [address], 7)
    cluster.add("nas-2", Role.MEMBER, cluster.path / "2", [], 7)
    assert {"192.0.2.7", "master.example"} <= set(server_hosts(cluster))
    for name in ("1", "2"):
        found = load_join_file(cluster.path / name, now=NOW).addresses
        assert found == (address, Address("master.example", 4222))
    # The server's lasts as long as ever, not as long as the member's.
    assert cluster.register().of_name("server")[-1].valid_until == NOW + 365 * DAY
    before = cluster.server_files.pair.read_bytes()
    cluster.add("nas-3", Role.MEMBER, cluster.path / "3", [address], 7)
    assert cluster.server_files.pair.read_bytes() == before


def test_a_renewed_name_has_two_valid_certificates_until_the_old_one_ends(
    cluster: ClusterDirectory, clock: Clock
) -> None:
    add(cluster, "nas-1", Role.READER, days=20)
    clock.now += 10 * DAY
    issued = cluster.renew("nas-1", cluster.path / "new", 365)
    assert load_join_file(issued.path, now=clock.now).role is Role.READER
    assert users(cluster, clock.now).count("nas-1") == 2
    assert users(cluster, clock.now + 11 * DAY).count("nas-1") == 1


def test_an_old_certificate_can_be_cut_off_at_renewal(cluster: ClusterDirectory) -> None:
    add(cluster, "nas-1")
    new = cluster.renew("nas-1", cluster.path / "new", 365, revoke_old=True).entry
    assert [entry for entry in cluster.register().users(NOW) if entry.name == "nas-1"] == [new]


@pytest.mark.parametrize("role", [Role.MASTER, Role.OPERATOR, Role.MEMBER])
def test_the_masters_own_are_renewed_in_their_place(cluster: ClusterDirectory, clock: Clock, role: Role) -> None:
    before = cluster.own(role).facts
    clock.now += DAY
    assert cluster.renew(role.value, None, 365).path == cluster.own_file(role)
    assert cluster.own(role).facts.valid_until == before.valid_until + DAY


def test_the_servers_certificate_is_renewed_for_the_same_hosts(cluster: ClusterDirectory) -> None:
    before = cluster.server_files.pair.read_bytes()
    cluster.renew("server", None, 365)
    after = cluster.server_files.pair.read_bytes()
    assert after != before
    assert hosts_of(after, "") == hosts_of(before, "")
    assert cluster.register().of_name("server")[-1].serial == read_facts(after, "").serial


def test_revoking_takes_all_certificates_of_a_name(cluster: ClusterDirectory) -> None:
    add(cluster, "nas-1")
    add(cluster, "nas-2")
    cluster.renew("nas-1", cluster.path / "new", 365)
    before = cluster.stamp()
    assert [entry.revoked for entry in cluster.revoke("nas-1")] == [NOW, NOW]
    assert "nas-1" not in users(cluster)
    assert "nas-2" in users(cluster)
    assert cluster.stamp() != before
    with pytest.raises(CertificateError, match="nas-1 is revoked already"):
        cluster.revoke("nas-1")
    with pytest.raises(CertificateError, match="nas-1 is revoked"):
        cluster.renew("nas-1", None, 365)


def test_the_hosts_own_operator_may_be_revoked_and_made_again(cluster: ClusterDirectory) -> None:
    cluster.revoke("operator")
    assert "operator" not in users(cluster)
    cluster.renew("operator", None, 365)
    assert "operator" in users(cluster)


@pytest.mark.parametrize("name", ["master", "server"])
def test_the_cluster_cannot_lock_itself_out(cluster: ClusterDirectory, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be revoked"):
        cluster.revoke(name)


def test_an_unknown_name_is_named(cluster: ClusterDirectory) -> None:
    for change in (cluster.revoke, lambda name: cluster.renew(name, None, 1)):
        with pytest.raises(CertificateError, match="there is no certificate of nobody"):
            change("nobody")


def test_what_needs_no_key_works_without_it(cluster: ClusterDirectory) -> None:
    """So that the authority's key can be kept elsewhere."""
    add(cluster, "nas-1")
    (cluster.path / "ca.key").unlink()
    cluster.revoke("nas-1")
    assert cluster.authority_valid_until() == NOW + 3650 * DAY
    with pytest.raises(CertificateError, match=r"cannot read .*ca\.key"):
        add(cluster, "nas-2")


def test_keys_that_others_can_read_are_not_used(cluster: ClusterDirectory) -> None:
    (cluster.path / "ca.key").chmod(0o644)
    with pytest.raises(CertificateError, match="has mode 0644"):
        add(cluster, "nas-1")
    cluster.own_file(Role.OPERATOR).chmod(0o644)
    with pytest.raises(CertificateError, match="has mode 0644"):
        cluster.own(Role.OPERATOR)


def test_a_file_of_another_role_is_not_taken_for_it(cluster: ClusterDirectory) -> None:
    cluster.own_file(Role.MEMBER).replace(cluster.own_file(Role.OPERATOR))
    with pytest.raises(CertificateError, match="of the role member, not operator"):
        cluster.own(Role.OPERATOR)
    with pytest.raises(CertificateError, match="there is no certificate for this"):
        cluster.own(Role.MEMBER)


def test_without_a_cluster_every_call_says_so(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    cluster = ClusterDirectory(tmp_path / "cluster")
    for call in (cluster.register, lambda: cluster.revoke("a"), lambda: add(cluster, "a")):
        with pytest.raises(CertificateError, match="there is no cluster in"):
            call()
    with pytest.raises(CertificateError, match="cannot read the register"):
        cluster.stamp()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"version":1,"cluster_id":"a","addresses":[],"entries":[{"role":"king"}]}', "damaged"),
        ('{"version":2,"cluster_id":"a","addresses":[],"entries":[]}', "another Argosy"),
    ],
)
def test_a_damaged_register_is_refused(cluster: ClusterDirectory, text: str, words: str) -> None:
    (cluster.path / "register.json").write_text(text)
    with pytest.raises(CertificateError, match=words):
        cluster.register()
