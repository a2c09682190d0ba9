"""A provider: everything of it, put together and running."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from sabir.clock import Clock, Instant
from sabir.crypto.certificates import NotACertificate, domains_of
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.mimi.directory import DIRECTORY_PATH, Directory, Endpoint, our_templates
from sabir.mimi.profile import MIMI06_A
from sabir.provider.admission import PROFILES, Admission
from sabir.provider.agent_api.api import agent_routes
from sabir.provider.assets import Assets
from sabir.provider.assets_doors import public_route
from sabir.provider.config import Address, ProviderConfig
from sabir.provider.core import Core
from sabir.provider.download import Downloads
from sabir.provider.federation import Federation, Service
from sabir.provider.http import JSON, Answer, Exchange, Route, Router
from sabir.provider.keys import KeyRing
from sabir.provider.listener import Listener
from sabir.provider.outbox import GIVE_UP_MESSAGES, Fanout
from sabir.provider.peers import Peers
from sabir.provider.rates import FederationRates
from sabir.provider.services import Services, our_services
from sabir.provider.tls import agents_context, server_context
from sabir.provider.wakeups import Wakeups
from sabir.storage.provider.ports import ProviderStore
from sabir.storage.provider.records import QueueState

DIRECTORY_AGE_S: Final = 3_600
"""How long peers may keep our directory."""
SWEEP_MS: Final = 600_000
"""Between two rounds of housekeeping."""
ANSWERS_KEPT_MS: Final = 24 * 3_600_000
"""Replays and idempotency keys (D-24, section 8.1)."""
BODIES_KEPT_MS: Final = 7 * 24 * 3_600_000
"""Digests of notifications (7.4)."""
EVENTS_KEPT_MS: Final = 30 * 24 * 3_600_000
EVENTS_MAX: Final = 1_000_000
"""What a device may leave unacknowledged (8.3)."""

_log = structlog.get_logger()


class Provider:
    """One provider.

    Attributes:
        core: the parts that all share.
        services: what it does, whoever asks.
        port: of the listener for providers, once started.
        agents_port: of the listener for our own users' agents; 0 if there is none.
        started: set once it is bound.
    """

    def __init__(
        self,
        config: ProviderConfig,
        store: ProviderStore,
        *,
        key: Secret,
        clock: Clock,
        rng: Callable[[int], bytes],
        services: Callable[[Services], Mapping[Endpoint, Service]] = our_services,
    ) -> None:
        """Put a provider together; nothing is opened yet.

        Args:
            config: the operator's decisions.
            store: an open database; closing it stays with the caller.
            key: seals our own keys in the database.
            clock: time.
            rng: random octets.
            services: what answers other providers.
        """
        rates = FederationRates(config.per_peer)
        peers = Peers(config, store, clock)
        keys = KeyRing(store, key, clock, rng)
        assets = Assets(config, store, keys, clock, rng)
        self.core = Core(
            config=config,
            store=store,
            clock=clock,
            rng=rng,
            rates=rates,
            admission=Admission(config, rates, clock),
            peers=peers,
            fanout=Fanout(store, peers, clock, rng),
            keys=keys,
            wakeups=Wakeups(),
            assets=assets,
            downloads=Downloads(config, assets, peers, store, clock),
        )
        self.services = Services.of(self.core)
        self.federation = Federation(self.core, services(self.services))
        self.port = 0
        self.agents_port = 0
        self.started = asyncio.Event()
        self._listeners: list[Listener] = []
        self._stop = asyncio.Event()

    # ---- life

    async def start(self) -> None:
        """Bind the listeners.

        Raises:
            ConfigInvalid: certificate, key, roots or the address cannot be used; the
                key file is of another installation.
            StorageFailed: the folders of files, or our own keys, cannot be used.
        """
        config = self.core.config
        self._check_certificate()
        await self.services.hosting.open_keys()
        await self.core.assets.open()
        await self.core.downloads.open()
        context = server_context(
            config.identity,
            shared=config.shared,
            pinned=b"".join(peer.pinned for peer in config.peers.values()),
        )
        self.port = await self._listen(config.listen, context, self.routes())
        if config.agents is not None:
            self.agents_port = await self._listen(
                config.agents,
                agents_context(config.identity),
                agent_routes(self.services, self.directory),
            )
        self.started.set()
        _log.info(
            "provider listens",
            domain=config.domain,
            port=self.port,
            agents_port=self.agents_port,
        )

    async def _listen(
        self, address: Address, context: ssl.SSLContext, routes: Sequence[Route]
    ) -> int:
        """Bind a listener; return its port."""
        config = self.core.config
        listener = Listener(
            Router(*routes),
            context,
            connections_max=config.connections_max,
            handshakes_max=config.handshakes_max,
        )
        port = await listener.start(address.host, address.port)
        self._listeners.append(listener)
        return port

    async def run(self) -> None:
        """Serve until `stop`, or until cancelled. `start` comes first."""
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(each.run()) for each in self._listeners]
                running.append(group.create_task(self.core.fanout.run()))
                running.append(group.create_task(self.core.downloads.run()))
                running.append(group.create_task(self._keep_house()))
                await self._stop.wait()
                for task in running:
                    task.cancel()
        finally:
            for each in self._listeners:
                each.close()
            await self.core.peers.close()

    def stop(self) -> None:
        """Let `run` end."""
        self.core.wakeups.finish()
        self._stop.set()

    # ---- parts

    def routes(self) -> Sequence[Route]:
        """Return all that other providers may ask."""
        return (
            Route(method="GET", template=DIRECTORY_PATH, handler=self._serve_directory),
            public_route(self.core),
            *self.federation.routes(),
        )

    def directory(self) -> Directory:
        """Return what we offer."""
        config = self.core.config
        return Directory(
            templates={
                endpoint: template
                for endpoint, template in our_templates(
                    f"https://{config.endpoint_host}"
                ).items()
                if endpoint in self.federation.offered
            },
            profiles=PROFILES,
            suites=MIMI06_A.suites,
            domains=(config.domain,),
            asset_domains=(config.endpoint_host,),
            contact=config.contact,
        )

    async def _serve_directory(self, exchange: Exchange) -> Answer:
        self.core.admission.check_host(exchange)
        return Answer(
            body=self.directory().encode(),
            content_type=JSON,
            headers={"Cache-Control": f"max-age={DIRECTORY_AGE_S}"},
        )

    def _check_certificate(self) -> None:
        identity, config = self.core.config.identity, self.core.config
        try:
            names = domains_of(identity.certificate.read_bytes())
        except (OSError, NotACertificate) as error:
            raise ConfigInvalid(
                f"{identity.certificate} cannot be used: {error}; make a certificate"
                " with `sabir provider cert`"
            ) from error
        missing = {config.domain, config.endpoint_host} - set(names)
        if missing:
            raise ConfigInvalid(
                f"{identity.certificate} has no dNSName {', '.join(sorted(missing))};"
                " peers would refuse it: make one with `sabir provider cert`"
            )

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._sweep(self.core.clock.now())
                await self.services.hosting.remove_deleted_users()
            except StorageFailed as failed:
                _log.error("housekeeping waits for the disk", reason=str(failed))
            await self.core.clock.sleep(SWEEP_MS)

    async def _sweep(self, now: Instant) -> None:
        core = self.core
        await core.store.sweep(
            answers_before=Instant(now - ANSWERS_KEPT_MS),
            bodies_before=Instant(now - BODIES_KEPT_MS),
            now=now,
        )
        await core.store.expire_reservations(now=now)
        lost = await core.store.trim_streams(
            before=Instant(now - EVENTS_KEPT_MS), count_max=EVENTS_MAX
        )
        core.wakeups.wake(lost)
        await core.assets.sweep(now)
        core.downloads.sweep()
        await self._give_up_long_queues(now)

    async def _give_up_long_queues(self, now: Instant) -> None:
        """Paused queues grow, too."""
        for queue in await self.core.store.queues():
            if queue.waiting > GIVE_UP_MESSAGES:
                _log.error("follower given up", peer=queue.follower, reason="too far")
                await self.core.store.set_queue_state(
                    queue.room,
                    queue.follower,
                    QueueState.UNREACHABLE,
                    "too many messages wait",
                    now=now,
                )
