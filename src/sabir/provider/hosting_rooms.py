"""Rooms of our own users: how they begin, who listens, codes to get in, their end."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.genesis import GenesisRefused, Reservation, new_asset_policy
from sabir.mimi.hub.genesis import (
    RESERVED_MS,
    begin,
    decode_genesis,
    decode_reservation,
    encode_reservation,
)
from sabir.mimi.hub.join_codes import digest_of, new_join_code
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.update import UpdateRoomResponse, decode_update_response
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import new_segment, room_uri, user_of
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.provider.hosting_base import no_room
from sabir.provider.hosting_commits import Local, commit_of, decision_of
from sabir.provider.hosting_requests import HubRequests
from sabir.provider.rooms import Decision
from sabir.storage.provider.records import HostedRoom, JoinCodeRecord, RoomPhase

ROOM_OCTETS: Final = 16
"""Random octets in the name of a room (D-10)."""
CODE_ID_OCTETS: Final = 8
"""Random octets in the name of a join code."""
PROVIDERS_MAX: Final = 64
"""Providers beside ours in a new room of fixed membership."""
CODE_USES_MAX: Final = 10_000
CODE_AGE_MS_MAX: Final = 400 * 24 * 3_600_000
"""A join code is no password for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A room that waits for its group.

    Attributes:
        reservation: what its creator makes the group with.
        expires_at: when the name is gone again.
    """

    reservation: Reservation
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A room as one of our users may know it.

    Attributes:
        phase: RESERVED, OPEN or CLOSED.
        role: index of the user's role; 0: none.
        epoch: of the group.
    """

    phase: RoomPhase
    role: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJoinCode:
    """A join code that has just been made.

    Attributes:
        id: by which it is taken back.
        code: the secret; it is not kept here.
    """

    id: str
    code: bytes = field(repr=False)


