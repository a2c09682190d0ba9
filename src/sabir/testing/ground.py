"""A proving ground: a bridged room on each side, and beside it the same without Sabir.

The floor under a bridge is what its two servers need by themselves, so both are
measured over the same servers, with the same people, in turn. Beside the lab's own
there are a second application service and a second component, which only listen and
speak.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web

from sabir.testing.clients.arrivals import Arrivals
from sabir.testing.clients.component import XmppComponent
from sabir.testing.clients.matrix import MatrixClient, Seen
from sabir.testing.clients.stanza import Arrived
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.floors import Ghosts, Heard
from sabir.testing.lab import Lab
from sabir.testing.load import (
    Findings,
    Said,
    compare,
    matrix_history,
    matrix_shown,
    xmpp_history,
)
from sabir.testing.rooms_lab import RoomsLab
from sabir.testing.servers.ports import LOOPBACK, keep_ports

SENDERS_MAX: Final = 8
"""A lively room."""
ARRIVAL_TIMEOUT_S: Final = 240.0
"""For the last of 1,000 messages, at 5 a second."""
SETTLE_S: Final = 1.0
"""Between two measurements: what the one left behind is done with."""

_PREFIX: Final = "_floor_"
_TOKEN: Final = "token-of-the-floor"
_COMPONENT: Final = "floor"
_TRANSACTION_OCTETS_MAX: Final = 16 * 1024 * 1024

Send = Callable[[int, str], Awaitable[object]]
"""Send a text as the sender of this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One burst: how fast it was."""

    messages: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Messages a second, from the first request to the last arrival."""
        return self.messages / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to send and to hear."""

    send: Send
    heard: Arrivals[Seen] | Arrivals[Arrived]


class Ground:
    """`async with` starts everything; the room's ghosts exist then.

    Args:
        folder: of everything.
        rooms: with an agent and a provider for each network, in place of one Sabir.
    """

    def __init__(self, folder: Path, *, rooms: bool = False) -> None:
        self.lab = RoomsLab(folder) if rooms else Lab(folder)
        self._port = keep_ports(folder / "floor.json", ["push"])["push"]
        self.lab.synapse.add_appservice(
            "floor",
            url=f"http://{LOOPBACK}:{self._port}",
            as_token=_TOKEN,
            hs_token=_TOKEN,
            prefix=_PREFIX,
        )
        self._account = self.lab.prosody.add_component(_COMPONENT, _TOKEN)
        self._pushed: Arrivals[Seen] = Arrivals("application service of the floor")
        self._stack = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._runs = 0
        self.matrix_people: list[MatrixClient] = []
        self.xmpp_people: list[XmppClient] = []
        self.matrix_watcher: MatrixClient
        self.xmpp_watcher: XmppClient
        self._floor_room = ""
        self._floor_muc = f"floor@{self.lab.prosody.muc}"
        self._ghosts: Ghosts
        self._component: XmppComponent

    async def __aenter__(self) -> Self:
        try:
            await self._listen()
            await self._stack.enter_async_context(self.lab)
            await self._gather_people()
            await self._make_floor()
            await self._warm_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    # ---- making it

    async def _listen(self) -> None:
        async def take(request: web.Request) -> web.Response:
            arrived_s = time.monotonic()
            for event in (await request.json())["events"]:
                self._pushed.add(Seen("push", event["room_id"], event, arrived_s))
            return web.json_response({})

        application = web.Application(client_max_size=_TRANSACTION_OCTETS_MAX)
        application.router.add_put("/_matrix/app/v1/transactions/{id}", take)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, self._port).start()

    async def _gather_people(self) -> None:
        lab = self.lab
        self.matrix_watcher = await lab.matrix_person("watcher")
        self.xmpp_watcher = await lab.xmpp_person("watcher")
        for number in range(SENDERS_MAX):
            self.matrix_people.append(await lab.matrix_person(f"mx{number}"))
            self.xmpp_people.append(await lab.xmpp_person(f"xm{number}"))
        await lab.link(self.matrix_watcher, self.matrix_people, self.xmpp_watcher)
        for number, person in enumerate(self.xmpp_people):
            await person.join(lab.xmpp_room, f"person{number}")

    async def _make_floor(self) -> None:
        session = aiohttp.ClientSession(
            self.lab.synapse.base_url, headers={"Authorization": f"Bearer {_TOKEN}"}
        )
        await self._stack.enter_async_context(session)
        self._ghosts = Ghosts(session, self.lab.synapse.server_name, _PREFIX)
        room = self._floor_room = await self.matrix_watcher.create_room(
            "floor", public=True
        )
        for person in self.matrix_people:
            await person.join(room)
        self._component = await self._stack.enter_async_context(
            XmppComponent(self._account)
        )
        await self.xmpp_watcher.join(self._floor_muc, "watcher")
        for number, xmpp_person in enumerate(self.xmpp_people):
            await self._ghosts.join(number, room)
            await xmpp_person.join(self._floor_muc, f"person{number}")
            await self._component.join(self._floor_muc, f"ghost{number}")

    async def _warm_up(self) -> None:
        """Let everybody speak once, so that their ghosts exist."""
        for way in (self.matrix_to_xmpp, self.xmpp_to_matrix):
            await self.burst(way, SENDERS_MAX, SENDERS_MAX)

    # ---- the ways

    @property
    def matrix_to_xmpp(self) -> Way:
        """From people on Matrix over Sabir to the watcher on XMPP."""

        def send(number: int, text: str) -> Awaitable[object]:
            return self.matrix_people[number].send_text(self.lab.matrix_room, text)

        return Way(send=send, heard=self.xmpp_watcher.messages)

    @property
    def xmpp_to_matrix(self) -> Way:
        """From people on XMPP over Sabir to the watcher on Matrix."""

        async def send(number: int, text: str) -> None:
            self.xmpp_people[number].post_text(self.lab.xmpp_room, text)
            await asyncio.sleep(0)

        return Way(send=send, heard=self.matrix_watcher.events)

    @property
    def matrix_out(self) -> Way:
        """From people on Matrix to an application service."""

        def send(number: int, text: str) -> Awaitable[object]:
            return self.matrix_people[number].send_text(self._floor_room, text)

        return Way(send=send, heard=self._pushed)

    @property
    def matrix_in(self) -> Way:
        """From ghosts of an application service to the watcher on Matrix."""

        def send(number: int, text: str) -> Awaitable[object]:
            return self._ghosts.send(number, self._floor_room, text)

        return Way(send=send, heard=self.matrix_watcher.events)

    @property
    def matrix_in_turn(self) -> Way:
        """As `matrix_in`, but one ghost after another: what keeps the room's order.

        A homeserver orders what is under way together as it likes (invariant I4).
        """

        async def send(number: int, text: str) -> None:
            async with self._turn:
                await self._ghosts.send(number, self._floor_room, text)

        return Way(send=send, heard=self.matrix_watcher.events)

    @property
    def xmpp_out(self) -> Way:
        """From people on XMPP through a room to the watcher there."""

        async def send(number: int, text: str) -> None:
            self.xmpp_people[number].post_text(self._floor_muc, text)
            await asyncio.sleep(0)

        return Way(send=send, heard=self.xmpp_watcher.messages)

    @property
    def xmpp_in(self) -> Way:
        """From ghosts of a component through a room to the watcher on XMPP."""

        async def send(number: int, text: str) -> None:
            self._component.say(f"ghost{number}", self._floor_muc, text)
            await asyncio.sleep(0)

        return Way(send=send, heard=self.xmpp_watcher.messages)

    # ---- measuring

    async def burst(self, way: Way, senders: int, messages: int) -> tuple[Shot, str]:
        """Send as fast as it goes; return how fast that was, and the run's tag.

        Each sender says the same number, so a remainder of `messages` is left out.
        """
        self._runs += 1
        messages -= messages % senders
        tag = f"burst{self._runs}"

        async def speak(number: int) -> None:
            for index in range(messages // senders):
                await way.send(number, Said(f"s{number}", index).text(tag))

        begun_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            arriving = group.create_task(self._arrived(way, tag, messages))
            for number in range(senders):
                group.create_task(speak(number))
        seconds = max(arriving.result()) - begun_s
        await asyncio.sleep(SETTLE_S)
        return Shot(messages=messages, seconds=seconds), tag

    async def _arrived(self, way: Way, tag: str, messages: int) -> list[float]:
        def is_ours(heard: Heard) -> bool:
            return (heard.body or "").startswith(tag + " ")

        heard: Sequence[Heard] = await way.heard.wait_for_count(
            is_ours, messages, ARRIVAL_TIMEOUT_S
        )
        return [each.arrived_s for each in heard]

    async def one(self, way: Way, text: str) -> float:
        """Send one message as the first sender; return the milliseconds it takes."""
        mark = len(way.heard)
        begun_s = time.monotonic()
        await way.send(0, text)
        heard = await way.heard.wait_for(lambda heard: heard.body == text, mark=mark)
        return (heard.arrived_s - begun_s) * 1000

    async def check_to_xmpp(self, tag: str) -> Findings:
        """Compare a run from Matrix with what the XMPP room's archive has."""
        near = matrix_shown(self.matrix_watcher, self.lab.matrix_room, tag)
        return compare(
            near, await xmpp_history(self.xmpp_watcher, self.lab.xmpp_room, tag)
        )

    async def check_to_matrix(self, tag: str) -> Findings:
        """Compare a run from XMPP with what the Matrix room's history has."""
        near = await xmpp_history(self.xmpp_watcher, self.lab.xmpp_room, tag)
        return compare(
            near, await matrix_history(self.matrix_watcher, self.lab.matrix_room, tag)
        )


def percentile_95(times_ms: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(times_ms, n=20, method="inclusive")[18]
