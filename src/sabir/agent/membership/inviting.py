"""Letting people in: their KeyPackages, and their consent (7.1, 7.2)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from sabir.agent.membership.ledger import Around
from sabir.agent.membership.naming import idempotency_key
from sabir.agent.membership.session import RoomSession
from sabir.errors import PolicyRefused
from sabir.mimi.codepoints import ConsentOperation, KeyMaterialUserCode
from sabir.mimi.member.asking import KeyMaterial, LeftOut
from sabir.mimi.member.intents import AddClients, Invite, Invitee
from sabir.mimi.member.room import RoomMember
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.uris import Kind, domain_of, parse_uri
from sabir.storage.membership import InvitationRecord, Notice
from sabir.storage.records import RoomId

_NO_CONSENT = (
    KeyMaterialUserCode.NO_CONSENT,
    KeyMaterialUserCode.NO_CONSENT_FOR_THIS_ROOM,
)
_REFUSALS = {
    KeyMaterialUserCode.USER_UNKNOWN: "the provider knows no such user",
    KeyMaterialUserCode.USER_DELETED: "the user was deleted",
    KeyMaterialUserCode.INCOMPATIBLE_PROTOCOL: "their provider speaks something else",
}


class InviteOutcome(StrEnum):
    """What became of an invitation."""

    ADDED = "added"
    ASKED = "asked"
    """Their consent was asked for; they are added as soon as it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """What became of an invitation.

    Attributes:
        outcome: in one word.
        clients: URIs of the clients that were added.
        left_out: those that could not be, with the reason.
    """

    outcome: InviteOutcome
    clients: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


class Inviter:
    """Lets people into rooms.

    Args:
        around: what rooms share.
        find: the session of a room; raises `NotInRoom`.
    """

    def __init__(self, around: Around, find: Callable[[RoomId], RoomSession]) -> None:
        self._around = around
        self._find = find

    async def invite(self, room: RoomId, user: str, role: int | None = None) -> Invited:
        """Let somebody in with all clients, or ask for their consent first.

        Args:
            room: URI.
            user: URI.
            role: to have; None: the lowest that we may give.

        Raises:
            PolicyRefused: the room or its hub does not allow it, or there is no such
                user.
            Malformed: MIMI-001, MIMI-002, it is no user.
            Unavailable: a provider does not answer.
        """
        parse_uri(user, Kind.USER)
        session = self._find(room)
        async with session.ledger.turn() as member:
            chosen = _role(member, user) if role is None else role
        found = await self._material(session, user)
        if found.status in _NO_CONSENT:
            await self._ask(room, user, chosen)
            return Invited(outcome=InviteOutcome.ASKED)
        return await self._add(session, user, chosen, found)

    async def retry(self, invitation: InvitationRecord) -> None:
        """Let somebody in whose consent was asked for, if it is there now.

        Raises:
            Unavailable: a provider does not answer.
        """
        session = self._find(invitation.room)
        found = await self._material(session, invitation.user)
        if found.status in _NO_CONSENT:
            return
        try:
            await self._add(session, invitation.user, invitation.role, found)
        except PolicyRefused as error:
            await self._note(invitation, str(error))
        # After it: what a restart finds twice is there already, and no harm.
        await self._around.storage.drop_invitation(invitation.room, invitation.user)

    async def _note(self, invitation: InvitationRecord, why: str) -> None:
        notice = Notice(kind="not-invited", detail=f"{invitation.user}: {why}")
        now = self._around.clock.now()
        await self._around.storage.add_notice(invitation.room, notice, now=now)

    async def add_own_devices(self, session: RoomSession) -> None:
        """Let further devices of our own into a room.

        Raises:
            PolicyRefused: the room or its hub does not allow it.
            Unavailable: a provider does not answer.
        """
        async with session.ledger.turn() as member:
            user = member.user
        found = await self._material(session, user)
        if found.fitting:
            await session.want(AddClients(found.fitting))

    async def _material(self, session: RoomSession, user: str) -> KeyMaterial:
        async with session.ledger.turn() as member:
            request = member.key_material_request(user)
        response = await self._around.api.key_material(user, request)
        async with session.ledger.turn() as member:
            return member.key_material(self._around.env, user, response)

    async def _add(
        self, session: RoomSession, user: str, role: int, found: KeyMaterial
    ) -> Invited:
        refusal = _REFUSALS.get(KeyMaterialUserCode(found.status))
        if refusal is not None:
            raise PolicyRefused(f"{user} cannot be added: {refusal}")
        async with session.ledger.turn() as member:
            is_listed = member.view.is_listed(user)
        if is_listed and not found.fitting and _are_present(found):
            return Invited(outcome=InviteOutcome.ADDED)  # it is so already
        if is_listed and not found.fitting:
            raise PolicyRefused(
                f"no device of {user} can be added now: {_reasons(found) or 'none'}"
            )
        if is_listed:
            await session.want(AddClients(found.fitting))
        else:
            hosts = await self._hosts(session, user)
            invitee = Invitee(user, found.fitting, hosts)
            await session.want(Invite((invitee,), role))
        return Invited(
            outcome=InviteOutcome.ADDED,
            clients=tuple(
                package.leaf_node.credential.identity.decode()  # type: ignore[union-attr]  # `key_material` let only basic ones pass
                for package in found.fitting
            ),
            left_out={client: str(why) for client, why in found.left_out.items()},
        )

    async def _hosts(self, session: RoomSession, user: str) -> tuple[str, ...]:
        """Return the asset hosts of a provider that is new in the room (D-37)."""
        domain = domain_of(user)
        async with session.ledger.turn() as member:
            policy = member.room.asset_policy
        known = () if policy is None else policy.upload_domains
        if policy is None or domain in {entry.provider for entry in known}:
            return ()
        return (await self._around.api.peer(domain)).asset_domains

    async def _ask(self, room: RoomId, user: str, role: int) -> None:
        around = self._around
        session = self._find(room)
        async with session.ledger.turn() as member:
            own = member.user
        invitation = InvitationRecord(room=room, user=user, role=role)
        await around.storage.invite_later(invitation, now=around.clock.now())
        entry = ConsentEntry(
            operation=ConsentOperation.REQUEST, requester=own, target=user, room=room
        ).encode()
        # Each time anew: a request may be asked again after it was withdrawn.
        await around.api.tell_consent(entry, idempotency_key("ask", around.rng(16)))


def _role(member: RoomMember, user: str) -> int:
    """Return the lowest role that we may give to somebody.

    Raises:
        PolicyRefused: there is none.
    """
    view = member.view
    if view.is_listed(user):
        return view.role_index(user)
    role = view.lowest_role_to_give(member.user)
    if role is None:
        raise PolicyRefused("our role in this room does not let anybody in")
    return role


def _are_present(found: KeyMaterial) -> bool:
    reasons = set(found.left_out.values())
    return reasons == {LeftOut.PRESENT}


def _reasons(found: KeyMaterial) -> str:
    return ", ".join(f"{client}: {why}" for client, why in found.left_out.items())
