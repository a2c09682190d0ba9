"""What a network can express in a chat, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Support(IntEnum):
    """How well a feature is supported (the scale of the data file)."""

    REJECTED = -2
    DROPPED = -1
    FALLBACK = 0
    PARTIAL = 1
    FULL = 2


class TextUnit(StrEnum):
    """What a text limit counts."""

    UTF16 = "utf16_code_units"
    OCTETS = "utf8_bytes"
    GSM7 = "gsm7_characters"
    JSON = "json_octets"
    """UTF-8 octets inside a JSON string: a quote or a newline counts twice."""


class Format(StrEnum):
    """Formatting features; the names of the data file."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    UNDERLINE = "underline"
    INLINE_CODE = "inline_code"
    CODE_BLOCK = "code_block"
    QUOTE = "quote"
    UL = "ul"
    OL = "ol"
    HEADERS = "headers"
    TABLE = "table"
    SPOILER = "spoiler"
    LINK_TEXT = "link_text"
    MENTION = "mention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Everything `convert.render` needs to know about one chat."""

    network: str
    text_max: int = 5_000
    """In `text_unit`; 5,000 where unknown (CONVERSION.md 6.1)."""
    text_unit: TextUnit = TextUnit.UTF16
    formatted_text_max: int | None = None
    """Limit of formatted text, where the plain text goes with it; None = the same."""
    text_parts_max: int = 10
    """TXT-3: a text in more parts than this goes as a file (TXT-4)."""
    formatting: Mapping[Format, Support] = field(default_factory=dict)
    reply: Support = Support.FALLBACK
    thread: Support = Support.FALLBACK
    edit: Support = Support.FALLBACK
    edit_window_s: int | None = None
    """None = no limit."""
    edit_last_only: bool = False
    """XMPP XEP-0308 by the letter: only the author's last message (EDT-6)."""
    delete: Support = Support.FALLBACK
    delete_window_s: int | None = None
    delete_is_request: bool = False
    """Clients are only asked to delete (DEL-3)."""
    reaction: Support = Support.FALLBACK
    reactions_per_person: int | None = None
    attachment: Support = Support.FALLBACK
    attachment_octets_max: int | None = None
    """None = not known; the network may still refuse."""
    caption: Support = Support.FALLBACK
    voice: Support = Support.FALLBACK
    room_events: bool = False
    """Joins, leaves and renames are shown natively (ghosts); else as a line."""
    ghosts: bool = False
    """Every participant speaks for themselves; else names are put into the text."""
    room_name_max: int | None = None
