"""I8: a network in trouble delays its own portals only.

Messages go to a network that is well, through a room of its own and through one that
the troubled network shares. Whatever is waited for because of the troubled network
lasts here until the test ends it, so a message that waits with it never arrives. How
long the others take meanwhile is measured on real servers, by `bench/isolation.py`.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.cli.logs import configure_logs
from sabir.networks.api import Incoming, NativeEvent, Outcome, Outgoing
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.memory_network import MemoryConnector, MemoryServer, RateLimited
from sabir.testing.rng import SeededRng
from tests.unit.agent.bridge import HurriedClock

ROUNDS = 2
MESSAGES = 6
"""Of each room in each half of a round."""
PATIENCE_S = 20.0
HELD_MS = 600_000
"""A wait of this and more lasts until the test releases it."""
ALONE, SHARED, TROUBLED = "alone", "shared", "troubled"


@pytest.fixture(autouse=True)
def _logs_as_in_life() -> None:
    """Log as `sabir up` does; structlog's own tracebacks take half a second each."""
    configure_logs("info", "json", out=io.StringIO())


class HoldingClock(HurriedClock):
    """Holds long waits until they are released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()
        self.held = 0

    async def sleep(self, duration_ms: int) -> None:
        if duration_ms >= HELD_MS:
            self.held += 1
            await self.released.wait()
        await super().sleep(duration_ms % HELD_MS)


class Listening(MemoryConnector):
    """Tells when a send was accepted."""

    accepted: asyncio.Event

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        async for outcome in super().send(batch):
            yield outcome
            self.accepted.set()


class Buggy(MemoryConnector):
    """Crashes where a bug would, as long as it is told to."""

    is_broken = False

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        if self.is_broken:
            raise ZeroDivisionError("a bug of the connector")
        async for outcome in super().send(batch):
            yield outcome

    def decode(self, event: NativeEvent) -> Incoming | None:
        if self.is_broken:
            raise ZeroDivisionError("a bug of the connector")
        return super().decode(event)


class Three:
    """Networks a (people), b (well) and c (troubled), and the agent between."""

    def __init__(self, folder: Path) -> None:
        self.clock = clock = HoldingClock()
        self.a, self.b, self.c = (MemoryServer(clock) for _ in range(3))
        for server, chats in (
            (self.a, (ALONE, SHARED, TROUBLED)),
            (self.b, (ALONE, SHARED)),
            (self.c, (SHARED, TROUBLED)),
        ):
            for chat in chats:
                server.chat(chat)
        self.well = Listening(self.b, "bridge")
        self.well.accepted = asyncio.Event()
        self.sick = Buggy(self.c, "bridge", answer_timeout_ms=HELD_MS)
        connectors = {
            "a": MemoryConnector(self.a, "bridge"),
            "b": self.well,
            "c": self.sick,
        }
        self.storage = SqliteStorage.open(folder / "sabir.db")
        self.agent = Agent(
            self.storage,
            [
                AccountConnector(id=name, network=f"memory-{name}", connector=each)
                for name, each in connectors.items()
            ],
            spool_folder=folder / "media",
            owner="test",
            clock=clock,
            rng=SeededRng(11),
        )
        self.said = 0

    async def link(self) -> None:
        for chat, accounts in ((ALONE, "ab"), (SHARED, "abc"), (TROUBLED, "ac")):
            await self.agent.link(
                [ChatAddress(account=account, chat=chat) for account in accounts]
            )

    async def talk(self) -> None:
        """Say things everywhere; return when the network that is well has its own."""
        for _ in range(MESSAGES):
            for chat in (ALONE, SHARED):
                self.said += 1
                self.a.says(TROUBLED, "ada", f"load {self.said}")
                self.c.says(TROUBLED, "cyd", f"load {self.said}")
                self.well.accepted.clear()
                self.a.says(chat, "ada", f"message {self.said}")
                async with asyncio.timeout(PATIENCE_S):
                    await self.well.accepted.wait()

    async def at_rest(self) -> None:
        async with asyncio.timeout(30):
            while any(
                each.waiting_in or each.waiting_out
                for each in await self.storage.counts()
            ):
                await asyncio.sleep(0.005)

    def loads(self) -> int:
        """Count what the troubled network has got."""
        return sum(b"load" in event.payload for event in self.c.sent(TROUBLED))


@asynccontextmanager
async def three(folder: Path) -> AsyncIterator[Three]:
    made = Three(folder)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(made.agent.run())
            await made.agent.started.wait()
            await made.link()
            yield made
            running.cancel()
    finally:
        made.storage.close()


def hangs(net: Three) -> None:
    net.c.hang()


def goes_dark(net: Three) -> None:
    net.c.go_dark()


def refuses_the_login(net: Three) -> None:
    net.c.credentials_refused = True
    net.c.drop_sessions()


def limits_the_rate(net: Three) -> None:
    net.c.fail_next_sends(*[RateLimited(retry_after_ms=HELD_MS)] * 3)


def crashes(net: Three) -> None:
    net.sick.is_broken = True


async def recover(net: Three) -> None:
    net.sick.is_broken = False
    net.c.come_back()
    net.clock.released.set()
    await net.at_rest()
    net.clock.released.clear()


@pytest.mark.parametrize(
    "trouble", [hangs, goes_dark, refuses_the_login, limits_the_rate, crashes]
)
async def test_what_is_well_goes_on_as_before(
    tmp_path: Path, trouble: Callable[[Three], None]
) -> None:
    async with three(tmp_path) as net:
        for _ in range(ROUNDS):
            await net.talk()
            await net.at_rest()
            trouble(net)
            await net.talk()
            assert net.loads() < net.said  # it was in trouble indeed
            await recover(net)
        # and in the end the troubled network has got everything
        assert net.loads() == net.said
