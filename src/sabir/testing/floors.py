"""What the real servers take by themselves: the floor under every figure of a bridge.

A bridge's latency and throughput mean something only beside what its two servers need
without it, on the same machine in the same minutes. So these run in the run of a load
test, or alone: `python bench/floors.py`.
"""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import aiohttp
from aiohttp import web

from sabir.errors import Unavailable
from sabir.testing.clients.arrivals import Arrivals
from sabir.testing.clients.component import XmppComponent
from sabir.testing.clients.matrix import MatrixClient, Seen
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.servers.ejabberd import Ejabberd
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.synapse import Synapse

SEQUENTIAL_MESSAGES: Final = 100
"""Enough for a p95 that five values stand behind."""

BURST_MESSAGES: Final = 400
"""Ten seconds of Synapse on SQLite; more changes nothing but the time."""

MANY_SENDERS: Final = 8
"""A lively room."""

_ARRIVAL_TIMEOUT_S: Final = 20.0
_BURST_TIMEOUT_S: Final = 120.0

_RECENT: Final = 50
"""How far back a wait looks: more than anything that can overtake it."""

_TRANSACTION_OCTETS_MAX: Final = 16 * 1024 * 1024
"""A transaction holds up to a hundred events of 64 KiB, and ephemeral ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From before the request until arrival, one message at a time, in milliseconds."""

    p50_ms: float
    p95_ms: float
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """From the first request until the last arrival, messages as fast as they go."""

    senders: int
    messages: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return round(self.messages / self.seconds, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """One server's floor, in both directions of a bridge.

    `out_*` is from the server's people to a bridge (application service, or a room's
    other occupants), `in_*` from a bridge's ghosts to the server's people.
    """

    server: str
    out_latency: Latency
    in_latency: Latency
    out_bursts: tuple[Burst, ...]
    in_bursts: tuple[Burst, ...]


Send = Callable[[int, str], Awaitable[object]]
"""Send this text as the sender of this number."""


class Heard(Protocol):
    """A message that arrived, of whichever network."""

    @property
    def body(self) -> str | None:
        """Its text."""
        ...

    @property
    def arrived_s(self) -> float:
        """The monotonic time of its arrival."""
        ...


HeardT = TypeVar("HeardT", bound=Heard)


async def matrix_floor(
    synapse: Synapse,
    *,
    sequential: int = SEQUENTIAL_MESSAGES,
    burst: int = BURST_MESSAGES,
) -> Floor:
    """Measure a running homeserver; it is restarted once, for our application service.

    Out: a person's PUT until the push. In: a ghost's PUT until a person's `/sync`. Each
    sender waits for the answer to one PUT before the next, as order demands.
    """
    tag = os.urandom(3).hex()
    async with _pushed(synapse, tag) as (pushed, token), AsyncExitStack() as stack:
        people = [
            await stack.enter_async_context(
                MatrixClient(await synapse.add_user(f"floor-{tag}-{number}"))
            )
            for number in range(MANY_SENDERS)
        ]
        first = people[0]
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                synapse.base_url, headers={"Authorization": f"Bearer {token}"}
            )
        )
        ghosts = Ghosts(session, synapse.server_name, f"_{tag}_")
        room = await first.create_room(f"floor {tag}", public=True)
        for person in people[1:]:
            await person.join(room)
        for number in range(MANY_SENDERS):
            await ghosts.join(number, room)

        def person_sends(number: int, text: str) -> Awaitable[object]:
            return people[number].send_text(room, text)

        def ghost_sends(number: int, text: str) -> Awaitable[object]:
            return ghosts.send(number, room, text)

        return Floor(
            server="synapse",
            out_latency=await _latency(person_sends, pushed, sequential),
            in_latency=await _latency(ghost_sends, first.events, sequential),
            out_bursts=await _bursts(person_sends, pushed, burst),
            in_bursts=await _bursts(ghost_sends, first.events, burst),
        )


async def xmpp_floor(
    server: Prosody | Ejabberd,
    *,
    sequential: int = SEQUENTIAL_MESSAGES,
    burst: int = BURST_MESSAGES,
) -> Floor:
    """Measure a running XMPP server; it is restarted once, for our component.

    Out: a client through a room to another client. In: a component's ghost through a
    room to a client. Bursts are written without waiting, as the stream keeps the order.
    """
    tag = os.urandom(3).hex()
    account = server.add_component(f"floor-{tag}", os.urandom(16).hex())
    await server.restart()
    room = f"floor-{tag}@{server.muc}"
    async with AsyncExitStack() as stack:
        listener, *people = [
            await stack.enter_async_context(
                XmppClient(await server.add_user(f"floor-{tag}-{number}"))
            )
            for number in range(MANY_SENDERS + 1)
        ]
        await listener.join(room, "listener")
        for number, person in enumerate(people):
            await person.join(room, f"person {number}")

        async def person_sends(number: int, text: str) -> None:
            people[number].post_text(room, text)

        out_latency = await _latency(person_sends, listener.messages, sequential)
        out_bursts = await _bursts(person_sends, listener.messages, burst)
        for person in people:
            await person.leave(room)
        component = await stack.enter_async_context(XmppComponent(account))
        for number in range(MANY_SENDERS):
            await component.join(room, f"ghost{number}")

        async def ghost_sends(number: int, text: str) -> None:
            component.say(f"ghost{number}", room, text)

        return Floor(
            server=server.name,
            out_latency=out_latency,
            in_latency=await _latency(ghost_sends, listener.messages, sequential),
            out_bursts=out_bursts,
            in_bursts=await _bursts(ghost_sends, listener.messages, burst),
        )


