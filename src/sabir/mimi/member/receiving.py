"""What an application message of another says, and what its frank is worth.

Everything that can be told without the timeline (5.9, D-43, D-44, D-46); the rest is
`admission`'s.
"""

import hmac
from dataclasses import dataclass, field
from typing import Final

from sabir.content.codec import decode
from sabir.content.ids import message_id
from sabir.content.model import Content, Expiry, NullPart, SinglePart
from sabir.crypto.suites import CipherSuite
from sabir.mimi.components.expiration import MessageExpiration
from sabir.mimi.components.framing import MESSAGE_STATUS, MIMI_CONTENT, matches
from sabir.mimi.components.optionality import Optionality
from sabir.mimi.components.participants import BANNED, NO_ROLE
from sabir.mimi.franking import FrankContext, franking_tag, tag_of, verify_frank
from sabir.mimi.member.events import (
    Discarded,
    ForeignReceived,
    Franked,
    FrankVerdict,
    MessageReceived,
    StatusReceived,
    Why,
)
from sabir.mimi.member.kind_capability import is_reaction
from sabir.mimi.member.sending import check_origin
from sabir.mimi.member.status import MEDIA_TYPE, Reports, decode_reports, wanted
from sabir.mimi.policy.view import Client
from sabir.mimi.room_state import RoomState
from sabir.mimi.structs.submit import Frank
from sabir.mimi.uris import domain_of, provider_uri
from sabir.mls.components import MediaType, read_application_framing
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsInvalid
from sabir.mls.group_context import GroupContext
from sabir.wire.errors import Malformed

AHEAD_MS_MAX: Final = 300_000
"""How far a hub's timestamp may be ahead of our clock (5.9)."""
_YEAR_S: Final = 366 * 86_400
"""How far an expiry may be away (5.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An application message that MLS has opened.

    Attributes:
        accepted_at: ms.
        digest: SHA-256 of the MLSMessage.
        sender: whose leaf it came from.
        own: we sent it.
        data: application data.
        aad: authenticated data.
        frank: from the hub.
        context: of the epoch in which it was sent.
        suite: of the group.
        room: what counted when the hub accepted it.
        role: of the sender in that room.
        now_ms: our time.
    """

    accepted_at: int
    digest: bytes
    sender: Client
    own: bool = False
    data: bytes = field(repr=False)
    aad: bytes = field(repr=False)
    frank: Frank | None
    context: GroupContext
    suite: CipherSuite
    room: RoomState
    role: int
    now_ms: int

    def discarded(self, why: Why, detail: str = "") -> Discarded:
        """Say why it is not shown."""
        return Discarded(
            accepted_at=self.accepted_at,
            why=why,
            detail=detail,
            sender=self.sender.user,
        )


Read = MessageReceived | StatusReceived | ForeignReceived | Discarded


def read_message(arrived: Arrived) -> Read:
    """Read an application message."""
    if arrived.accepted_at > arrived.now_ms + AHEAD_MS_MAX:
        return arrived.discarded(Why.BAD_TIME, "MIMI-305")
    banned = arrived.role == BANNED and arrived.room.roles.can_ban
    if arrived.role == NO_ROLE or banned:
        return arrived.discarded(Why.SENDER_OUT)
    try:
        framing = read_application_framing(arrived.context, arrived.data)
        media_type = MIMI_CONTENT if framing is None else framing.media_type
        octets = arrived.data if framing is None else framing.content
        if matches(MESSAGE_STATUS, media_type):
            return _status(arrived, decode_reports(octets))
        if not matches(MIMI_CONTENT, media_type):
            return _foreign(arrived, media_type, octets)
        content = decode(octets)
    except (Malformed, MlsInvalid) as wrong:
        return arrived.discarded(Why.NOT_READABLE, wrong.rule)
    return _read_content(arrived, media_type, octets, content)


def _foreign(
    arrived: Arrived, media_type: MediaType, octets: bytes
) -> ForeignReceived | Discarded:
    return ForeignReceived(
        accepted_at=arrived.accepted_at,
        digest=arrived.digest,
        sender=arrived.sender.user,
        client=arrived.sender.identity,
        media_type=media_type,
        octets=octets,
    )


def _status(arrived: Arrived, reports: Reports) -> StatusReceived:
    return StatusReceived(
        accepted_at=arrived.accepted_at,
        digest=arrived.digest,
        sender=arrived.sender.user,
        client=arrived.sender.identity,
        reports=wanted(arrived.room.status_policy, reports),
    )


