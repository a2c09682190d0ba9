"""What Matrix can express: the data file's values, and what kinds of account change."""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support

FORMATTED_MAX: Final = 24_000
"""JSON octets of a formatted text: 20 kB with its line ends and some marks stay one
message. HTML takes one and a half times as much beside it in 62,000 octets; where it
takes more, `render` leaves it out and says so."""


def of_ghosts(*, attachment_octets_max: int | None) -> Capabilities:
    """Return what an application service can do: everybody speaks for themselves."""
    return replace(_of_both(attachment_octets_max), room_events=True, ghosts=True)


def of_account(*, attachment_octets_max: int | None) -> Capabilities:
    """Return what one account can do for everybody.

    A second person's reaction with the same emoji would be the same reaction,
    so it is partial at most: one reaction per emoji.
    """
    return replace(_of_both(attachment_octets_max), reaction=Support.PARTIAL)


def _of_both(attachment_octets_max: int | None) -> Capabilities:
    """Return the data file's values, with what the homeserver says and we write.

    Voice messages are marked as such for clients that know the mark (MSC3245).
    """
    return replace(
        capability_data.capabilities("matrix"),
        formatted_text_max=FORMATTED_MAX,
        attachment_octets_max=attachment_octets_max,
        voice=Support.FULL,
    )
