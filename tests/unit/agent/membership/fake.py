"""Providers without a network: real hubs, streams in lists, answers that get lost."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

from sabir.agent.membership.api import ApiRefused
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.errors import Unavailable
from sabir.mimi.agent_api.assets import AssetStored
from sabir.mimi.agent_api.events import Event, EventType
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.agent_api.key_packages import Stock, StockAnswer, decode_key_packages
from sabir.mimi.agent_api.overview import PeerAnswer
from sabir.mimi.agent_api.people import Consents, RequestEntry, VerdictEntry
from sabir.mimi.agent_api.registration import DeviceEntry
from sabir.mimi.agent_api.rooms import JoinCode, JoinCodeRequest, RoomEntry, RoomState
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import (
    ConsentOperation,
    KeyMaterialClientCode,
    KeyMaterialUserCode,
)
from sabir.mimi.components.franking_agent import FrankingAgent
from sabir.mimi.consent import Consent, Decision, decide
from sabir.mimi.genesis import Reservation, new_asset_policy
from sabir.mimi.hub import join_codes
from sabir.mimi.hub.genesis import begin, decode_genesis
from sabir.mimi.hub.outcome import EventKind, FanoutEvent, HubFacts, Outcome
from sabir.mimi.hub.room import HubRoom, refs_wanted
from sabir.mimi.structs.consent import decode_consent_entry
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.group_info import (
    GroupInfoRequest,
    decode_group_info_request,
)
from sabir.mimi.structs.key_material import (
    ClientKeyMaterial,
    KeyMaterialRequest,
    KeyMaterialResponse,
    decode_key_material_request,
)
from sabir.mimi.structs.submit import decode_submit_request
from sabir.mimi.structs.update import decode_handshake_bundle
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import domain_of, provider_uri, room_uri, user_of
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import ExternalSender
from sabir.mls.key_packages import KeyPackageIn
from sabir.testing.clock import LoopClock
from sabir.testing.mimi.hub_harness import new_keys
from sabir.testing.mls.seeded import SeededEnv

T = TypeVar("T")

_KINDS = {
    EventKind.MESSAGE: EventType.MESSAGE,
    EventKind.HANDSHAKE: EventType.HANDSHAKE,
    EventKind.WELCOME: EventType.WELCOME,
}


@dataclass(eq=False)
class Device:
    """A device at its provider."""

    uri: str
    stream: list[Event] = field(default_factory=list)
    acked: int = 0
    packages: list[KeyPackageIn] = field(default_factory=list)
    refs: set[bytes] = field(default_factory=set)
    attached: set[str] = field(default_factory=set)
    grew: asyncio.Event = field(default_factory=asyncio.Event)
    is_slow: bool = False
    """Its stream is open, and nothing comes by."""

    @property
    def user(self) -> str:
        return user_of(self.uri)

    def tell(self, kind: EventType, **members: Any) -> None:
        cursor = str(len(self.stream) + 1)
        self.stream.append(Event(cursor=cursor, type=kind, **members))
        self.wake()

    def wake(self) -> None:
        self.grew.set()
        self.grew = asyncio.Event()


class FakeTown:
    """All providers, and everything between them."""

    def __init__(self) -> None:
        self.env = SeededEnv(7)
        self.clock = LoopClock()
        self.keys = new_keys(self.env)
        self.devices: dict[str, Device] = {}
        self.rooms: dict[str, HubRoom] = {}
        self.reserved: dict[str, tuple[Reservation, str]] = {}
        self.consents: dict[tuple[str, str], Consent] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.codes: dict[bytes, join_codes.JoinCode] = {}
        self.answers: dict[tuple[str, str], Any] = {}
        self.echoes = True
        self.assets: dict[str, bytes] = {}

    def device(self, uri: str) -> Device:
        return self.devices.setdefault(uri, Device(uri))

    # ---- the hub

    def reservation(self, room: str, template: TemplateName) -> Reservation:
        hub = BasicCredential(provider_uri(domain_of(room)).encode())

        def public(private: Secret) -> bytes:
            return signature_key_pair(SUITES[SUITE], private.reveal())[1]

        domain = domain_of(room)
        return Reservation.of(
            TEMPLATES[template],
            room_uri=room,
            hub=ExternalSender(public(self.keys.external), hub),
            franking_agent=FrankingAgent(public(self.keys.franking), hub),
            asset_policy=new_asset_policy({domain: [f"assets.{domain}"]}),
        )

    def facts(self, refs: Sequence[bytes]) -> HubFacts:
        domains = {
            ref: domain_of(device.uri)
            for device in self.devices.values()
            for ref in device.refs
            if ref in refs
        }
        hosts = {domain_of(uri): (f"assets.{domain_of(uri)}",) for uri in self.devices}
        return HubFacts(key_package_domains=domains, asset_domains=hosts)

    def take(self, room: HubRoom, outcome: Outcome[Any], sender: Device) -> None:
        if outcome.change is None:
            return
        closes = outcome.change.closes
        room.apply(outcome.change)
        for event in outcome.fanout:
            self.fan_out(room, event, sender)
        for device in self.devices.values():
            if device.user in outcome.change.detached_users:
                device.attached.discard(room.uri)
            if closes and room.uri in device.attached:
                device.tell(EventType.ROOM_STATE, room=room.uri, state="closed")

    def fan_out(self, room: HubRoom, event: FanoutEvent, sender: Device) -> None:
        for device in self.devices.values():
            if not self._gets(room, event, device):
                continue
            if event.welcome_refs is not None:
                device.attached.add(room.uri)
            own = device is sender and event.kind is EventKind.MESSAGE
            if own and self.echoes:
                (message,) = read_fanout_messages(event.octets)
                frank = message.frank
                device.tell(
                    EventType.OWN,
                    room=room.uri,
                    accepted_ms=event.accepted_at,
                    sha256=Octets(event.digest),
                    frank=None if frank is None else Octets(frank.encode()),
                )
            elif not own and (self.echoes or device is not sender):
                device.tell(
                    _KINDS[event.kind],
                    room=room.uri,
                    accepted_ms=event.accepted_at,
                    data=Octets(event.octets),
                )

    def _gets(self, room: HubRoom, event: FanoutEvent, device: Device) -> bool:
        if event.welcome_refs is not None:
            return any(ref in device.refs for ref in event.welcome_refs)
        if room.uri not in device.attached:
            return False
        domain = domain_of(device.uri)
        if domain == room.domain:
            return device.user not in event.withheld_users
        return domain in event.domains


class FakeApi:
    """Implements `AgentApi` for one device.

    `trouble` is asked before ("ask") and after ("answer") each call with its name; what
    it raises is what the agent sees.
    """

    def __init__(self, town: FakeTown, uri: str) -> None:
        self.town = town
        self.own = town.device(uri)
        self.calls: list[str] = []
        self.trouble: Callable[[str, str], None] = lambda when, name: None

    async def _call(self, name: str, work: Callable[[], T], key: str = "") -> T:
        await asyncio.sleep(0)
        self.trouble("ask", name)
        self.calls.append(name)
        place = (self.own.uri, key)
        if key and place in self.town.answers:
            result = self.town.answers[place]
        else:
            result = work()
            if key:
                self.town.answers[place] = result
        self.trouble("answer", name)
        await asyncio.sleep(0)
        found: T = result
        return found

    def _room(self, room: str) -> HubRoom:
        found = self.town.rooms.get(room)
        if found is None:
            raise ApiRefused("not-found", "no such room", 404)
        return found

    @property
    def _domain(self) -> str:
        return domain_of(self.own.uri)

    @property
    def _now(self) -> int:
        return self.town.clock.now()

    # ---- our device

    async def put_key_packages(self, octets: bytes, key: str) -> StockAnswer:
        def work() -> StockAnswer:
            packages = decode_key_packages(octets)
            for package in packages:
                ref = package.reference(SUITES[SUITE])
                if ref not in self.own.refs:
                    self.own.refs.add(ref)
                    self.own.packages.append(package)
            return StockAnswer(
                stock=len(self.own.packages), low_water=50, accepted=len(packages)
            )

        return await self._call("put_key_packages", work, key)

    async def stock(self) -> Stock:
        return await self._call(
            "stock",
            lambda: Stock(stock=len(self.own.packages), low_water=5, last_resort=True),
        )

    async def devices(self) -> Sequence[DeviceEntry]:
        return await self._call(
            "devices",
            lambda: [
                DeviceEntry(device_uri=each.uri, name="", created_ms=0)
                for each in self.town.devices.values()
                if each.user == self.own.user
            ],
        )

    async def remove_device(self, device: str) -> None:
        def work() -> None:
            gone = self.town.devices.pop(device)
            for each in self.town.devices.values():
                if each.user == gone.user:
                    each.tell(EventType.DEVICE_REMOVED, device_uri=device)

        await self._call("remove_device", work)

    @asynccontextmanager
    async def _events(self, after: int) -> AsyncIterator["FakeStream"]:
        self.trouble("ask", "events")
        yield FakeStream(self, after)

    def events(self, after: int) -> Any:
        return self._events(after)

    # ---- people

    async def key_material(self, target: str, request: bytes) -> bytes:
        def work() -> bytes:
            asked = decode_key_material_request(request)
            assert isinstance(asked, KeyMaterialRequest)
            room = self._room(asked.room)
            consent = self.town.consents.get((asked.requesting_user, target), Consent())
            decision = decide(
                consent,
                requester=asked.requesting_user,
                target=target,
                room=asked.room,
            )
            if (
                not room.may_ask(self._domain, asked)
                or decision is not Decision.ALLOWED
            ):
                refused = KeyMaterialResponse(
                    status=KeyMaterialUserCode.NO_CONSENT, user=target
                )
                return refused.encode()
            clients = [
                ClientKeyMaterial(
                    status=KeyMaterialClientCode.SUCCESS,
                    client=device.uri,
                    key_package=device.packages.pop(),
                )
                for device in self.town.devices.values()
                if device.user == target and device.packages
            ]
            return KeyMaterialResponse(
                status=KeyMaterialUserCode.SUCCESS, user=target, clients=tuple(clients)
            ).encode()

        return await self._call("key_material", work)

    async def tell_device(self, device: str, message: bytes, key: str) -> None:
        def work() -> None:
            found = self.town.devices.get(device)
            if found is None or found.user != self.own.user:
                raise ApiRefused("not-found", "you have no such device", 404)
            found.tell(EventType.DEVICE_MESSAGE, data=Octets(message))

        await self._call("tell_device", work, key)

    async def tell_consent(self, entry: bytes, key: str) -> None:
        def work() -> None:
            told = decode_consent_entry(entry)
            pair = (told.requester, told.target)
            other = told.target
            match told.operation:
                case ConsentOperation.GRANT | ConsentOperation.REVOKE:
                    old = self.town.consents.get(pair, Consent())
                    self.town.consents[pair] = old.after(told)
                    other = told.requester
                case _:
                    self.town.requests.append((*pair, told.room))
            for device in self.town.devices.values():
                if device.user == other:
                    device.tell(EventType.CONSENT, room=told.room, data=Octets(entry))

        await self._call("tell_consent", work, key)

    async def consents(self) -> Consents:
        return await self._call(
            "consents",
            lambda: Consents(
                verdicts=tuple(
                    VerdictEntry(
                        requester=requester, room=room, granted=granted, decided_ms=0
                    )
                    for (requester, target), consent in self.town.consents.items()
                    if target == self.own.user
                    for room, granted in consent.verdicts.items()
                ),
                requests=tuple(
                    RequestEntry(requester=requester, room=room, asked_ms=0)
                    for requester, target, room in self.town.requests
                    if target == self.own.user
                ),
            ),
        )

    async def query(self, domain: str, request: bytes) -> bytes:
        raise NotImplementedError

    async def peer(self, domain: str) -> PeerAnswer:
        return await self._call(
            "peer",
            lambda: PeerAnswer(
                domain=domain, known=True, asset_domains=(f"assets.{domain}",)
            ),
        )

    # ---- rooms

    async def reserve(
        self, template: TemplateName, providers: Sequence[str], key: str
    ) -> Reservation:
        def work() -> Reservation:
            room = room_uri(self._domain, f"r{len(self.town.reserved)}")
            reservation = self.town.reservation(room, template)
            self.town.reserved[room] = (reservation, self.own.user)
            return reservation

        return await self._call("reserve", work, key)

    async def genesis(self, room: str, octets: bytes, key: str) -> int:
        def work() -> int:
            if room in self.town.rooms:
                raise ApiRefused("wrong-operation", "it exists", 400)
            reservation, user = self.town.reserved[room]
            change = begin(decode_genesis(octets), reservation, user, now_ms=self._now)
            self.town.rooms[room] = HubRoom.begin(self.town.keys, change)
            self.own.attached.add(room)
            return change.last_at

        return await self._call("genesis", work, key)

    async def rooms(self) -> Sequence[RoomEntry]:
        return await self._call(
            "rooms",
            lambda: [
                RoomEntry(
                    room_uri=room,
                    hub=domain_of(room),
                    state=RoomState.OPEN,
                    attached=room in self.own.attached,
                )
                for room, hub in self.town.rooms.items()
                if any(
                    room in device.attached
                    for device in self.town.devices.values()
                    if device.user == self.own.user
                )
            ],
        )

    async def update(self, room: str, octets: bytes, key: str) -> bytes:
        def work() -> bytes:
            hub = self._room(room)
            bundle = decode_handshake_bundle(octets)
            outcome = hub.update(
                self._now, self._domain, bundle, self.town.facts(refs_wanted(bundle))
            )
            self.town.take(hub, outcome, self.own)
            return outcome.response.encode()

        return await self._call("update", work, key)

    async def submit(self, room: str, octets: bytes, key: str) -> bytes:
        def work() -> bytes:
            hub = self._room(room)
            request = decode_submit_request(octets)
            outcome = hub.submit(self._now, self._domain, request)
            self.town.take(hub, outcome, self.own)
            return outcome.response.encode()

        return await self._call("submit", work, key)

    async def group_info(self, room: str, octets: bytes) -> bytes:
        def work() -> bytes:
            hub = self._room(room)
            request = decode_group_info_request(octets)
            assert isinstance(request, GroupInfoRequest)
            code = None
            if request.join_code:
                code = self.town.codes.get(join_codes.digest_of(request.join_code))
            outcome = hub.group_info(self._now, self._domain, request, code)
            self.town.take(hub, outcome, self.own)
            return outcome.response.encode()

        return await self._call("group_info", work)

    async def attach(self, room: str) -> None:
        await self._call("attach", lambda: self.own.attached.add(room))

    async def detach(self, room: str) -> None:
        await self._call("detach", lambda: self.own.attached.discard(room))

    async def close_room(self, room: str, key: str) -> None:
        def work() -> None:
            hub = self._room(room)
            self.town.take(hub, hub.close(self._now, self.own.user), self.own)

        await self._call("close_room", work, key)

    async def make_join_code(
        self, room: str, request: JoinCodeRequest, key: str
    ) -> JoinCode:
        def work() -> JoinCode:
            self._room(room).check_may_make_join_code(self.own.user, request.role)
            code = join_codes.new_join_code(self.town.env.random)
            digest = join_codes.digest_of(code)
            self.town.codes[digest] = join_codes.JoinCode(
                digest=digest,
                room=room,
                role=request.role,
                uses_left=request.uses,
                expires_at=request.expires_ms,
                bound_user=request.user or None,
            )
            return JoinCode(id="1", code=Octets(code))

        return await self._call("make_join_code", work, key)

    async def report(self, room: str, octets: bytes, key: str) -> None:
        raise NotImplementedError

    async def upload(self, sealed: BinaryIO, size: int, key: str) -> AssetStored:
        def work() -> AssetStored:
            sealed.seek(0)
            octets = sealed.read()
            assert len(octets) == size
            url = f"https://assets.{self._domain}/v1/{len(self.town.assets)}"
            self.town.assets[url] = octets
            digest = hashlib.sha256(octets).digest()
            return AssetStored(url=url, size=size, sha256=Octets(digest), expires_ms=0)

        return await self._call("upload", work, key)

    async def download(
        self,
        url: str,
        ways: Sequence[str],
        hub: str,
        sealed: BinaryIO,
        *,
        octets_max: int,
    ) -> None:
        octets = await self._call("download", lambda: self.town.assets[url])
        assert ways
        assert len(octets) <= octets_max
        sealed.write(octets)


class FakeStream:
    """An open stream of a device."""

    def __init__(self, api: FakeApi, after: int) -> None:
        self._api = api
        self._after = after

    async def __aiter__(self) -> AsyncIterator[Event]:
        own = self._api.own
        while True:
            grew = own.grew
            if self._after < len(own.stream) and not own.is_slow:
                event = own.stream[self._after]
                self._api.trouble("ask", f"event {event.type}")
                yield event
                self._after = event.place
            else:
                await grew.wait()

    async def ack(self, cursor: int) -> None:
        self._api.trouble("ask", "ack")
        self._api.own.acked = max(self._api.own.acked, cursor)


def once(*names: str, when: str = "answer") -> Callable[[str, str], None]:
    """Lose the first answer (or question) of each of some calls."""
    left = set(names)

    def trouble(moment: str, name: str) -> None:
        if moment == when and name in left:
            left.discard(name)
            raise Unavailable(f"lost {moment} of {name}")

    return trouble


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], patience_s: float = 10.0
) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(patience_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
