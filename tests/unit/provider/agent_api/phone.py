"""A device of somebody that speaks the agent API: HTTPS, and a WebSocket for events."""

import asyncio
import itertools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from sabir.content.model import Content
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import (
    Event,
    EventType,
    decode_event,
    decode_event_page,
)
from sabir.mimi.agent_api.forms import Form, Octets, decode_form, encode_form
from sabir.mimi.agent_api.key_packages import StockAnswer, encode_key_packages
from sabir.mimi.agent_api.registration import (
    Challenge,
    ChallengeRequest,
    DeviceAnswer,
    DeviceRequest,
    TokenAnswer,
    TokenRequest,
    sign_refresh,
    sign_registration,
)
from sabir.mimi.agent_api.rooms import GenesisAnswer, Reserved, ReserveRequest
from sabir.mimi.client_settings import SUITE, room_client, room_services
from sabir.mimi.member.intents import Intent, Invite, Invitee
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.member.room import RoomMember, open_invitation
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.submit import read_frank
from sabir.mimi.structs.update import UpdateRoomResponse, decode_update_response
from sabir.mimi.template_names import TemplateName
from sabir.mimi.uris import domain_of
from sabir.mls.client import Identity
from sabir.mls.credentials import read_credential
from sabir.provider.agent_api.tokens import digest_of
from sabir.testing.mimi.member_harness import Agent, said
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.seeded import SeededEnv
from tests.unit.provider.town import LOOPBACK, Site, Town, client_tls

PATIENCE_S = 20.0
S = SUITES[SUITE]


