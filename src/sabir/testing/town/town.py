"""Some providers that know each other, and people at them."""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from sabir.testing.town.person import Person
from sabir.testing.town.provider import ProviderProcess, make_authority
from sabir.testing.town.relay import LOOPBACK, Faults, Relay, Tap


class Town:
    """Providers as processes; `async with` starts and stops all.

    Args:
        folder: of everything.
        domains: one provider each.
        faults: of the networks between any two of them, and between agents and them;
            None: there is nothing between.
        seed: of the faults.
        listen: keep what passes between providers, and between them and agents.
    """

    def __init__(
        self,
        folder: Path,
        domains: Sequence[str],
        *,
        faults: Faults | None = None,
        seed: int = 0,
        listen: bool = False,
    ) -> None:
        self.folder = folder
        self.authority = make_authority(folder / "authority")
        self.providers = {
            domain: ProviderProcess(folder / domain, domain, self.authority)
            for domain in domains
        }
        self.people: list[Person] = []
        self._seats = 0
        self.relays: list[Relay] = []
        self._tokens: dict[str, str] = {}
        self._faults = faults
        self._seed = seed
        self._listen = listen
        self._stack = AsyncExitStack()
        self._sockets = folder

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _open(self) -> None:
        sockets = TemporaryDirectory(prefix="sabir-")  # short, as sockets need
        self._sockets = Path(self._stack.enter_context(sockets))
        for provider in self.providers.values():
            provider.prepare()
        for domain, provider in self.providers.items():
            ports = {
                other: await self._way(provider, each)
                for other, each in self.providers.items()
                if other != domain
            }
            provider.knows(ports)
        for provider in self.providers.values():
            await self._stack.enter_async_context(provider)

    async def _way(self, source: ProviderProcess, target: ProviderProcess) -> int:
        """Return the port at which one provider reaches another."""
        port = target.ports["federation"]
        if self._faults is None and not self._listen:
            return port
        return await self._relayed(port, self._tap(target, source.data))

    async def _relayed(self, port: int, tap: Tap | None) -> int:
        seed = self._seed + len(self.relays)
        relay = Relay(port, self._faults or Faults(), seed=seed, tap=tap)
        self.relays.append(await self._stack.enter_async_context(relay))
        return relay.port

    def _tap(self, target: ProviderProcess, identity: Path | None) -> Tap | None:
        """Return how to listen before a provider; `identity` is of its client."""
        if not self._listen:
            return None
        roots = self.authority / "ca.pem"
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=roots)
        server.load_cert_chain(*_chain(target.data))
        client = ssl.create_default_context(cafile=roots)
        if identity is not None:
            client.load_cert_chain(*_chain(identity))
        return Tap(server=server, client=client, domain=target.domain)

    def worsen(self, faults: Faults) -> None:
        """Make all networks that have a relay as bad as that."""
        for relay in self.relays:
            relay.faults = faults

    async def close(self) -> None:
        """End everything."""
        for person in self.people:
            person.stop()
        await self._stack.aclose()

    async def person(
        self, handle: str, domain: str, *, device: str = "laptop", more: str = ""
    ) -> Person:
        """Make somebody at a provider, or another device of theirs; it runs."""
        provider = self.providers[domain]
        name = f"{handle}@{domain}"
        if name not in self._tokens:
            self._tokens[name] = provider.add_user(handle)
        self._seats += 1
        control = self._sockets / f"{self._seats}.sock"
        person = Person(self.folder / f"{name}-{device}", handle, control, more)
        address = provider.agents_address
        if self._listen or self._faults is not None:
            tap = self._tap(provider, None)
            port = await self._relayed(provider.ports["agents"], tap)
            address = f"https://{LOOPBACK}:{port}"
        await asyncio.to_thread(  # the relay before the provider lives in this process
            person.join_provider,
            domain,
            address,
            self.authority / "ca.pem",
            self._tokens[name],
        )
        self.people.append(person)
        await person.start()
        return person


def _chain(folder: Path) -> tuple[Path, Path]:
    return folder / "certificate.pem", folder / "certificate.key"
