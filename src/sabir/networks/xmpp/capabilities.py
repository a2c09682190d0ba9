"""What XMPP can express. Values of the network data file, key `xmpp`."""

from typing import Final

from sabir.content.capabilities import Capabilities, Format, Support, TextUnit

TEXT_OCTETS_MAX: Final = 60_000
"""Longer bodies become a text file; a stanza must stay below 200,000 octets."""
NAME_LENGTH_MAX: Final = 256
"""Room names; our choice, servers do not say."""

_FORMATTING: Final = {
    Format.BOLD: Support.FULL,
    Format.ITALIC: Support.FULL,
    Format.STRIKE: Support.FULL,
    Format.INLINE_CODE: Support.FULL,
    Format.CODE_BLOCK: Support.FULL,
    Format.QUOTE: Support.FULL,
    Format.UNDERLINE: Support.DROPPED,
    Format.UL: Support.DROPPED,
    Format.OL: Support.DROPPED,
    Format.HEADERS: Support.DROPPED,
    Format.TABLE: Support.DROPPED,
    Format.SPOILER: Support.DROPPED,
    Format.LINK_TEXT: Support.DROPPED,
    Format.MENTION: Support.PARTIAL,
}


def capabilities(*, ghosts: bool, group: bool, stable_ids: bool) -> Capabilities:
    """Return what can be said in a chat.

    Args:
        ghosts: every participant has a seat of their own.
        group: a room, not a direct chat.
        stable_ids: the room gives its messages `stanza-id`s, without which
            replies, reactions and retractions have nothing to point at.
    """
    points = Support.FULL if stable_ids or not group else Support.FALLBACK
    return Capabilities(
        network="xmpp",
        text_max=TEXT_OCTETS_MAX,
        text_unit=TextUnit.OCTETS,
        formatting=_FORMATTING,
        reply=points,
        thread=Support.PARTIAL,
        edit=Support.FULL,
        delete=points,
        delete_is_request=True,
        reaction=points,
        attachment=Support.FULL,
        caption=Support.FALLBACK,
        voice=Support.PARTIAL,
        room_events=ghosts and group,
        ghosts=ghosts,
        room_name_max=NAME_LENGTH_MAX if group else None,
    )
