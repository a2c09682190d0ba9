"""Typing notices and receipts: passed on between the portals of a room, never stored.

A receipt is passed on only if its message is known in the other chat (RCP-1);
typing at most once per person and chat in 5 s (TYP-1). What cannot be passed on
at once is dropped: the next one says the same.
"""

import asyncio
from typing import Final, Protocol

import structlog

from sabir.agent.accounts import AccountRuntime
from sabir.agent.limits import NAME_CHARS_MAX, TYPING_INTERVAL_MS, TYPISTS_MAX
from sabir.agent.naming import author_uri
from sabir.agent.portals import Portal, Portals
from sabir.clock import Clock
from sabir.content.pieces import NativeRef
from sabir.errors import Error
from sabir.networks.api import (
    ChatId,
    Delivered,
    Person,
    Read,
    ShowsReceipts,
    ShowsTyping,
    Signal,
    Speaker,
    Typing,
)
from sabir.storage.ports import Refs

SIGNALS_WAITING_MAX: Final = 256
"""More than that and the oldest are dropped: a signal is worth nothing late."""

SHOW_TIMEOUT_S: Final = 2.0
"""A network that takes longer shows a signal too late to be true."""

_log = structlog.get_logger()


class Accounts(Protocol):
    """Finds the account of a portal."""

    def account(self, name: str) -> AccountRuntime | None:
        """Return a running account."""
        ...


class Signals:
    """Carries signals from one portal to the others of its room."""

    def __init__(
        self, portals: Portals, accounts: Accounts, refs: Refs, clock: Clock
    ) -> None:
        self._portals = portals
        self._accounts = accounts
        self._refs = refs
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, Signal]] = asyncio.Queue(
            SIGNALS_WAITING_MAX
        )
        self._typed_at: dict[tuple[int, str], float] = {}

    def offer(self, account: str, signal: Signal) -> None:
        """Take a signal if there is room."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait((account, signal))

    async def run(self) -> None:
        """Pass signals on until cancelled."""
        while True:
            account, signal = await self._queue.get()
            portal = self._portals.of_chat(account, signal.chat)
            runtime = self._accounts.account(account)
            if portal is not None and runtime is not None:
                await self._pass_on(portal, _speaker(runtime, signal.person), signal)

    async def _pass_on(self, portal: Portal, speaker: Speaker, signal: Signal) -> None:
        """Show a signal in the room's other chats, in all at the same time."""
        async with asyncio.TaskGroup() as group:
            for other in self._portals.of_room(portal.room):
                runtime = self._accounts.account(other.account)
                if other is portal or runtime is None or not runtime.connected.is_set():
                    continue
                group.create_task(self._try(portal, other, runtime, speaker, signal))

    async def _try(
        self,
        origin: Portal,
        other: Portal,
        runtime: AccountRuntime,
        speaker: Speaker,
        signal: Signal,
    ) -> None:
        """Show a signal in one chat if that goes quickly."""
        try:
            async with asyncio.timeout(SHOW_TIMEOUT_S):
                await self._show(origin, other, runtime, speaker, signal)
        except Error as error:
            _log.info("signal_dropped", portal=other.id, code=error.code)
        except TimeoutError:
            _log.info("signal_dropped", portal=other.id, code="timeout")

    async def _show(
        self,
        origin: Portal,
        other: Portal,
        runtime: AccountRuntime,
        speaker: Speaker,
        signal: Signal,
    ) -> None:
        connector = runtime.connector
        chat = ChatId(other.chat)
        match signal:
            case Typing(active=active):
                if isinstance(connector, ShowsTyping) and self._is_due(
                    other, speaker, active=active
                ):
                    await connector.typing(chat, speaker, active=active)
            case Delivered(native_id=native_id) | Read(native_id=native_id):
                if isinstance(connector, ShowsReceipts):
                    ref = await self._ref(origin, other, native_id)
                    if ref is not None:
                        await connector.receipt(
                            chat, speaker, ref, read=isinstance(signal, Read)
                        )

    def _is_due(self, portal: Portal, speaker: Speaker, *, active: bool) -> bool:
        place = (portal.id, speaker.uri)
        if not active:
            return self._typed_at.pop(place, None) is not None
        now = self._clock.monotonic_ms()
        if now - self._typed_at.get(place, -TYPING_INTERVAL_MS) < TYPING_INTERVAL_MS:
            return False
        if len(self._typed_at) >= TYPISTS_MAX:
            self._typed_at.clear()
        self._typed_at[place] = now
        return True

    async def _ref(
        self, origin: Portal, other: Portal, native_id: str
    ) -> NativeRef | None:
        """Return the message as the other chat knows it."""
        entries = await self._refs.entries_of(origin.id, [native_id])
        entry = entries.get(native_id)
        if entry is None:
            return None
        refs = (await self._refs.refs_of(other.id, [entry])).get(entry)
        if not refs:
            return None
        last = refs[-1]  # a split message is read when its last part is (RCP-5)
        return NativeRef(
            native_id=last.native_id, aliases=last.aliases, author=last.author
        )


def _speaker(runtime: AccountRuntime, person: Person) -> Speaker:
    return Speaker(
        uri=author_uri(runtime.network, person.id),
        name=person.name[:NAME_CHARS_MAX],
        network=runtime.network,
    )
