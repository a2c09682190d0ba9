"""Coming into rooms: by making one, by a Welcome, from outside (7.5)."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from sabir.agent.membership.ledger import Around, Ledger
from sabir.agent.membership.limits import JOIN_ATTEMPTS_MAX, JOIN_PAUSE_MS
from sabir.agent.membership.naming import idempotency_key
from sabir.agent.membership.session import RoomSession
from sabir.agent.membership.stock import KeyStock
from sabir.crypto.suites import SUITES
from sabir.errors import PolicyRefused
from sabir.mimi.client_settings import SUITE
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.member.room import Invitation, RoomMember, open_invitation
from sabir.mimi.structs.fanout import read_fanout_message
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.template_names import TemplateName
from sabir.mimi.uris import domain_of
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsMisuse, MlsUnsupported
from sabir.mls.welcome import Welcome
from sabir.storage.membership import MembershipState, Notice
from sabir.storage.records import RoomId
from sabir.wire.errors import Malformed

_log = structlog.get_logger()

_BAD_WELCOME = (Malformed, MlsInvalid, MlsMissing, MlsMisuse, MlsUnsupported)


class Entrance:
    """Comes into rooms.

    Args:
        around: what rooms share.
        stock: our KeyPackages.
        adopt: runs a room, in place of an older session of it.
    """

    def __init__(
        self,
        around: Around,
        stock: KeyStock,
        adopt: Callable[[Ledger], RoomSession],
    ) -> None:
        self._around = around
        self._stock = stock
        self._adopt = adopt
        self._joining: dict[str, asyncio.Lock] = {}

    # ---- by making one

    async def create(
        self, template: TemplateName, name: str, others: Sequence[str]
    ) -> RoomId:
        """Make a room at our provider; returns when its hub has taken it.

        Args:
            template: of the room.
            name: for people; empty for none.
            others: URIs of users, in a room of fixed membership.

        Raises:
            PolicyRefused: the provider does not want it.
            Unavailable: it does not answer; nothing exists.
        """
        around = self._around
        providers = sorted({domain_of(user) for user in others})
        key = idempotency_key("reserve", around.rng(16))
        reservation = await around.api.reserve(template, providers, key)
        room = RoomId(reservation.room_uri)
        member = RoomMember.create(
            around.env,
            around.client,
            reservation,
            others=others,
            metadata=RoomMetadata(room, name),
        )
        ledger = Ledger(room, 0, MembershipState.CREATING, around)
        await ledger.begin(member)
        self._adopt(ledger)
        await self._until(ledger, MembershipState.CREATING)
        return room

    async def _until(self, ledger: Ledger, state: MembershipState) -> None:
        """Wait until we are in.

        Raises:
            PolicyRefused: we did not come in.
        """
        while ledger.state is state:
            pulse = self._around.waiters.next_pulse(ledger.room)
            if ledger.state is state and not ledger.lost_race:
                await pulse.wait()
            elif ledger.lost_race:
                return
        if not ledger.is_in:
            record = await self._around.storage.membership(ledger.room)
            detail = "" if record is None else record.detail
            raise PolicyRefused(f"we did not come into {ledger.room}: {detail}")

    # ---- by a Welcome

    async def welcome(self, octets: bytes, cursor: int) -> bool:
        """Come in by a Welcome; False if it is not for us, and nothing was stored.

        Raises:
            StorageFailed: it was not taken.
        """
        around = self._around
        try:
            fanned = decode_whole(octets, read_fanout_message)
            body = fanned.message.body
            names = (
                [entry.new_member for entry in body.secrets]
                if isinstance(body, Welcome)
                else []
            )
            secrets = await self._stock.secrets(names)
            if not secrets:
                return False
            known = await around.storage.memberships()
            invitation = open_invitation(
                around.env,
                around.client,
                fanned,
                secrets,
                member_of=[
                    each.group_id
                    for each in known
                    if each.state is MembershipState.ACTIVE
                ],
            )
        except _BAD_WELCOME as wrong:
            _log.warning("welcome_refused", detail=str(wrong))
            await self._note(RoomId(""), "invitation-refused", str(wrong))
            return False
        room = RoomId(invitation.member.room_uri)
        record = await around.storage.membership(room)
        if record is not None and record.state is MembershipState.JOINING:
            return False  # we come in by ourselves, and replace that leaf
        await self._enter(room, invitation, cursor)
        return True

    async def _enter(self, room: RoomId, invitation: Invitation, cursor: int) -> None:
        around = self._around
        ledger = Ledger(
            room, await self._next_place(room), MembershipState.ACTIVE, around
        )
        package = invitation.key_package.key_package
        used = package.reference(SUITES[SUITE])
        kept = any(
            each.ref == used and each.last_resort
            for each in await around.storage.key_packages([used])
        )
        await ledger.begin(
            invitation.member,
            invitation.events,
            cursor=cursor,
            used=() if kept else (used,),
        )
        self._adopt(ledger)
        await self._note(room, "invited", f"by {invitation.by.user}")

    async def _next_place(self, room: RoomId) -> int:
        record = await self._around.storage.membership(room)
        return 0 if record is None else record.place + 1

    async def _note(self, room: RoomId, kind: str, detail: str) -> None:
        await self._around.storage.add_notice(
            room, Notice(kind=kind, detail=detail), now=self._around.clock.now()
        )

    # ---- from outside

    async def join(
        self,
        room: RoomId,
        code: bytes = b"",
        role: int | None = None,
        *,
        resync: bool = False,
    ) -> None:
        """Come in by a commit of our own; returns when the hub has taken it.

        Args:
            room: URI.
            code: that we were given; empty for none.
            role: that the code is for.
            resync: come in anew where we are in.

        Raises:
            PolicyRefused: the hub or the room does not let us in.
            PeerMisbehaved, PeerIncompatible: what the hub shows is not right.
            Unavailable: somebody does not answer.
        """
        async with self._joining.setdefault(room, asyncio.Lock()):
            for _ in range(JOIN_ATTEMPTS_MAX):
                if not resync and await self._is_in(room):
                    return  # somebody has let us in meanwhile
                if await self._try(room, code, role):
                    return
                await self._around.clock.sleep(JOIN_PAUSE_MS)
        raise PolicyRefused(f"others change {room} all the time; try again in a minute")

    async def _is_in(self, room: RoomId) -> bool:
        known = await self._around.storage.membership(room)
        return known is not None and known.state is MembershipState.ACTIVE

    def is_joining(self, room: str) -> bool:
        """Tell whether we are about to come into a room from outside."""
        lock = self._joining.get(room)
        return lock is not None and lock.locked()

    async def _try(self, room: RoomId, code: bytes, role: int | None) -> bool:
        """Try to come in; False if another commit was first."""
        around = self._around
        asking = request_group_info(around.env, around.client, room, code)
        response = await around.api.group_info(room, asking.octets)
        member = RoomMember.join(around.env, around.client, asking, response, role=role)
        ledger = Ledger(
            room, await self._next_place(room), MembershipState.JOINING, around
        )
        await ledger.begin(member)
        self._adopt(ledger)
        await self._until(ledger, MembershipState.JOINING)
        if ledger.lost_race:
            return False
        await around.api.attach(room)
        return True
