"""What XMPP can express in a chat: the data file's values, and what a chat changes.

A body over 60,000 octets becomes one text file (the file's `text_parts_max`), and
only an author's last message is corrected natively, an older one by an answer
(EDT-6): XEP-0308 means the last message, Conversations changes any, but Dino takes
none but the last and shows every other correction as one more message, unmarked.
"""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support

NAME_LENGTH_MAX: Final = 256
"""Room names; our choice, servers do not say."""


def capabilities(*, ghosts: bool, group: bool, stable_ids: bool) -> Capabilities:
    """Return what can be said in a chat.

    Args:
        ghosts: every participant has a seat of their own.
        group: a room, not a direct chat.
        stable_ids: the room gives its messages `stanza-id`s, without which
            replies, reactions and retractions have nothing to point at.
    """
    known = capability_data.capabilities("xmpp")
    pointless = group and not stable_ids
    return replace(
        known,
        reply=Support.FALLBACK if pointless else known.reply,
        delete=Support.FALLBACK if pointless else known.delete,
        reaction=Support.FALLBACK if pointless else known.reaction,
        room_events=ghosts and group,
        ghosts=ghosts,
        room_name_max=NAME_LENGTH_MAX if group else None,
    )
