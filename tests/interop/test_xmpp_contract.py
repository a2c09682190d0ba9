"""The contract of connectors, kept by both kinds of XMPP account on a real Prosody.

Between connector and server is a line that can lose what a server loses itself only
when it crashes at the right moment.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import ClassVar
from xml.etree.ElementTree import Element, SubElement

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import PeerMisbehaved
from sabir.networks.api import Account, AccountId, ChatId, Connector
from sabir.networks.xmpp.envelope import DEPTH_MAX
from sabir.networks.xmpp.network import NETWORK
from sabir.testing.clients.stanza import NS_OOB, Arrived
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.scene import texts
from sabir.testing.contract.world import Ability, World
from sabir.testing.line import LOOPBACK, Line
from sabir.testing.servers.accounts import ComponentAccount, XmppAccount
from sabir.testing.servers.prosody import Prosody

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

_SECRET = "a secret of the contract"
_numbers = count(1)
_BOTH = {
    Ability.SLOW_CHAT: "a real server is slow for all chats of a stream or for none",
    Ability.IDEMPOTENT: "XMPP servers do not compare ids: what comes twice is twice",
}
_TLS = {Ability.REDELIVER: "a server gives no stanza twice, and TLS lets no line do it"}


class XmppWorld:
    """People with clients of their own, and a line on which our connector comes."""

    can = frozenset(set(Ability) - set(_BOTH))
    cannot: Mapping[Ability, str] = _BOTH

    def __init__(self, server: Prosody, line_to: str, ours: str) -> None:
        self._server = server
        self._ours = ours
        self._open = AsyncExitStack()
        self._made: list[XmppClient] = []
        self.line = Line(server.ports[line_to])
        self.person = "Contract"
        self.chat = self.other_chat = ChatId("")

    async def prepare(self) -> None:
        await self._open.enter_async_context(self.line)
        await self._enter()

    async def _enter(self) -> None:
        """Make both chats."""
        raise NotImplementedError

    async def _client(self) -> XmppClient:
        login = await self._server.add_user(f"contract-{next(_numbers)}")
        made = XmppClient(login)
        self._made.append(made)
        return await self._open.enter_async_context(made)

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        body = Element("{jabber:client}body")
        body.text = text
        await self.sends_stanza(chat, body)

    async def sends_stanza(self, chat: ChatId, *payloads: Element) -> None:
        raise NotImplementedError

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        raise NotImplementedError

    async def redeliver(self) -> None:
        self.line.repeat()

    async def go_dark(self) -> None:
        await self._server.stop()

    async def come_back(self) -> None:
        await self._server.start()
        for client in self._made:
            await client.online.wait()

    async def drop_answer(self) -> None:
        self.line.mute_next()

    async def drop_send(self) -> None:
        self.line.lose_next()

    async def slow(self, chat: ChatId) -> None:
        raise NotImplementedError

    def refused_text(self) -> str:
        return "x" * 200_000

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        kind = "application/octet-stream"
        url = await self._made[0].upload(data, "f.bin", kind)
        body = Element("{jabber:client}body")
        body.text = url
        oob = Element(f"{{{NS_OOB}}}x")
        SubElement(oob, f"{{{NS_OOB}}}url").text = url
        await self.sends_stanza(chat, body, oob)

    async def close(self) -> None:
        await self._open.aclose()


class Rooms(XmppWorld):
    """Two rooms, and one person in both."""

    async def _enter(self) -> None:
        client = await self._client()
        self.chat, self.other_chat = (
            ChatId(f"contract-{next(_numbers)}@{self._server.muc}") for _ in range(2)
        )
        for room in (self.chat, self.other_chat):
            await client.join(room, self.person)

    async def sends_stanza(self, chat: ChatId, *payloads: Element) -> None:
        await self._made[0].send(chat, *payloads)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        return [
            (one.nick, one.body)
            for one in await self._made[0].archive(chat)
            if one.nick != self.person and one.body is not None
        ]


class RoomsBehindTls(Rooms):
    """Two rooms as an account meets them."""

    can = Rooms.can - set(_TLS)
    cannot: Mapping[Ability, str] = {**_BOTH, **_TLS}


class DirectChats(XmppWorld):
    """Two people who each talk with us alone."""

    can = XmppWorld.can - set(_TLS)
    cannot: Mapping[Ability, str] = {**_BOTH, **_TLS}

    async def _enter(self) -> None:
        for _ in range(2):
            await self._client()
        self.chat, self.other_chat = (ChatId(client.jid) for client in self._made)

    def _of(self, chat: ChatId) -> XmppClient:
        return next(client for client in self._made if client.jid == chat)

    async def sends_stanza(self, chat: ChatId, *payloads: Element) -> None:
        self._of(chat).post(self._ours, *payloads)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        def from_us(one: Arrived) -> bool:
            return one.sender.partition("/")[0] == self._ours

        archived = await self._of(chat).archive(chat)
        return [("", one.body) for one in archived if from_us(one) and one.body]


class XmppContract(ConnectorContract):
    """What both kinds of account need; pytest runs the classes below."""

    patience_s = 30.0
    server: Prosody

    async def _begun(self, world: XmppWorld) -> World:
        try:
            await world.prepare()
        except BaseException:
            await world.close()
            raise
        return world

    async def test_a_deep_stanza_ends_no_run_and_is_the_peers_fault(self) -> None:
        async with self.scene() as scene:
            connector, world = scene.connector(), scene.world
            assert isinstance(world, XmppWorld)
            body = inside = Element("{jabber:client}body")
            for _ in range(2 * DEPTH_MAX):
                inside = SubElement(inside, "{urn:example:deep}a")
            async with scene.living(connector):
                await world.sends_stanza(world.chat, body)
                await scene.until(lambda: len(scene.host.events) == 1, "it is stored")
                with pytest.raises(PeerMisbehaved, match="XMPP-005"):
                    connector.decode(scene.host.events[0])
                await world.says(world.chat, world.person, "after")
                await scene.until(lambda: len(scene.host.events) == 2, "the next one")
            assert texts(connector, scene.host.events[1:]) == ["after"]


def _connector(
    host: ContractHost, secrets: Mapping[str, Secret], settings: Mapping[str, str | int]
) -> Connector:
    made = Account(
        id=AccountId("contract"),
        network="xmpp",
        settings={
            "host": LOOPBACK,
            "nick": "Relay",
            "allow_private_media_hosts": True,
            **settings,
        },
        secrets=secrets,
    )
    return NETWORK.connector(made, clock=host.clock, rng=host.rng)


class TestComponent(XmppContract):
    """Ghosts in rooms."""

    _login: ClassVar[ComponentAccount | None] = None

    @pytest.fixture(autouse=True)
    async def _server(self, prosody: Prosody) -> AsyncIterator[None]:
        self.server = prosody
        if TestComponent._login is None:
            TestComponent._login = prosody.add_component("contract", _SECRET)
            await prosody.restart()
        yield
        if prosody.pid is None:
            await prosody.start()

    async def make_world(self) -> World:
        assert self._login is not None
        return await self._begun(Rooms(self.server, "component", self._login.jid))

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, XmppWorld)
        assert self._login is not None
        return _connector(
            host,
            {"secret": Secret.from_text(self._login.secret)},
            {
                "kind": "component",
                "domain": self._login.jid,
                "port": world.line.port,
            },
        )


class TestAccountInRooms(XmppContract):
    """One seat for everybody."""

    login: XmppAccount
    world: ClassVar[type[XmppWorld]] = RoomsBehindTls

    @pytest.fixture(autouse=True)
    async def _server(self, prosody: Prosody) -> AsyncIterator[None]:
        self.server = prosody
        self.login = await prosody.add_user(f"relay-{next(_numbers)}")
        yield
        if prosody.pid is None:
            await prosody.start()

    async def make_world(self) -> World:
        return await self._begun(self.world(self.server, "c2s", self.login.jid))

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, XmppWorld)
        return _connector(
            host,
            {"password": Secret.from_text(self.login.password)},
            {
                "kind": "account",
                "jid": self.login.jid,
                "ca_file": str(self.login.ca_file),
                "port": world.line.port,
            },
        )


class TestAccountAlone(TestAccountInRooms):
    """Direct chats, read from the account's own archive."""

    world = DirectChats
