"""Component 0x0023, what a room is called (protocol-06 section 7.6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sabir.mimi.components.fields import (
    LINK_OCTETS_MAX,
    read_identifier,
    read_text,
    text,
)
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

DESCRIPTIONS_MAX: Final = 64
"""Descriptions of one room: a few forms in each of a few languages."""


@dataclass(frozen=True, slots=True)
class RichDescription:
    """A description of a room.

    Attributes:
        media_type: empty means `text/plain;charset=utf-8`.
        language: BCP 47 tag, or empty.
        content: in the form that `media_type` names.
    """

    media_type: str
    language: str
    content: bytes

    def encode(self) -> bytes:
        """Write the `RichDescription`."""
        return text(self.media_type) + text(self.language) + tls.opaque(self.content)


@dataclass(frozen=True, slots=True)
class RoomMetadata:
    """The `RoomMetaData`. An update replaces all of it, but never `room_uri`.

    Attributes:
        room_uri: binds the MLS group to the room.
        name: for people.
        descriptions: alternatives of each other.
        avatar: https address, or empty.
        subject: of the moment.
        mood: of the moment.
    """

    room_uri: str
    name: str = ""
    descriptions: tuple[RichDescription, ...] = ()
    avatar: str = ""
    subject: str = ""
    mood: str = ""

    def encode(self) -> bytes:
        """Write the `RoomMetaData`."""
        return (
            text(self.room_uri)
            + text(self.name)
            + tls.vector(description.encode() for description in self.descriptions)
            + text(self.avatar)
            + text(self.subject)
            + text(self.mood)
        )


FIELDS: Final[Mapping[str, Callable[[RoomMetadata], object]]] = MappingProxyType(
    {
        "name": lambda metadata: metadata.name,
        "descriptions": lambda metadata: metadata.descriptions,
        "avatar": lambda metadata: metadata.avatar,
        "subject": lambda metadata: metadata.subject,
        "mood": lambda metadata: metadata.mood,
    }
)
"""The fields that can change, each with its own capability."""


def changed_fields(old: RoomMetadata, new: RoomMetadata) -> frozenset[str]:
    """Name the fields in which two values differ."""
    return frozenset(name for name, of in FIELDS.items() if of(old) != of(new))


def read_description(reader: Reader) -> RichDescription:
    """Take a `RichDescription`. Raises Malformed: MIMI-100, and as `Reader`."""
    return RichDescription(read_text(reader), read_text(reader), reader.opaque())


def read_room_metadata(reader: Reader) -> RoomMetadata:
    """Take a `RoomMetaData`.

    Raises:
        Malformed: MIMI-100, MIMI-101, MIMI-107 an avatar that is not https.
    """
    room_uri = read_identifier(reader)
    name = read_text(reader)
    descriptions = reader.vector(read_description, count_max=DESCRIPTIONS_MAX)
    avatar = read_text(reader, LINK_OCTETS_MAX)
    if avatar and not avatar.startswith("https://"):
        raise Malformed("MIMI-107", "the avatar is not behind https")
    return RoomMetadata(
        room_uri, name, descriptions, avatar, read_text(reader), read_text(reader)
    )


def decode_room_metadata(data: bytes) -> RoomMetadata:
    """Read a whole `RoomMetaData`."""
    return tls.read_whole(data, read_room_metadata)
