"""`GET /events`, `POST /events/ack`: a device's stream, pushed or polled."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from aiohttp import web

from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import (
    IN_FLIGHT_MAX,
    PAGE_OCTETS_MAX,
    WAIT_S_MAX,
    AckRequest,
    EventPage,
    read_cursor,
)
from sabir.mimi.agent_api.forms import JSON_OCTETS_MAX, decode_form
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.agent_api.operations import (
    Ask,
    Operation,
    RawOperation,
    json_answer,
    query_value,
)
from sabir.provider.agent_api.sockets import EventSocket
from sabir.provider.agent_api.streams import Stream
from sabir.provider.agent_api.tokens import Caller
from sabir.provider.core import Core
from sabir.provider.http import Answer, Exchange
from sabir.storage.provider.records import Cursor

LISTENERS_MAX: Final = 4
"""Connections of one device that wait for events: some may be dead already."""
LISTENERS_RETRY_S: Final = 30
"""What we ask of a device that has more."""


class Events:
    """Gives devices their streams."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._listeners: Counter[str] = Counter()

    def operations(self) -> tuple[Operation | RawOperation, ...]:
        """Return what devices ask about their streams."""
        return (
            RawOperation(method="GET", template=paths.EVENTS, handler=self.events),
            Operation(
                method="POST",
                template=paths.EVENTS_ACK,
                answer=self.ack,
                octets_max=JSON_OCTETS_MAX,
            ),
        )

    async def events(
        self, caller: Caller, exchange: Exchange
    ) -> Answer | web.StreamResponse:
        """`GET /events?after=<cursor>`: a WebSocket, or one page after some waiting.

        Raises:
            Malformed: MIMI-372, no cursor.
            Problem: RATE_LIMITED, too many connections; MALFORMED_BODY, the query.
        """
        after = Cursor(read_cursor(query_value(exchange.query, "after", "0")))
        upgrade = exchange.request.headers.get("Upgrade", "").lower()
        with self._listening(caller.device):
            if upgrade == "websocket":
                _check_subprotocol(exchange)
                socket = EventSocket(self._core, caller.device, after)
                return await socket.serve(exchange.request)
            return await self._poll(caller, exchange, after)

    async def _poll(self, caller: Caller, exchange: Exchange, after: Cursor) -> Answer:
        wait = query_value(exchange.query, "wait", "0")
        if not (wait.isascii() and wait.isdigit() and int(wait[:9]) <= WAIT_S_MAX):
            raise Problem(
                ProblemCode.MALFORMED_BODY, f"wait is 0 to {WAIT_S_MAX} seconds"
            )
        stream = Stream(self._core, caller.device)
        limits = {"count_max": IN_FLIGHT_MAX, "octets_max": PAGE_OCTETS_MAX}
        with self._core.wakeups.subscribe(caller.device) as woken:
            page = await stream.page(after, **limits)
            if not page.events and int(wait):
                await stream.wait(woken, int(wait))
                page = await stream.page(after, **limits)
        return json_answer(EventPage(events=page.events, next=str(page.next)))

    async def ack(self, ask: Ask) -> Answer:
        """`POST /events/ack`."""
        cursor = Cursor(decode_form(ask.body, AckRequest).place)
        await self._core.store.ack(ask.caller.device, cursor)
        return Answer(status=HTTPStatus.NO_CONTENT)

    @contextmanager
    def _listening(self, device: str) -> Iterator[None]:
        if self._listeners[device] >= LISTENERS_MAX:
            raise Problem(
                ProblemCode.RATE_LIMITED,
                f"{LISTENERS_MAX} connections of this device wait for events",
                retry_after_s=LISTENERS_RETRY_S,
            )
        self._listeners[device] += 1
        try:
            yield
        finally:
            self._listeners[device] -= 1
            if not self._listeners[device]:
                del self._listeners[device]


def _check_subprotocol(exchange: Exchange) -> None:
    fields = exchange.request.headers.getall("Sec-WebSocket-Protocol", [])
    named = {name.strip() for each in fields for name in each.split(",")}
    if paths.EVENTS_SUBPROTOCOL not in named:
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            f"the WebSocket's subprotocol is {paths.EVENTS_SUBPROTOCOL}",
        )
