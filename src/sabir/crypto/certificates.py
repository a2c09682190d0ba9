"""X.509 certificates of providers: a development authority, and what a pin means.

A provider is known by its domain, which must be a dNSName of its certificate (D-02). A
certificate of a public authority does as well as one made here.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sabir.clock import Instant
from sabir.crypto.schemes import ECDSA_P256

T = TypeVar("T")

SERIAL_OCTETS: Final = 16
"""Random octets of a serial number; RFC 5280 allows 20 in all."""
COMMON_NAME_MAX: Final = 64
"""Characters (RFC 5280, ub-common-name); nobody looks at it."""
_BACKDATED_MS: Final = 3_600_000
"""For peers whose clock is slow."""
_DAY_MS: Final = 24 * 3_600_000


class NotACertificate(Exception):
    """Octets are no certificate, no key, or do not belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"<Issued: certificate of {len(self.certificate)} octets, with its key>"


def new_authority(
    name: str, *, now: Instant, days: int, rng: Callable[[int], bytes]
) -> Issued:
    """Make an authority whose certificates only those trust who were told to.

    Args:
        name: for people.
        now: it is valid from an hour before.
        days: how long it is valid.
        rng: random octets.
    """
    key = _new_key(rng)
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), key.public_key(), now, days, rng)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _issued(certificate, key)


def issue(
    authority: Issued,
    domains: Sequence[str],
    *,
    now: Instant,
    days: int,
    rng: Callable[[int], bytes],
) -> Issued:
    """Make a certificate for a provider, good for both ends of a connection.

    Args:
        authority: who signs.
        domains: A-labels, lower case, at least one; all become dNSNames.
        now: it is valid from an hour before.
        days: how long it is valid.
        rng: random octets.

    Raises:
        NotACertificate: the authority's octets are damaged, or a domain is no name.
    """
    ca, ca_key = _read_authority(authority)
    key = _new_key(rng)
    try:
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in domains])
    except ValueError as error:
        raise NotACertificate(f"a domain is not in A-label form: {error}") from None
    certificate = (
        _builder(
            _name(domains[0]),
            ca.subject,
            key.public_key(),
            ca_key.public_key(),
            now,
            days,
            rng,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(names, critical=False)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    return _issued(certificate, key)


def issued_by(leaf_der: bytes, authorities_pem: bytes) -> bool:
    """Tell whether one of some certificates issued a leaf, directly.

    This is what pinning an authority for one peer means, on top of the validation of
    the chain that TLS has done.

    Raises:
        NotACertificate: one of the two is damaged.
    """
    leaf = _parsed(lambda: x509.load_der_x509_certificate(leaf_der))
    authorities = _parsed(lambda: x509.load_pem_x509_certificates(authorities_pem))
    return any(_issues(authority, leaf) for authority in authorities)


def may_be_pinned(authorities_pem: bytes) -> bool:
    """Tell whether all of some certificates are authorities that issue directly.

    `issued_by` looks one step far, so a pinned authority must have path length 0.

    Raises:
        NotACertificate: octets are damaged.
    """
    found = _parsed(lambda: x509.load_pem_x509_certificates(authorities_pem))
    return all(_issues_directly(each) for each in found)


def domains_of(certificate_pem: bytes) -> tuple[str, ...]:
    """Return the dNSNames of the first certificate of a chain.

    Raises:
        NotACertificate: there is none.
    """
    leaf = _first(certificate_pem)
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))


def expires_at(certificate_pem: bytes) -> Instant:
    """Return when the first certificate of a chain ends.

    Raises:
        NotACertificate: there is none.
    """
    return Instant(int(_first(certificate_pem).not_valid_after_utc.timestamp() * 1000))


def _issues_directly(authority: x509.Certificate) -> bool:
    try:
        found = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return found.value.ca and found.value.path_length == 0


def _issues(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _first(certificate_pem: bytes) -> x509.Certificate:
    return _parsed(lambda: x509.load_pem_x509_certificates(certificate_pem))[0]


def _parsed(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise NotACertificate(str(error)) from None


def _read_authority(
    authority: Issued,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    ca = _first(authority.certificate)
    key = _parsed(lambda: serialization.load_pem_private_key(authority.key, None))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NotACertificate("the authority's key is none of an elliptic curve")
    if key.public_key() != ca.public_key():
        raise NotACertificate("the authority's key belongs to another certificate")
    return ca, key


def _new_key(rng: Callable[[int], bytes]) -> ec.EllipticCurvePrivateKey:
    private, _ = ECDSA_P256.key_pair(rng(ECDSA_P256.private_octets))
    key: ec.EllipticCurvePrivateKey = ECDSA_P256.load_private(private)
    return key


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:COMMON_NAME_MAX])])


def _moment(at: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at / 1000, tz=dt.UTC)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: Instant,
    days: int,
    rng: Callable[[int], bytes],
) -> x509.CertificateBuilder:
    serial = int.from_bytes(b"\x01" + rng(SERIAL_OCTETS), "big")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(_moment(now - _BACKDATED_MS))
        .not_valid_after(_moment(now + days * _DAY_MS))
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key),
            critical=False,
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
