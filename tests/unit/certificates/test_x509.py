from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from argosy.certificates.role import Role
from argosy.certificates.x509 import KeyPair, check_pair, hosts_of, issue, make_authority, read_facts, valid_until
from argosy.errors import CertificateError
from tests.unit.certificates.conftest import DAY, NOW

AUTHORITY = make_authority("abcd", 3650, NOW)


def loaded(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_a_certificate_says_whose_it_is_what_for_and_how_long() -> None:
    facts = read_facts(issue(AUTHORITY, "nas-1", Role.MEMBER, 365, NOW).certificate, "here")
    assert (facts.name, facts.role) == ("nas-1", Role.MEMBER)
    assert facts.valid_from == NOW - 3600
    assert facts.valid_until == NOW + 365 * DAY
    assert facts.user == f"SERIALNUMBER={facts.serial},CN=nas-1,OU=member"


def test_each_certificate_is_another_user() -> None:
    users = {read_facts(issue(AUTHORITY, "nas", Role.MEMBER, 1, NOW).certificate, "").user for _ in range(20)}
    assert len(users) == 20


def test_the_serial_in_the_subject_is_the_certificates_own() -> None:
    pair = issue(AUTHORITY, "nas", Role.MEMBER, 1, NOW)
    assert int(read_facts(pair.certificate, "").serial, 16) == loaded(pair).serial_number


def test_no_certificate_outlives_its_authority() -> None:
    pair = issue(AUTHORITY, "nas", Role.MEMBER, 365, NOW + 3640 * DAY)
    assert read_facts(pair.certificate, "").valid_until == valid_until(AUTHORITY.certificate, "") == NOW + 3650 * DAY
    assert read_facts(issue(AUTHORITY, "nas", Role.MEMBER, 10**12, NOW).certificate, "").valid_until == NOW + 3650 * DAY
    with pytest.raises(CertificateError, match="authority expired"):
        issue(AUTHORITY, "nas", Role.MEMBER, 365, NOW + 3650 * DAY)


@pytest.mark.parametrize("role", Role)
def test_a_server_is_no_client_and_a_client_no_server(role: Role) -> None:
    hosts = ["nas.example", "192.0.2.1", "2001:db8::1"] if role is Role.SERVER else []
    certificate = issue(AUTHORITY, "it", role, 1, NOW, hosts)
    purposes = loaded(certificate).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    server = role is Role.SERVER
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH]
    assert hosts_of(certificate.certificate, "") == hosts


def test_members_cannot_issue_certificates() -> None:
    pair = loaded(issue(AUTHORITY, "nas", Role.MEMBER, 1, NOW))
    assert not pair.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not pair.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    authority = loaded(AUTHORITY).extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (authority.ca, authority.path_length) == (True, 0)


def test_a_pair_is_checked_against_its_authority() -> None:
    good = issue(AUTHORITY, "nas", Role.MEMBER, 1, NOW)
    other = issue(AUTHORITY, "nas", Role.MEMBER, 1, NOW)
    check_pair(good, AUTHORITY.certificate, "here")
    for pair, authority, words in (
        (KeyPair(good.certificate, other.key), AUTHORITY.certificate, "the key in here is not its certificate's"),
        (KeyPair(good.certificate, b"no key"), AUTHORITY.certificate, "here holds no readable key"),
        (KeyPair(b"nothing", good.key), AUTHORITY.certificate, "here holds no readable certificate"),
        (good, make_authority("abcd", 3650, NOW).certificate, "was not issued by the authority"),
    ):
        with pytest.raises(CertificateError, match=words):
            check_pair(pair, authority, "here")


def test_a_certificate_of_something_else_is_refused() -> None:
    with pytest.raises(CertificateError, match="is none of an Argosy cluster"):
        read_facts(AUTHORITY.certificate, "here")


def test_a_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(AUTHORITY)
