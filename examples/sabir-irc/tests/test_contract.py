"""The IRC connector keeps the contract of every connector."""

from collections.abc import Mapping, Sequence

import pytest
from sabir.crypto.secrets import Secret
from sabir.errors import (
    ConfigInvalid,
    CredentialsRefused,
    PeerIncompatible,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import AccountId, ChatId, Connector
from sabir.networks.login import Ask, Done
from sabir.networks.registry import check_account, network
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.scene import Scene
from sabir.testing.contract.world import Ability, World
from typing_extensions import override

from irc_server import OFFERED, IrcServer


class IrcWorld:
    """An IRC server of our own, with two channels."""

    chat = ChatId("#lounge")
    other_chat = ChatId("#garden")
    person = "Eve"
    cannot: Mapping[Ability, str] = {
        Ability.IDEMPOTENT: "IRC has no idempotency keys",
        Ability.SEND_FILE: "IRC has no files",
    }
    can = frozenset(set(Ability) - set(cannot))

    def __init__(self, server: IrcServer) -> None:
        self.server = server
        for name in (self.chat, self.other_chat):
            server.channel(name)

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        self.server.says(who, chat, text)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        log = self.server.channel(chat).log
        return [(line.nick, line.last) for line in log if line.nick == "sabir"]

    async def redeliver(self) -> None:
        self.server.redeliver(self.chat)

    async def go_dark(self) -> None:
        self.server.dark = True
        self.server.drop_all()

    async def come_back(self) -> None:
        self.server.dark = False

    async def drop_answer(self) -> None:
        self.server.lose_next_answer = True

    async def drop_send(self) -> None:
        self.server.lose_next_line = True

    async def slow(self, chat: ChatId) -> None:
        self.server.channel(chat).slow = True

    def refused_text(self) -> str:
        return "ü" * 200

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        await self.server.stop()


def connect(server: IrcServer, host: ContractHost, password: str = "") -> Connector:
    irc = network("irc")
    account = check_account(
        irc,
        id=AccountId("irc"),
        settings={
            "host": "127.0.0.1",
            "port": server.port,
            "tls": False,
            "nick": "sabir",
        },
        secrets={"password": Secret.from_text(password)} if password else {},
    )
    return irc.connector(account, clock=host.clock, rng=host.rng)


class TestIrc(ConnectorContract):
    """All rules that IRC can be made to show."""

    @override
    async def make_world(self) -> World:
        server = IrcServer()
        await server.start()
        return IrcWorld(server)

    @override
    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, IrcWorld)
        return connect(world.server, host)


@pytest.mark.parametrize(
    ("server", "error"),
    [
        (IrcServer(password="sesame"), CredentialsRefused),
        (IrcServer(offered=OFFERED - {"draft/chathistory"}), PeerIncompatible),
    ],
)
async def test_a_server_we_cannot_use_says_why(
    server: IrcServer, error: type[Exception]
) -> None:
    await server.start()
    host = ContractHost()
    with pytest.raises(error):
        await connect(server, host, "wrong").run(host)
    await server.stop()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    server = IrcServer()
    await server.start()
    await server.stop()
    host = ContractHost()
    with pytest.raises(Unavailable, match="check both ends"):
        await connect(server, host).run(host)


async def test_a_channel_that_is_closed_to_us_is_refused() -> None:
    server = IrcServer()
    await server.start()
    world = IrcWorld(server)
    server.channel("#secret").closed = True
    scene = Scene(world, lambda _, host: connect(server, host), 5.0)
    connector = scene.connector()
    async with scene.living(connector):
        with pytest.raises(PolicyRefused, match="may not join #secret"):
            await connector.open_chat(ChatId("#secret"))
    await world.close()


async def test_many_missed_lines_come_page_by_page() -> None:
    server = IrcServer()
    await server.start()
    world = IrcWorld(server)
    scene = Scene(world, lambda _, host: connect(server, host), 5.0)
    async with scene.living(scene.connector()):
        pass
    said = [await scene.says(f"line {number}") for number in range(250)]
    connector = scene.connector()
    async with scene.living(connector):
        await scene.takes(connector, said[-1])
    assert scene.taken(connector) == said
    await world.close()


async def test_the_login_asks_once_and_checks_the_form() -> None:
    login = network("irc").login(rng=bytes)
    assert isinstance(await login.begin(), Ask)
    with pytest.raises(ConfigInvalid, match="a port like 6697"):
        await login.answer({"host": "irc.example.org", "nick": "sabir", "port": "x"})
    done = await login.answer(
        {"host": "irc.example.org", "nick": "sabir", "password": "sesame"}
    )
    await login.close()
    assert isinstance(done, Done)
    assert done.settings["port"] == 6697
    assert done.secrets["password"].ct_equal(b"sesame")


def test_a_nick_with_spaces_is_refused() -> None:
    irc = network("irc")
    account = check_account(
        irc, id=AccountId("irc"), settings={"host": "h", "nick": "two words"}
    )
    host = ContractHost()
    with pytest.raises(ConfigInvalid, match="is no nick"):
        irc.connector(account, clock=host.clock, rng=host.rng)
