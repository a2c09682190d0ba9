"""What a rule works with: a world, a host that survives, and connectors' lives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from sabir.content.pieces import TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.networks.api import (
    ChatId,
    ConnectionState,
    Connector,
    IdempotencyKey,
    NativeEvent,
    Outcome,
    Outgoing,
    Posted,
    Speaker,
)
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.world import World

CHUNK_OCTETS_MAX: Final = 64 * 1024

LOOK_S: Final = 0.005
"""How often a condition is looked at."""
ADA: Final = Speaker(uri="sabir:contract/ada", name="Ada", network="matrix")
BOB: Final = Speaker(uri="sabir:contract/bob", name="Bob", network="xmpp")

_KEY_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_numbers = count(1)


def word(name: str) -> str:
    """Return a text that no other test of this process uses."""
    return f"{name} {next(_numbers)}"


class Run:
    """One life of a connector: its task."""

    def __init__(self, task: asyncio.Task[None], patience_s: float) -> None:
        self._task = task
        self._patience_s = patience_s
        self._end_is_expected = False

    @property
    def ended(self) -> bool:
        """Whether `Connector.run` returned or raised."""
        return self._task.done()

    async def end(self) -> BaseException | None:
        """Wait until `run` ends by itself; return what it raised."""
        self._end_is_expected = True
        await asyncio.wait([self._task], timeout=self._patience_s)
        assert self._task.done(), f"run did not end within {self._patience_s} s"
        return self._task.exception()

    def may_end(self) -> None:
        """Let `run` end by itself without that being a failure."""
        self._end_is_expected = True

    async def stop(self) -> None:
        """Cancel `run` and wait for it, as the agent does at its end."""
        by_itself = self._task.done()
        self._task.cancel()
        await asyncio.wait([self._task], timeout=self._patience_s)
        assert self._task.done(), "K18: run does not end when it is cancelled"
        if by_itself and not self._end_is_expected:
            raise AssertionError("run ended by itself") from self._task.exception()
        if not self._task.cancelled():
            self._task.exception()


class Scene:
    """A world, a host that survives restarts, and connectors made one by one."""

    def __init__(
        self,
        world: World,
        make_connector: Callable[[World, ContractHost], Connector],
        patience_s: float,
    ) -> None:
        self.world = world
        self.host = ContractHost()
        self.host.portals = [world.chat, world.other_chat]
        self._make_connector = make_connector
        self._patience_s = patience_s

    def connector(self) -> Connector:
        """Return a new connector, as a new process would make it."""
        return self._make_connector(self.world, self.host)

    def start(self, connector: Connector) -> Run:
        """Start `run`."""
        self.host.states.clear()
        task = asyncio.get_running_loop().create_task(connector.run(self.host))
        return Run(task, self._patience_s)

    @asynccontextmanager
    async def living(self, connector: Connector) -> AsyncIterator[Run]:
        """Run a connector, connected and with both chats open, then cancel it."""
        run = self.start(connector)
        try:
            await self.connected(run)
            for chat in self.host.portals:
                await connector.open_chat(chat)
            yield run
        except BaseException:
            run.may_end()
            raise
        finally:
            await run.stop()

    async def connected(self, run: Run) -> None:
        """Wait for the state `connected`."""
        await self.until(
            lambda: self.host.state is ConnectionState.CONNECTED or run.ended,
            "the connector reports that it is connected",
        )
        if run.ended:
            raise AssertionError("run ended before connecting") from await run.end()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something."""
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while not holds():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not so within {self._patience_s} s: {what}")
            await asyncio.sleep(LOOK_S)

    async def says(self, text: str, chat: ChatId | None = None) -> str:
        """Let the person of the world say something."""
        await self.world.says(chat or self.world.chat, self.world.person, text)
        return text

    def taken(self, connector: Connector, chat: ChatId | None = None) -> list[str]:
        """Return the texts that the host stored from one chat, in order."""
        events = [e for e in self.host.events if e.chat == (chat or self.world.chat)]
        return texts(connector, events)

    async def takes(
        self, connector: Connector, text: str, chat: ChatId | None = None
    ) -> None:
        """Wait until the host has stored a message of this text."""
        await self.until(
            lambda: text in self.taken(connector, chat), f"'{text}' is taken"
        )

    async def arrives(self, text: str, chat: ChatId | None = None) -> None:
        """Wait until people of the network have got a message of this text."""
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while text not in await self.texts_sent(chat):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"'{text}' never arrived on the network")
            await asyncio.sleep(LOOK_S)

    async def texts_sent(self, chat: ChatId | None = None) -> list[str]:
        """Return what people of the network got from us, in order."""
        return [text for _, text in await self.world.sent(chat or self.world.chat)]

    def piece(
        self, text: str, chat: ChatId | None = None, speaker: Speaker = ADA
    ) -> Outgoing:
        """Return a text to send, with a key of its own."""
        octets = self.host.rng(32)
        return Outgoing(
            chat=chat or self.world.chat,
            key=IdempotencyKey("".join(_KEY_LETTERS[o & 31] for o in octets)),
            speaker=speaker,
            piece=TextPiece(text=Rich.plain(text)),
            sent_at=self.host.clock.now(),
        )

    async def send(self, connector: Connector, *pieces: Outgoing) -> list[Outcome]:
        """Send pieces of one chat in batches as large as the connector wants."""
        outcomes: list[Outcome] = []
        async with asyncio.timeout(self._patience_s):
            for start in range(0, len(pieces), connector.send_window):
                batch = pieces[start : start + connector.send_window]
                outcomes += [outcome async for outcome in connector.send(batch)]
        return outcomes


def texts(connector: Connector, events: Sequence[NativeEvent]) -> list[str]:
    """Return the texts of the messages among these events."""
    incomings = [connector.decode(event) for event in events]
    return [
        to_plain(incoming.action.text)
        for incoming in incomings
        if incoming is not None
        and isinstance(incoming.action, Posted)
        and incoming.action.text is not None
    ]


def identity(event: NativeEvent) -> tuple[str, str, str]:
    """Return what makes an event the same event (I2)."""
    return event.chat, event.native_id, event.revision


def text_of(piece: Outgoing) -> str:
    """Return the text of one of `Scene.piece`."""
    assert isinstance(piece.piece, TextPiece)
    return to_plain(piece.piece.text)