async def _latency(send: Send, arrivals: Arrivals[HeardT], messages: int) -> Latency:
    times_ms = []
    for number in range(messages):
        text = f"one {os.urandom(4).hex()} {number}"
        begun_s = time.monotonic()
        await send(0, text)
        heard = await arrivals.wait_for(
            lambda heard, text=text: heard.body == text,  # type: ignore[misc]  # default
            _ARRIVAL_TIMEOUT_S,
            max(0, len(arrivals) - _RECENT),
        )
        times_ms.append((heard.arrived_s - begun_s) * 1000)
    return Latency(
        p50_ms=round(statistics.median(times_ms), 1),
        p95_ms=round(statistics.quantiles(times_ms, n=20, method="inclusive")[18], 1),
        messages=messages,
    )


async def _bursts(
    send: Send, arrivals: Arrivals[HeardT], messages: int
) -> tuple[Burst, ...]:
    return (
        await _burst(send, arrivals, messages, 1),
        await _burst(send, arrivals, messages, MANY_SENDERS),
    )


async def _burst(
    send: Send, arrivals: Arrivals[HeardT], messages: int, senders: int
) -> Burst:
    each = messages // senders
    tag = f"burst {os.urandom(4).hex()}"

    async def sends(number: int) -> None:
        for index in range(each):
            await send(number, f"{tag} {number} {index}")

    begun_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        arriving = group.create_task(
            arrivals.wait_for_count(
                lambda heard: (heard.body or "").startswith(tag),
                each * senders,
                _BURST_TIMEOUT_S,
            )
        )
        for number in range(senders):
            group.create_task(sends(number))
    heard = arriving.result()
    seconds = max(message.arrived_s for message in heard) - begun_s
    return Burst(senders=senders, messages=len(heard), seconds=round(seconds, 3))


@dataclass(frozen=True, slots=True)
class Ghosts:
    """Ghosts of our application service, over the raw client-server API."""

    session: aiohttp.ClientSession
    server_name: str
    prefix: str

    async def join(self, number: int, room: str) -> None:
        """Register a ghost and let it enter a public room."""
        register = {
            "type": "m.login.application_service",
            "username": f"{self.prefix}{number}",
            "inhibit_login": True,
        }
        await self._call("POST", "register", register)
        await self._call("POST", f"join/{quote(room, safe='')}", {}, number)

    async def send(self, number: int, room: str, text: str) -> None:
        """Send a ghost's message and wait until the homeserver has it."""
        path = f"rooms/{quote(room, safe='')}/send/m.room.message/{os.urandom(8).hex()}"
        await self._call("PUT", path, {"msgtype": "m.text", "body": text}, number)

    async def _call(
        self, method: str, path: str, body: dict[str, Any], number: int | None = None
    ) -> None:
        acting = f"@{self.prefix}{number}:{self.server_name}"
        async with self.session.request(
            method,
            f"/_matrix/client/v3/{path}",
            json=body,
            params={} if number is None else {"user_id": acting},
        ) as answer:
            if answer.status != 200:
                raise Unavailable(f"{method} {path}: {await answer.text()}")


@asynccontextmanager
async def _pushed(
    synapse: Synapse, tag: str
) -> AsyncIterator[tuple[Arrivals[Seen], str]]:
    """Be an application service: yield what is pushed to us, and our token."""
    pushed: Arrivals[Seen] = Arrivals(f"application service {tag}")
    as_token, hs_token = os.urandom(16).hex(), os.urandom(16).hex()

    async def take(request: web.Request) -> web.Response:
        arrived_s = time.monotonic()
        for event in (await request.json())["events"]:
            pushed.add(Seen("push", event["room_id"], event, arrived_s))
        return web.json_response({})

    application = web.Application(client_max_size=_TRANSACTION_OCTETS_MAX)
    application.router.add_put("/_matrix/app/v1/transactions/{id}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, LOOPBACK, 0)
        await listening.start()
        host, port = runner.addresses[0][:2]
        synapse.add_appservice(
            f"floor-{tag}",
            url=f"http://{host}:{port}",
            as_token=as_token,
            hs_token=hs_token,
            prefix=f"_{tag}_",
        )
        await synapse.restart()
        yield pushed, as_token
    finally:
        synapse.remove_appservice(f"floor-{tag}")
        await runner.cleanup()
