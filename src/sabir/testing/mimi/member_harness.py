"""Members of a room as their agents run them, at a real hub, through octets and stores.

Each agent has a store and a queue of its stream. Nothing is sent before it is stored,
nothing is taken without being stored after, and an agent may restart at any step.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sabir.content.model import PLAIN_TEXT, Content, Disposition, MessageId, SinglePart
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE, room_client, room_services
from sabir.mimi.codepoints import KeyMaterialClientCode, KeyMaterialUserCode
from sabir.mimi.hub.genesis import begin, decode_genesis
from sabir.mimi.hub.join_codes import JoinCode
from sabir.mimi.hub.keys import HubKeys
from sabir.mimi.hub.outcome import FanoutEvent, HubFacts, Outcome
from sabir.mimi.hub.room import HubRoom, refs_wanted
from sabir.mimi.member.admission import Held, admit
from sabir.mimi.member.events import Discarded, Event, MessageReceived
from sabir.mimi.member.intents import Intent, Invite, Invitee
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.member.kind_capability import Known, KnownMessage, is_reaction
from sabir.mimi.member.memory import Phase
from sabir.mimi.member.operation import Operation, Outgoing
from sabir.mimi.member.room import RoomMember, open_invitation
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.group_info import decode_group_info_request
from sabir.mimi.structs.key_material import (
    ClientKeyMaterial,
    KeyMaterialResponse,
    decode_key_material_request,
)
from sabir.mimi.structs.submit import decode_submit_request
from sabir.mimi.structs.update import UpdateRoomResponse, decode_handshake_bundle
from sabir.mimi.template_names import TemplateName
from sabir.mimi.uris import domain_of
from sabir.mls.client import Identity, KeyPackageSecrets, MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.testing.mimi.hub_harness import HUB, ROOM, new_keys, reservation_of
from sabir.testing.mimi.people import device_of, domain_named, user_named
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.seeded import SeededEnv


def said(text: str, **how: Any) -> Content:
    """Say something; the member sets the salt."""
    disposition = how.pop("disposition", Disposition.RENDER)
    part = SinglePart(
        content_type=PLAIN_TEXT, content=text.encode(), disposition=disposition
    )
    return Content(salt=b"", body=part, **how)


@dataclass(eq=False)
class Agent:
    """An agent with one client.

    Attributes:
        name: in the test.
        client: its keys and settings.
        member: its room, once it has one.
        rows: its store.
        queue: events of its stream that it has not taken.
        sent: digests of messages of its own.
        stock: secrets of its KeyPackages by reference.
        events: all that its room has reported.
        timeline: what it shows: messages by id, with their times.
        attached: whether it gets the room's stream.
    """

    name: str
    client: MlsClient
    member: RoomMember | None = None
    rows: dict[bytes, bytes] = field(default_factory=dict)
    queue: deque[FanoutEvent] = field(default_factory=deque)
    sent: set[bytes] = field(default_factory=set)
    stock: dict[bytes, KeyPackageSecrets] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    timeline: dict[MessageId, MessageReceived] = field(default_factory=dict)
    attached: bool = False

    @classmethod
    def of(cls, env: SeededEnv, name: str) -> "Agent":
        """Make an agent with fresh keys."""
        credential = BasicCredential(device_of(name).encode())
        identity = Identity.generate(env, SUITES[SUITE], credential)
        return cls(name, room_client(room_services(), PskTable(), [identity]))

    @property
    def user(self) -> str:
        """Return the user's URI."""
        return user_named(self.name)

    @property
    def domain(self) -> str:
        """Return the provider."""
        return domain_named(self.name)

    @property
    def room(self) -> RoomMember:
        """Return its room."""
        assert self.member is not None, f"{self.name} is in no room"
        return self.member

    @property
    def is_in(self) -> bool:
        """Whether it is in the room, as far as it knows."""
        return self.member is not None and self.member.phase is Phase.ACTIVE

    def store(self) -> None:
        """Write down what changed, and start again from it."""
        delta = self.room.delta()
        for key, value in delta.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.room.saved(delta)
        assert self.room.save() == self.rows, "what is stored is all there is"
        self.member = RoomMember.load(self.client, self.rows)
        assert self.member.save() == self.rows, "rows survive a restart octet by octet"
        assert not self.member.delta()

    def replace(self, member: RoomMember) -> None:
        """Begin a new store for a room."""
        self.rows = {}
        self.member = member
        self.store()

    def note(self, events: Iterable[Event]) -> None:
        """Keep what the room reported, and show what may be shown."""
        for event in events:
            self.events.append(event)
            if isinstance(event, MessageReceived):
                found = admit(event, self.known())
                if isinstance(found, MessageReceived):
                    self.timeline[found.message_id] = found
                elif isinstance(found, Discarded):
                    self.events.append(found)
                else:
                    assert isinstance(found, Held)

    def known(self) -> Known:
        """Return what the timeline knows."""
        messages = {
            message_id: KnownMessage(
                sender=each.sender,
                is_reaction=is_reaction(each.content),
                in_reply_to=each.content.in_reply_to,
            )
            for message_id, each in self.timeline.items()
        }
        topics = frozenset(each.content.topic_id for each in self.timeline.values())
        return Known(messages=messages, topics=topics)

    def all(self, kind: type[Any]) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def texts(self) -> list[str]:
        """Return what it shows, in the room's order."""
        shown = sorted(self.timeline.values(), key=lambda each: each.accepted_at)
        return [
            each.content.body.content.decode()
            for each in shown
            if isinstance(each.content.body, SinglePart)
        ]


