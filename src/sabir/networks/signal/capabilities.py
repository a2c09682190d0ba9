"""What Signal can express through the daemon: the data file, and ours. Pure."""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support, TextUnit

TEXT_OCTETS_MAX: Final = 60_000
"""Beyond 2,000 the daemon sends a part, with the whole text as an attachment of its own
kind; Signal's apps show up to 64 KiB of it."""
DATA_URI_OCTETS_MAX: Final = 8 * 1024 * 1024
"""A file inside of the request: the daemon holds it several times in memory."""
FILE_OCTETS_MAX: Final = 100 * 1024 * 1024
"""`global.attachments.maxBytes` of Signal's remote configuration."""


def of_account(*, has_folder: bool) -> Capabilities:
    """Return what a linked device can do for everybody.

    A caption is a message of its own: an edit replaces the whole message, and one
    without its file would take the file away.

    Args:
        has_folder: there is a folder through which large files reach the daemon.
    """
    return replace(
        capability_data.capabilities("signal"),
        text_max=TEXT_OCTETS_MAX,
        text_unit=TextUnit.OCTETS,
        text_parts_max=1,
        attachment_octets_max=FILE_OCTETS_MAX if has_folder else DATA_URI_OCTETS_MAX,
        caption=Support.FALLBACK,
    )
