"""Which emoji a bot may react with, and the nearest one for others. Pure.

The list is that of "ReactionTypeEmoji" in the Bot API; a chat may allow fewer.
Telegram writes them without variation selectors.
"""

from typing import Final

_JOINED: Final = ("❤\u200d🔥", "👨\u200d💻", "🤷\u200d♂", "🤷\u200d♀")
_SINGLE: Final = (
    "👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡"
    "🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴"
    "😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘"
    "🙉🦄😘💊🙊😎👾🤷😡"
)
ALLOWED: Final = frozenset({*_SINGLE, *_JOINED})

_NEAREST: Final = {
    **dict.fromkeys("🧡💛💚💙💜🖤🤍🤎💕💖💗💓💞💝", "❤"),
    **dict.fromkeys("♥", "❤"),
    **dict.fromkeys("😂😆😹", "🤣"),
    **dict.fromkeys("😀😃😄😊🙂☺", "😁"),
    **dict.fromkeys("😮😲😯", "😱"),
    **dict.fromkeys("😠", "😡"),
    **dict.fromkeys("😥😿🙁☹", "😢"),
    **dict.fromkeys("🥳🎊", "🎉"),
    **dict.fromkeys("✅✔☑", "👌"),
    **dict.fromkeys("🙌", "👏"),
    **dict.fromkeys("😻", "😍"),
}
"""Ours: only where the meaning stays."""
_SELECTORS: Final = dict.fromkeys((0xFE0E, 0xFE0F))
_TONES: Final = dict.fromkeys(range(0x1F3FB, 0x1F400))


def nearest(emoji: str) -> str | None:
    """Return the emoji to react with, None if none means the same."""
    bare = emoji.translate(_SELECTORS)
    if bare in ALLOWED:
        return bare
    plain = bare.translate(_TONES)
    return plain if plain in ALLOWED else _NEAREST.get(plain)


def is_same(emoji: str, shown: str) -> bool:
    """Tell whether `shown` is this emoji, however it is written."""
    return emoji.translate(_SELECTORS) == shown.translate(_SELECTORS)
