"""Load for one hub: rooms with real members, and messages sealed beforehand.

The rooms are made by the provider's own code in its own database, before it starts. The
messages are those of a user of another provider, and come over mutual TLS as from any
follower.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sabir.cli.provider_config import load_provider_file
from sabir.cli.provider_files import open_store, read_key
from sabir.cli.system import SystemClock, system_rng
from sabir.clock import Instant
from sabir.crypto.suites import SUITES
from sabir.errors import Unavailable
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import (
    KeyMaterialClientCode,
    KeyMaterialUserCode,
    SubmitCode,
    UpdateCode,
)
from sabir.mimi.directory import Endpoint, expand, our_path
from sabir.mimi.member.intents import Invite, Invitee
from sabir.mimi.member.room import RoomMember, open_invitation
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.key_material import ClientKeyMaterial, KeyMaterialResponse
from sabir.mimi.structs.submit import (
    SubmitMessageResponse,
    decode_submit_response,
)
from sabir.mimi.structs.update import decode_update_response
from sabir.mimi.template_names import TemplateName
from sabir.mls.welcome import Welcome
from sabir.provider.hosting import Hosting
from sabir.provider.key_material import DOMAIN_REFS
from sabir.provider.provider import Provider
from sabir.storage.provider.ports import ProviderStore
from sabir.storage.provider.records import DeviceRecord
from sabir.testing.clients.component import XmppComponent
from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.floors import MANY_SENDERS
from sabir.testing.mimi.member_harness import Agent, said
from sabir.testing.mimi.people import device_of
from sabir.testing.mls.seeded import SeededEnv
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.synapse import Synapse
from sabir.testing.town.provider import ProviderProcess, make_authority

HUB: Final = "hub.example"
LOADER: Final = "load.example"
"""The provider whose users send."""
TEXT: Final = "The kettle is on, and the biscuits are where they always are."
"""Of each message: of usual length."""
DAY_MS: Final = 86_400_000
PEER_REQUESTS_PER_S: Final = 100_000
"""What the hub's operator grants the loader."""
PROSODY_S: Final = 120.0
_FORGET: Final = SubmitMessageResponse(SubmitCode.NOT_ALLOWED)


@dataclass(eq=False)
class LoadedRoom:
    """A room at the hub, and the member who sends.

    Attributes:
        uri: of the room.
        member: of `LOADER`.
        env: clock and dice.
    """

    uri: str
    member: RoomMember
    env: SeededEnv

    def seal(self, count: int) -> list[bytes]:
        """Seal messages, each a whole HTTP request of `submitMessage`."""
        return [_request(self.uri, self._sealed()) for _ in range(count)]

    def _sealed(self) -> bytes:
        outgoing = self.member.send(self.env, said(TEXT))
        # Its place in the room's order is nothing to this member.
        self.member.confirm_message(self.env, outgoing.digest, _FORGET)
        return outgoing.octets


async def make_rooms(
    hub: ProviderProcess, rooms: int, followers: Sequence[str]
) -> list[LoadedRoom]:
    """Make rooms at a provider that does not run: its user, and one of each follower.

    Args:
        hub: prepared.
        rooms: how many.
        followers: domains; the first one's user sends.
    """
    config = load_provider_file(hub.data).provider
    store = open_store(hub.data)
    try:
        provider = Provider(
            config, store, key=read_key(hub.data), clock=SystemClock(), rng=system_rng
        )
        hosting = provider.services.hosting
        await hosting.open_keys()
        env = SeededEnv(int.from_bytes(system_rng(4), "big"))
        env.time = int(time.time())
        return [
            await _Builder(hub.domain, hosting, store, env).room(number, followers)
            for number in range(rooms)
        ]
    finally:
        store.close()


