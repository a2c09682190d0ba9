"""What the Cloud API can express: the data file's values, and what a chat changes."""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support

PROFILE: Final = "whatsapp_cloud_api"
FORMATTED_MAX: Final = 3_600
"""Characters of a formatted text: marks and spacers find room in 4,096."""


def capabilities(*, group: bool) -> Capabilities:
    """Return what can be said.

    One number speaks for everybody, so a reaction is partial at most. Edits and
    deletions do not exist: an edit becomes a correction, a deletion is told.

    Args:
        group: a group; people come and go in it, one number speaks all the same.
    """
    known = capability_data.capabilities(PROFILE)
    return replace(
        known,
        network="whatsapp",
        formatted_text_max=FORMATTED_MAX,
        reaction=min(known.reaction, Support.PARTIAL),
        room_name_max=128 if group else None,
    )
