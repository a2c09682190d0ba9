"""The contract of connectors, kept against Signal's mock server and libsignal."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from sabir.networks.api import ChatId, Connector, PersonId
from sabir.networks.login import ShowCode
from sabir.networks.signal.config import SignalConfig
from sabir.networks.signal.connector import SignalAccount
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.login import ANOTHER, SignalLogin
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.signal_lab import SignalLab, available

pytestmark = [
    pytest.mark.interop,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(available() is not None, reason=available() or ""),
]
_numbers = count(1)
_REASONS = {
    Ability.DROP_ANSWER: "libsignal's device does not lose answers on request",
    Ability.DROP_SEND: "libsignal's device does not lose requests on request",
    Ability.SLOW_CHAT: "libsignal's device is slow for all chats or for none",
    Ability.REDELIVER: "what was acknowledged is not delivered again",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SignalLab]:
    async with SignalLab(tmp_path_factory.mktemp("signal")) as running:
        yield running


class LabWorld:
    """A friend's phone, alone and in a group, and our owner's linked device."""

    can = frozenset(set(Ability) - set(_REASONS))
    cannot: Mapping[Ability, str] = _REASONS

    def __init__(self, lab: SignalLab) -> None:
        self._lab = lab
        number = next(_numbers)
        self._owner, self.person = f"kalice{number}", f"kbob{number}"
        self.chat = self.other_chat = ChatId("")
        self._people: dict[str, Any] = {}
        self._heard: list[dict[str, Any]] = []

    async def prepare(self) -> None:
        self._people[self.person] = await self._lab.phone("person", name=self.person)
        self._people[self._owner] = await self._lab.phone(
            "person", name=self._owner, contacts=[self.person]
        )
        flow = SignalLogin()
        await flow.begin()
        step = await flow.answer({"endpoint": f"tcp:{LOOPBACK}:{self._lab.port}"})
        if not isinstance(step, ShowCode):
            step = await flow.answer({"account": ANOTHER})
        assert isinstance(step, ShowCode)
        await self._lab.phone("scan", name=self._owner, uri=step.data)
        await flow.answer({})
        await flow.close()
        members = [self._owner, self.person]
        group = await self._lab.phone(
            "group",
            id=self._owner,
            owner=self.person,
            title="Tea",
            members=members,
        )
        self.chat = ChatId(f"dm:{self._people[self.person]['aci']}")
        self.other_chat = ChatId(f"group:{group['groupId']}")
        # The lab's device knows a group once it has handed on a message of it.
        await self._send(self.other_chat, text="welcome")
        await self._lab.swallow("welcome", self._people[self._owner]["number"])

    def config(self) -> SignalConfig:
        owner = self._people[self._owner]
        where = Endpoint(host=LOOPBACK, port=self._lab.port)
        return SignalConfig(
            endpoint=where, number=owner["number"], aci=PersonId(owner["aci"])
        )

    async def _send(self, chat: ChatId, **params: Any) -> None:
        group = {"group": self._owner} if chat == self.other_chat else {}
        where = {"from": self.person, "to": self._owner}
        await self._lab.phone("send", **where, **group, **params)

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        await self._send(chat, text=text)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        while True:
            got = await self._lab.phone("next", name=self.person, timeout=100)
            if "nothing" in got:
                break
            self._heard.append(got["dataMessage"])
        in_group = chat == self.other_chat
        return [
            ("", each["body"])
            for each in self._heard
            if (each.get("groupV2") is not None) == in_group
        ]

    async def redeliver(self) -> None:
        raise NotImplementedError

    async def go_dark(self) -> None:
        self._lab.kill_daemon()

    async def come_back(self) -> None:
        await self._lab.restart_daemon()

    async def drop_answer(self) -> None:
        raise NotImplementedError

    async def drop_send(self) -> None:
        raise NotImplementedError

    async def slow(self, chat: ChatId) -> None:
        raise NotImplementedError

    def refused_text(self) -> str:
        return "x" * 70_000

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        file = {
            "contentType": "application/octet-stream",
            "fileName": "f.bin",
            "data": base64.b64encode(data).decode(),
        }
        await self._send(chat, attachments=[file])

    async def close(self) -> None:
        """The lab is ended by its fixture."""


class TestLinkedDevice(ConnectorContract):
    """Real cryptography on both ends."""

    patience_s = 20.0

    @pytest.fixture(autouse=True)
    def _lab(self, lab: SignalLab) -> None:
        self._running = lab

    async def make_world(self) -> World:
        world = LabWorld(self._running)
        await world.prepare()
        return world

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, LabWorld)
        return SignalAccount(world.config(), clock=host.clock)