@dataclass
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def problem(self) -> str:
        """Return the code of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self
        document = json.loads(self.body)
        assert document["status"] == self.status
        return str(document["code"])


class Line:
    """HTTPS to one provider's agents, without anybody's token."""

    def __init__(self, town: Town, site: Site) -> None:
        self.base = f"https://{LOOPBACK}:{site.provider.agents_port}"
        self.domain = site.domain
        self.tls = client_tls(None, town.authority.roots)
        self.session = aiohttp.ClientSession()
        self.token = ""

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | Form = b"",
        *,
        key: str = "",
        token: str | None = None,
    ) -> Reply:
        headers = {}
        token = self.token if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers[paths.IDEMPOTENCY_FIELD] = key
        async with self.session.request(
            method,
            URL(self.base + path, encoded=True),
            data=encode_form(body) if isinstance(body, Form) else body or None,
            headers=headers,
            ssl=self.tls,
            server_hostname=self.domain,
        ) as response:
            return Reply(
                response.status,
                await response.read(),
                {name.lower(): value for name, value in response.headers.items()},
            )

    async def challenge(self, account: str = "") -> Challenge:
        reply = await self.ask(
            "POST", paths.CHALLENGES, ChallengeRequest(account_token=account)
        )
        assert reply.status == 200, reply
        return decode_form(reply.body, Challenge)


@dataclass(eq=False)
class Phone:
    """One device, as its agent runs it."""

    line: Line
    env: SeededEnv
    agent: Agent
    device: str
    user: str
    private: bytes
    refresh_token: str
    cursor: int = 0
    events: list[Event] = field(default_factory=list)
    keys: Any = field(default_factory=lambda: itertools.count(1))

    def key(self) -> str:
        """Return a new idempotency key."""
        return f"k{next(self.keys)}"

    # ---- plain requests

    async def get(self, path: str) -> Reply:
        return await self.line.ask("GET", path)

    async def post(
        self, path: str, body: bytes | Form = b"", key: str | None = None
    ) -> Reply:
        key = self.key() if key is None else key
        return await self.line.ask("POST", path, body, key=key)

    async def put(self, path: str, body: bytes | Form) -> Reply:
        return await self.line.ask("PUT", path, body)

    async def delete(self, path: str) -> Reply:
        return await self.line.ask("DELETE", path)

    async def good(self, reply: Reply) -> bytes:
        assert reply.status < 300, reply
        return reply.body

    async def refresh(self) -> None:
        challenge = (await self.line.challenge()).challenge
        request = TokenRequest(
            refresh_token=self.refresh_token,
            challenge=challenge,
            signature=Octets(sign_refresh(S, self.private, challenge, self.device)),
        )
        reply = await self.line.ask("POST", paths.TOKEN, request, token="")
        assert reply.status == 200, reply
        self.line.token = decode_form(reply.body, TokenAnswer).token

    # ---- key packages and rooms

    def new_packages(self, count: int) -> list[bytes]:
        made = []
        for _ in range(count):
            package, secrets = self.agent.client.key_package(self.env, suite=SUITE)
            self.agent.stock[package.reference(S)] = secrets
            made.append(package.raw)
        return made

    async def publish(self, count: int = 1) -> StockAnswer:
        body = encode_key_packages(self.new_packages(count))
        reply = await self.put(paths.KEY_PACKAGES, body)
        assert reply.status == 200, reply
        return decode_form(reply.body, StockAnswer)

    async def found(
        self,
        template: TemplateName = TemplateName.GROUP,
        others: Iterable["Phone"] = (),
    ) -> str:
        users = [other.user for other in others]
        providers = tuple(sorted({domain_of(user) for user in users}))
        wanted = ReserveRequest(template=template, providers=providers)
        reply = await self.post(paths.ROOMS, wanted)
        assert reply.status == 201, reply
        reserved = decode_form(reply.body, Reserved)
        self.agent.replace(
            RoomMember.create(
                self.env,
                self.agent.client,
                reserved.reservation(template),
                others=users,
            )
        )
        operation = self.agent.room.operation
        assert operation is not None
        path = paths.path(paths.GENESIS, roomId=reserved.room_uri)
        reply = await self.put(path, operation.octets)
        assert reply.status == 201, reply
        at = decode_form(reply.body, GenesisAnswer).accepted_ms
        self.agent.note(self.agent.room.confirm_genesis(self.env, at))
        self.agent.store()
        return reserved.room_uri

    async def perform(self, room: str, intent: Intent) -> UpdateRoomResponse:
        operation = self.agent.room.perform(self.env, intent)
        self.agent.store()
        assert operation is not None
        path = paths.path(paths.UPDATE, roomId=room)
        body = await self.good(await self.post(path, operation.octets))
        self.agent.note(self.agent.room.confirm(self.env, body))
        self.agent.store()
        return decode_update_response(body)

    async def invite(self, room: str, *others: "Phone") -> UpdateRoomResponse:
        invitees = []
        for other in others:
            request = self.agent.room.key_material_request(other.user)
            path = paths.path(paths.KEY_MATERIAL, targetUser=other.user)
            body = await self.good(await self.post(path, request))
            found = self.agent.room.key_material(self.env, other.user, body)
            assert found.fitting, (found.status, found.left_out)
            peer = await self.get(paths.path(paths.PEER, domain=domain_of(other.user)))
            hosts = tuple(json.loads(peer.body)["asset_domains"])
            invitees.append(Invitee(other.user, found.fitting, hosts))
        return await self.perform(room, Invite(tuple(invitees), 2))

    async def send(self, room: str, content: Content | str) -> bytes:
        made = said(content) if isinstance(content, str) else content
        outgoing = self.agent.room.send(self.env, made, self.agent.known())
        self.agent.store()
        path = paths.path(paths.MESSAGES, roomId=room)
        body = await self.good(await self.post(path, outgoing.octets))
        self.agent.note(
            self.agent.room.confirm_message(self.env, outgoing.digest, body)
        )
        self.agent.store()
        return outgoing.octets

    async def prepare_to_join(
        self, room: str, code: bytes = b"", role: int | None = None
    ) -> bytes:
        """Ask to see a group; return the commit that joins it."""
        asking = request_group_info(self.env, self.agent.client, room, code)
        path = paths.path(paths.GROUP_INFO, roomId=room)
        shown = await self.good(await self.post(path, asking.octets))
        client = self.agent.client
        self.agent.replace(RoomMember.join(self.env, client, asking, shown, role=role))
        operation = self.agent.room.operation
        assert operation is not None
        return operation.octets

    async def join(
        self, room: str, code: bytes = b"", role: int | None = None
    ) -> UpdateRoomResponse:
        octets = await self.prepare_to_join(room, code, role)
        path = paths.path(paths.UPDATE, roomId=room)
        body = await self.good(await self.post(path, octets))
        self.agent.note(self.agent.room.confirm(self.env, body))
        self.agent.store()
        return decode_update_response(body)

    # ---- events

    def socket(
        self,
        after: int,
        *,
        token: str | None = None,
        protocols: tuple[str, ...] = (paths.EVENTS_SUBPROTOCOL,),
        autoping: bool = True,
    ) -> Any:
        token = self.line.token if token is None else token
        return self.line.session.ws_connect(
            self.line.base + paths.EVENTS + paths.query(after=after),
            headers={"Authorization": f"Bearer {token}"},
            protocols=protocols,
            autoping=autoping,
            max_msg_size=64 << 20,
            ssl=self.line.tls,
            server_hostname=self.line.domain,
        )

    async def poll(self, wait: int = 0) -> list[Event]:
        path = paths.EVENTS + paths.query(after=self.cursor, wait=wait)
        page = decode_event_page(await self.good(await self.get(path)))
        for event in page.events:
            self.take(event)
        assert self.cursor == int(page.next)
        return list(page.events)

    async def listen(self, done: Callable[[], bool]) -> None:
        """Take what comes on a WebSocket, acknowledging it, until something is so."""
        async with asyncio.timeout(PATIENCE_S), self.socket(self.cursor) as socket:
            while not done():
                self.take(decode_event(await socket.receive_str()))
                await socket.send_json({"ack": str(self.cursor)})

    def take(self, event: Event) -> None:
        assert event.place > self.cursor
        self.cursor = event.place
        self.events.append(event)
        agent = self.agent
        if event.type == EventType.WELCOME:
            assert event.data is not None
            invitation = open_invitation(
                self.env, agent.client, event.data, agent.stock.values()
            )
            agent.replace(invitation.member)
            agent.note(invitation.events)
        elif event.type == EventType.OWN:
            assert event.sha256 is not None
            frank = (
                None if event.frank is None else decode_whole(event.frank, read_frank)
            )
            agent.note(
                agent.room.receive_own(self.env, event.accepted_ms, event.sha256, frank)
            )
        elif event.type in {EventType.MESSAGE, EventType.HANDSHAKE}:
            assert event.data is not None
            agent.note(agent.room.receive(self.env, event.data))
        else:
            return
        agent.store()

    @property
    def texts(self) -> list[str]:
        """Return what the timeline shows."""
        found = sorted(self.agent.timeline.values(), key=lambda each: each.accepted_at)
        return [each.content.body.content.decode() for each in found]  # type: ignore[union-attr]


class Street:
    """People with phones, at the providers of a town."""

    def __init__(self, town: Town, env: SeededEnv) -> None:
        self.town = town
        self.env = env
        self.lines: list[Line] = []

    def line(self, site: Site) -> Line:
        made = Line(self.town, site)
        self.lines.append(made)
        return made

    async def close(self) -> None:
        for line in self.lines:
            await line.session.close()

    async def account(self, site: Site, name: str) -> str:
        """Make a user; return the account token."""
        token = f"account-{name}-{os.urandom(4).hex()}"
        user = f"mimi://{site.domain}/u/{name}"
        await site.store.add_user(user, digest_of(token), now=self.town.clock.now())
        return token

    async def phone(self, site: Site, account: str, name: str = "phone") -> Phone:
        """Register a device."""
        line = self.line(site)
        seed = os.urandom(S.signature.private_octets)
        private, public = signature_key_pair(S, seed)
        answer = await register(line, account, private, public, name)
        line.token = answer.token
        credential = decode_whole(answer.credential, read_credential)
        identity = Identity(S, credential, public, Secret(private))
        client = room_client(room_services(), PskTable(), [identity])
        return Phone(
            line=line,
            env=self.env,
            agent=Agent(name, client),
            device=answer.device_uri,
            user=answer.user,
            private=private,
            refresh_token=answer.refresh_token,
        )

    async def resident(self, site: Site, name: str) -> Phone:
        """Make a user with one device."""
        return await self.phone(site, await self.account(site, name), name)


async def register(
    line: Line, account: str, private: bytes, public: bytes, name: str = "phone"
) -> DeviceAnswer:
    reply = await try_to_register(line, account, private, public, name)
    assert reply.status == 201, reply
    return decode_form(reply.body, DeviceAnswer)


async def try_to_register(
    line: Line,
    account: str,
    private: bytes,
    public: bytes,
    name: str = "phone",
    **changed: Any,
) -> Reply:
    found = await line.challenge(account)
    signature = sign_registration(S, private, found.challenge, found.user)
    document: dict[str, Any] = {
        "account_token": account,
        "device_name": name,
        "suite": SUITE,
        "signature_key": Octets(public),
        "challenge": found.challenge,
        "signature": Octets(signature),
        **changed,
    }
    return await line.ask("POST", paths.DEVICES, DeviceRequest(**document), token="")
