"""The contract of connectors, kept by the Mac: by socket, webhook and timer.

The counterpart is our own transcription of BlueBubbles (`sabir.testing.imessage`).
"""

import socket
from collections.abc import Mapping, Sequence

import pytest

from sabir.crypto.secrets import Secret
from sabir.networks.api import ChatId, Connector
from sabir.networks.imessage.config import (
    POLLING,
    SOCKET,
    WEBHOOK,
    MacConfig,
    WebhookConfig,
)
from sabir.networks.imessage.connector import Mac
from sabir.networks.imessage.timing import Timing
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.imessage.mac import FakeMac

pytestmark = [pytest.mark.timeout(400)]

DIRECT = ChatId("iMessage;-;+15550001111")
GROUP = ChatId("iMessage;+;chat123456")
IMPATIENT = Timing(look_ms=100, pace_ms=5, text_doubt_ms=0, file_doubt_ms=0)


class MacWorld:
    """A direct chat and a group on a Mac, and a person in both."""

    cannot: Mapping[Ability, str] = {
        Ability.IDEMPOTENT: "nothing on this network is idempotent (tempGuid is not)",
    }
    can = frozenset(set(Ability) - set(cannot))
    chat = DIRECT
    other_chat = GROUP
    person = "Ann"

    def __init__(self, mac: FakeMac) -> None:
        self.mac = mac
        ann = mac.store.add_handle("+15550001111")
        bob = mac.store.add_handle("bob@example.test")
        mac.store.add_chat(DIRECT, "", [ann])
        mac.store.add_chat(GROUP, "Family", [ann, bob])

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        self.mac.incoming(chat, text)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        return [
            ("", str(self.mac.store.message(send["guid"])["text"]))
            for send in self.mac.sends
            if send["chatGuid"] == chat
        ]

    async def redeliver(self) -> None:
        self.mac.announce_again()

    async def go_dark(self) -> None:
        await self.mac.stop()

    async def come_back(self) -> None:
        await self.mac.start()

    async def drop_answer(self) -> None:
        self.mac.drop_answers = 1

    async def drop_send(self) -> None:
        self.mac.drop_sends = 1

    async def slow(self, chat: ChatId) -> None:
        self.mac.slow_chats.add(chat)

    def refused_text(self) -> str:
        return "x" * 20_001

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        guid = self.mac.incoming(chat, "\ufffc")
        self.mac.store.add_file(guid, "f.bin", "application/octet-stream", data)

    async def close(self) -> None:
        await self.mac.stop()
        assert not self.mac.problems, self.mac.problems


class MacContract(ConnectorContract):
    receive = SOCKET
    helper = True

    async def make_world(self) -> World:
        mac = FakeMac()
        mac.helper = self.helper
        world = MacWorld(mac)
        await mac.start()
        return world

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, MacWorld)
        return Mac(self.config(world.mac), timing=IMPATIENT)

    def config(self, mac: FakeMac) -> MacConfig:
        password = Secret.from_text(mac.password)
        return MacConfig(url=mac.url, password=password, receive=self.receive)


class TestSocket(MacContract):
    """With the helper, events by Socket.IO."""


class TestPollingWithoutHelper(MacContract):
    """By AppleScript, and without any event."""

    receive = POLLING
    helper = False


class TestWebhook(MacContract):
    receive = WEBHOOK

    async def make_world(self) -> World:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        return await super().make_world()

    def config(self, mac: FakeMac) -> MacConfig:
        hook = WebhookConfig(
            url=f"http://127.0.0.1:{self.port}",
            listen_host="127.0.0.1",
            listen_port=self.port,
            secret=Secret.from_text("a-secret-of-the-contract-of-32-characters"),
        )
        return MacConfig(
            url=mac.url,
            password=Secret.from_text(mac.password),
            receive=self.receive,
            webhook=hook,
        )
