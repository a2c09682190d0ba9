"""An agent between two in-memory networks, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.content.capabilities import Capabilities
from sabir.networks.api import Connector
from sabir.storage.records import PortalRecord
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.clock import LoopClock
from sabir.testing.memory_network import RICH, MemoryConnector, MemoryServer, Rules
from sabir.testing.rng import SeededRng

CHAT = "chat"
PATIENCE_S = 5.0


class HurriedClock(LoopClock):
    """Waits a fiftieth of what is asked."""

    def __init__(self) -> None:
        self.offset = 0

    def now(self) -> Any:
        return super().now() + self.offset

    async def sleep(self, duration_ms: int) -> None:
        await super().sleep(max(1, duration_ms // 50))


class Bridge:
    """Network a, network b, and the agent between."""

    def __init__(
        self,
        folder: Path,
        *,
        rules: dict[str, Rules] | None = None,
        capabilities: dict[str, Capabilities] | None = None,
        window: int = 20,
        connectors: dict[str, Connector] | None = None,
    ) -> None:
        self.folder = folder
        self.clock = HurriedClock()
        self.servers = {
            side: MemoryServer(self.clock, (rules or {}).get(side)) for side in "ab"
        }
        for server in self.servers.values():
            server.chat(CHAT, name="Tea")
        self.a, self.b = self.servers["a"], self.servers["b"]
        self.window = window
        self._capabilities = capabilities or {}
        self._connectors = connectors or {}
        self.storage = SqliteStorage.open(folder / "sabir.db")
        self.agent = self.new_agent()
        self.portals: list[PortalRecord] = []

    def connector(self, side: str) -> Connector:
        if side in self._connectors:
            return self._connectors[side]
        return MemoryConnector(
            self.servers[side],
            "bridge",
            capabilities=self._capabilities.get(side, RICH),
            send_window=self.window,
            answer_timeout_ms=50,
        )

    def new_agent(self) -> Agent:
        return Agent(
            self.storage,
            [
                AccountConnector(
                    id=side, network=f"memory-{side}", connector=self.connector(side)
                )
                for side in "ab"
            ],
            spool_folder=self.folder / "media",
            owner="test",
            clock=self.clock,
            rng=SeededRng(7),
        )

    async def link(self) -> None:
        addresses = [ChatAddress(account=side, chat=CHAT) for side in "ab"]
        _, portals = await self.agent.link(addresses)
        self.portals = list(portals)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.agent.run())
            try:
                await self.agent.started.wait()
                yield self.agent
            finally:
                task.cancel()

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until something holds; return it."""
        async with asyncio.timeout(PATIENCE_S):
            while not (value := condition()):
                await asyncio.sleep(0.002)
            return value

    def sent(self, side: str) -> list[dict[str, Any]]:
        """Return what the agent sent to a side, as JSON."""
        return [json.loads(each.payload) for each in self.servers[side].sent(CHAT)]

    async def until_sent(self, side: str, count: int) -> list[dict[str, Any]]:
        await self.until(lambda: len(self.sent(side)) >= count)
        return self.sent(side)

    async def at_rest(self) -> None:
        """Wait until nothing is on its way."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                counts = await self.storage.counts()
                if not any(c.waiting_in or c.waiting_out for c in counts):
                    return
                await asyncio.sleep(0.002)


@asynccontextmanager
async def bridged(folder: Path, **options: Any) -> AsyncIterator[Bridge]:
    """Run an agent with the two chats linked."""
    bridge = Bridge(folder, **options)
    try:
        async with bridge.running():
            await bridge.link()
            yield bridge
    finally:
        bridge.storage.close()
