"""The canonical form of a reaction: fully qualified, as people's keyboards send it."""

from typing import Final

import regex

_UNQUALIFIED: Final = regex.compile(
    # A picture that is text by default, and nothing says how to show it ...
    r"((?=\p{Emoji})\P{Emoji_Presentation}(?<![0-9#*]))(?![\uFE0E\uFE0F\U0001F3FB-\U0001F3FF])"
    # ... or the base of a keycap.
    r"|([0-9#*])(?=\u20E3)"
)


def qualified(emoji: str) -> str:
    """Return `emoji` with the variation selectors that belong to it (UTS 51).

    Skin tone and gender stay. Text that is no emoji comes back as it is.
    """
    return _UNQUALIFIED.sub("\\g<0>\ufe0f", emoji)
