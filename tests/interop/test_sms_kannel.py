"""Kannel, bound to the same SMSC: what it writes we read, what we write it reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from sabir.content.pieces import TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.networks.api import (
    Account,
    AccountId,
    ChatId,
    ConnectionState,
    Delivered,
    IdempotencyKey,
    Outgoing,
    Posted,
    Sent,
    Speaker,
)
from sabir.networks.sms.network import NETWORK
from sabir.testing.clock import LoopClock
from sabir.testing.pytest_plugin import need
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.servers.kannel import SYSTEM, Bearerbox, Smsbox
from sabir.testing.servers.smpp import PASSWORD, SYSTEM_ID, Smsc

pytestmark = pytest.mark.interop

OURS: Final = "15550002222"
THEIRS: Final = "15550003333"
TEXTS: Final = (
    "hello, Kannel",
    "GSM @ £ $ é ä Δ and ^ { } [ ] ~ | \\ €",
    "Unicode ✓ ж 😀",
    "long " * 60 + "end",
    "долго ✓ 👩‍👩‍👧‍👦 " * 12 + "конец",
)
_keys = count(1)


class Listener:
    """Where Kannel posts what it got."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.port = 0

    async def _take(self, request: web.Request) -> web.Response:
        coding = request.query["coding"]
        raw = _octets(request.raw_path, "text")
        self.texts.append(raw.decode("utf-16-be" if coding == "2" else "utf-8"))
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/mo", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


def _octets(path: str, name: str) -> bytes:
    """Return a query value as octets; UCS-2 is no text to a web framework."""
    value = path.partition(f"{name}=")[2].partition("&")[0].replace("+", " ")
    out = bytearray()
    at = 0
    while at < len(value):
        if value[at] == "%":
            out.append(int(value[at + 1 : at + 3], 16))
            at += 3
        else:
            out += value[at].encode()
            at += 1
    return bytes(out)


def _account(smsc: Smsc) -> Account:
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
        },
        secrets={"password": Secret.from_text(PASSWORD)},
    )


async def test_kannel_and_we_read_each_other(smsc: Smsc, tmp_path: Path) -> None:
    """GSM-7 with extensions, UCS-2, emoji; short and long; with receipts."""
    need("kannel")
    chat = ChatId(f"+{THEIRS}")
    host = RecordingHost(clock=LoopClock(), rng=SeededRng("kannel"), chats=[chat])
    connector = NETWORK.connector(_account(smsc), clock=host.clock, rng=host.rng)
    listener = Listener()
    await smsc.ask("reset")
    await smsc.ask("route", number=THEIRS, system=SYSTEM)
    await smsc.ask("route", number=OURS, system=SYSTEM_ID)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listener.listening())
        box = Bearerbox(tmp_path / "bearerbox", smsc)
        await stack.enter_async_context(box)
        smsbox = Smsbox(tmp_path / "smsbox", box, listener.port)
        await stack.enter_async_context(smsbox)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        run = group.create_task(connector.run(host))
        stack.callback(run.cancel)
        await host.until(lambda: host.states[-1:] == [(ConnectionState.CONNECTED, "")])
        await connector.open_chat(chat)
        async with asyncio.timeout(15):
            while len(await smsc.seen("bind")) < 2:
                await asyncio.sleep(0.05)
        for number, text in enumerate(TEXTS, 1):
            (outcome,) = [
                outcome async for outcome in connector.send([_piece(chat, text)])
            ]
            assert isinstance(outcome, Sent)
            await host.until(partial(_heard, listener, number))
        await host.until(lambda: _delivered(host) == len(TEXTS))
        for number, text in enumerate(TEXTS, 1):
            await smsbox.send(THEIRS, OURS, text)
            await host.until(partial(_has, host, number))
    assert listener.texts == list(TEXTS)
    decoded = [connector.decode(event) for event in host.events]
    got = [
        to_plain(each.action.text)
        for each in decoded
        if each is not None
        and isinstance(each.action, Posted)
        and each.action.text is not None
    ]
    assert got == list(TEXTS)


def _heard(listener: Listener, number: int) -> bool:
    return len(listener.texts) == number


def _has(host: RecordingHost, number: int) -> bool:
    return len(host.events) == number


def _delivered(host: RecordingHost) -> int:
    return sum(isinstance(signal, Delivered) for signal in host.signals)


def _piece(chat: ChatId, text: str) -> Outgoing:
    return Outgoing(
        chat=chat,
        key=IdempotencyKey(f"kannel{next(_keys):026}"),
        speaker=Speaker(uri="u", name="Ada", network="matrix"),
        piece=TextPiece(text=Rich.plain(text)),
        sent_at=LoopClock().now(),
    )
