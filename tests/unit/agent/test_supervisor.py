"""Whatever ends a worker, it alone is started again."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from sabir.agent.supervisor import STEADY_MS, attempt, keep_running
from sabir.errors import PeerIncompatible, PolicyRefused, StorageFailed
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ConnectionState,
    Host,
    Outcome,
    Outgoing,
)
from sabir.testing.clock import VirtualClock
from sabir.testing.memory_network import MemoryConnector
from tests.unit.agent.bridge import CHAT, Bridge


async def test_a_failed_worker_is_started_again_with_growing_waits() -> None:
    clock = VirtualClock()
    lives: list[float] = []

    async def work() -> None:
        lives.append(clock.monotonic_ms())
        match len(lives):
            case 1:
                raise StorageFailed("full")
            case 2:
                raise ZeroDivisionError
            case 3:
                return
            case _:
                await clock.sleep(STEADY_MS * 2)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            keep_running("w", work, clock=clock, rng=lambda _: b"\xff\xff")
        )
        await clock.advance(600_000)
        task.cancel()
    waits = [b - a for a, b in itertools.pairwise(lives)]
    assert waits[:3] == sorted(waits[:3])
    assert waits[0] > 0
    assert len(lives) > 4


class Troubled(MemoryConnector):
    """Fails in a new way each time it is started, then works."""

    troubles: Sequence[Exception | None] = ()

    async def run(self, host: Host) -> None:
        if self.troubles:
            trouble, *self.troubles = self.troubles
            if trouble is None:
                return
            raise trouble
        await super().run(host)


async def test_a_connector_may_fail_in_any_way(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    connector = Troubled(bridge.b, "bridge")
    connector.troubles = [PeerIncompatible("too old"), ZeroDivisionError("x"), None]
    seen: list[tuple[str, str]] = []
    bridge._connectors["b"] = connector
    bridge.agent = bridge.new_agent()
    account = bridge.agent.account("b")
    assert account is not None
    change = account.change

    def spy(state: ConnectionState, detail: str, *, now: object) -> bool:
        seen.append((state, detail))
        return change(state, detail, now=now)  # type: ignore[arg-type]

    account.change = spy  # type: ignore[method-assign]
    async with bridge.running():
        await bridge.until(account.connected.is_set)
    bridge.storage.close()
    details = [
        detail for state, detail in seen if state == "transient_disconnect" and detail
    ]
    assert "too old" in details[0]
    assert "a bug in the connector (ZeroDivisionError)" in details[1]
    assert "without saying why" in details[2]


class Mute(MemoryConnector):
    """Answers for fewer pieces than it gets, once; later it refuses outright once."""

    mutes = 1
    refusals = 1

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        if self.mutes:
            self.mutes -= 1
            return
        if self.refusals:
            self.refusals -= 1
            raise PolicyRefused("not now")
        async for outcome in super().send(batch):
            yield outcome


async def test_missing_outcomes_are_in_doubt_and_found_out(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    bridge._connectors["b"] = Mute(bridge.b, "bridge")
    bridge.agent = bridge.new_agent()
    async with bridge.running():
        await bridge.link()
        bridge.a.says(CHAT, "ada", "hello")
        (sent,) = await bridge.until_sent("b", 1)
        assert sent["text"] == "hello"
    bridge.storage.close()


class Confused(MemoryConnector):
    """Fails to open chats in its own way."""

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        raise ZeroDivisionError


async def test_a_connector_that_cannot_open_a_chat_harms_nobody_else(
    tmp_path: Path,
) -> None:
    bridge = Bridge(tmp_path)
    async with bridge.running():
        await bridge.link()
    bridge._connectors["b"] = Confused(bridge.b, "bridge")
    bridge.agent = bridge.new_agent()
    async with bridge.running():
        bridge.a.says(CHAT, "ada", "hello")
        await bridge.until_sent("b", 1)
    bridge.storage.close()


async def test_a_failed_attempt_is_only_reported() -> None:
    async def fails() -> None:
        raise StorageFailed("full")

    await attempt("something", fails)
