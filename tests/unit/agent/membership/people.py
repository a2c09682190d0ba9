"""People with agents, whose databases outlive them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sabir.agent.membership.desk import Desk
from sabir.agent.membership.device import NO_TOKENS, DeviceKey, client_of_home
from sabir.agent.membership.env import AgentEnv
from sabir.agent.membership.ledger import Around
from sabir.agent.membership.membership import Membership
from sabir.agent.membership.vault import Vault
from sabir.agent.membership.waiters import Waiters
from sabir.cli.system import SystemClock, system_rng
from sabir.content import codec
from sabir.content.meaning import Said
from sabir.content.plain import to_plain
from sabir.content.reading import read
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.mimi.uris import device_uri, domain_of, user_of
from sabir.storage.membership import HomeRecord
from sabir.storage.records import RoomId
from sabir.storage.sqlite.database import nowhere
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.agent.membership.fake import FakeApi, FakeTown, eventually

KEY = Secret(bytes(range(32)))


def say(text: str) -> Said:
    return Said(text=Rich.plain(text))


class Person:
    """An agent that may be stopped and started again."""

    def __init__(self, town: FakeTown, name: str, folder: Path) -> None:
        who, _, number = name.partition("/")
        domain, _, who = who.rpartition(":")
        self.uri = device_uri(domain or "a.example", who, number or "1")
        self.user = user_of(self.uri)
        self.town = town
        self.api = FakeApi(town, self.uri)
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{name.replace('/', '-').replace(':', '-')}.db"
        self.vault = Vault(KEY, system_rng)
        self.clock = SystemClock()
        self.reach: Callable[[str], None] = nowhere
        self.on_entries: Callable[[RoomId], None] = lambda room: None

    async def home(self) -> HomeRecord:
        found = await self.storage.home()
        if found is not None:
            return found
        made = HomeRecord(
            domain=domain_of(self.uri),
            address="",
            roots="",
            name="test",
            user=self.user,
            device=self.uri,
            signature=DeviceKey.generate(system_rng).sealed(self.vault),
            tokens=NO_TOKENS.sealed(self.vault),
            cursor=0,
        )
        await self.storage.set_home(made, now=self.clock.now())
        return made

    async def start(self) -> None:
        self.storage = SqliteStorage.open(self.path, reach=self.reach)
        home = await self.home()
        around = Around(
            api=self.api,
            storage=self.storage,
            vault=self.vault,
            client=client_of_home(home, self.vault),
            env=AgentEnv(self.clock, system_rng),
            clock=self.clock,
            rng=system_rng,
            waiters=Waiters(),
            on_entries=lambda room: self.on_entries(room),
        )
        self.membership = Membership(around, device=self.uri, cursor=home.cursor)
        self.desk = Desk(self.membership, user=self.user)
        self.task = asyncio.create_task(self.membership.run())
        await self.membership.started.wait()
        await eventually(lambda: bool(self.api.own.packages))

    async def stop(self) -> None:
        """Die: whatever was under way is not finished."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.storage.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    # ---- what they see

    async def texts(self, room: RoomId) -> list[str]:
        """Return what was said, in the room's order."""
        entries = await self.storage.after(room, 0, count_max=10_000)
        said = [read(codec.decode(each.content)) for each in entries]
        return [
            to_plain(each.text)
            for each in said
            if isinstance(each, Said) and each.text is not None
        ]

    async def happenings(self, room: RoomId) -> list[tuple[str, str]]:
        entries = await self.storage.after(room, 0, count_max=10_000)
        return [(each.kind, each.author_name) for each in entries]

    async def has(self, room: RoomId, *texts: str) -> None:
        """Wait until these were said."""

        async def seen() -> bool:
            return set(texts) <= set(await self.texts(room))

        await eventually(seen)

    async def is_in(self, room: RoomId) -> bool:
        return any(each.room == room for each in self.membership.sessions)

    async def state(self, room: RoomId) -> str:
        record = await self.storage.membership(room)
        return "" if record is None else record.state

    async def reaches(self, room: RoomId, state: str) -> None:
        async def there() -> bool:
            runs = any(each.room == room for each in self.membership.sessions)
            return await self.state(room) == state and runs is (state == "active")

        await eventually(there)


class Street:
    """Everybody in a test."""

    def __init__(self, folder: Path) -> None:
        self.town = FakeTown()
        self.folder = folder
        self.people: dict[str, Person] = {}

    async def moves_in(self, *names: str) -> list[Person]:
        for name in names:
            person = self.people[name] = Person(self.town, name, self.folder)
            await person.start()
        return [self.people[name] for name in names]

    async def befriend(self, one: Person, other: Person) -> None:
        """Let each add the other."""
        await one.desk.consent(other.user)
        await other.desk.consent(one.user)


@asynccontextmanager
async def a_street(folder: Path) -> AsyncIterator[Street]:
    street = Street(folder)
    try:
        yield street
    finally:
        for person in street.people.values():
            await person.stop()
