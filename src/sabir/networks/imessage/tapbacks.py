"""Tapbacks: six that can be sent, and what comes in. Pure.

BlueBubbles names them by words; Apple's own numbers (2000 and on, removals 3000 and
on) come through where it knows no word, as for the emoji of iOS 18 (2006, 3006).
"""

from dataclasses import dataclass
from typing import Final

import regex

from sabir.content.emoji import qualified

SHOWN: Final = {
    "love": "❤️",
    "like": "👍",
    "dislike": "👎",
    "laugh": "😂",
    "emphasize": "‼️",
    "question": "❓",
}
STICKERS: Final = frozenset({"sticker", "1000", "2007"})

_NUMBERS: Final = {str(2000 + at): word for at, word in enumerate(SHOWN)}
_EMOJI: Final = frozenset({"2006", "emoji"})
_SAME: Final = {
    **dict.fromkeys("❤🧡💛💚💙💜🖤🤍🤎💕💖💗💓💞💝💘♥😍🥰", "love"),
    **dict.fromkeys("👍", "like"),
    **dict.fromkeys("👎", "dislike"),
    **dict.fromkeys("😂🤣😆😹", "laugh"),
    **dict.fromkeys("‼❗", "emphasize"),
    **dict.fromkeys("❓❔", "question"),
}
"""CONVERSION.md 6.7, "Six tapbacks through BlueBubbles"."""
_BARE: Final = {
    **dict.fromkeys((0xFE0E, 0xFE0F), None),
    **dict.fromkeys(range(0x1F3FB, 0x1F400), None),
}
_ONE_EMOJI: Final = regex.compile(
    r"[0-9#*]\uFE0F?\u20E3|\p{Regional_Indicator}{2}"
    r"|\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?"
    r"(?:\u200D\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?)*"
)


@dataclass(frozen=True, slots=True)
class Tapback:
    """A reaction that came in."""

    emoji: str | None
    """None: an emoji that the text does not show."""
    removed: bool


def word_for(emoji: str) -> str | None:
    """Return the tapback that means the same as an emoji, None if none does."""
    return _SAME.get(emoji.translate(_BARE))


def read(kind: object, text: object) -> Tapback | None:
    """Return the tapback that a row is, None if it is something else.

    Args:
        kind: its `associatedMessageType`.
        text: its text, the only place where an emoji of iOS 18 stands.
    """
    if isinstance(kind, int) and not isinstance(kind, bool):
        kind = str(kind)
    if not isinstance(kind, str):
        return None
    removed = kind.startswith("-") or (len(kind) == 4 and kind.startswith("3"))
    word = kind.removeprefix("-")
    if removed and word.startswith("3"):
        word = "2" + word[1:]
    word = _NUMBERS.get(word, word)
    if word in SHOWN:
        return Tapback(SHOWN[word], removed)
    if word not in _EMOJI:
        return None
    found = _ONE_EMOJI.search(text) if isinstance(text, str) else None
    return Tapback(qualified(found.group()) if found else None, removed)
