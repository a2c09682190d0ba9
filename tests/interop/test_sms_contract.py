"""The contract kit against an SMSC that others wrote (npm `smpp`)."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

import pytest

from sabir.crypto.secrets import Secret
from sabir.networks.api import Account, AccountId, ChatId, Connector
from sabir.networks.sms.network import NETWORK
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.servers.smpp import PASSWORD, SYSTEM_ID, Smsc

pytestmark = pytest.mark.interop

OURS: Final = "15550002222"
_phones = count(15_550_100_000)

REASONS: Final = {
    Ability.IDEMPOTENT: "SMPP has no idempotency key",
    Ability.SEND_FILE: "SMPP carries text; files go by MMS, which it does not have",
}


class SmscWorld:
    """Two phones behind the SMSC."""

    can = frozenset(set(Ability) - set(REASONS))
    cannot: Mapping[Ability, str] = REASONS

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self.person = str(next(_phones))
        self._other = str(next(_phones))
        self.chat = ChatId(f"+{self.person}")
        self.other_chat = ChatId(f"+{self._other}")

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        await self._smsc.says(chat[1:], OURS, text)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        return [("", text) for text in await self._smsc.texts(chat[1:])]

    async def redeliver(self) -> None:
        await self._smsc.ask("redeliver")

    async def go_dark(self) -> None:
        await self._smsc.ask("dark")

    async def come_back(self) -> None:
        await self._smsc.ask("light")

    async def drop_answer(self) -> None:
        await self._smsc.ask("fault", dropAfter=1)

    async def drop_send(self) -> None:
        await self._smsc.ask("fault", dropBefore=1)

    async def slow(self, chat: ChatId) -> None:
        await self._smsc.ask("fault", slow=[chat[1:]])

    def refused_text(self) -> str:
        return "a long story " * 200

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        await self._smsc.ask("reset")


def account(smsc: Smsc, **settings: Any) -> Account:
    return Account(
        id=AccountId("sms"),
        network="sms",
        settings={
            "host": smsc.host,
            "port": smsc.ports["smpp"],
            "tls": "plain",
            "system_id": SYSTEM_ID,
            "number": f"+{OURS}",
            "consent": "portal",
            "messages_per_second": 100,
            "doubt_seconds": 1,
            **settings,
        },
        secrets={"password": Secret.from_text(PASSWORD)},
    )


class TestOverTcp(ConnectorContract):
    settings: Mapping[str, Any] = {}

    @pytest.fixture(autouse=True)
    async def _server(self, smsc: Smsc) -> None:
        self.smsc = smsc
        await smsc.ask("reset")

    async def make_world(self) -> World:
        return SmscWorld(self.smsc)

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        return NETWORK.connector(
            account(self.smsc, **self.settings), clock=host.clock, rng=host.rng
        )


class TestOverTls(TestOverTcp):
    @pytest.fixture(autouse=True)
    def _tls(self, smsc: Smsc) -> None:
        self.settings = {
            "tls": "required",
            "port": smsc.ports["tls"],
            "ca_file": str(smsc.certificate.ca_file),
            "concatenation": "sar",
        }
