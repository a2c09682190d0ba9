"""Who may ask: certificate, From, Host, profile, lists and rate (3.0)."""

import re
from typing import Final

from sabir.clock import Clock
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.provider.config import ProviderConfig
from sabir.provider.http import Exchange, PeerCertificate
from sabir.provider.rates import FederationRates
from sabir.provider.tls import pinned_issuer

PROFILES: Final = (MIMI06_A.id,)
"""The profiles that we speak, best first."""
PROFILE_FIELD: Final = "Mimi-Profile"

_FROM: Final = re.compile(r"mimi@([A-Za-z0-9.-]{1,253})")


class Admission:
    """Lets requests of peers in."""

    def __init__(
        self, config: ProviderConfig, rates: FederationRates, clock: Clock
    ) -> None:
        self._config = config
        self._rates = rates
        self._clock = clock
        self._hosts = {config.domain, config.endpoint_host}
        self._pins = {
            domain: peer.pinned for domain, peer in config.peers.items() if peer.pinned
        }
        self._roots = config.identity.read_roots()

    def admit(self, exchange: Exchange) -> str:
        """Return the domain a request comes from; its body was not read yet.

        Raises:
            Problem: MISDIRECTED, CLIENT_CERTIFICATE_REQUIRED, BAD_FROM,
                PEER_IDENTITY_MISMATCH, UNKNOWN_PEER, UNSUPPORTED_PROFILE,
                RATE_LIMITED.
        """
        self.check_host(exchange)
        if exchange.peer is None:
            raise Problem(ProblemCode.CLIENT_CERTIFICATE_REQUIRED)
        domain = source_domain(exchange)
        if domain not in exchange.peer.names:
            raise Problem(ProblemCode.PEER_IDENTITY_MISMATCH)
        if not self._config.admits(domain) or not self._trusts(domain, exchange.peer):
            raise Problem(ProblemCode.UNKNOWN_PEER)
        _check_profile(exchange)
        self._rates.per_peer.spend(domain, now_ms=self._clock.monotonic_ms())
        return domain

    def check_host(self, exchange: Exchange) -> None:
        """Check that the request is for us.

        Raises:
            Problem: MISDIRECTED.
        """
        fields = exchange.request.headers.getall("Host", [])
        host = fields[0].lower() if len(fields) == 1 else ""
        if re.sub(r":\d+$", "", host) not in self._hosts:
            raise Problem(ProblemCode.MISDIRECTED)

    def _trusts(self, domain: str, certificate: PeerCertificate) -> bool:
        """Tell whether an authority pinned for one peer speaks for this one.

        TLS accepts the roots and all pinned authorities; those of one peer must not
        certify another. They issue directly (path length 0), so that one look does.
        """
        pin = self._pins.get(domain)
        if pin is not None:
            return pinned_issuer(certificate.der, pin)
        foreign = b"".join(self._pins.values())
        if not foreign or (self._roots and pinned_issuer(certificate.der, self._roots)):
            return True
        return not pinned_issuer(certificate.der, foreign)


def source_domain(exchange: Exchange) -> str:
    """Return the domain of the From field.

    Raises:
        Problem: BAD_FROM, it is missing, repeated, or not `mimi@domain`.
    """
    fields = exchange.request.headers.getall("From", [])
    found = _FROM.fullmatch(fields[0]) if len(fields) == 1 else None
    if found is None:
        raise Problem(ProblemCode.BAD_FROM)
    return found[1].lower()


def _check_profile(exchange: Exchange) -> None:
    fields = exchange.request.headers.getall(PROFILE_FIELD, [])
    named = {name.strip() for each in fields for name in each.split(",")} - {""}
    if named and not named.intersection(PROFILES):
        raise Problem(
            ProblemCode.UNSUPPORTED_PROFILE, f"we speak {', '.join(PROFILES)}"
        )
