"""An account on our fake daemon, with Bob and a group."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sabir.content.pieces import Piece, TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.networks.api import (
    ChatId,
    ConnectionState,
    Corrected,
    IdempotencyKey,
    Incoming,
    Outcome,
    Outgoing,
    Posted,
    Speaker,
)
from sabir.networks.signal.config import SignalConfig
from sabir.networks.signal.connector import SignalAccount
from sabir.networks.signal.endpoint import Endpoint
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.signal_daemon import SignalDaemon
from tests.unit.networks.signal.events import BOB, CAROL, DM, GROUP, OWN

VECTORS = Path(__file__).parents[3] / "vectors" / "signal"
METHODS = json.loads((VECTORS / "signal-cli-methods.json").read_text())
NUMBER = "+12025550101"
GROUP_CHAT = ChatId(f"group:{GROUP}")
ADA = Speaker(uri="sabir:ada", name="Ada", network="matrix")
_numbers = count(1)


class Octets:
    """A file to send."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data, self.size, self.sha256 = data, size or len(data), b""

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 65_536):
            yield self.data[start : start + 65_536]


def new_daemon(*, keeps: bool = False) -> SignalDaemon:
    daemon = SignalDaemon(METHODS, number=NUMBER, aci=OWN, keeps=keeps)
    daemon.person(BOB, "Bob", "+12025550102")
    daemon.person(CAROL, "Carol", "+12025550103")
    daemon.group(GROUP, "Tea", [OWN, BOB])
    return daemon


class Bench:
    """The account under test, its daemon, and its host over all its lives."""

    def __init__(self, daemon: SignalDaemon, where: Endpoint | None = None) -> None:
        self.daemon = daemon
        self.where = where or Endpoint(host=LOOPBACK, port=daemon.port)
        self.host = RecordingHost(clock=LoopClock(), rng=SeededRng("signal"))
        self.host.portals += [DM, GROUP_CHAT]
        self.account = self.connector()

    def connector(self, **more: Any) -> SignalAccount:
        look_ms = more.pop("look_ms", 3_600_000)
        config = SignalConfig(endpoint=self.where, number=NUMBER, **more)
        return SignalAccount(config, clock=LoopClock(), look_ms=look_ms)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        self.host.states.clear()
        task = asyncio.get_running_loop().create_task(self.account.run(self.host))
        try:
            await self.host.until(lambda: task.done() or self.is_connected)
            if task.done():
                await task
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def is_connected(self) -> bool:
        return ConnectionState.CONNECTED in [state for state, _ in self.host.states]

    def outgoing(
        self, piece: Piece | str, chat: ChatId = DM, data: bytes | None = None
    ) -> Outgoing:
        if isinstance(piece, str):
            piece = TextPiece(text=Rich.plain(piece))
        return Outgoing(
            chat=chat,
            key=IdempotencyKey(f"{next(_numbers):a>32}"),
            speaker=ADA,
            piece=piece,
            sent_at=LoopClock().now(),
            media=None if data is None else Octets(data),
        )

    async def send(
        self, piece: Piece | str, chat: ChatId = DM, data: bytes | None = None
    ) -> Outcome:
        return await self.again(self.outgoing(piece, chat, data))

    async def again(self, outgoing: Outgoing) -> Outcome:
        (outcome,) = [each async for each in self.account.send([outgoing])]
        return outcome

    def taken(self, chat: ChatId | None = None) -> list[Incoming]:
        decoded = [
            self.account.decode(event)
            for event in self.host.events
            if chat in (None, event.chat)
        ]
        return [each for each in decoded if each is not None]

    def texts(self, chat: ChatId | None = None) -> list[str]:
        return [
            to_plain(each.action.text)
            for each in self.taken(chat)
            if isinstance(each.action, Posted | Corrected) and each.action.text
        ]

    def phrases(self, chat: ChatId | None = None) -> list[str]:
        return [phrase for each in self.taken(chat) for phrase in each.lost]


@asynccontextmanager
async def bench(*, keeps: bool = False) -> AsyncIterator[Bench]:
    daemon = new_daemon(keeps=keeps)
    await daemon.start()
    try:
        yield Bench(daemon)
    finally:
        await daemon.stop()
        assert daemon.violations == []
