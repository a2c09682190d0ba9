"""Rooms: ours, or another hub's, which is asked with our own name (7.3 to 7.7)."""

from http import HTTPStatus
from typing import Final

from sabir.clock import Instant
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.forms import JSON_OCTETS_MAX, Octets, decode_form
from sabir.mimi.agent_api.rooms import (
    GenesisAnswer,
    JoinCode,
    JoinCodeRequest,
    Reserved,
    ReserveRequest,
    RoomEntry,
    RoomList,
    RoomState,
)
from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.directory import Endpoint
from sabir.mimi.hub.senders import joiner_of
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.structs.abuse import decode_abuse_report
from sabir.mimi.structs.group_info import GroupInfoRequest, decode_group_info_request
from sabir.mimi.structs.submit import SubmitMessageRequest, decode_submit_request
from sabir.mimi.structs.update import (
    HandshakeBundle,
    decode_handshake_bundle,
    decode_update_response,
)
from sabir.mimi.uris import Kind, domain_of, parse_uri, user_of
from sabir.mls.credentials import BasicCredential
from sabir.mls.framing import PublicMessage
from sabir.provider.agent_api.forwarding import forward
from sabir.provider.agent_api.operations import Ask, Key, Operation, json_answer
from sabir.provider.agent_api.rates import AgentRates
from sabir.provider.http import Answer
from sabir.provider.peers import PeerFailed
from sabir.provider.services import Services
from sabir.storage.provider.records import HostedRoom, RoomPhase

_STATES: Final = {
    RoomPhase.RESERVED: RoomState.RESERVED,
    RoomPhase.OPEN: RoomState.OPEN,
    RoomPhase.CLOSED: RoomState.CLOSED,
    RoomPhase.UNREACHABLE: RoomState.UNREACHABLE,
}
"""Rooms that are gone are not shown."""