@dataclass
class _Builder:
    hub: str
    hosting: Hosting
    store: ProviderStore
    env: SeededEnv

    async def room(self, number: int, followers: Sequence[str]) -> LoadedRoom:
        tag = system_rng(4).hex()
        creator = await self._creator(f"{self.hub}:ann{tag}")
        held = await self.hosting.reserve(creator.user, TemplateName.GROUP)
        creator.member = RoomMember.create(self.env, creator.client, held.reservation)
        uri = held.reservation.room_uri
        operation = creator.room.operation
        assert operation is not None
        device = device_of(creator.name)
        at = await self.hosting.genesis(device, uri, operation.octets)
        creator.room.confirm_genesis(self.env, int(at))
        guests = [
            Agent.of(self.env, f"{domain}:u{number}{tag}") for domain in followers
        ]
        await self._invite(creator, uri, guests)
        await self._welcome(uri, guests[0])
        return LoadedRoom(uri, guests[0].room, self.env)

    async def _creator(self, name: str) -> Agent:
        agent, now = Agent.of(self.env, name), SystemClock().now()
        await self.store.add_user(agent.user, agent.user.encode(), now=now)
        await self.store.add_device(
            DeviceRecord(
                device=device_of(name),
                user=agent.user,
                name=name,
                suite=SUITE,
                signature_key=agent.client.identity(SUITES[SUITE]).public,
                created_at=now,
            ),
            {},
        )
        return agent

    async def _invite(self, creator: Agent, uri: str, guests: Sequence[Agent]) -> None:
        invitees = [await self._invitee(creator, guest) for guest in guests]
        operation = creator.room.perform(self.env, Invite(tuple(invitees), 2))
        assert operation is not None
        answer = await self.hosting.update(
            self.hub, uri, operation.octets, device=device_of(creator.name)
        )
        code = decode_update_response(answer).code
        assert code == UpdateCode.SUCCESS, code
        creator.room.confirm(self.env, answer)

    async def _invitee(self, creator: Agent, guest: Agent) -> Invitee:
        package, secrets = guest.client.key_package(self.env, suite=SUITE)
        ref = package.reference(SUITES[SUITE])
        guest.stock[ref] = secrets
        until = Instant(SystemClock().now() + DAY_MS)
        await self.store.route_refs(DOMAIN_REFS, {ref: (guest.domain, until)})
        answer = KeyMaterialResponse(
            status=KeyMaterialUserCode.SUCCESS,
            user=guest.user,
            clients=(
                ClientKeyMaterial(
                    status=KeyMaterialClientCode.SUCCESS,
                    client=device_of(guest.name),
                    key_package=package,
                ),
            ),
        ).encode()
        creator.room.key_material_request(guest.user)
        found = creator.room.key_material(self.env, guest.user, answer)
        return Invitee(guest.user, found.fitting, ())

    async def _welcome(self, uri: str, guest: Agent) -> None:
        """Take the Welcome out of the queue of the guest's provider."""
        batch = await self.store.batch(
            uri, guest.domain, count_max=10, octets_max=1 << 26
        )
        for queued in batch:
            (fanned,) = read_fanout_messages(queued.octets)
            if isinstance(fanned.message.body, Welcome):
                invitation = open_invitation(
                    self.env, guest.client, queued.octets, guest.stock.values()
                )
                guest.member = invitation.member
        await self.store.batch_done(uri, guest.domain)


