"""People with agents at real providers."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from pathlib import Path

from sabir.agent.membership.desk import Desk
from sabir.agent.membership.home import enrol, open_home
from sabir.agent.membership.provider_client import Place
from sabir.cli.system import SystemClock, system_rng
from sabir.content import codec
from sabir.content.meaning import Said
from sabir.content.plain import to_plain
from sabir.content.reading import read
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.mimi.uris import user_uri
from sabir.provider.config import Address
from sabir.storage.records import RoomId
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.agent.membership.fake import eventually
from tests.unit.provider.town import LOOPBACK, Site, Town

ANYWHERE = Address(host=LOOPBACK, port=0)
KEY = Secret(bytes(range(32)))


class Resident:
    """An agent at a real provider."""

    def __init__(
        self, site: Site, town: Town, name: str, folder: Path, device: str = "1"
    ) -> None:
        self.site = site
        self.name = name
        self.user = user_uri(site.domain, name)
        self.token = Secret.from_text(f"account token of {self.user}")
        self.place = Place(
            domain=site.domain,
            address=f"https://{LOOPBACK}:{site.provider.agents_port}",
            roots=town.authority.roots.read_text(),
        )
        self.path = folder / f"{site.domain}-{name}-{device}.db"
        self.clock = SystemClock()
        self.storage = SqliteStorage.open(self.path)
        self.running: asyncio.Task[None] | None = None

    async def enrol(self) -> None:
        await enrol(
            self.storage,
            self.place,
            self.token,
            name="laptop",
            key=KEY,
            clock=self.clock,
            rng=system_rng,
        )

    async def move_in(self) -> None:
        if not await self.site.store.user_exists(self.user):
            digest = hashlib.sha256(self.token.reveal()).digest()
            await self.site.store.add_user(self.user, digest, now=self.clock.now())
        await self.enrol()
        await self.start()

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        opened = open_home(
            self.storage,
            key=KEY,
            clock=self.clock,
            rng=system_rng,
            on_entries=lambda _: None,
        )
        self.desk: Desk = await self._stack.enter_async_context(opened)
        self.running = asyncio.create_task(self.desk.membership.run())
        await self.desk.membership.started.wait()

        async def stocked() -> bool:
            stored = await self.storage.key_packages()
            return any(each.uploaded for each in stored)

        await eventually(stocked)

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
            await self._stack.aclose()
            self.running = None
        self.storage.close()

    async def come_back(self) -> None:
        self.storage = SqliteStorage.open(self.path)
        await self.start()

    async def restart(self) -> None:
        await self.stop()
        await self.come_back()

    async def texts(self, room: RoomId) -> list[str]:
        entries = await self.storage.after(room, 0, count_max=1_000)
        said = [read(codec.decode(each.content)) for each in entries]
        return [
            to_plain(each.text)
            for each in said
            if isinstance(each, Said) and each.text is not None
        ]

    async def say(self, room: RoomId, text: str, key: str = "") -> None:
        await self.desk.post(room, Said(text=Rich.plain(text)), key=key)

    async def has(self, room: RoomId, *texts: str) -> None:
        async def seen() -> bool:
            return set(texts) <= set(await self.texts(room))

        await eventually(seen)

    async def reaches(self, room: RoomId, state: str) -> None:
        async def there() -> bool:
            record = await self.storage.membership(room)
            return record is not None and record.state == state

        await eventually(there)
