"""I8: a network in trouble delays its own portals only.

One person's messages go to a network that is well, through a room of its own and
through a room that the troubled network shares. Well and troubled take turns, so that
both see the same machine.
"""

import asyncio
import io
import logging
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.cli.logs import configure_logs
from sabir.networks.api import Incoming, NativeEvent, Outcome, Outgoing
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.memory_network import MemoryConnector, MemoryServer, RateLimited
from sabir.testing.rng import SeededRng
from tests.unit.agent.bridge import HurriedClock

ROUNDS = 4
MESSAGES = 12
"""Of each room in each half of a round."""
RATIO_MAX = 1.10
NOISE_MS = 1.0
"""A message takes some 5 ms here; a wait for the troubled network takes 50 and more."""
TRIES = 3
"""A busy machine may spoil one comparison; what is really held up spoils all."""
ALONE, SHARED, TROUBLED = "alone", "shared", "troubled"
ANSWER_TIMEOUT_MS = 200


@pytest.fixture(autouse=True)
def _logs_as_in_life() -> Iterator[None]:
    """Log as `sabir up` does; structlog's own tracebacks take half a second each."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    configure_logs("info", "json", out=io.StringIO())
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers


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
        clock = HurriedClock()
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
        self.sick = Buggy(self.c, "bridge", answer_timeout_ms=ANSWER_TIMEOUT_MS)
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

    async def times(self) -> list[float]:
        """Say things; return how long each took to the network that is well, in ms."""
        times = []
        for _ in range(MESSAGES):
            for chat in (ALONE, SHARED):
                self.said += 1
                self.a.says(TROUBLED, "ada", f"load {self.said}")
                self.c.says(TROUBLED, "cyd", f"load {self.said}")
                self.well.accepted.clear()
                begun = time.monotonic()
                self.a.says(chat, "ada", f"message {self.said}")
                async with asyncio.timeout(10):
                    await self.well.accepted.wait()
                times.append((time.monotonic() - begun) * 1000)
        return times

    async def at_rest(self) -> None:
        async with asyncio.timeout(30):
            while any(
                each.waiting_in or each.waiting_out
                for each in await self.storage.counts()
            ):
                await asyncio.sleep(0.005)


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
    net.c.fail_next_sends(*[RateLimited(retry_after_ms=500)] * 20)


def crashes(net: Three) -> None:
    net.sick.is_broken = True


async def recover(net: Three) -> None:
    net.sick.is_broken = False
    net.c.come_back()
    await net.at_rest()


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[18]


async def compare(net: Three, trouble: Callable[[Three], None]) -> tuple[float, float]:
    """Return p95 in ms while the third network is well, and while it is not."""
    well: list[float] = []
    troubled: list[float] = []
    for _ in range(ROUNDS):
        await net.at_rest()
        well += await net.times()
        trouble(net)
        troubled += await net.times()
        await recover(net)
    return p95(well), p95(troubled)


@pytest.mark.parametrize(
    "trouble", [hangs, goes_dark, refuses_the_login, limits_the_rate, crashes]
)
async def test_what_is_well_goes_on_as_before(
    tmp_path: Path, trouble: Callable[[Three], None]
) -> None:
    async with three(tmp_path) as net:
        await retried(lambda: compare(net, trouble))
        # and in the end the troubled network has got everything
        await net.at_rest()
        loads = [event for event in net.c.sent(TROUBLED) if b"load" in event.payload]
        assert len(loads) == net.said


async def retried(measure: Callable[[], Awaitable[tuple[float, float]]]) -> None:
    seen = []
    for _ in range(TRIES):
        well, troubled = await measure()
        seen.append(f"{well:.1f} ms well, {troubled:.1f} ms troubled")
        print(seen[-1])
        if troubled <= RATIO_MAX * well + NOISE_MS:
            return
    pytest.fail("; ".join(seen))
