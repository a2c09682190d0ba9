"""The contract of connectors, kept by both kinds of Matrix account."""

import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count

import aiohttp
import pytest

from sabir.crypto.secrets import Secret
from sabir.networks.api import ChatId, Connector
from sabir.networks.matrix import appservice
from sabir.networks.matrix.account import PlainAccount
from sabir.networks.matrix.appservice import AppService
from sabir.networks.matrix.client import Client, http_session
from sabir.networks.matrix.config import AccountConfig, AppServiceConfig
from sabir.networks.matrix.registration import new_token, registration
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.rng import SeededRng
from sabir.testing.servers.synapse import Synapse

pytest_plugins = ("sabir.testing.pytest_plugin",)
pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

_numbers = count(1)
_REASONS = {
    Ability.DROP_ANSWER: "a real homeserver does not lose answers on request",
    Ability.DROP_SEND: "a real homeserver does not lose requests on request",
    Ability.SLOW_CHAT: "a real homeserver is slow for all rooms or for none",
    Ability.REDELIVER: "a homeserver gives no event twice to /sync",
}


class MatrixWorld:
    """Two rooms, and a person who is in them with a client of their own."""

    can = frozenset(set(Ability) - set(_REASONS))
    cannot: Mapping[Ability, str] = _REASONS

    def __init__(self, server: Synapse, ours: str) -> None:
        self._server = server
        self._ours = ours
        self._open = AsyncExitStack()
        self.person = f"contract-{next(_numbers)}"
        self.chat = self.other_chat = ChatId("")

    async def prepare(self) -> None:
        account = await self._server.add_user(self.person)
        session = await self._open.enter_async_context(http_session())
        token = Secret.from_text(account.access_token)
        self._client = Client(self._server.base_url, session, token=token)
        self.chat, self.other_chat = await self._room(), await self._room()

    async def _room(self) -> ChatId:
        path = "/_matrix/client/v3/createRoom"
        body = {"preset": "private_chat", "invite": [self._ours]}
        answer = await self._client.call("POST", path, body=body)
        return ChatId(answer["room_id"])

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        await self._send(chat, {"msgtype": "m.text", "body": text})

    async def _send(self, chat: ChatId, content: dict[str, str]) -> None:
        await self._client.send(
            chat,
            "m.room.message",
            txn=f"t{next(_numbers)}",
            content=content,
            voice=None,
        )

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        members = await self._client.joined_members(chat)
        page = await self._client.messages(chat, query={"dir": "b", "limit": 100})
        return [
            (members[event["sender"]]["display_name"], event["content"]["body"])
            for event in reversed(page["chunk"])
            if event["type"] == "m.room.message"
            and not event["sender"].startswith("@contract-")
        ]

    async def redeliver(self) -> None:
        raise NotImplementedError

    async def go_dark(self) -> None:
        await self._server.stop()

    async def come_back(self) -> None:
        await self._server.start()

    async def drop_answer(self) -> None:
        raise NotImplementedError

    async def drop_send(self) -> None:
        raise NotImplementedError

    async def slow(self, chat: ChatId) -> None:
        raise NotImplementedError

    def refused_text(self) -> str:
        return "x" * 70_000

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        async def octets() -> AsyncIterator[bytes]:
            yield data

        async with self._client.transfer(
            "POST",
            "/_matrix/media/v3/upload",
            data=octets(),
            headers={"Content-Length": str(len(data))},
            timeout=aiohttp.ClientTimeout(30),
        ) as answer:
            uri = (await answer.json())["content_uri"]
        await self._send(chat, {"msgtype": "m.file", "body": "f.bin", "url": uri})

    async def close(self) -> None:
        await self._open.aclose()


class ServiceWorld(MatrixWorld):
    """Can push once more what was pushed, as a homeserver would."""

    can = frozenset({*MatrixWorld.can, Ability.REDELIVER})
    cannot: Mapping[Ability, str] = {
        ability: reason
        for ability, reason in _REASONS.items()
        if ability is not Ability.REDELIVER
    }

    def __init__(self, server: Synapse, config: AppServiceConfig) -> None:
        super().__init__(server, config.bot_id)
        self._config = config

    async def redeliver(self) -> None:
        query: dict[str, str | int] = {"dir": "b", "limit": 1}
        [event] = (await self._client.messages(self.chat, query=query))["chunk"]
        port, txn = self._config.listen_port, f"again{next(_numbers)}"
        url = f"http://127.0.0.1:{port}/_matrix/app/v1/transactions/{txn}"
        token = self._config.hs_token.reveal_text()
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.put(url, json={"events": [event]}, headers=headers) as answer,
        ):
            assert answer.status == 200


class TestApplicationService(ConnectorContract):
    patience_s = 30.0
    _made: AppServiceConfig | None = None

    @pytest.fixture(autouse=True)
    async def _server(
        self, synapse: Synapse, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[None]:
        monkeypatch.setattr(appservice, "PING_IDLE_S", 1.0)
        cls = type(self)
        if cls._made is None:
            cls._made = await _installed(synapse)
        self.synapse, self.config = synapse, cls._made
        yield
        if synapse.pid is None:
            await synapse.start()

    async def make_world(self) -> World:
        world = ServiceWorld(self.synapse, self.config)
        await world.prepare()
        return world

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        return AppService(self.config, clock=host.clock)


async def _installed(synapse: Synapse) -> AppServiceConfig:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    rng = SeededRng("matrix contract")
    config = AppServiceConfig(
        homeserver_url=synapse.base_url,
        server_name=synapse.server_name,
        as_token=new_token(rng),
        hs_token=new_token(rng),
        appservice_id="contract",
        listen_port=port,
        prefix="ct_",
        bot="ct_bot",
    )
    url = f"http://127.0.0.1:{port}"
    synapse.add_registration(json.loads(registration(config, url=url)))
    await synapse.restart()
    return config


class TestPlainAccount(ConnectorContract):
    patience_s = 30.0

    @pytest.fixture(autouse=True)
    async def _server(self, synapse: Synapse) -> AsyncIterator[None]:
        self.synapse = synapse
        account = await synapse.add_user(f"relay-{next(_numbers)}")
        self.config = AccountConfig(
            homeserver_url=synapse.base_url,
            user_id=account.user_id,
            access_token=Secret.from_text(account.access_token),
        )
        yield
        if synapse.pid is None:
            await synapse.start()

    async def make_world(self) -> World:
        world = MatrixWorld(self.synapse, self.config.user_id)
        await world.prepare()
        return world

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        return PlainAccount(self.config, clock=host.clock)
