"""What a bot can express in a chat, by the data file and what the Bot API adds."""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support
from sabir.networks.telegram.render import UPLOAD_OCTETS_MAX

DELETE_WINDOW_S: Final = 172_800
"""Bot API, `deleteMessage`: sent less than 48 hours ago."""


def of_chat(*, is_forum: bool) -> Capabilities:
    """Return the capabilities of a chat.

    A bot edits its own messages without a limit of time, and has one reaction.

    Args:
        is_forum: it has topics, and stands for all of them.
    """
    return replace(
        capability_data.capabilities("telegram"),
        thread=Support.PARTIAL if is_forum else Support.FALLBACK,
        edit_window_s=None,
        delete_window_s=DELETE_WINDOW_S,
        attachment_octets_max=UPLOAD_OCTETS_MAX,
        reactions_per_person=1,
        voice=Support.FULL,
    )
