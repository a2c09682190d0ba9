"""The ntfy connector keeps the contract of every connector."""

from collections.abc import Mapping, Sequence

import pytest
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, PolicyRefused, Unavailable
from sabir.networks.api import AccountId, ChatId, Connector
from sabir.networks.login import Ask, Done
from sabir.networks.registry import check_account, network
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.scene import Scene
from sabir.testing.contract.world import Ability, World
from typing_extensions import override

from ntfy_server import NtfyServer


class NtfyWorld:
    """An ntfy server of our own, with two topics."""

    chat = ChatId("lounge")
    other_chat = ChatId("garden")
    person = "Eve"
    cannot: Mapping[Ability, str] = {
        Ability.IDEMPOTENT: "ntfy has no idempotency keys",
        Ability.SEND_FILE: "this connector leaves files behind",
    }
    can = frozenset(set(Ability) - set(cannot))

    def __init__(self, server: NtfyServer) -> None:
        self.server = server

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        self.server.put(chat, text, title=who)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        return [
            ("sabir", each["message"])
            for each in self.server.log
            if each["topic"] == chat and "tags" in each
        ]

    async def redeliver(self) -> None:
        self.server.push(
            next(m for m in reversed(self.server.log) if m["topic"] == self.chat)
        )

    async def go_dark(self) -> None:
        self.server.dark = True
        self.server.drop_all()

    async def come_back(self) -> None:
        self.server.dark = False

    async def drop_answer(self) -> None:
        self.server.lose_next_answer = True

    async def drop_send(self) -> None:
        self.server.lose_next_send = True

    async def slow(self, chat: ChatId) -> None:
        self.server.slow_topic = chat

    def refused_text(self) -> str:
        return "ü" * 3_000

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        await self.server.stop()


def connect(server: NtfyServer, host: ContractHost, token: str = "") -> Connector:
    ntfy = network("ntfy")
    account = check_account(
        ntfy,
        id=AccountId("ntfy"),
        settings={"url": f"http://127.0.0.1:{server.port}"},
        secrets={"token": Secret.from_text(token)} if token else {},
    )
    return ntfy.connector(account, clock=host.clock, rng=host.rng)


class TestNtfy(ConnectorContract):
    """All rules that ntfy can be made to show."""

    @override
    async def make_world(self) -> World:
        server = NtfyServer()
        await server.start()
        return NtfyWorld(server)

    @override
    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, NtfyWorld)
        return connect(world.server, host)


async def test_a_wrong_token_is_said_so() -> None:
    server = NtfyServer(token="sesame")
    await server.start()
    host = ContractHost()
    with pytest.raises(CredentialsRefused, match="make a new token"):
        await connect(server, host, "wrong").run(host)
    await server.stop()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    server = NtfyServer()
    await server.start()
    await server.stop()
    host = ContractHost()
    with pytest.raises(Unavailable, match="does not answer"):
        await connect(server, host).run(host)


async def test_a_name_that_is_no_topic_is_refused() -> None:
    server = NtfyServer()
    await server.start()
    world = NtfyWorld(server)
    scene = Scene(world, lambda _, host: connect(server, host), 5.0)
    connector = scene.connector()
    async with scene.living(connector):
        with pytest.raises(PolicyRefused, match="is no topic"):
            await connector.open_chat(ChatId("a/b"))
    await world.close()


async def test_the_login_asks_once_and_checks_the_form() -> None:
    login = network("ntfy").login(rng=bytes)
    assert isinstance(await login.begin(), Ask)
    with pytest.raises(ConfigInvalid, match="no address like"):
        await login.answer({"url": "ntfy"})
    done = await login.answer({"url": "https://ntfy.example.org", "token": "t"})
    await login.close()
    assert isinstance(done, Done)
    assert done.secrets["token"].ct_equal(b"t")


def test_an_address_without_scheme_is_refused() -> None:
    ntfy = network("ntfy")
    account = check_account(ntfy, id=AccountId("ntfy"), settings={"url": "host"})
    host = ContractHost()
    with pytest.raises(ConfigInvalid, match="no address"):
        ntfy.connector(account, clock=host.clock, rng=host.rng)
