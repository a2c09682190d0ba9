"""People at several real providers, in rooms of real hubs; each a `RoomMember`.

What their agents would ask their provider over the agent API, they ask `Hosting`, or
the hub through their provider's `Peers`. Nothing else is left out: mutual TLS, stores,
queues, streams.
"""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sabir.clock import Instant
from sabir.content.model import Content, MessageId
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE
from sabir.mimi.directory import Endpoint
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.member.events import Event
from sabir.mimi.member.intents import Intent, Invite, Invitee
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.member.room import RoomMember, open_invitation
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    decode_key_material_request,
)
from sabir.mimi.structs.submit import (
    SubmitMessageResponse,
    decode_submit_response,
    read_frank,
)
from sabir.mimi.structs.update import UpdateRoomResponse, decode_update_response
from sabir.mimi.template_names import TemplateName
from sabir.mimi.uris import domain_of
from sabir.provider.hosting import Hosting
from sabir.storage.provider.records import (
    Cursor,
    DeviceRecord,
    EventKind,
    StockedKeyPackage,
    StreamEvent,
    Verdict,
)
from sabir.testing.mimi.member_harness import Agent, said
from sabir.testing.mimi.people import device_of, domain_named, user_named
from sabir.testing.mls.seeded import SeededEnv
from tests.unit.provider.town import Site, Town

PATIENCE_S = 20.0
ANSWER_OCTETS_MAX = 16 << 20

BEGINNING = Cursor(0)


@dataclass(eq=False)
class Person:
    """One device of somebody, as its agent runs it.

    Attributes:
        agent: keys, store, timeline.
        town: where its provider runs.
        cursor: up to where its stream was taken.
        stream: kinds of events that came, with the octets.
    """

    agent: Agent
    town: Town
    cursor: Cursor = BEGINNING
    stream: list[tuple[EventKind, bytes]] = field(default_factory=list)

    @property
    def site(self) -> Site:
        return self.town.sites[self.agent.domain]

    @property
    def device(self) -> str:
        return device_of(self.agent.name)

    @property
    def of_room(self) -> list[EventKind]:
        """Return what came of rooms."""
        return [kind for kind, _ in self.stream if kind.value.startswith("room.")]


