"""Franking: a hub's mark by which it knows again what it accepted (7.6, 7.7).

The sender commits to the content by a tag in the clear; the hub binds tag, sender,
room and time with a MAC that only it can make, and signs that for the receivers.
"""

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sabir.content.codec import decode as decode_content
from sabir.content.model import Content, ExtensionKey
from sabir.crypto.labels import sign_with_label, verify_with_label
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.fields import text
from sabir.mimi.components.framing import MIMI_CONTENT
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.submit import Frank
from sabir.mls.components import (
    AppDataDictionary,
    ApplicationFraming,
    MediaType,
    encode_media_types,
    encode_safe_aad,
    read_media_types,
    read_safe_aad,
)
from sabir.mls.errors import MlsInvalid
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, uint16, uint64

FRANK_LABEL: Final = b"FrankingIntegrityTBS"
TAG_OCTETS: Final = 32

_UNTYPED: Final = MediaType(b"")
"""Stands for the first media type of the room."""


# ---- the sender


def franking_tag(salt: bytes, application_data: bytes) -> bytes:
    """Commit to a message.

    Args:
        salt: of its content, 16 octets.
        application_data: the octets given to MLS, framing included.

    Returns:
        32 octets.
    """
    return hmac.digest(salt, application_data, "sha256")


def franking_aad(tag: bytes) -> bytes:
    """Write the `authenticated_data` of a message that says nothing but its tag."""
    return encode_safe_aad({ComponentId.FRANK_AAD: tag})


def tag_of(authenticated_data: bytes) -> bytes | None:
    """Return the tag in the `authenticated_data` of a message, None if it has none.

    Raises:
        Malformed: MIMI-008 a tag that has not 32 octets; no `SafeAAD`.
    """
    limit = DEFAULT_LIMITS.authenticated_data_octets_max
    try:
        tag = read_safe_aad(authenticated_data, limit).get(ComponentId.FRANK_AAD)
    except MlsInvalid as wrong:
        raise Malformed(wrong.rule, wrong.detail) from None
    if tag is not None and len(tag) != TAG_OCTETS:
        raise Malformed("MIMI-008", f"{len(tag)} octets")
    return tag


# ---- the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class FrankContext:
    """What a frank says about a message.

    Attributes:
        sender: user URI.
        room: its URI.
        accepted_at: ms, of the hub.
    """

    sender: str
    room: str
    accepted_at: int

    def encode(self) -> bytes:
        """Write the context."""
        return text(self.sender) + text(self.room) + uint64(self.accepted_at)


def make_frank(
    suite: CipherSuite,
    *,
    private_key: bytes,
    hub_key: bytes,
    tag: bytes,
    about: FrankContext,
) -> Frank:
    """Mark an accepted message.

    Args:
        suite: of the group.
        private_key: of the room's franking agent.
        hub_key: of this time, 32 octets.
        tag: from the message.
        about: sender, room and time.
    """
    server_frank = _server_frank(hub_key, tag, about)
    signed = _signed(server_frank, suite.number, about)
    signature = sign_with_label(suite, private_key, FRANK_LABEL, signed)
    return Frank(server_frank, suite.number, signature)


def _server_frank(hub_key: bytes, tag: bytes, about: FrankContext) -> bytes:
    return hmac.digest(hub_key, tag + about.encode(), "sha256")


def _signed(server_frank: bytes, suite: int, about: FrankContext) -> bytes:
    return server_frank + uint16(suite) + about.encode()


# ---- the receiver


def verify_frank(
    suite: CipherSuite, agent_key: bytes, frank: Frank, about: FrankContext
) -> bool:
    """Check that the hub vouches for sender, room and time of a message.

    Args:
        suite: of the group; a frank of another one is not accepted.
        agent_key: of the room's franking agent.
        frank: as it came.
        about: the sender as the content says, the room of the group, the time as the
            hub said.
    """
    if frank.cipher_suite != suite.number:
        return False
    signed = _signed(frank.server_frank, frank.cipher_suite, about)
    return verify_with_label(suite, agent_key, FRANK_LABEL, signed, frank.signature)


# ---- reports


class ReportVerdict(StrEnum):
    """What a hub can say about one reported message."""

    VERIFIED = "verified"
    """Accepted here, at that time, from that sender, with this content."""
    UNREADABLE = "unreadable"
    """Not a content that names its sender and room."""
    OTHER_ROOM = "other-room"
    OTHER_SENDER = "other-sender"
    NO_KEY = "no-key"
    """Of a time that no key is kept for."""
    NOT_ACCEPTED_HERE = "not-accepted-here"
    """Content, sender, room or time are not what the hub marked."""
    SIGNATURE_WRONG = "signature-wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubMarks:
    """With what a hub knows its marks in one room again.

    Attributes:
        key_at: the MAC key of a time in ms; None: it is not kept.
        agent_keys: public franking keys of the room, former ones too.
        default_type: the first media type of the room's group; None: its messages
            are not framed.
    """

    key_at: Callable[[int], bytes | None]
    agent_keys: Sequence[bytes]
    default_type: MediaType | None


