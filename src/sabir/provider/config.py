"""What the operator decides about a provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from sabir.provider.listener import CONNECTIONS_MAX, HANDSHAKES_MAX
from sabir.provider.rates import Rate
from sabir.provider.tls import Identity

DATABASE_NAME: Final = "provider.db"
KEY_NAME: Final = "provider.key"


class Federation(StrEnum):
    """Whom we talk to."""

    ALLOWLIST = "allowlist"
    """Peers of the configuration."""
    OPEN = "open"
    """Everybody with a certificate, but those blocked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a listener binds, or where a peer really is."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """What the operator says about one peer.

    Attributes:
        address: where its hosts are, whatever the DNS says; None: the DNS.
        pinned: PEM of the authorities that may issue its certificate; empty: any.
        allow_delegated_host: its endpoints may be on a host whose certificate lacks
            the provider's domain.
        asset_hosts: where its users' files are, besides what its directory says.
    """

    address: Address | None = None
    pinned: bytes = b""
    allow_delegated_host: bool = False
    asset_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSettings:
    """Files of our users, and those of others that pass through.

    Attributes:
        per_device_octets: stored by one device.
        keep_days: after an upload.
        cache_octets: of files fetched from other hosts.
        free_octets_min: left on the disk for the database and everybody else.
    """

    per_device_octets: int = 2 << 30
    keep_days: int = 90
    cache_octets: int = 1 << 30
    free_octets_min: int = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """One provider.

    Attributes:
        domain: ours; in our certificate.
        data_dir: database, key, assets.
        identity: files of the certificate.
        listen: for other providers.
        agents: for our own users' agents; None: there are none.
        host: of our endpoints; empty: the domain.
        shared: serve the directory to clients without a certificate, too.
        federation: whom we talk to.
        peers: what is said about some; those on the allow list.
        blocked: domains that are refused in any mode.
        contact: for complaints, in the directory.
        per_peer: how much a peer may ask.
        connections_max: connections at a time, per listener.
        handshakes_max: unfinished handshakes at a time, per listener.
        assets: files.
    """

    domain: str
    data_dir: Path
    identity: Identity
    listen: Address
    agents: Address | None = None
    host: str = ""
    shared: bool = False
    federation: Federation = Federation.ALLOWLIST
    peers: Mapping[str, PeerSettings] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    contact: str = ""
    per_peer: Rate = field(default_factory=lambda: Rate(count=100, per_ms=1_000))
    connections_max: int = CONNECTIONS_MAX
    handshakes_max: int = HANDSHAKES_MAX
    assets: AssetSettings = field(default_factory=AssetSettings)

    @property
    def endpoint_host(self) -> str:
        """Return the host in the URLs of our directory."""
        return self.host or self.domain

    def admits(self, domain: str) -> bool:
        """Tell whether we talk to a domain."""
        if domain in self.blocked or domain == self.domain:
            return False
        return self.federation is Federation.OPEN or domain in self.peers