def _read_content(
    arrived: Arrived, media_type: MediaType, octets: bytes, content: Content
) -> Read:
    user, room = arrived.sender.user, arrived.room.room_uri
    try:
        says_origin = check_origin(content, user, room)
    except Malformed as wrong:
        return arrived.discarded(Why.OTHER_SENDER, wrong.rule)
    try:
        tag = _tag(arrived, content)
    except Malformed as wrong:
        return arrived.discarded(Why.BAD_TAG, wrong.rule)
    status = _status_of(content)
    if status is not None:
        try:
            return _status(arrived, decode_reports(status.content))
        except Malformed as wrong:
            return arrived.discarded(Why.NOT_READABLE, wrong.rule)
    if not _may_expire(content, arrived):
        return arrived.discarded(Why.BAD_EXPIRY, "MIMI-306")
    return MessageReceived(
        accepted_at=arrived.accepted_at,
        digest=arrived.digest,
        message_id=message_id(user, room, octets, content.salt),
        sender=user,
        client=arrived.sender.identity,
        own=arrived.own,
        content=content,
        octets=octets,
        franked=Franked(
            verdict=_verdict(arrived, tag if says_origin else None),
            tag=tag,
            frank=arrived.frank,
            framing=media_type,
        ),
        role=arrived.room.roles.role(arrived.role),
    )


def _status_of(content: Content) -> SinglePart | None:
    """Return a report that is the whole of a message (D-43)."""
    body = content.body
    if not isinstance(body, SinglePart) or content.replaces is not None:
        return None
    base = body.content_type.partition(";")[0].strip().lower()
    return body if base == MEDIA_TYPE else None


# ---- franking


def _tag(arrived: Arrived, content: Content) -> bytes | None:
    """Return the franking tag of a message, if it has one.

    Raises:
        Malformed: MIMI-303, it is of another content (D-46); as `tag_of`.
    """
    if arrived.room.franking_agent is None:
        return None
    tag = tag_of(arrived.aad)
    if tag is None:
        return None
    ours = franking_tag(content.salt, arrived.data)
    if not hmac.compare_digest(ours, tag):
        raise Malformed("MIMI-303", "the franking tag is of another content")
    return tag


def _verdict(arrived: Arrived, tag: bytes | None) -> FrankVerdict:
    """Say what a frank is worth (D-46).

    Args:
        arrived: the message.
        tag: its tag; None where it has none, or does not name sender and room.
    """
    return frank_verdict(
        arrived.room,
        arrived.suite,
        sender=arrived.sender.user,
        accepted_at=arrived.accepted_at,
        frank=None if tag is None else arrived.frank,
    )


def frank_verdict(
    room: RoomState,
    suite: CipherSuite,
    *,
    sender: str,
    accepted_at: int,
    frank: Frank | None,
) -> FrankVerdict:
    """Say what a frank is worth in a room.

    Args:
        room: whose franking agent counts.
        suite: of its group.
        sender: URI of the user.
        accepted_at: as the hub said.
        frank: None where there is none, or nothing that it could be about.
    """
    agent = room.franking_agent
    if agent is None:
        return FrankVerdict.UNFRANKED
    if frank is None:
        return FrankVerdict.NOT_REPORTABLE
    about = FrankContext(sender=sender, room=room.room_uri, accepted_at=accepted_at)
    hub = BasicCredential(provider_uri(domain_of(room.room_uri)).encode("ascii"))
    good = agent.credential == hub and verify_frank(
        suite, agent.signature_key, frank, about
    )
    return FrankVerdict.ACCOUNTABLE if good else FrankVerdict.NOT_ACCOUNTABLE


# ---- expiry


def _may_expire(content: Content, arrived: Arrived) -> bool:
    """Whether a message expires in bounds: a year, and those of the room (5.9)."""
    expires, policy = content.expires, arrived.room.expiration
    accepted_s = arrived.accepted_at // 1_000
    if expires is None:
        return policy is None or not _must_expire(content, policy)
    life = expires.time_s if expires.relative else expires.time_s - accepted_s
    if life > _YEAR_S or life < (0 if expires.relative else -_YEAR_S):
        return False
    return policy is None or _in_bounds(expires, life, policy)


def _must_expire(content: Content, policy: MessageExpiration) -> bool:
    """Whether a message without expiry breaks the policy; changes never do."""
    return (
        policy.expiring_messages is Optionality.REQUIRED
        and content.replaces is None
        and not isinstance(content.body, NullPart)
        and not is_reaction(content)
    )


def _in_bounds(expires: Expiry, life: int, policy: MessageExpiration) -> bool:
    if policy.expiring_messages is Optionality.FORBIDDEN:
        return False
    shortest = policy.minimum_s if expires.relative else 0
    return shortest <= life <= policy.maximum_s
