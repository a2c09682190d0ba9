"""The contract of connectors, kept by the Telegram bot: by polling and by webhook.

Two counterparts: a Telegram of our own, and crabline's behind a gate. Every request
is checked against the Bot API's description.
"""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count

import pytest
import pytest_asyncio

from sabir.crypto.secrets import Secret
from sabir.networks.api import ChatId, Connector
from sabir.networks.telegram import names, webhook
from sabir.networks.telegram.config import BotConfig, WebhookConfig
from sabir.networks.telegram.connector import TelegramBot
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.pytest_plugin import need
from sabir.testing.servers.telegram import CrablineTelegram
from sabir.testing.telegram.fake import FakeTelegram, user
from sabir.testing.telegram.gate import CrablineGate
from sabir.testing.telegram.shell import BotApiServer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

_IDEMPOTENT = "the Bot API has no idempotency key: what is in doubt is reported"
_SILENT = "an acknowledged update never comes again to getUpdates"
_groups = count(1_000)


class ShellWorld:
    """What every world of the Bot API can do to its connections."""

    can: frozenset[Ability]
    cannot: Mapping[Ability, str]
    person = "Ann"

    def __init__(self, server: BotApiServer) -> None:
        self._server = server
        self.number = -(10**12) - next(_groups)
        self.other_number = -(10**12) - next(_groups)
        self.chat = names.chat_id(self.number)
        self.other_chat = names.chat_id(self.other_number)

    async def go_dark(self) -> None:
        await self._server.stop()

    async def come_back(self) -> None:
        await self._server.start()

    async def drop_answer(self) -> None:
        self._server.drop_answers = 1

    async def drop_send(self) -> None:
        self._server.drop_sends = 1

    async def slow(self, chat: ChatId) -> None:
        self._server.slow_chats.add(names.place(chat).number)

    def refused_text(self) -> str:
        return "x" * 4_097

    async def close(self) -> None:
        await self._server.stop()
        assert not self._server.problems, self._server.problems


class FakeWorld(ShellWorld):
    """Two groups of our own Telegram, and a person in them."""

    cannot: Mapping[Ability, str] = {
        Ability.IDEMPOTENT: _IDEMPOTENT,
        Ability.REDELIVER: _SILENT,
    }
    can = frozenset(set(Ability) - set(cannot))

    def __init__(self, server: FakeTelegram) -> None:
        super().__init__(server)
        self.server = server
        server.add_chat(self.number, "Tea")
        server.add_chat(self.other_number, "Coffee")

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        self.server.says(names.place(chat).number, user(7, who), text)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        posts = self.server.sent(names.place(chat).number)
        return [("Sabir", message["text"]) for message in posts]

    async def redeliver(self) -> None:
        self.server.updates.redeliver()

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        self.server.shows(names.place(chat).number, user(7, who), "document", data)


class HookedWorld(FakeWorld):
    """Calls the webhook, and can call it again."""

    cannot: Mapping[Ability, str] = {Ability.IDEMPOTENT: _IDEMPOTENT}
    can = frozenset(set(Ability) - set(cannot))


class CrablineWorld(ShellWorld):
    """Two groups of crabline's."""

    cannot: Mapping[Ability, str] = {
        Ability.IDEMPOTENT: _IDEMPOTENT,
        Ability.REDELIVER: _SILENT,
        Ability.SEND_FILE: "crabline delivers texts only",
    }
    can = frozenset(set(Ability) - set(cannot))

    def __init__(self, crabline: CrablineTelegram) -> None:
        self._crabline = crabline
        self._titles: dict[int, str] = {}
        gate = CrablineGate(crabline.base_url, crabline.token, self._titles)
        super().__init__(gate)
        self._titles |= {self.number: "Tea", self.other_number: "Coffee"}

    @property
    def server(self) -> BotApiServer:
        return self._server

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        number = names.place(chat).number
        await self._crabline.says(number, 7, text, fromName=who)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        texts = self._crabline.sent(names.place(chat).number)
        return [("Crabline", text) for text in texts]

    async def redeliver(self) -> None:
        raise NotImplementedError

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        raise NotImplementedError


class TestPolling(ConnectorContract):
    async def make_world(self) -> World:
        server = FakeTelegram()
        await server.start()
        return FakeWorld(server)

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, FakeWorld)
        token = Secret.from_text(world.server.token)
        return TelegramBot(BotConfig(api_url=world.server.url, token=token))


class TestWebhook(ConnectorContract):
    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook, "CHECK_MS", 200)

    async def make_world(self) -> World:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        server = FakeTelegram()
        await server.start()
        return HookedWorld(server)

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, HookedWorld)
        hook = WebhookConfig(
            url=f"http://127.0.0.1:{self.port}/telegram",
            listen_host="127.0.0.1",
            listen_port=self.port,
            secret=Secret.from_text("a-secret-of-the-contract"),
        )
        token = Secret.from_text(world.server.token)
        config = BotConfig(api_url=world.server.url, token=token, webhook=hook)
        return TelegramBot(config)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crabline(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[CrablineTelegram]:
    need("crabline")
    async with CrablineTelegram(tmp_path_factory.mktemp("crabline")) as server:
        yield server


class TestCrabline(ConnectorContract):
    @pytest.fixture(autouse=True)
    def _server(self, crabline: CrablineTelegram) -> None:
        self.crabline = crabline

    async def make_world(self) -> World:
        world = CrablineWorld(self.crabline)
        await world.server.start()
        return world

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, CrablineWorld)
        token = Secret.from_text(world.server.token)
        return TelegramBot(BotConfig(api_url=world.server.url, token=token))