class OwnRooms(HubRequests):
    """Serves our own users in what only a hub can do for them (section 8.2)."""

    # ---- beginning

    async def reserve(
        self, user: str, template: TemplateName, providers: Iterable[str] = ()
    ) -> Reserved:
        """Name a room for its creator.

        Args:
            user: of ours.
            template: of the room.
            providers: domains of the others in a room of fixed membership; their asset
                hosts are agreed on from the beginning.

        Raises:
            Problem: NOT_ALLOWED, too many providers; UPSTREAM_FAILED, one of them does
                not answer.
            StorageFailed: there is no such name.
        """
        keys, now = await self._fresh_keys(), self._core.clock.now()
        uri = room_uri(self._domain, new_segment(self._core.rng, ROOM_OCTETS))
        reservation = Reservation.of(
            TEMPLATES[template],
            room_uri=uri,
            hub=self._key_ring.sender_of(keys),
            franking_agent=self._key_ring.agent_of(keys),
            asset_policy=new_asset_policy(await self._hosts_of(providers)),
        )
        expires_at = Instant(now + RESERVED_MS)
        await self._core.store.reserve(
            HostedRoom(
                room=uri,
                hub=self._domain,
                phase=RoomPhase.RESERVED,
                creator=user,
                reservation=encode_reservation(reservation),
                expires_at=expires_at,
            ),
            now=now,
        )
        return Reserved(reservation=reservation, expires_at=expires_at)

    async def _hosts_of(self, providers: Iterable[str]) -> dict[str, tuple[str, ...]]:
        others = sorted(set(providers) - {self._domain})
        if len(others) > PROVIDERS_MAX:
            raise Problem(
                ProblemCode.NOT_ALLOWED, f"at most {PROVIDERS_MAX} other providers"
            )
        hosts = {}
        for provider in (self._domain, *others):
            found = await self.asset_hosts(provider)
            if found is None:
                raise Problem(
                    ProblemCode.UPSTREAM_FAILED, f"{provider} does not answer"
                )
            hosts[provider] = found
        return hosts

    async def genesis(self, device: str, room: str, body: bytes) -> Instant:
        """Begin a room; its creator's device has its stream from then on.

        Args:
            device: of ours, whose user reserved the room.
            room: its URI.
            body: GroupInfo and tree, in full.

        Returns:
            When it began.

        Raises:
            Malformed: it does not decode.
            Problem: NOT_FOUND, nothing is reserved for this user (any more);
                NOT_ALLOWED, it is no room of the template, or these users have such a
                room.
            StorageFailed: nothing happened.
        """
        request = decode_genesis(body)
        await self._fresh_keys()
        now, user = self._core.clock.now(), user_of(device)
        stored = await self._core.store.room(room)
        if stored is None or stored.creator != user:
            raise no_room()
        reservation = decode_reservation(stored.reservation)

        def decide(machine: HubRoom | None) -> Decision:
            gone = stored.expires_at is None or stored.expires_at <= now
            if machine is not None or gone:
                raise no_room()
            change = begin(request, reservation, user, now_ms=now)
            return Decision(
                response=int(now).to_bytes(8, "big"),
                commit=commit_of(
                    room, change, local=Local(attached=frozenset({device}))
                ),
            )

        try:
            began = await self._desks.change(room, self._domain, body, decide)
        except (GenesisRefused, MlsInvalid) as wrong:
            detail = f"rule {wrong.rule}: {wrong.detail}"
            raise Problem(ProblemCode.NOT_ALLOWED, detail) from wrong
        except (MlsUnsupported, MlsMissing) as wrong:
            raise Problem(ProblemCode.NOT_ALLOWED, str(wrong)) from wrong
        except Problem:
            raise
        except PolicyRefused as wrong:
            raise Problem(ProblemCode.NOT_ALLOWED, str(wrong)) from wrong
        return Instant(int.from_bytes(began, "big"))

    # ---- who listens

    async def standing(self, user: str, room: str) -> Standing | None:
        """Return how a user stands in a room; None for who has nothing to do with it.

        Raises:
            Problem: UNAVAILABLE.
        """
        await self._fresh_keys()
        stored = await self._core.store.room(room)
        if stored is None or stored.hub != self._domain:
            return None
        async with self._desks.asked(room) as machine:
            if machine is None:
                mine = stored.creator == user and stored.phase is RoomPhase.RESERVED
                return Standing(phase=RoomPhase.RESERVED) if mine else None
            if not (machine.view.is_listed(user) or machine.view.leaves_of(user)):
                return None
            return Standing(
                phase=RoomPhase.CLOSED if machine.is_closed else RoomPhase.OPEN,
                role=machine.view.role_index(user),
                epoch=machine.epoch,
            )

    async def attach(self, device: str, room: str) -> None:
        """Let a device have a room's stream that is a client in it.

        Welcomes, commits from outside and geneses do it by themselves.

        Raises:
            Problem: NOT_FOUND, it is no client in the room.
            StorageFailed: nothing happened.
        """
        await self._fresh_keys()
        store, now = self._core.store, self._core.clock.now()
        async with self._desks.asked(room) as machine:
            if machine is None or device not in machine.identities:
                raise no_room()
            await store.attach(room, self._domain, device, now=now)

    # ---- codes to get in

    async def make_join_code(
        self,
        user: str,
        room: str,
        *,
        role: int,
        uses: int,
        expires_at: Instant,
        bound_user: str | None = None,
    ) -> NewJoinCode:
        """Make a join code for a user who may let others in.

        Args:
            user: of ours, who makes it.
            room: its URI.
            role: of who comes in by it.
            uses: how often it can be used.
            expires_at: when it is worth nothing any more.
            bound_user: who alone may use it; None: anybody.

        Raises:
            Problem: NOT_FOUND, the user has nothing to do with the room; NOT_ALLOWED,
                the room's policy says no, or uses or time are beyond the limits.
            StorageFailed: there is no such code.
        """
        await self._fresh_keys()
        now, rng = self._core.clock.now(), self._core.rng
        if not 1 <= uses <= CODE_USES_MAX:
            raise Problem(ProblemCode.NOT_ALLOWED, f"1 to {CODE_USES_MAX} uses")
        if not now < expires_at <= now + CODE_AGE_MS_MAX:
            raise Problem(ProblemCode.NOT_ALLOWED, "it must end within 400 days")
        async with self._desks.asked(room) as machine:
            if machine is None or machine.view.is_out(user):
                raise no_room()
            try:
                machine.check_may_make_join_code(user, role)
            except PolicyDenied as denied:
                raise Problem(ProblemCode.NOT_ALLOWED, str(denied)) from denied
            code = new_join_code(rng)
            made = NewJoinCode(id=new_segment(rng, CODE_ID_OCTETS), code=code)
            await self._core.store.add_join_code(
                JoinCodeRecord(
                    id=made.id,
                    room=room,
                    digest=digest_of(code),
                    role=role,
                    uses_left=uses,
                    expires_at=expires_at,
                    bound_user=bound_user,
                    creator=user,
                )
            )
        return made

    async def remove_join_code(self, user: str, room: str, id_: str) -> bool:
        """Take a join code back, one's own or another's; False if there was none.

        Raises:
            Problem: NOT_FOUND, the user has nothing to do with the room; NOT_ALLOWED,
                the user could not make one either.
            StorageFailed: it is still good.
        """
        await self._fresh_keys()
        async with self._desks.asked(room) as machine:
            if machine is None or machine.view.is_out(user):
                raise no_room()
            try:
                machine.check_may_remove_join_codes(user)
            except PolicyDenied as denied:
                raise Problem(ProblemCode.NOT_ALLOWED, str(denied)) from denied
            return await self._core.store.remove_join_code(room, id_)

    # ---- the end

    async def close(self, user: str, room: str) -> None:
        """Close a room for good, for a user who may (D-54).

        Raises:
            Problem: NOT_FOUND, the user has nothing to do with the room; NOT_ALLOWED,
                with the slug of what says no.
            StorageFailed: it is open.
        """
        await self._fresh_keys()
        now_ms = self._core.clock.now()

        def decide(machine: HubRoom | None) -> Decision:
            if machine is None or machine.view.is_out(user):
                raise no_room()
            return decision_of(machine, machine.close(now_ms, user))

        said = await self._own_change(room, decide)
        if said.code != UpdateCode.SUCCESS:
            raise Problem(ProblemCode.NOT_ALLOWED, said.description)

    async def _own_change(
        self, room: str, decide: Callable[[HubRoom | None], Decision]
    ) -> UpdateRoomResponse:
        answer = await self._desks.change(
            room, self._domain, b"", decide, repeats=False
        )
        return decode_update_response(answer)