class Village:
    """People, who know each other by the names of tests: `ann`, `b.example:ben`."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.env = SeededEnv(23)
        self.env.time = int(time.time())  # now: the hub has a clock, too
        self.people: dict[str, Person] = {}
        self.room = ""

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def site(self, name: str) -> Site:
        return self.town.sites[domain_named(name)]

    def hosting(self, domain: str) -> Hosting:
        return self.town.sites[domain].provider.services.hosting

    @property
    def hub(self) -> str:
        return domain_of(self.room)

    @property
    def now(self) -> Instant:
        return self.town.clock.now()

    # ---- people

    async def settle_in(self, *names: str) -> None:
        """Let people register a device each."""
        for name in names:
            site = self.site(name)
            agent = Agent.of(self.env, name)
            self.people[name] = Person(agent, self.town)
            user = user_named(name)
            if not await site.store.user_exists(user):
                await site.store.add_user(user, user.encode(), now=self.now)
            record = DeviceRecord(
                device=device_of(name),
                user=user,
                name=name,
                suite=SUITE,
                signature_key=agent.client.identity(SUITES[SUITE]).public,
                created_at=self.now,
            )
            await site.store.add_device(record, {})

    async def publish(self, name: str) -> None:
        """Let a device put a KeyPackage into its provider's stock."""
        agent = self[name].agent
        package, secrets = agent.client.key_package(self.env, suite=SUITE)
        ref = package.reference(SUITES[SUITE])
        agent.stock[ref] = secrets
        lifetime = package.leaf_node.lifetime
        assert lifetime is not None
        stocked = StockedKeyPackage(
            ref=ref,
            device=self[name].device,
            suite=SUITE,
            octets=package.raw,
            not_before=Instant(lifetime.not_before * 1_000),
            not_after=Instant(lifetime.not_after * 1_000),
            last_resort=False,
        )
        await self.site(name).store.stock_key_packages([stocked], now=self.now)

    async def consent(self, target: str, requester: str) -> None:
        """Let somebody be added by somebody, to any room."""
        verdict = Verdict(
            requester=user_named(requester),
            target=user_named(target),
            room="",
            granted=True,
            decided_at=self.now,
        )
        await self.site(target).store.set_verdicts([verdict])

    # ---- asking the hub

    async def ask(
        self, name: str, endpoint: Endpoint, body: bytes, *, room: str = ""
    ) -> bytes:
        """Let a device ask the hub, through its provider."""
        room, home = room or self.room, domain_named(name)
        if domain_of(room) == home:
            hosting, device = self.hosting(home), device_of(name)
            if endpoint is Endpoint.UPDATE:
                return await hosting.update(home, room, body, device=device)
            if endpoint is Endpoint.SUBMIT_MESSAGE:
                return await hosting.submit(home, room, body, device=device)
            assert endpoint is Endpoint.GROUP_INFO
            return await hosting.group_info(home, room, body, device=device)
        core = self.site(name).provider.core
        answer = await core.peers.call(
            domain_of(room),
            endpoint,
            {"roomId": room},
            body,
            octets_max=ANSWER_OCTETS_MAX,
        )
        assert answer.status == 200, answer
        return answer.body

    async def key_material(self, by: str, user: str) -> bytes:
        """Let a member ask for somebody's KeyPackages."""
        body = self[by].agent.room.key_material_request(user)
        home = domain_named(by)
        if self.hub == home:
            request = decode_key_material_request(body)
            assert isinstance(request, KeyMaterialRequest)
            services = self.site(by).provider.services
            return await services.key_material.as_hub(request, body, source=home)
        core = self.site(by).provider.core
        answer = await core.peers.call(
            self.hub,
            Endpoint.KEY_MATERIAL,
            {"targetUser": user},
            body,
            octets_max=ANSWER_OCTETS_MAX,
        )
        assert answer.status == 200, answer
        return answer.body

    # ---- what people do

    async def found(
        self,
        creator: str,
        template: TemplateName = TemplateName.GROUP,
        others: tuple[str, ...] = (),
    ) -> str:
        """Let somebody make a room at the own provider."""
        person, home = self[creator], domain_named(creator)
        hosting = self.hosting(home)
        providers = {domain_named(name) for name in others}
        held = await hosting.reserve(user_named(creator), template, providers)
        agent = person.agent
        agent.replace(
            RoomMember.create(
                self.env,
                agent.client,
                held.reservation,
                others=[user_named(name) for name in others],
            )
        )
        operation = agent.room.operation
        assert operation is not None
        self.room = held.reservation.room_uri
        at = await hosting.genesis(person.device, self.room, operation.octets)
        agent.note(agent.room.confirm_genesis(self.env, int(at)))
        agent.store()
        return self.room

    async def perform(self, by: str, intent: Intent) -> UpdateRoomResponse:
        """Let somebody do something, from store to answer."""
        agent = self[by].agent
        operation = agent.room.perform(self.env, intent)
        agent.store()
        assert operation is not None
        answer = await self.ask(by, Endpoint.UPDATE, operation.octets)
        agent.note(agent.room.confirm(self.env, answer))
        agent.store()
        return decode_update_response(answer)

    async def invite(self, by: str, *names: str, role: int = 2) -> UpdateRoomResponse:
        """Let somebody add people who agree, with one KeyPackage each."""
        invitees = []
        for name in names:
            await self.publish(name)
            await self.consent(name, by)
            user = user_named(name)
            found = self[by].agent.room.key_material(
                self.env, user, await self.key_material(by, user)
            )
            assert found.fitting, (found.status, found.left_out)
            hosts = await self.hosting(self.hub).asset_hosts(domain_named(name))
            invitees.append(Invitee(user, found.fitting, hosts or ()))
        return await self.perform(by, Invite(tuple(invitees), role))

    async def send(self, by: str, content: Content | str) -> MessageId:
        """Let somebody send a message, from store to answer."""
        made = said(content) if isinstance(content, str) else content
        agent = self[by].agent
        outgoing = agent.room.send(self.env, made, agent.known())
        agent.store()
        answer = await self.ask(by, Endpoint.SUBMIT_MESSAGE, outgoing.octets)
        agent.note(agent.room.confirm_message(self.env, outgoing.digest, answer))
        agent.store()
        return outgoing.message_id

    async def send_badly(self, by: str, text: str) -> SubmitMessageResponse:
        """Let somebody send a message; return the answer, whatever it is."""
        agent = self[by].agent
        outgoing = agent.room.send(self.env, said(text), agent.known())
        answer = await self.ask(by, Endpoint.SUBMIT_MESSAGE, outgoing.octets)
        return decode_submit_response(answer)

    async def join(
        self, name: str, code: bytes = b"", **how: Any
    ) -> UpdateRoomResponse:
        """Let a device join from outside."""
        person = self[name]
        agent = person.agent
        asking = request_group_info(self.env, agent.client, self.room, code)
        shown = await self.ask(name, Endpoint.GROUP_INFO, asking.octets)
        agent.replace(RoomMember.join(self.env, agent.client, asking, shown, **how))
        if domain_named(name) != self.hub:
            # What the agent API does before it hands on a commit from outside.
            await person.site.store.attach(
                self.room, self.hub, person.device, now=self.now
            )
        operation = agent.room.operation
        assert operation is not None
        answer = await self.ask(name, Endpoint.UPDATE, operation.octets)
        agent.note(agent.room.confirm(self.env, answer))
        agent.store()
        return decode_update_response(answer)

    # ---- streams

    async def take(self, name: str) -> bool:
        """Let a device take what is in its stream; tell whether there was anything."""
        person = self[name]
        events = await person.site.store.events(
            person.device, person.cursor, count_max=1_000
        )
        for event in events:
            person.cursor = event.cursor
            person.stream.append((event.kind, event.data))
            person.agent.note(self._taken(person, event))
            if person.agent.member is not None:
                person.agent.store()
        return bool(events)

    def _taken(self, person: Person, event: StreamEvent) -> tuple[Event, ...]:
        agent = person.agent
        if event.kind is EventKind.WELCOME:
            invitation = open_invitation(
                self.env, agent.client, event.data, agent.stock.values()
            )
            agent.replace(invitation.member)
            return invitation.events
        if event.kind is EventKind.OWN:
            own = json.loads(event.data)
            frank = own["frank"] and decode_whole(_octets(own["frank"]), read_frank)
            return agent.room.receive_own(
                self.env, int(event.accepted_at), _octets(own["sha256"]), frank
            )
        if event.kind in (EventKind.MESSAGE, EventKind.HANDSHAKE):
            return agent.room.receive(self.env, event.data)
        return ()

    async def until(self, done: Callable[[], bool]) -> None:
        """Let everybody take what comes until something is so."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for name in self.people:
                    await self.take(name)
                if done():
                    return
                await asyncio.sleep(0.01)

    async def quiet(self) -> None:
        """Let everybody take what comes until nothing is under way."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                waiting = [
                    queue.waiting
                    for site in self.town.sites.values()
                    for queue in await site.store.queues()
                ]
                took = [await self.take(name) for name in self.people]
                if not any(waiting) and not any(took):
                    return
                await asyncio.sleep(0.01)

    async def check_memory(self) -> None:
        """Check that the room at its hub is what a restart would make of it."""
        hosting, store = self.hosting(self.hub), self.town.sites[self.hub].store
        keys = await hosting._fresh_keys()
        async with hosting._desks.asked(self.room) as machine:
            stored = await store.settled_room(self.room)
            assert machine is not None
            assert stored is not None
            assert (stored.state, stored.last_at) == (machine.encode(), machine.last_at)
            again = HubRoom.load(keys, stored.state, stored.last_at)
            assert again.encode() == stored.state
            assert again.view == machine.view

    def texts(self, name: str) -> list[str]:
        return self[name].agent.texts


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
