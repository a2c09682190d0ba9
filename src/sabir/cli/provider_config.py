"""`provider.toml`: what the operator decides, checked as a whole.

Paths are relative to the file, which lies in the provider's data directory. Every
problem is reported at once; an unknown key is one.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast
from urllib.parse import urlsplit

from sabir.crypto.certificates import NotACertificate, may_be_pinned
from sabir.errors import ConfigInvalid
from sabir.mimi.genesis import ASSET_OCTETS_MAX
from sabir.mimi.uris import SCHEME, domain_of
from sabir.provider.config import (
    Address,
    AssetSettings,
    Federation,
    PeerSettings,
    ProviderConfig,
)
from sabir.provider.rates import Rate
from sabir.provider.tls import Identity
from sabir.wire.errors import Malformed

T = TypeVar("T")
Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]

CONFIG_NAME: Final = "provider.toml"
CONFIG_OCTETS_MAX: Final = 1024 * 1024
"""Ten thousand peers fit."""
PROBLEMS_SHOWN_MAX: Final = 20
"""More than a screen of problems helps nobody."""
ASSET_DAYS_MAX: Final = 3_650
ASSET_MIB: Final = ASSET_OCTETS_MAX >> 20
"""The largest file must fit into the cache."""
ASSET_MIB_MAX: Final = 1 << 30
"""A pebibyte: more is a slip of the pen."""
PEER_REQUESTS_MAX: Final = 100_000
"""A second: more than any machine answers."""
LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("console", "json")

_LISTEN: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+)):(\d{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFile:
    """A whole `provider.toml`."""

    provider: ProviderConfig
    log_level: Level
    log_format: Format


class _Table:
    """A table whose keys are taken one by one; what is left is unknown."""

    def __init__(
        self, values: Mapping[str, Any], where: str, problems: list[str]
    ) -> None:
        self._left = dict(values)
        self._where = where
        self._problems = problems

    def text(self, name: str, default: str = "") -> str:
        value = self._left.pop(name, default)
        return value if isinstance(value, str) else self._wrong(name, "text", default)

    def flag(self, name: str) -> bool:
        value = self._left.pop(name, False)
        return value if isinstance(value, bool) else self._wrong(name, "a flag", False)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        return self._wrong(name, f"one of {', '.join(choices)}", default)

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self._left.pop(name, default)
        if type(value) is int and least <= value <= most:
            return value
        return self._wrong(name, f"a number from {least} to {most}", default)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._left.pop(name, [])
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        empty: tuple[str, ...] = ()
        return self._wrong(name, "a list of texts", empty)

    def table(self, name: str) -> Mapping[str, Any]:
        value = self._left.pop(name, {})
        return value if isinstance(value, dict) else self._wrong(name, "a table", {})

    def domain(self, name: str) -> str:
        value = self.text(name)
        return value if not value or is_domain(value) else self._wrong_domain(name)

    def has(self, name: str) -> bool:
        return name in self._left

    def address(self, name: str, default: str) -> Address:
        found = _LISTEN.fullmatch(self.text(name, default))
        if found is None or int(found[3]) > 65_535:
            return self._wrong(name, "host:port", Address(host="127.0.0.1", port=0))
        return Address(host=found[1] or found[2], port=int(found[3]))

    def finish(self) -> None:
        for name in self._left:
            self.problem(name, "unknown; look for a slip of the pen")

    def problem(self, name: str, text: str) -> None:
        self._problems.append(f"{self._where}{name}: {text}")

    def _wrong_domain(self, name: str) -> str:
        self.problem(name, "must be a DNS name, lower case, A-labels")
        return ""

    def _wrong(self, name: str, kind: str, default: T) -> T:
        self.problem(name, f"must be {kind}")
        return default


def is_domain(text: str) -> bool:
    """Tell whether a text is a domain as MIMI writes it."""
    try:
        return domain_of(SCHEME + text) == text
    except Malformed:
        return False


def load_provider_file(folder: Path) -> ProviderFile:
    """Read a provider's configuration.

    Args:
        folder: its data directory.

    Raises:
        ConfigInvalid: with every problem found, one a line.
    """
    file = folder / CONFIG_NAME
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise ConfigInvalid(
            f"{file}: {error.strerror}; run `sabir provider init DOMAIN` first, or name"
            " the data directory with --data-dir"
        ) from error
    try:
        document = tomllib.loads(octets[:CONFIG_OCTETS_MAX].decode("utf-8"))
    except ValueError as error:
        raise ConfigInvalid(f"{file}: {error}; correct that line") from error
    problems: list[str] = []
    found = _read(_Table(document, "", problems), folder, problems)
    if problems:
        shown = "\n".join(problems[:PROBLEMS_SHOWN_MAX])
        raise ConfigInvalid(f"{file}:\n{shown}")
    return found


def _read(table: _Table, folder: Path, problems: list[str]) -> ProviderFile:
    domain = table.domain("domain")
    if not domain:
        table.problem("domain", "is required: your provider's DNS name")
    roots = table.text("roots")
    identity = Identity(
        certificate=folder / table.text("certificate", "certificate.pem"),
        key=folder / table.text("key", "certificate.key"),
        roots=folder / roots if roots else None,
    )
    provider = ProviderConfig(
        domain=domain,
        data_dir=folder,
        identity=identity,
        listen=table.address("listen", "127.0.0.1:8443"),
        agents=table.address("agents", "") if table.has("agents") else None,
        host=table.domain("host"),
        shared=table.flag("shared"),
        federation=Federation(
            table.choice("federation", ("allowlist", "open"), "allowlist")
        ),
        peers=_peers(table.table("peers"), folder, problems),
        blocked=frozenset(table.texts("blocked")),
        contact=table.text("contact"),
        per_peer=_per_peer(table),
        assets=_assets(_Table(table.table("assets"), "assets.", problems)),
    )
    read = ProviderFile(
        provider=provider,
        log_level=cast("Level", table.choice("log_level", LEVELS, "info")),
        log_format=cast("Format", table.choice("log_format", FORMATS, "console")),
    )
    table.finish()
    return read


def _per_peer(table: _Table) -> Rate:
    count = table.number("peer_requests_per_s", 100, 1, PEER_REQUESTS_MAX)
    return Rate(count=count, per_ms=1_000)


def _assets(table: _Table) -> AssetSettings:
    plain = AssetSettings()
    settings = AssetSettings(
        per_device_octets=_mib(table, "per_device_mib", plain.per_device_octets),
        keep_days=table.number("keep_days", plain.keep_days, 1, ASSET_DAYS_MAX),
        cache_octets=_mib(table, "cache_mib", plain.cache_octets, ASSET_MIB),
        free_octets_min=_mib(table, "free_mib", plain.free_octets_min),
    )
    table.finish()
    return settings


def _mib(table: _Table, name: str, default: int, least: int = 1) -> int:
    return table.number(name, default >> 20, least, ASSET_MIB_MAX) << 20


def _peers(
    tables: Mapping[str, Any], folder: Path, problems: list[str]
) -> Mapping[str, PeerSettings]:
    found = {}
    for domain, values in tables.items():
        where = f'peers."{domain}"'
        if not is_domain(domain):
            problems.append(f"{where}: must be named by its domain, lower case")
        elif not isinstance(values, dict):
            problems.append(f"{where}: must be a table")
        else:
            found[domain] = _peer(_Table(values, f"{where}.", problems), folder)
    return found


def _peer(table: _Table, folder: Path) -> PeerSettings:
    url = table.text("url")
    pinned = table.text("pinned")
    settings = PeerSettings(
        address=_override(table, url) if url else None,
        pinned=_pin(table, folder / pinned) if pinned else b"",
        allow_delegated_host=table.flag("allow_delegated_host"),
        asset_hosts=_hosts(table),
    )
    table.finish()
    return settings


def _hosts(table: _Table) -> tuple[str, ...]:
    hosts = table.texts("asset_hosts")
    if not all(map(is_domain, hosts)):
        table.problem("asset_hosts", "must be DNS names, lower case, A-labels")
    return hosts


def _override(table: _Table, text: str) -> Address | None:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port or 443
    except ValueError:
        host, port = None, 0
        url = urlsplit("")
    if url.scheme != "https" or not host or url.path.strip("/"):
        table.problem("url", "must be like https://127.0.0.1:8443, without a path")
        return None
    return Address(host=host, port=port)


def _pin(table: _Table, file: Path) -> bytes:
    try:
        octets = file.read_bytes()
        if may_be_pinned(octets):
            return octets
    except (OSError, NotACertificate) as error:
        table.problem("pinned", f"{file} cannot be used: {error}")
        return b""
    table.problem(
        "pinned",
        f"{file} must be the authority that issues the peer's certificate itself"
        " (path length 0)",
    )
    return b""


def example(domain: str, listen: str, agents: str) -> str:
    """Return a configuration to begin with."""
    return f"""\
# A Sabir provider. Paths are relative to this file.

domain = "{domain}"
listen = "{listen}"    # for other providers
agents = "{agents}"    # for the agents of your own users

# Made by `sabir provider cert`, or by an authority that your peers trust.
certificate = "certificate.pem"
key = "certificate.key"
roots = "ca.pem"             # without it: the authorities of this system

federation = "allowlist"     # or "open": everybody with a certificate
blocked = []
# peer_requests_per_s = 100  # of each of them; a message of its users is one request
contact = ""                 # e.g. "mailto:abuse@{domain}"

# [assets]                   # files of our users; what others send passes a cache
# per_device_mib = 2048
# keep_days = 90
# cache_mib = 1024
# free_mib = 256             # left on the disk for the rest

# Whom we talk to:
# [peers."b.example"]
# url = "https://127.0.0.1:9443"      # where it is, whatever the DNS says
# pinned = "b-ca.pem"                 # the only authority for its certificate
# asset_hosts = ["files.b.example"]   # besides those in its directory
"""
