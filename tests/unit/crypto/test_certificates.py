"""Certificates of a development authority, as OpenSSL and others see them."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sabir.clock import Instant
from sabir.crypto.certificates import (
    Issued,
    NotACertificate,
    domains_of,
    expires_at,
    issue,
    issued_by,
    may_be_pinned,
    new_authority,
)
from sabir.testing.rng import SeededRng

NOW = Instant(1_790_000_000_000)
DAY_MS = 86_400_000


def authority(seed: str = "ca") -> Issued:
    return new_authority("test", now=NOW, days=10, rng=SeededRng(seed))


def leaf(ca: Issued, *domains: str, seed: str = "leaf") -> Issued:
    return issue(ca, domains, now=NOW, days=3, rng=SeededRng(seed))


def der(issued: Issued) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issued.certificate.decode())


def parsed(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate)


def test_a_certificate_says_its_domains_and_its_time() -> None:
    made = leaf(authority(), "a.example", "mimi.a.example")
    assert domains_of(made.certificate) == ("a.example", "mimi.a.example")
    assert expires_at(made.certificate) == NOW + 3 * DAY_MS
    begins = parsed(made).not_valid_before_utc.timestamp() * 1_000
    assert begins == NOW - 3_600_000


def test_it_is_good_for_both_ends_and_signs_nothing() -> None:
    found = parsed(leaf(authority(), "a.example")).extensions
    usage = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {each.dotted_string for each in usage} == {
        "1.3.6.1.5.5.7.3.1",
        "1.3.6.1.5.5.7.3.2",
    }
    constraints = found.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    assert not found.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_the_same_dice_give_the_same_key_and_serial() -> None:
    ca = authority()
    one, two = leaf(ca, "a.example"), leaf(ca, "a.example")
    other = leaf(ca, "a.example", seed="other")
    assert one.key == two.key != other.key
    assert parsed(one).serial_number == parsed(two).serial_number
    assert parsed(one).serial_number != parsed(other).serial_number


def test_its_key_is_not_printed() -> None:
    assert "PRIVATE" not in repr(authority())


def test_openssl_takes_certificate_and_key(tmp_path: Path) -> None:
    made = leaf(authority(), "a.example")
    file = tmp_path / "both.pem"
    file.write_bytes(made.certificate + made.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)


def test_who_issued_a_certificate() -> None:
    one, two = authority("1"), authority("2")
    made = leaf(one, "a.example")
    assert issued_by(der(made), one.certificate)
    assert issued_by(der(made), two.certificate + one.certificate)
    assert not issued_by(der(made), two.certificate)
    assert not issued_by(der(made), made.certificate)


def test_only_what_issues_directly_may_be_pinned() -> None:
    ca = authority()
    assert may_be_pinned(ca.certificate)
    assert not may_be_pinned(leaf(ca, "a.example").certificate)
    assert not may_be_pinned(ca.certificate + leaf(ca, "a.example").certificate)
    assert not may_be_pinned(_bare(path_length=None))
    assert not may_be_pinned(_bare(constraints=False))


def _bare(*, path_length: int | None = 0, constraints: bool = True) -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    name = x509.Name([])
    ca = parsed(authority())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ca.not_valid_before_utc)
        .not_valid_after(ca.not_valid_after_utc)
    )
    if constraints:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
    return builder.sign(key, None).public_bytes(serialization.Encoding.PEM)


def test_a_certificate_without_names_has_none() -> None:
    assert domains_of(_bare()) == ()


def test_what_is_no_authority() -> None:
    ca, other = authority("1"), authority("2")
    foreign = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    edwards = foreign.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for certificate, key in (
        (b"none", ca.key),
        (ca.certificate, b"none"),
        (ca.certificate, other.key),
        (ca.certificate, edwards),
    ):
        with pytest.raises(NotACertificate):
            leaf(Issued(certificate=certificate, key=key), "a.example")
    with pytest.raises(NotACertificate):
        issued_by(b"none", ca.certificate)
    with pytest.raises(NotACertificate, match="A-label"):
        leaf(ca, "b\u00fccher.example")


def test_a_key_is_of_p_256() -> None:
    key = parsed(authority()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
