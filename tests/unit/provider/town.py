"""Several providers in one process, on free ports, with certificates of their own."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sabir.cli.system import SystemClock, system_rng
from sabir.clock import Instant
from sabir.crypto.certificates import Issued, issue, new_authority
from sabir.crypto.secrets import Secret
from sabir.mimi.directory import Endpoint
from sabir.provider.config import Address, PeerSettings, ProviderConfig
from sabir.provider.federation import Service
from sabir.provider.provider import Provider
from sabir.provider.services import Services, our_services
from sabir.provider.tls import Identity
from sabir.storage.sqlite.provider.store import SqliteProviderStore

LOOPBACK = "127.0.0.1"
Answers = Callable[[Services], Mapping[Endpoint, Service]]


@dataclass
class Authority:
    """Makes certificates into a folder."""

    folder: Path
    issued: Issued = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.issued = new_authority(
            "test", now=SystemClock().now(), days=2, rng=system_rng
        )
        (self.folder / "ca.pem").write_bytes(self.issued.certificate)

    @property
    def roots(self) -> Path:
        return self.folder / "ca.pem"

    def identity(
        self, *domains: str, days: int = 1, now: Instant | None = None
    ) -> Identity:
        made = issue(
            self.issued,
            domains,
            now=SystemClock().now() if now is None else now,
            days=days,
            rng=system_rng,
        )
        name = domains[0].replace("*", "star")
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(made.certificate)
        key.write_bytes(made.key)
        return Identity(certificate=certificate, key=key, roots=self.roots)


@dataclass
class Site:
    """A running provider, and how to reach it."""

    provider: Provider
    store: SqliteProviderStore
    config: ProviderConfig
    stack: AsyncExitStack

    async def stop(self) -> None:
        """Stop it; its database stays."""
        await self.stack.aclose()

    @property
    def domain(self) -> str:
        return self.config.domain

    @property
    def address(self) -> Address:
        return Address(host=LOOPBACK, port=self.provider.port)


class Town:
    """Starts providers that know each other."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.authority = Authority(folder / "ca")
        self.sites: dict[str, Site] = {}
        self.clock = SystemClock()
        self._stack = stack
        self._peers: dict[str, dict[str, PeerSettings]] = {}

    async def open(
        self, domain: str, *, knows: tuple[str, ...] = (), **more: Any
    ) -> Site:
        """Start a provider; it admits those named, whose addresses follow."""
        peers = self._peers.setdefault(domain, {})
        for other in knows:
            known = self.sites.get(other)
            peers[other] = PeerSettings(address=known.address if known else None)
        peers.update(more.pop("peers", {}))
        services = more.pop("services", our_services)
        folder = self.folder / domain
        folder.mkdir(exist_ok=True)
        config = ProviderConfig(
            domain=domain,
            data_dir=folder,
            identity=more.pop("identity", None) or self.authority.identity(domain),
            listen=more.pop("listen", Address(host=LOOPBACK, port=0)),
            peers=peers,
            **more,
        )
        return await self._start(config, services)

    async def restart(self, domain: str) -> Site:
        """Stop a provider if it runs, and start it again at the same port."""
        site = self.sites[domain]
        await site.stop()
        return await self._start(replace(site.config, listen=site.address))

    async def _start(
        self, config: ProviderConfig, services: Answers = our_services
    ) -> Site:
        stack = await self._stack.enter_async_context(AsyncExitStack())
        store = SqliteProviderStore.open(config.data_dir / "provider.db")
        stack.callback(store.close)
        provider = Provider(
            config,
            store,
            key=Secret(bytes(32)),
            clock=self.clock,
            rng=system_rng,
            services=services,
        )
        await stack.enter_async_context(running(provider))
        domain = config.domain
        site = self.sites[domain] = Site(provider, store, config, stack)
        for book in self._peers.values():
            if domain in book:
                book[domain] = replace(book[domain], address=site.address)
        return site


@asynccontextmanager
async def running(provider: Provider) -> AsyncIterator[Provider]:
    await provider.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(provider.run())
        try:
            yield provider
        finally:
            provider.stop()


@dataclass
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """HTTP without help: what is sent is what a test says."""

    def __init__(self, address: Address, context: ssl.SSLContext, name: str) -> None:
        self._address = address
        self._context = context
        self._name = name

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(
            self._address.host,
            self._address.port,
            ssl=self._context,
            server_hostname=self._name,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def ask(self, octets: bytes) -> RawAnswer:
        self.writer.write(octets)
        await self.writer.drain()
        return await self.answer()

    async def answer(self) -> RawAnswer:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        first, *lines = head.decode().splitlines()
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            if name:
                headers[name.lower()] = value.strip()
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return RawAnswer(int(first.split()[1]), headers, body)


def client_tls(identity: Identity | None, roots: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(roots))
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def request(
    method: str, path: str, *fields: str, host: str = "a.example", body: bytes = b""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
