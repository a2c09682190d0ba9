"""A device's stream, a page at a time, as the agent API writes it (8.3)."""

import asyncio
from dataclasses import dataclass
from typing import Final

from sabir.mimi.agent_api.events import Event, EventType
from sabir.mimi.agent_api.forms import Form, Octets, decode_form
from sabir.provider.core import Core
from sabir.storage.provider.records import Cursor, EventKind, StreamEvent

_OCTETS: Final = frozenset(
    {
        EventKind.MESSAGE,
        EventKind.HANDSHAKE,
        EventKind.WELCOME,
        EventKind.CONSENT,
        EventKind.DEVICE_MESSAGE,
    }
)
"""Events whose data are a struct; those of others are JSON."""


class _Told(Form, frozen=True, kw_only=True):
    """The JSON that the store has of events that are no MIMI struct."""

    sha256: Octets | None = None
    frank: Octets | None = None
    state: str = ""
    stock: int | None = None
    device_uri: str = ""


def event_of(stored: StreamEvent) -> Event:
    """Write an event.

    Raises:
        Malformed: it is not ours in the store.
    """
    if stored.kind in _OCTETS:
        return Event(
            cursor=str(stored.cursor),
            type=stored.kind.value,
            room=stored.room,
            accepted_ms=stored.accepted_at,
            data=Octets(stored.data),
        )
    told = decode_form(stored.data, _Told)
    return Event(
        cursor=str(stored.cursor),
        type=stored.kind.value,
        room=stored.room,
        accepted_ms=stored.accepted_at,
        sha256=told.sha256,
        frank=told.frank,
        state=told.state,
        stock=told.stock,
        device_uri=told.device_uri,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events in order.

    Attributes:
        events: perhaps none.
        next: cursor of what comes after.
    """

    events: tuple[Event, ...]
    next: Cursor


class Stream:
    """The stream of one device."""

    def __init__(self, core: Core, device: str) -> None:
        self._core = core
        self._device = device

    async def page(self, after: Cursor, *, count_max: int, octets_max: int) -> Page:
        """Return what comes after a cursor, without waiting.

        Who asks for what is lost gets `stream.reset` first.
        """
        store = self._core.store
        events: list[Event] = []
        lost = await store.reset_at(self._device)
        if after < lost:
            events.append(Event(cursor=str(lost), type=EventType.RESET))
            after = lost
        for stored in await store.events(
            self._device, after, count_max=count_max, octets_max=octets_max
        ):
            events.append(event_of(stored))
            after = stored.cursor
        return Page(events=tuple(events), next=after)

    async def wait(self, woken: asyncio.Event, wait_s: float) -> None:
        """Wait until the stream may have grown, or for so long."""
        try:
            async with asyncio.timeout(wait_s):
                await woken.wait()
        except TimeoutError:
            return
        woken.clear()

    async def exists(self) -> bool:
        """Tell whether the device is still there."""
        return await self._core.store.device(self._device) is not None
