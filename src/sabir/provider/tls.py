"""TLS 1.3, both sides with a certificate; who the other side is (D-02, D-03).

A provider is who a dNSName of its certificate says, exactly: no wildcard, no common
name. As a client we look before the first octet of a request is sent.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sabir.crypto.certificates import NotACertificate, issued_by
from sabir.errors import ConfigInvalid

HANDSHAKE_S: Final = 5.0
"""Seconds for a handshake; D-07 allows the same for connecting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Files of our certificate.

    Attributes:
        certificate: PEM, ours first, then those between it and the root.
        key: PEM.
        roots: PEM of the authorities we trust; None: those of the system.
    """

    certificate: Path
    key: Path
    roots: Path | None = None

    def read_roots(self) -> bytes:
        """Return the authorities we trust, PEM; empty: those of the system.

        Raises:
            ConfigInvalid: the file cannot be read.
        """
        try:
            return b"" if self.roots is None else self.roots.read_bytes()
        except OSError as error:
            raise ConfigInvalid(
                f"{self.roots}: {error.strerror}; correct `roots`, or make an authority"
                " with `sabir provider ca`"
            ) from error


class _NamedPeer(ssl.SSLObject):
    """A connection whose handshake fails unless the peer has all the names."""

    def do_handshake(self) -> None:
        """See `ssl.SSLObject.do_handshake`; then check the names."""
        super().do_handshake()
        context = self.context
        if isinstance(context, PeerContext):
            context.check(self.getpeercert(), self.getpeercert(binary_form=True))


class PeerContext(ssl.SSLContext):
    """A client's context for one peer.

    Attributes:
        names: dNSNames that the server's certificate must have.
        pinned: PEM; one of these must have issued the certificate; empty: any.
    """

    names: frozenset[str] = frozenset()
    pinned: bytes = b""

    def check(self, found: Mapping[str, Any] | None, der: bytes | None) -> None:
        """Check who the server is.

        Raises:
            ssl.SSLCertVerificationError: somebody else.
        """
        missing = self.names - dns_names(found)
        if missing:
            raise ssl.SSLCertVerificationError(
                f"the certificate has no dNSName {', '.join(sorted(missing))}"
            )
        if self.pinned and not pinned_issuer(der, self.pinned):
            raise ssl.SSLCertVerificationError(
                "the certificate is not of the authority pinned for this peer"
            )


PeerContext.sslobject_class = _NamedPeer


def dns_names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the dNSNames of a certificate as Python's `getpeercert` gives it.

    A wildcard is a name like any other, which no domain equals.
    """
    if not certificate:
        return frozenset()
    return frozenset(
        name.lower()
        for kind, name in certificate.get("subjectAltName", ())
        if kind == "DNS"
    )


def pinned_issuer(der: bytes | None, pinned: bytes) -> bool:
    """Tell whether a pinned authority issued a certificate (DER)."""
    try:
        return der is not None and issued_by(der, pinned)
    except NotACertificate:
        return False


def server_context(
    identity: Identity, *, shared: bool, pinned: bytes = b""
) -> ssl.SSLContext:
    """Return the context of a listener.

    Args:
        identity: our files.
        pinned: PEM of authorities of single peers; whom they may certify is checked
            with every request.
        shared: also for clients without a certificate (the directory); a request of
            the protocol without one is refused later.

    Raises:
        ConfigInvalid: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _prepare(context, identity)
    _trust(context, identity, roots=True, pinned=pinned)
    context.verify_mode = ssl.CERT_OPTIONAL if shared else ssl.CERT_REQUIRED
    context.num_tickets = 0  # every connection shows its certificate
    return context


def agents_context(identity: Identity) -> ssl.SSLContext:
    """Return the context of the listener for our own users' agents.

    They have tokens, no certificates.

    Raises:
        ConfigInvalid: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _prepare(context, identity)
    return context


def client_context(
    identity: Identity, names: frozenset[str], *, pinned: bytes = b""
) -> PeerContext:
    """Return the context for connections to one peer.

    Args:
        identity: our files; a peer's pinned authority takes the place of the roots.
        names: what the server's certificate must have: the provider's domain, and the
            host of the URL.
        pinned: PEM of the authorities of this peer; empty: those of `identity`.

    Raises:
        ConfigInvalid: a file cannot be used.
    """
    context = PeerContext(ssl.PROTOCOL_TLS_CLIENT)
    _prepare(context, identity)
    _trust(context, identity, roots=not pinned, pinned=pinned)
    context.check_hostname = False  # `names` is stricter
    context.verify_mode = ssl.CERT_REQUIRED
    context.names = names
    context.pinned = pinned
    return context


def _prepare(context: ssl.SSLContext, identity: Identity) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(identity.certificate, identity.key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigInvalid(
            f"{identity.certificate} and {identity.key} cannot be used: {error};"
            " make new ones with `sabir provider cert`, or correct the paths"
        ) from error


def _trust(
    context: ssl.SSLContext, identity: Identity, *, roots: bool, pinned: bytes
) -> None:
    try:
        if pinned:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(cadata=pinned.decode("ascii"))
        if roots and identity.roots is not None:
            context.load_verify_locations(cafile=identity.roots)
        elif roots:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    except (OSError, ValueError) as error:
        raise ConfigInvalid(
            f"the authorities to trust cannot be used: {error}; correct `roots` and"
            " `pinned` in the configuration"
        ) from error
