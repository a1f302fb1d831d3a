"""The door to X.509: makes an authority, issues certificates, reads them. Bytes in, bytes out.

Keys are ECDSA P-256 (RFC 5480): OpenSSL and Go's TLS, which nats-server uses, both take it in every version in use.
A client's certificate has no alternative name and a server's no right to be a client (RFC 5280, 4.2.1.12), so that
neither can stand in for the other.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from argosy.certificates.role import Role
from argosy.errors import CertificateError

# A member's clock may be behind the master's by this much and still find its new certificate valid.
_BACKDATED = datetime.timedelta(hours=1)
_P256_BITS = 256
# Longer than any authority; more would not fit into a date.
_MOST_DAYS = 36500


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Facts(msgspec.Struct, frozen=True):
    """What a certificate says. Times are Unix seconds."""

    name: str
    role: Role
    serial: str
    valid_from: int
    valid_until: int

    @property
    def user(self) -> str:
        """The subject as nats-server's ``verify_and_map`` looks it up: RFC 2253, last part first."""
        return f"SERIALNUMBER={self.serial},CN={self.name},OU={self.role.value}"


def make_authority(cluster_id: str, days: int, now: float) -> KeyPair:
    """A new authority, valid from ``now``: it signs certificates of members, and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Argosy cluster {cluster_id}")])
    start = _moment(now)
    builder = (
        _builder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start - _BACKDATED)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue(authority: KeyPair, name: str, role: Role, days: int, now: float, hosts: Sequence[str] = ()) -> KeyPair:
    """A certificate for ``days`` from ``now``, or until the authority's own ends.

    ``hosts`` are a server's names and addresses. CertificateError if the authority has expired or its key is not its
    certificate's.
    """
    issuer = _load(authority.certificate, "the authority")
    issuer_key = _load_key(authority.key, issuer)
    start = _moment(now)
    if issuer.not_valid_after_utc <= start:
        raise CertificateError(
            f"the cluster's authority expired on {issuer.not_valid_after_utc:%Y-%m-%d}",
            hint="Make a new one: `argosy cluster init --certs DIR` with an empty directory.",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.value),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{serial:x}"),
        ]
    )
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if role is Role.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(subject, issuer.subject, key.public_key(), serial)
        .not_valid_before(max(start - _BACKDATED, issuer.not_valid_before_utc))
        .not_valid_after(min(start + datetime.timedelta(days=min(days, _MOST_DAYS)), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return KeyPair(_pem(builder.sign(issuer_key, hashes.SHA256())), _key_pem(key))


def read_facts(certificate: bytes, where: str) -> Facts:
    """What a certificate of a cluster says. CertificateError names ``where`` if it is none."""
    loaded = _load(certificate, where)
    try:
        role = Role(_attribute(loaded, NameOID.ORGANIZATIONAL_UNIT_NAME))
    except ValueError:
        raise CertificateError(
            f"the certificate in {where} is none of an Argosy cluster", hint="`argosy cluster add` makes them."
        ) from None
    return Facts(
        name=_attribute(loaded, NameOID.COMMON_NAME),
        role=role,
        serial=_attribute(loaded, NameOID.SERIAL_NUMBER),
        valid_from=int(loaded.not_valid_before_utc.timestamp()),
        valid_until=int(loaded.not_valid_after_utc.timestamp()),
    )


def valid_until(certificate: bytes, where: str) -> int:
    """When any certificate, an authority's too, ends (Unix seconds)."""
    return int(_load(certificate, where).not_valid_after_utc.timestamp())


def hosts_of(certificate: bytes, where: str) -> list[str]:
    """The host names and addresses that a server's certificate stands for."""
    try:
        names = _load(certificate, where).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def check_pair(pair: KeyPair, authority: bytes, where: str) -> None:
    """Raise CertificateError unless the key is the certificate's and the authority signed it."""
    certificate = _load(pair.certificate, where)
    _load_key(pair.key, certificate, where)
    try:
        certificate.verify_directly_issued_by(_load(authority, where))
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateError(
            f"the certificate in {where} was not issued by the authority beside it",
            hint="Let `argosy cluster renew` make the file again.",
        ) from None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, serial: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else ""


def _load(certificate: bytes, where: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise CertificateError(
            f"{where} holds no readable certificate", hint="Let `argosy cluster renew` make it again."
        ) from None


def _load_key(key: bytes, certificate: x509.Certificate, where: str = "the authority") -> ec.EllipticCurvePrivateKey:
    try:
        loaded = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        loaded = None  # the library's message may quote what it could not read: a key
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.curve.key_size != _P256_BITS:
        raise CertificateError(f"{where} holds no readable key", hint="Let `argosy cluster renew` make it again.")
    if loaded.public_key() != certificate.public_key():
        raise CertificateError(
            f"the key in {where} is not its certificate's", hint="Let `argosy cluster renew` make both again."
        )
    return loaded


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _moment(unix_seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(unix_seconds), datetime.UTC)
