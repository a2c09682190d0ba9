"""What a rendering needs to know besides the meaning: looked up by the caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sabir.clock import Instant
from sabir.content.meaning import Meaning
from sabir.content.pieces import NativeRef


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderContext:
    """Facts about one entry on one leg. All of it must be the same on a retry."""

    author_name: str
    relay: bool = False
    """One native account speaks for several people: names go into the text (TXT-8)."""
    now: Instant
    """For windows (EDT-2, DEL-2)."""
    sent_at: Instant | None = None
    """When the author wrote it; names a voice file (VOI-3)."""
    mentions: Mapping[str, str] = field(default_factory=dict)
    """Native id of everybody who has one in this chat, by room URI (MEN-1)."""

    target: NativeRef | None = None
    """What is answered, edited, deleted or reacted to; None: not in this chat."""
    target_parts: tuple[NativeRef, ...] = ()
    """Every native message of the target in order; empty: only `target`."""
    thread: NativeRef | None = None
    """The thread's first message."""
    original_author: str = ""
    """Name of who wrote the answered message, for quotes (RPL-2)."""
    original_excerpt: str = ""
    """First words of the answered message."""

    previous: Meaning | None = None
    """The version that was rendered last, for edits: unchanged parts stay alone."""
    reply_target: NativeRef | None = None
    """What the edited message answers, as `target` was for its first version."""
    correction: NativeRef | None = None
    """The last correction already sent for this message (EDT-3)."""
    edit_refused: bool = False
    """The network has refused the native edit (EDT-5)."""

    emoji_before: tuple[str, ...] = ()
    """The author's reactions on the target before this entry, oldest first; with
    `relay` those of everybody the account speaks for, one for each person."""
    reaction_emoji: str = ""
    """Of the reaction that is taken back; empty: a message is deleted."""
    reaction: NativeRef | None = None
    """The reaction that is taken back, where it has an id of its own."""