@dataclass(eq=False)
class MemberHarness:
    """A hub, its room, and the agents of everybody who has to do with it.

    Attributes:
        env: clock and dice.
        keys: of the hub.
        room: the hub's half.
        agents: everybody, by name.
        refs: where KeyPackages that came through the hub belong.
        log: everything that was fanned out.
        prompt: streams are taken as soon as something is in them.
    """

    env: SeededEnv
    keys: HubKeys
    room: HubRoom
    agents: dict[str, Agent] = field(default_factory=dict)
    refs: dict[bytes, str] = field(default_factory=dict)
    log: list[FanoutEvent] = field(default_factory=list)
    prompt: bool = True

    @classmethod
    def of(
        cls,
        creator: str = "ann",
        template: TemplateName = TemplateName.GROUP,
        others: Iterable[str] = (),
        *,
        seed: int = 7,
        **how: Any,
    ) -> "MemberHarness":
        """Let somebody make a room."""
        env = SeededEnv(seed)
        keys = new_keys(env)
        reservation = reservation_of(keys, template)
        agent = Agent.of(env, creator)
        listed = [user_named(name) for name in others]
        agent.replace(
            RoomMember.create(env, agent.client, reservation, others=listed, **how)
        )
        operation = agent.room.operation
        assert operation is not None
        now_ms = env.now() * 1_000
        change = begin(
            decode_genesis(operation.octets), reservation, agent.user, now_ms=now_ms
        )
        agent.note(agent.room.confirm_genesis(env, now_ms))
        agent.store()
        agent.attached = True
        return cls(env, keys, HubRoom.begin(keys, change), {creator: agent})

    def __getitem__(self, name: str) -> Agent:
        return self.agents[name]

    def agent(self, name: str) -> Agent:
        """Return somebody, who may be new."""
        if name not in self.agents:
            self.agents[name] = Agent.of(self.env, name)
        return self.agents[name]

    @property
    def now_ms(self) -> int:
        """Return the hub's time."""
        return self.env.now() * 1_000

    @property
    def members(self) -> list[Agent]:
        """Return everybody who is in the room, as far as they know."""
        return [agent for agent in self.agents.values() if agent.is_in]

    # ---- the hub

    def take(self, outcome: Outcome[Any]) -> None:
        """Let the hub write down what it accepted, and send it."""
        if outcome.change is None:
            return
        self.room.apply(outcome.change)
        for event in outcome.fanout:
            self.fan_out(event)

    def fan_out(self, event: FanoutEvent) -> None:
        """Put an event into the streams of all who are to have it."""
        self.log.append(event)
        for agent in self.agents.values():
            if self._gets(agent, event):
                agent.queue.append(event)
        if self.prompt:
            self.deliver()

    def _gets(self, agent: Agent, event: FanoutEvent) -> bool:
        if event.welcome_refs is not None:
            return any(ref in agent.stock for ref in event.welcome_refs)
        if not agent.attached:
            return False
        if agent.domain == HUB:
            return agent.user not in event.withheld_users
        return agent.domain in event.domains

    def deliver(self, *names: str, most: int = 1_000_000) -> None:
        """Let agents take what is in their streams."""
        for agent in [self[name] for name in names] or list(self.agents.values()):
            for _ in range(min(most, len(agent.queue))):
                self.bring(agent, agent.queue.popleft())

    def bring(self, agent: Agent, event: FanoutEvent) -> None:
        """Let an agent take one event."""
        (message,) = read_fanout_messages(event.octets)
        if event.welcome_refs is not None:
            self._invited(agent, event)
        elif agent.member is None:
            return
        elif event.digest in agent.sent:
            events = agent.room.receive_own(
                self.env, event.accepted_at, event.digest, message.frank
            )
            agent.note(events)
            agent.store()
        else:
            agent.note(agent.room.receive(self.env, event.octets))
            agent.store()

    def _invited(self, agent: Agent, event: FanoutEvent) -> None:
        invitation = open_invitation(
            self.env, agent.client, event.octets, agent.stock.values()
        )
        used = invitation.key_package.key_package.reference(SUITES[SUITE])
        del agent.stock[used]
        agent.replace(invitation.member)
        agent.note(invitation.events)
        agent.attached = True

    # ---- key material

    def publish(self, name: str) -> None:
        """Let a client make a KeyPackage for others to find."""
        agent = self.agent(name)
        package, secrets = agent.client.key_package(self.env, suite=SUITE)
        agent.stock[package.reference(SUITES[SUITE])] = secrets

    def claim(self, by: str, user: str) -> bytes:
        """Ask through the hub for one KeyPackage of each client of a user."""
        request = decode_key_material_request(self[by].room.key_material_request(user))
        if not self.room.may_ask(self[by].domain, request):  # type: ignore[arg-type]
            refused = KeyMaterialResponse(
                status=KeyMaterialUserCode.NO_CONSENT, user=user
            )
            return refused.encode()
        clients = []
        for agent in self.agents.values():
            if agent.user == user and agent.stock:
                reference, secrets = next(iter(agent.stock.items()))
                self.refs[reference] = agent.domain
                clients.append(
                    ClientKeyMaterial(
                        status=KeyMaterialClientCode.SUCCESS,
                        client=device_of(agent.name),
                        key_package=secrets.key_package,
                    )
                )
        status = KeyMaterialUserCode.SUCCESS
        return KeyMaterialResponse(
            status=status, user=user, clients=tuple(clients)
        ).encode()

    def invitee(self, by: str, name: str) -> Invitee:
        """Find the clients of somebody that can be added."""
        user = user_named(name)
        found = self[by].room.key_material(self.env, user, self.claim(by, user))
        hosts = (f"assets.{domain_of(user)}",)
        return Invitee(user, found.fitting, hosts)

    # ---- what agents do

    def submit(self, by: str, operation: Operation) -> UpdateRoomResponse:
        """Bring an operation to the hub, and its answer back to nobody."""
        bundle = decode_handshake_bundle(operation.octets)
        facts = HubFacts(
            key_package_domains={
                ref: self.refs[ref] for ref in refs_wanted(bundle) if ref in self.refs
            },
            asset_domains={
                agent.domain: (f"assets.{agent.domain}",)
                for agent in self.agents.values()
            },
        )
        outcome = self.room.update(self.now_ms, self[by].domain, bundle, facts)
        self.take(outcome)
        return outcome.response

    def perform(self, by: str, intent: Intent) -> UpdateRoomResponse | None:
        """Let somebody do something, from store to answer."""
        agent = self[by]
        operation = agent.room.perform(self.env, intent)
        agent.store()
        if operation is None:
            return None
        assert agent.room.operation == operation, "it can be sent again after a crash"
        response = self.submit(by, operation)
        agent.note(agent.room.confirm(self.env, response.encode()))
        agent.store()
        return response

    def invite(self, by: str, *names: str, role: int = 2) -> None:
        """Let somebody add people, with one KeyPackage each published before."""
        for name in names:
            self.publish(name)
        users = dict.fromkeys(user_named(name) for name in names)
        first = {user_named(name): name for name in reversed(names)}
        invitees = tuple(self.invitee(by, first[user]) for user in users)
        response = self.perform(by, Invite(invitees, role))
        assert response is not None
        assert response.code == 0, response

    def sealed(self, by: str, content: Content | bytes) -> Outgoing:
        """Let somebody seal a message and store it."""
        agent = self[by]
        outgoing = agent.room.send(self.env, content, agent.known())
        agent.sent.add(outgoing.digest)
        agent.store()
        return outgoing

    def send(self, by: str, content: Content | bytes | str) -> MessageId:
        """Let somebody send a message, from store to answer."""
        agent = self[by]
        made = said(content) if isinstance(content, str) else content
        outgoing = self.sealed(by, made)
        self.post(by, outgoing)
        agent.store()
        return outgoing.message_id

    def post(self, by: str, outgoing: Outgoing) -> int:
        """Bring a message to the hub, and its answer back."""
        agent = self[by]
        request = decode_submit_request(outgoing.octets)
        outcome = self.room.submit(self.now_ms, agent.domain, request)
        self.take(outcome)
        answer = outcome.response.encode()
        agent.note(agent.room.confirm_message(self.env, outgoing.digest, answer))
        agent.store()
        return outcome.response.code

    def asked(
        self, name: str, shown: bytes = b"", code: JoinCode | None = None, **how: Any
    ) -> RoomMember:
        """Let somebody ask for the group, and make the commit to join it."""
        agent = self.agent(name)
        asking = request_group_info(self.env, agent.client, ROOM, shown)
        request = decode_group_info_request(asking.octets)
        outcome = self.room.group_info(self.now_ms, agent.domain, request, code)
        self.take(outcome)
        return RoomMember.join(
            self.env, agent.client, asking, outcome.response.encode(), **how
        )

    def join(self, name: str, **how: Any) -> UpdateRoomResponse:
        """Let somebody join from outside."""
        joining = self.asked(name, **how)
        agent = self[name]
        agent.replace(joining)
        agent.attached = True
        operation = agent.room.operation
        assert operation is not None
        response = self.submit(name, operation)
        agent.note(agent.room.confirm(self.env, response))
        agent.store()
        return response

    # ---- what must be true

    def check_agreement(self) -> None:
        """Check that all members are in the hub's epoch and show the same."""
        context = self.room.memory.group.context
        waiting = set(self.room.memory.group.pending)
        one = self.members[0]
        for agent in self.members:
            group = agent.room.group
            assert group.group_context.raw == context.raw, agent.name
            assert group.epoch_authenticator.ct_equal(
                one.room.group.epoch_authenticator
            )
            assert set(group.public.pending) == waiting, agent.name
        clients = {
            client.identity for client in self.room.memory.effective.leaves.values()
        }
        assert clients == {device_of(agent.name) for agent in self.members}
