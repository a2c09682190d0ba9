"""What an application message of ours consists of (5.1, 5.5, 7.6)."""

from dataclasses import dataclass, field, replace
from typing import Final

from sabir.content.codec import decode, encode
from sabir.content.ids import message_id
from sabir.content.model import SALT_OCTETS, Content, ExtensionKey, MessageId
from sabir.mimi.components.framing import MIMI_CONTENT
from sabir.mimi.franking import franking_aad, franking_tag
from sabir.mls.components import ApplicationFraming, MediaType, encode_safe_aad
from sabir.mls.env import Env
from sabir.wire.errors import Malformed

NOTHING_TO_SAY: Final = encode_safe_aad({})
"""The `authenticated_data` of handshakes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A content that can be sent, as often as the epoch changes under it.

    Attributes:
        message_id: of the content.
        octets: the container.
        content: the same, read.
    """

    message_id: MessageId
    octets: bytes = field(repr=False)
    content: Content = field(repr=False)


def composed(env: Env, content: Content, user: str, room: str) -> Composed:
    """Give a content its salt, sender and room.

    Raises:
        NotEncodable: receivers would refuse it.
    """
    extensions = {
        **content.extensions,
        ExtensionKey.SENDER_URI: user,
        ExtensionKey.ROOM_URI: room,
    }
    plain = {
        int(key) if isinstance(key, int) else key: each
        for key, each in extensions.items()
    }
    salted = replace(content, salt=env.random(SALT_OCTETS), extensions=plain)
    octets = encode(salted)
    return Composed(
        message_id=message_id(user, room, octets, salted.salt),
        octets=octets,
        content=salted,
    )


def recomposed(octets: bytes, user: str, room: str) -> Composed:
    """Take a content that was composed before.

    Raises:
        Malformed: MIMI-302, it is another sender's or of another room; as `decode`.
    """
    content = decode(octets)
    check_origin(content, user, room)
    return Composed(
        message_id=message_id(user, room, octets, content.salt),
        octets=octets,
        content=content,
    )


def check_origin(content: Content, user: str, room: str) -> bool:
    """Compare what a content says of its sender and room with what is so (D-44).

    Returns:
        Whether it says both.

    Raises:
        Malformed: MIMI-302, it says something else.
    """
    said_sender = content.extensions.get(ExtensionKey.SENDER_URI)
    said_room = content.extensions.get(ExtensionKey.ROOM_URI)
    if said_sender not in {None, user} or said_room not in {None, room}:
        raise Malformed("MIMI-302", "the content names another sender or room")
    return said_sender is not None and said_room is not None


@dataclass(frozen=True, slots=True)
class Framed:
    """A content as it is given to MLS.

    Attributes:
        data: application data.
        aad: authenticated data, with the franking tag.
        tag: the franking tag.
        framing: media type.
    """

    data: bytes = field(repr=False)
    aad: bytes = field(repr=False)
    tag: bytes = field(repr=False)
    framing: MediaType


def framed(message: Composed) -> Framed:
    """Frame and tag a content; the media type is always said (D-42)."""
    data = ApplicationFraming(MIMI_CONTENT, message.octets).encode()
    tag = franking_tag(message.content.salt, data)
    return Framed(data, franking_aad(tag), tag, MIMI_CONTENT)
