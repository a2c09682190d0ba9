"""What a content *means* to a conversation, apart from its octets.

`read` (in `reading`) turns a `Content` into one of these; `compose` (in
`composing`) builds a `Content` from one. Ids of other messages are room ids
(`MessageId`) here; connectors never see them.
"""

from dataclasses import dataclass
from enum import StrEnum

from sabir.content.model import ExternalPart, MessageId
from sabir.content.rich import Rich


class MediaKind(StrEnum):
    """How a file wants to be shown (content-type parameter `x-sabir-kind`)."""

    FILE = "file"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    STICKER = "sticker"
    GIF = "gif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a message. `part.url` says where its octets are."""

    part: ExternalPart
    kind: MediaKind = MediaKind.FILE
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who wrote it on a foreign network (`sabir.author`, CONVERSION.md section 10)."""

    uri: str
    """Stable external URI, e.g. `matrix:u/ada:example.org`, `xmpp:room@muc/Ada`."""
    name: str
    """Display name, isolated and stripped of control characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message: text, files, or both."""

    text: Rich | None = None
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: MessageId | None = None
    topic: bytes = b""
    """Thread, as an opaque topicId; empty = none."""
    emote: bool = False
    """True for "/me" actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A new version of `target` (always the first version's id)."""

    target: MessageId
    text: Rich | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """`target` (a message or a reaction) is taken back."""

    target: MessageId
    by_moderator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reacted:
    """One emoji on `target`; taken back by `Deleted` of this entry."""

    target: MessageId
    emoji: str


class RoomEventKind(StrEnum):
    """What happened to the room or to a person in it."""

    JOINED = "joined"
    LEFT = "left"
    REMOVED = "removed"
    PROFILE = "profile"
    NAME = "name"
    TOPIC = "topic"
    AVATAR = "avatar"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEvent:
    """Join, leave, rename and the like; shown as one system line where not native."""

    kind: RoomEventKind
    value: str = ""
    """New name, topic, display name or reason; the line itself for `NOTICE`."""
    attachment: Attachment | None = None
    """The picture, for `AVATAR` (room) and `PROFILE` (person)."""


Meaning = Said | Edited | Deleted | Reacted | RoomEvent