def report_extensions(
    framings: Sequence[MediaType], *, verified: Sequence[bool] = (), reason: int = 0
) -> AppDataDictionary:
    """Write what our reports say beyond the draft (D-32).

    Args:
        framings: the media type of each reported message, as it was framed.
        verified: whether the frank of each was good when it was received.
        reason: of our own taxonomy, 0 for none.
    """
    entries = {ComponentId.SABIR_ABUSE_REASON: uint16(reason)} if reason else {}
    if framings:
        entries[ComponentId.SABIR_ABUSE_FRAMING] = encode_media_types(framings)
    if verified:
        entries[ComponentId.SABIR_ABUSE_VERIFIED] = opaque(bytes(verified))
    return AppDataDictionary(tuple(sorted(entries.items())))


def reported_framings(report: AbuseReport) -> tuple[MediaType | None, ...]:
    """Return the media type that the reporter says each message had.

    Raises:
        Malformed: MIMI-009 there are more or fewer than messages; no list.
    """
    data = report.extensions.find(ComponentId.SABIR_ABUSE_FRAMING)
    if data is None:
        return (None,) * len(report.messages)
    framings = decode_whole(data, read_media_types)
    if len(framings) != len(report.messages):
        raise Malformed(
            "MIMI-009", f"{len(framings)} media types, {len(report.messages)} messages"
        )
    return framings


def verify_report(
    report: AbuseReport, room: str, marks: HubMarks
) -> tuple[ReportVerdict, ...]:
    """Judge every message of a report.

    Args:
        report: as it came.
        room: whose hub we are.
        marks: of this room.

    Raises:
        Malformed: as `reported_framings`.
    """
    return tuple(
        verify_reported(message, report.alleged_abuser, room, marks, framing)
        for message, framing in zip(
            report.messages, reported_framings(report), strict=True
        )
    )


def verify_reported(
    message: AbusiveMessage,
    sender: str,
    room: str,
    marks: HubMarks,
    framing: MediaType | None = None,
) -> ReportVerdict:
    """Judge one reported message.

    Args:
        message: as it was reported.
        sender: who is accused.
        room: whose hub we are.
        marks: of this room.
        framing: its media type, if the reporter says so.
    """
    try:
        content = decode_content(message.content)
    except Malformed:
        return ReportVerdict.UNREADABLE
    said_sender = content.extensions.get(ExtensionKey.SENDER_URI)
    said_room = content.extensions.get(ExtensionKey.ROOM_URI)
    if not isinstance(said_sender, str) or not isinstance(said_room, str):
        return ReportVerdict.UNREADABLE
    if said_room != room:
        return ReportVerdict.OTHER_ROOM
    if said_sender != sender:
        return ReportVerdict.OTHER_SENDER
    about = FrankContext(sender=sender, room=room, accepted_at=message.accepted_at)
    return _judge_mark(message, content, about, marks, framing)


def _judge_mark(
    message: AbusiveMessage,
    content: Content,
    about: FrankContext,
    marks: HubMarks,
    framing: MediaType | None,
) -> ReportVerdict:
    hub_key = marks.key_at(message.accepted_at)
    if hub_key is None:
        return ReportVerdict.NO_KEY
    frank = message.frank
    matches = [
        hmac.compare_digest(
            _server_frank(hub_key, franking_tag(content.salt, data), about),
            frank.server_frank,
        )
        for data in _framed(message.content, marks.default_type, framing)
    ]
    if not any(matches):
        return ReportVerdict.NOT_ACCEPTED_HERE
    suite = SUITES.get(frank.cipher_suite)
    if suite is None or not any(
        verify_frank(suite, key, frank, about) for key in marks.agent_keys
    ):
        return ReportVerdict.SIGNATURE_WRONG
    return ReportVerdict.VERIFIED


def _framed(
    content: bytes, default: MediaType | None, told: MediaType | None
) -> Iterable[bytes]:
    """Return what the application data of a message may have been (D-32)."""
    candidates = [told, MIMI_CONTENT, _UNTYPED, default]
    distinct = dict.fromkeys(each for each in candidates if each is not None)
    yield from (ApplicationFraming(each, content).encode() for each in distinct)
    if default is None:
        yield content