class AgentRooms:
    """Serves rooms to our devices, whoever the hub is."""

    def __init__(self, services: Services, rates: AgentRates) -> None:
        """Serve.

        Args:
            services: of the provider.
            rates: on new rooms.
        """
        self._hosting = services.hosting
        self._core = services.core
        self._ours = services.core.config.domain
        self._rates = rates

    def operations(self) -> tuple[Operation, ...]:
        """Return what devices ask about rooms."""
        octets = MIMI06_A.request_octets_max
        return (
            Operation(
                method="POST",
                template=paths.ROOMS,
                answer=self.reserve,
                octets_max=JSON_OCTETS_MAX,
                key=Key.REQUIRED,
            ),
            Operation(
                method="PUT",
                template=paths.GENESIS,
                answer=self.genesis,
                key=Key.OPTIONAL,
                octets_max=octets[Endpoint.UPDATE],
            ),
            Operation(method="GET", template=paths.ROOMS, answer=self.list_),
            Operation(method="GET", template=paths.ROOM, answer=self.show),
            Operation(
                method="DELETE",
                template=paths.ROOM,
                answer=self.close,
                key=Key.OPTIONAL,
            ),
            Operation(
                method="POST",
                template=paths.UPDATE,
                answer=self.update,
                octets_max=octets[Endpoint.UPDATE],
                key=Key.REQUIRED,
            ),
            Operation(
                method="POST",
                template=paths.MESSAGES,
                answer=self.submit,
                octets_max=octets[Endpoint.SUBMIT_MESSAGE],
                key=Key.REQUIRED,
            ),
            Operation(
                method="POST",
                template=paths.GROUP_INFO,
                answer=self.group_info,
                octets_max=octets[Endpoint.GROUP_INFO],
            ),
            Operation(
                method="POST",
                template=paths.ATTACH,
                answer=self.attach,
                octets_max=JSON_OCTETS_MAX,
            ),
            Operation(
                method="POST",
                template=paths.DETACH,
                answer=self.detach,
                octets_max=JSON_OCTETS_MAX,
            ),
            Operation(
                method="POST",
                template=paths.JOIN_CODES,
                answer=self.make_join_code,
                octets_max=JSON_OCTETS_MAX,
                key=Key.REQUIRED,
            ),
            Operation(
                method="DELETE", template=paths.JOIN_CODE, answer=self.remove_join_code
            ),
            Operation(
                method="POST",
                template=paths.REPORTS,
                answer=self.report,
                octets_max=octets[Endpoint.REPORT_ABUSE],
                key=Key.REQUIRED,
            ),
        )

    # ---- beginning and end

    async def reserve(self, ask: Ask) -> Answer:
        """`POST /rooms`. Raises as `Hosting.reserve`."""
        wanted = decode_form(ask.body, ReserveRequest)
        self._rates.rooms.spend(ask.caller.user, now_ms=self._core.clock.monotonic_ms())
        made = await self._hosting.reserve(
            ask.caller.user, wanted.template, wanted.providers
        )
        return json_answer(
            Reserved.of(made.reservation, made.expires_at), HTTPStatus.CREATED
        )

    async def genesis(self, ask: Ask) -> Answer:
        """`PUT /rooms/{roomId}/genesis`. Raises as `Hosting.genesis`."""
        room = self._hosted(ask)
        began = await self._hosting.genesis(ask.caller.device, room, ask.body)
        return json_answer(GenesisAnswer(accepted_ms=began), HTTPStatus.CREATED)

    async def close(self, ask: Ask) -> Answer:
        """`DELETE /rooms/{roomId}`. Raises as `Hosting.close`."""
        await self._hosting.close(ask.caller.user, self._hosted(ask))
        return Answer(status=HTTPStatus.ACCEPTED)

    # ---- what there is

    async def list_(self, ask: Ask) -> Answer:
        """`GET /rooms`: those that any device of the user has the stream of."""
        store = self._core.store
        found: dict[str, RoomEntry] = {}
        own = {ask.caller.device}
        others = {each.device for each in await store.devices_of(ask.caller.user)} - own
        for device in (*own, *sorted(others)):
            for room in await store.rooms_of_device(device):
                if room.room not in found and room.phase in _STATES:
                    found[room.room] = _entry(room, attached=device in own)
        return json_answer(RoomList(rooms=tuple(found[name] for name in sorted(found))))

    async def show(self, ask: Ask) -> Answer:
        """`GET /rooms/{roomId}`.

        Raises:
            Problem: NOT_FOUND, the user has nothing to do with it.
        """
        room = ask.room()
        if domain_of(room) == self._ours:
            return json_answer(await self._hosted_entry(ask, room))
        attached = await self._core.store.attached(room)
        mine = {device for device in attached if user_of(device) == ask.caller.user}
        stored = await self._core.store.room(room) if mine else None
        if stored is None or stored.phase not in _STATES:
            raise Problem(ProblemCode.NOT_FOUND, "you are not in this room")
        return json_answer(_entry(stored, attached=ask.caller.device in mine))

    async def _hosted_entry(self, ask: Ask, room: str) -> RoomEntry:
        standing = await self._hosting.standing(ask.caller.user, room)
        if standing is None:
            raise Problem(ProblemCode.NOT_FOUND, "you are not in this room")
        return RoomEntry(
            room_uri=room,
            hub=self._ours,
            state=_STATES[standing.phase],
            attached=ask.caller.device in await self._core.store.attached(room),
            role=standing.role,
            epoch=standing.epoch,
        )

    # ---- handshakes and messages

    async def update(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/update`.

        Raises:
            Malformed: it does not decode.
            Problem: DOMAIN_NOT_AUTHORIZED, somebody else joins by it; as
                `Hosting.update` or `forward`.
        """
        room = ask.room()
        bundle = decode_handshake_bundle(ask.body)
        joiner = _joiner(bundle)
        if joiner is not None and joiner != ask.caller.device:
            raise _another("device joins")
        if domain_of(room) == self._ours:
            return Answer(
                body=await self._hosting.update(
                    self._ours, room, ask.body, device=ask.caller.device
                )
            )
        if joiner is None:
            return Answer(body=await self._forward(ask, room, Endpoint.UPDATE))
        return Answer(body=await self._join(ask, room))

    async def _join(self, ask: Ask, room: str) -> bytes:
        """Let a device join another hub's room.

        The room's stream is the device's before the hub is asked: it may send the first
        messages before it answers us.
        """
        store, device = self._core.store, ask.caller.device
        fresh = device not in await store.attached(room)
        now = self._core.clock.now()
        await store.attach(room, domain_of(room), device, now=now)
        joined = False
        try:
            answer = await self._forward(ask, room, Endpoint.UPDATE)
            joined = decode_update_response(answer).code == UpdateCode.SUCCESS
        except PeerFailed:
            joined = True  # perhaps: the device asks again, with the same octets
            raise
        finally:
            if fresh and not joined:
                await store.detach(room, device)
        return answer

    async def submit(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/messages`.

        Raises:
            Malformed: it does not decode.
            Problem: DOMAIN_NOT_AUTHORIZED, another user sends; as `Hosting.submit` or
                `forward`.
        """
        room = ask.room()
        request = decode_submit_request(ask.body)
        if isinstance(request, SubmitMessageRequest) and (
            request.sending_uri != ask.caller.user
        ):
            raise _another("user sends")
        if domain_of(room) != self._ours:
            return Answer(body=await self._forward(ask, room, Endpoint.SUBMIT_MESSAGE))
        return Answer(
            body=await self._hosting.submit(
                self._ours, room, ask.body, device=ask.caller.device
            )
        )

    async def group_info(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/groupinfo`.

        Raises:
            Malformed: it does not decode.
            Problem: DOMAIN_NOT_AUTHORIZED, another device's credential; as
                `Hosting.group_info` or `forward`.
        """
        room = ask.room()
        request = decode_group_info_request(ask.body)
        if isinstance(request, GroupInfoRequest):
            credential = request.credential
            own = ask.caller.device.encode("ascii")
            if not isinstance(credential, BasicCredential) or (
                credential.identity != own
            ):
                raise _another("device asks")
        if domain_of(room) != self._ours:
            return Answer(body=await self._forward(ask, room, Endpoint.GROUP_INFO))
        return Answer(
            body=await self._hosting.group_info(
                self._ours, room, ask.body, device=ask.caller.device
            )
        )

    async def report(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/reports`.

        Raises:
            Malformed: it does not decode.
            Problem: DOMAIN_NOT_AUTHORIZED, another user reports; as `Hosting.report`
                or `forward`.
        """
        room = ask.room()
        report = decode_abuse_report(ask.body)
        if report.reporting_user not in {"", ask.caller.user}:
            raise _another("user reports")
        if domain_of(room) == self._ours:
            await self._hosting.report(
                self._ours, room, ask.body, device=ask.caller.device
            )
        else:
            await self._forward(ask, room, Endpoint.REPORT_ABUSE)
        return Answer(status=HTTPStatus.CREATED)

    async def _forward(self, ask: Ask, room: str, endpoint: Endpoint) -> bytes:
        return await forward(
            self._core, domain_of(room), endpoint, {"roomId": room}, ask.body
        )

    # ---- who listens

    async def attach(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/attach`.

        Of another hub's room we know only who got a Welcome, or joined, through us:
        those have the stream by that, and nobody else can ask for it.

        Raises:
            Problem: NOT_FOUND, the device is not in the room.
        """
        room, device = ask.room(), ask.caller.device
        if domain_of(room) == self._ours:
            await self._hosting.attach(device, room)
        elif device not in await self._core.store.attached(room):
            raise Problem(
                ProblemCode.NOT_FOUND, "you did not join this room through us"
            )
        return Answer(status=HTTPStatus.NO_CONTENT)

    async def detach(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/detach`."""
        await self._core.store.detach(ask.room(), ask.caller.device)
        return Answer(status=HTTPStatus.NO_CONTENT)

    # ---- codes to get in

    async def make_join_code(self, ask: Ask) -> Answer:
        """`POST /rooms/{roomId}/joincodes`. Raises as `Hosting.make_join_code`."""
        room = self._hosted(ask)
        wanted = decode_form(ask.body, JoinCodeRequest)
        bound = parse_uri(wanted.user, Kind.USER).text if wanted.user else None
        made = await self._hosting.make_join_code(
            ask.caller.user,
            room,
            role=wanted.role,
            uses=wanted.uses,
            expires_at=Instant(wanted.expires_ms),
            bound_user=bound,
        )
        return json_answer(
            JoinCode(id=made.id, code=Octets(made.code)), HTTPStatus.CREATED
        )

    async def remove_join_code(self, ask: Ask) -> Answer:
        """`DELETE /rooms/{roomId}/joincodes/{id}`.

        Raises:
            Problem: NOT_FOUND; as `Hosting.remove_join_code`.
        """
        room = self._hosted(ask)
        if not await self._hosting.remove_join_code(
            ask.caller.user, room, ask.variables["id"]
        ):
            raise Problem(ProblemCode.NOT_FOUND, "there is no such join code")
        return Answer(status=HTTPStatus.NO_CONTENT)

    def _hosted(self, ask: Ask) -> str:
        """Return the room in the path, if we are its hub.

        Raises:
            Problem: PATH_MISMATCH; NOT_FOUND, it is another hub's.
        """
        room = ask.room()
        if domain_of(room) != self._ours:
            raise Problem(ProblemCode.NOT_FOUND, "only the room's hub can do this")
        return room


def _joiner(bundle: HandshakeBundle) -> str | None:
    """Return the client that joins by a commit from outside, None if none does."""
    body = bundle.message.body
    if not isinstance(body, PublicMessage):
        return None
    joiner = joiner_of(body.message.content)
    return None if joiner is None else joiner.identity


def _entry(room: HostedRoom, *, attached: bool) -> RoomEntry:
    return RoomEntry(
        room_uri=room.room,
        hub=room.hub,
        state=_STATES[room.phase],
        attached=attached,
    )


def _another(what: str) -> Problem:
    return Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, f"another {what}")
