"""What a network gets: native-sized pieces of one entry, in sending order.

`convert.render` makes them; a connector's `render` turns each into its network's
own form. Other messages appear as `NativeRef`, already known to that network.
"""

from dataclasses import dataclass
from typing import Final

from sabir.clock import Instant
from sabir.content.meaning import Attachment
from sabir.content.rich import Rich

UNKNOWN: Final = Instant(0)
"""When it was sent is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRef:
    """A message as one network's chat knows it."""

    native_id: str
    aliases: tuple[str, ...] = ()
    """Further native ids of the same message (XMPP: origin-id beside stanza-id)."""
    author: str = ""
    """Native id of the person who wrote it there (a ghost's id for our own sends)."""
    author_name: str = ""
    excerpt: str = ""
    """First 80 characters, for fallbacks."""
    sent_at: Instant = UNKNOWN
    is_last: bool = False
    """True if nothing newer by the same author is known in the chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece:
    """A text message."""

    text: Rich
    reply_to: NativeRef | None = None
    thread: NativeRef | None = None
    emote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPiece:
    """A file; the octets come through `Outgoing.media`."""

    attachment: Attachment
    inline_octets: bytes | None = None
    """The file itself, where no URL holds it (a text file that a rendering made)."""
    caption: Rich | None = None
    reply_to: NativeRef | None = None
    thread: NativeRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPiece:
    """The whole new text of one of our earlier messages."""

    target: NativeRef
    text: Rich


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePiece:
    """One of our earlier messages is taken back for everybody."""

    target: NativeRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactPiece:
    """A reaction of the author."""

    target: NativeRef
    emoji: str
    all_emoji: tuple[str, ...] = ()
    """The author's whole set on the target after this change, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreactPiece:
    """A reaction of the author is taken back."""

    target: NativeRef
    emoji: str
    reaction: NativeRef | None = None
    """The reaction as the network knows it, where it has an id of its own."""
    all_emoji: tuple[str, ...] = ()
    """The author's whole set on the target after this change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPiece:
    """The author came into the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavePiece:
    """The author left (or was removed)."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePiece:
    """The author's display name (and picture) changed."""

    name: str
    avatar: Attachment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatNamePiece:
    """The conversation has a new name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPiece:
    """The conversation has a new topic."""

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAvatarPiece:
    """The conversation has a new picture."""

    attachment: Attachment


Piece = (
    TextPiece
    | MediaPiece
    | EditPiece
    | DeletePiece
    | ReactPiece
    | UnreactPiece
    | JoinPiece
    | LeavePiece
    | ProfilePiece
    | ChatNamePiece
    | TopicPiece
    | ChatAvatarPiece
)
