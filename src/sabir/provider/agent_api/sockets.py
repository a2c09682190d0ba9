"""Events on a WebSocket: sent as they come, acknowledged as they are stored (8.3)."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from sabir.errors import StorageFailed
from sabir.mimi.agent_api.events import DEAD_S, IN_FLIGHT_MAX, PING_S, Ack
from sabir.mimi.agent_api.forms import decode_form, encode_form
from sabir.mimi.agent_api.paths import EVENTS_SUBPROTOCOL
from sabir.provider.agent_api.streams import Stream
from sabir.provider.core import Core
from sabir.storage.provider.records import Cursor
from sabir.wire.errors import Malformed

WORD_OCTETS_MAX: Final = 256
"""Octets of what an agent writes: an acknowledgement."""
WRITE_S: Final = 30.0
"""Seconds for an agent to read an event."""
BATCH_MAX: Final = 64
"""Events that are read at a time."""
BATCH_OCTETS_MAX: Final = 1 << 20
"""Octets of those."""
LOOK_S: Final = 300.0
"""Seconds between two looks at the stream where nobody wakes us."""

_log = structlog.get_logger()


class EventSocket:
    """One WebSocket of a device."""

    def __init__(self, core: Core, device: str, after: Cursor) -> None:
        """Serve a device.

        Args:
            core: of the provider.
            device: its client URI.
            after: where it goes on.
        """
        self._core = core
        self._device = device
        self._stream = Stream(core, device)
        self._after = after
        self._in_flight: deque[int] = deque()
        self._room = asyncio.Event()
        self._over = asyncio.Event()
        self._code: int = WSCloseCode.OK
        self._socket = web.WebSocketResponse(
            protocols=(EVENTS_SUBPROTOCOL,),
            autoping=False,
            compress=False,
            max_msg_size=WORD_OCTETS_MAX,
        )

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Talk until one side ends it."""
        await self._socket.prepare(request)
        async with asyncio.TaskGroup() as group:
            talking = [
                group.create_task(self._talk(each))
                for each in (self._send_all(), self._ping(), self._hear())
            ]
            await self._over.wait()
            for each in talking:
                each.cancel()
        if not self._socket.closed:
            await self._socket.close(code=self._code)
        return self._socket

    async def _talk(self, part: Coroutine[None, None, int]) -> None:
        """Do one part of the talk; when it ends, all ends."""
        try:
            self._code = await part
        except Malformed:
            self._code = WSCloseCode.POLICY_VIOLATION
        except StorageFailed as failed:
            _log.error("storage failed", reason=str(failed))
            self._code = WSCloseCode.TRY_AGAIN_LATER
        except (OSError, TimeoutError):
            self._code = WSCloseCode.GOING_AWAY
        self._over.set()

    async def _send_all(self) -> int:
        """Send events for as long as the device is there."""
        with self._core.wakeups.subscribe(self._device) as woken:
            while not self._core.wakeups.over:
                if not await self._stream.exists():
                    return WSCloseCode.POLICY_VIOLATION
                if not await self._send_some():
                    await self._stream.wait(woken, LOOK_S)
        return WSCloseCode.GOING_AWAY

    async def _send_some(self) -> bool:
        """Send what there is and what may be in flight; False: there was nothing."""
        while (left := IN_FLIGHT_MAX - len(self._in_flight)) <= 0:
            self._room.clear()
            await self._room.wait()
        page = await self._stream.page(
            self._after,
            count_max=min(left, BATCH_MAX),
            octets_max=BATCH_OCTETS_MAX,
        )
        for event in page.events:
            self._in_flight.append(event.place)
            self._after = Cursor(event.place)
            async with asyncio.timeout(WRITE_S):
                await self._socket.send_str(encode_form(event).decode("utf-8"))
        return bool(page.events)

    async def _ping(self) -> int:
        while True:
            await asyncio.sleep(PING_S)
            async with asyncio.timeout(WRITE_S):
                await self._socket.ping()

    async def _hear(self) -> int:
        """Take acknowledgements until the agent ends it, or is silent for too long."""
        while True:
            word = await self._socket.receive(timeout=DEAD_S)
            if word.type is WSMsgType.TEXT:
                await self._acknowledge(decode_form(word.data, Ack).place)
            elif word.type is WSMsgType.PING:
                await self._socket.pong(word.data)
            elif word.type is not WSMsgType.PONG:
                return WSCloseCode.OK

    async def _acknowledge(self, place: int) -> None:
        """Delete what the agent has stored.

        Raises:
            Malformed: MIMI-372, it was never sent.
        """
        if place > self._after:
            raise Malformed("MIMI-372", "an acknowledgement of what was not sent")
        await self._core.store.ack(self._device, Cursor(place))
        while self._in_flight and self._in_flight[0] <= place:
            self._in_flight.popleft()
        self._room.set()
