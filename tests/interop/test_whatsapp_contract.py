"""The contract of connectors, kept by a business number on WhatsApp.

Against crabline's server where it can play its part, and against ours, which checks
every request against the description of the API, for everything else.
"""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from sabir.crypto.secrets import Secret
from sabir.networks.api import ChatId, Connector
from sabir.networks.whatsapp import cloud
from sabir.networks.whatsapp.cloud import CloudNumber
from sabir.networks.whatsapp.config import CloudConfig
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.pytest_plugin import need
from sabir.testing.servers import whatsapp
from sabir.testing.servers.cloud_api import NUMBER_ID, TOKEN, CloudApi, Trouble
from sabir.testing.servers.meta_hooks import MetaHooks
from sabir.testing.servers.whatsapp import WhatsAppLookalike

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

APP_SECRET = "app-secret"
ANN = "15557654321"
BEN = "4915112345678"


def config(base_url: str, *, token: str = TOKEN, version: str = "v23.0") -> CloudConfig:
    """Return an account on a free port of this machine."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    return CloudConfig(
        number_id=NUMBER_ID,
        access_token=Secret.from_text(token),
        app_secret=Secret.from_text(APP_SECRET),
        verify_token=Secret.from_text("verify-token"),
        path_secret=Secret.from_text("a-secret-path-segment"),
        graph_url=base_url,
        graph_version=version,
        listen_port=port,
    )


def hooks_of(config: CloudConfig) -> MetaHooks:
    """Return Meta's deliveries to an account."""
    url = f"http://127.0.0.1:{config.listen_port}{config.path}"
    return MetaHooks(url, APP_SECRET)


class CloudWorld:
    """Two people who write to the number, at our own server."""

    can = frozenset(set(Ability) - {Ability.IDEMPOTENT})
    cannot: Mapping[Ability, str] = {
        Ability.IDEMPOTENT: "the Cloud API has no idempotency key"
    }
    chat, other_chat = ChatId(ANN), ChatId(BEN)
    person = ANN

    def __init__(self, api: CloudApi, hooks: MetaHooks) -> None:
        self.api = api
        self._hooks = hooks

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        self.api.says(chat, {"type": "text", "text": {"body": text}})

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        return [
            ("Sabir Tea", message["text"]["body"])
            for message in self.api.messages
            if message["to"] == chat and message["type"] == "text"
        ]

    async def redeliver(self) -> None:
        self._hooks.again()

    async def go_dark(self) -> None:
        self._hooks.paused = True
        await self.api.stop()

    async def come_back(self) -> None:
        await self.api.start()
        self._hooks.paused = False

    async def drop_answer(self) -> None:
        self.api.troubles.append(Trouble(cut=True, accepted=True))

    async def drop_send(self) -> None:
        self.api.troubles.append(Trouble(cut=True))

    async def slow(self, chat: ChatId) -> None:
        self.api.slow.add(chat)

    def refused_text(self) -> str:
        return "x" * 4_097

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        media_id = self.api.put_file(data, "application/pdf")
        document = {
            "id": media_id,
            "mime_type": "application/pdf",
            "filename": "a.pdf",
        }
        self.api.says(chat, {"type": "document", "document": document})

    async def close(self) -> None:
        assert self.api.violations == []


class TestOurServer(ConnectorContract):
    """All rules that WhatsApp can be made to show."""

    @pytest.fixture(autouse=True)
    async def _server(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        monkeypatch.setattr(cloud, "PROOF_PAUSE_S", 0.2)
        async with AsyncExitStack() as stack:
            self.api = await stack.enter_async_context(CloudApi())
            self.config = replace(config(self.api.base_url), doubt_s=0)
            self.hooks = await stack.enter_async_context(hooks_of(self.config))
            self.api.hooks = self.hooks
            yield

    async def make_world(self) -> World:
        return CloudWorld(self.api, self.hooks)

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        return CloudNumber(self.config, clock=host.clock)


# ---- crabline


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lookalike(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[WhatsAppLookalike]:
    """Run crabline's server for this module."""
    need("crabline")
    home: Path = tmp_path_factory.mktemp("whatsapp")
    async with WhatsAppLookalike(home) as server:
        yield server


_NOT_THERE = "crabline's server does not do this; our own does, see TestOurServer"


class LookalikeWorld:
    """The same two people, at crabline's server."""

    can = frozenset({Ability.REDELIVER, Ability.GO_DARK, Ability.REFUSED_TEXT})
    cannot: Mapping[Ability, str] = dict.fromkeys(set(Ability) - can, _NOT_THERE)
    chat, other_chat = ChatId(ANN), ChatId(BEN)
    person = ANN

    def __init__(self, server: WhatsAppLookalike, hooks: MetaHooks) -> None:
        self._server = server
        self._hooks = hooks
        self._before = len(server.accepted())

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        self._hooks.put(await self._server.says(chat, text))

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        return [
            ("", body["text"]["body"])
            for body in self._server.accepted()[self._before :]
            if body.get("to") == chat
        ]

    async def redeliver(self) -> None:
        self._hooks.again()

    async def go_dark(self) -> None:
        self._hooks.paused = True
        await self._server.stop()

    async def come_back(self) -> None:
        await self._server.start()
        self._hooks.paused = False

    async def drop_answer(self) -> None:
        raise NotImplementedError

    async def drop_send(self) -> None:
        raise NotImplementedError

    async def slow(self, chat: ChatId) -> None:
        raise NotImplementedError

    def refused_text(self) -> str:
        return "x" * 4_097

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """The server stays for the next rule."""


class TestCrabline(ConnectorContract):
    """The rules that a server made by others can show."""

    patience_s = 20.0

    @pytest.fixture(autouse=True)
    async def _hooks(
        self, lookalike: WhatsAppLookalike, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[None]:
        monkeypatch.setattr(cloud, "PROOF_PAUSE_S", 0.2)
        self.server = lookalike
        token, version = lookalike.access_token, whatsapp.GRAPH_VERSION
        self.config = config(lookalike.base_url, token=token, version=version)
        async with hooks_of(self.config) as self.hooks:
            yield
        if lookalike.pid is None:
            await lookalike.start()

    async def make_world(self) -> World:
        return LookalikeWorld(self.server, self.hooks)

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        return CloudNumber(self.config, clock=host.clock)