def _request(room: str, body: bytes) -> bytes:
    """Write a whole request, so that sending it costs the load nothing."""
    path = expand(our_path(Endpoint.SUBMIT_MESSAGE), {"roomId": room}, room)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HUB}\r\nFrom: mimi@{LOADER}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Line:
    """One connection to the hub, as `LOADER`; one request at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    async def submit(self, request: bytes) -> None:
        """Send a message, and wait until the hub has it on its disk.

        Raises:
            Unavailable: the hub does not take it.
        """
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise Unavailable(f"the hub answers {head[:20]!r} {body!r}")
        code = decode_submit_response(body).code
        if code != SubmitCode.ACCEPTED:
            raise Unavailable(f"the hub does not accept a message: {code}")

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


class Ring:
    """A hub with its load: two providers, and connections between them.

    Args:
        folder: of everything.
        count: of rooms made at a time, and of connections.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._count = count
        self._authority = make_authority(folder / "authority")
        self._hub = ProviderProcess(folder / "hub", HUB, self._authority)
        self._loader = ProviderProcess(folder / "loader", LOADER, self._authority)
        self._stack = AsyncExitStack()
        self.lines: list[Line] = []

    async def __aenter__(self) -> Self:
        for provider in (self._hub, self._loader):
            provider.prepare()
        self._hub.knows({LOADER: self._loader.ports["federation"]})
        self._loader.knows({HUB: self._hub.ports["federation"]})
        settings = self._hub.data / "provider.toml"
        limit = f"peer_requests_per_s = {PEER_REQUESTS_PER_S}\n"
        settings.write_text(limit + settings.read_text())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for line in self.lines:
            line.close()
        await self._stack.aclose()

    async def rooms(self, followers: Sequence[str]) -> list[LoadedRoom]:
        """Make a room for each connection, before the start."""
        return await make_rooms(self._hub, self._count, followers)

    async def start(self) -> None:
        """Start both providers, and connect with the loader's certificate."""
        for provider in (self._hub, self._loader):
            await self._stack.enter_async_context(provider)
        for _ in range(self._count):
            await self.connect()

    async def connect(self) -> Line:
        """Open one more connection with the loader's certificate."""
        context = ssl.create_default_context(cafile=self._authority / "ca.pem")
        context.load_cert_chain(
            self._loader.data / "certificate.pem", self._loader.data / "certificate.key"
        )
        line = Line(
            *await asyncio.open_connection(
                LOOPBACK, self.port, ssl=context, server_hostname=HUB
            )
        )
        self.lines.append(line)
        return line

    async def rate(self, rooms: Sequence[LoadedRoom], each: int) -> float:
        """Send as fast as it goes; return messages a second."""
        work = [room.seal(each) for room in rooms]
        return each * len(rooms) / await drive(self.lines[: len(rooms)], work)

    async def paced(
        self, rooms: Sequence[LoadedRoom], each: int, per_s: float
    ) -> list[float]:
        """Send at a steady rate; return the times of all messages, ms."""
        return await pace(
            self.lines[: len(rooms)], [room.seal(each) for room in rooms], per_s
        )

    @property
    def port(self) -> int:
        """Return the hub's port for other providers."""
        return self._hub.ports["federation"]

    def resident_mb(self) -> float:
        """Return the size of the hub's memory."""
        status = Path(f"/proc/{self._hub.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1_024


async def drive(lines_: Sequence[Line], work: Sequence[Sequence[bytes]]) -> float:
    """Send all, each list in order on a line of its own; return the seconds."""

    async def one(line: Line, requests: Sequence[bytes]) -> None:
        for request in requests:
            await line.submit(request)

    begun_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for line, requests in zip(lines_, work, strict=True):
            group.create_task(one(line, requests))
    return time.perf_counter() - begun_s


async def pace(
    lines_: Sequence[Line], work: Sequence[Sequence[bytes]], per_s: float
) -> list[float]:
    """Send at a steady rate; return how long each message took from its due time, ms.

    From its due time, not from its request: a hub that stalls is charged for all that
    had to wait for it.
    """
    times: list[float] = []
    begun_s = time.perf_counter()
    step_s = len(lines_) / per_s

    async def one(number: int, line: Line, requests: Sequence[bytes]) -> None:
        due_s = begun_s + number / per_s
        for request in requests:
            wait_s = due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await line.submit(request)
            times.append((time.perf_counter() - due_s) * 1_000)
            due_s += step_s

    async with asyncio.TaskGroup() as group:
        for number, (line, requests) in enumerate(zip(lines_, work, strict=True)):
            group.create_task(one(number, line, requests))
    return times


async def synapse_rate(folder: Path, clients: int, each: int) -> float:
    """Return how many messages a second a fresh Synapse takes from so many clients."""
    async with Synapse(folder) as synapse, AsyncExitStack() as stack:
        people = []
        for number in range(clients):
            account = await synapse.add_user(f"sender{number}")
            people.append(await stack.enter_async_context(MatrixClient(account)))
        rooms = [await person.create_room("load", public=True) for person in people]

        async def one(person: MatrixClient, room: str) -> None:
            for number in range(each):
                await person.send_text(room, f"{number} {TEXT}")

        begun_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for person, room in zip(people, rooms, strict=True):
                group.create_task(one(person, room))
        return clients * each / (time.perf_counter() - begun_s)


async def prosody_rate(folder: Path, messages: int) -> float:
    """Return how many messages of a component a listener in a room hears a second."""
    async with Prosody(folder) as prosody, AsyncExitStack() as stack:
        account = prosody.add_component("load", system_rng(16).hex())
        await prosody.restart()
        listener = await stack.enter_async_context(
            XmppClient(await prosody.add_user("listener"))
        )
        room = f"load@{prosody.muc}"
        await listener.join(room, "listener")
        component = await stack.enter_async_context(XmppComponent(account))
        for number in range(MANY_SENDERS):
            await component.join(room, f"ghost{number}")
        begun_s = time.perf_counter()
        for number in range(messages):
            component.say(f"ghost{number % MANY_SENDERS}", room, f"{number} {TEXT}")
        await listener.messages.wait_for_count(
            lambda heard: (heard.body or "").endswith(TEXT), messages, PROSODY_S
        )
        return messages / (time.perf_counter() - begun_s)
