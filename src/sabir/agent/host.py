"""What the agent offers one connector (`networks.api.Host`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from sabir.agent.accounts import AccountRuntime
from sabir.agent.limits import EVENTS_PER_TAKE_MAX
from sabir.agent.portals import Portals
from sabir.clock import Clock
from sabir.errors import LocalError
from sabir.networks.api import (
    PAYLOAD_OCTETS_MAX,
    ChatId,
    ConnectionState,
    IdempotencyKey,
    NativeEvent,
    Rng,
    Sent,
    Signal,
)
from sabir.storage.ports import Accounts, Deliveries, Inbox, Timeline
from sabir.storage.records import DeliveryState, NewEvent, Settlement

_log = structlog.get_logger()


class HostStorage(Accounts, Inbox, Deliveries, Timeline, Protocol):
    """What connectors need remembered."""


class AccountHost:
    """The agent, as one account's connector sees it."""

    def __init__(
        self,
        account: AccountRuntime,
        *,
        storage: HostStorage,
        portals: Portals,
        on_signal: Callable[[str, Signal], None],
        on_state: Callable[[AccountRuntime], None],
        clock: Clock,
        rng: Rng,
    ) -> None:
        self.clock = clock
        self.rng = rng
        self._account = account
        self._storage = storage
        self._portals = portals
        self._on_signal = on_signal
        self._on_state = on_state

    async def take(
        self, events: Sequence[NativeEvent], *, cursors: Mapping[str, str] | None = None
    ) -> None:
        """See `Host.take`."""
        if len(events) > EVENTS_PER_TAKE_MAX:
            raise LocalError(f"{len(events)} events at once; {EVENTS_PER_TAKE_MAX=}")
        wanted = [event for event in events if self._is_linked(event.chat)]
        await self._storage.take(
            self._account.id,
            [_new_event(event) for event in wanted],
            cursors or {},
            now=self.clock.now(),
        )
        if wanted:
            self._account.last_in = self.clock.now()
        for chat in {event.chat for event in wanted}:
            portal = self._portals.of_chat(self._account.id, chat)
            if portal is not None:
                portal.arrived.set()

    def _is_linked(self, chat: ChatId) -> bool:
        return self._portals.of_chat(self._account.id, chat) is not None

    async def echo(self, chat: ChatId, *, key: IdempotencyKey, sent: Sent) -> None:
        """See `Host.echo`."""
        found = await self._storage.attempt_of_key(key)
        if found is None:
            return
        portal_id, attempt = found
        portal = self._portals.by_id(portal_id)
        if portal is None:
            return
        entries = await self._storage.after(portal.room, attempt.seq - 1, count_max=1)
        settlement = Settlement(
            seq=attempt.seq,
            part=attempt.part,
            key=key,
            state=DeliveryState.SENT,
            detail="; ".join(sent.lost),
            entry=entries[0].entry,
            native_ids=(sent.native_id, *sent.aliases) if sent.native_id else (),
            native_author=sent.author or "",
        )
        await self._storage.settle(
            portal_id, [settlement], cursor=None, now=self.clock.now()
        )

    async def cursor(self, stream: str) -> str | None:
        """See `Host.cursor`."""
        return await self._storage.cursor(self._account.id, stream)

    async def remember(self, name: str, value: str) -> None:
        """See `Host.remember`."""
        await self._storage.remember(self._account.id, name, value)

    async def recall(self, name: str) -> str | None:
        """See `Host.recall`."""
        return await self._storage.recall(self._account.id, name)

    def signal(self, signal: Signal) -> None:
        """See `Host.signal`."""
        self._on_signal(self._account.id, signal)

    def report(self, state: ConnectionState, detail: str = "") -> None:
        """See `Host.report`."""
        if self._account.change(state, detail, now=self.clock.now()):
            _log.info(
                "connection", account=self._account.id, state=state, detail=detail
            )
            self._on_state(self._account)

    def chats(self) -> Sequence[ChatId]:
        """See `Host.chats`."""
        return [ChatId(p.chat) for p in self._portals.of_account(self._account.id)]


def _new_event(event: NativeEvent) -> NewEvent:
    payload = event.payload
    if len(payload) > PAYLOAD_OCTETS_MAX:
        # Kept as a stub: `decode` refuses it, so it is counted and shown as rejected.
        payload = payload[:64]
    return NewEvent(
        chat=event.chat,
        native_id=event.native_id,
        revision=event.revision,
        payload=payload,
        late=event.late,
    )
