"""What can be expressed in a chat, by the data file and by what the Mac can do. Pure.

Without the helper inside Messages there is only text, files and receiving.
"""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support
from sabir.networks.api import ChatId
from sabir.networks.imessage import names
from sabir.networks.imessage.server import ServerInfo

FILE_OCTETS_MAX: Final = 100 * 1024 * 1024
"""Messages takes no larger ones since macOS 12.2."""


def of_chat(chat: ChatId, info: ServerInfo) -> Capabilities:
    """Return the capabilities of a chat.

    Formatting stays behind: the form in which the helper takes it is not verified. A
    caption is a message of its own, so that it can be edited.
    """
    if names.is_lesser(chat):
        is_sms = names.service(chat) == "sms"
        base = capability_data.capabilities("sms_mms" if is_sms else "rcs")
        return replace(_plain(base), attachment=Support.FULL)
    base = replace(
        capability_data.capabilities("imessage"),
        formatting={},
        attachment_octets_max=FILE_OCTETS_MAX,
        caption=Support.FALLBACK,
        reactions_per_person=1,
    )
    if not info.helper:
        return _plain(base)
    if not info.edits:
        return replace(base, edit=Support.FALLBACK, delete=Support.FALLBACK)
    return base


def _plain(base: Capabilities) -> Capabilities:
    return replace(
        base,
        formatting={},
        reply=Support.FALLBACK,
        thread=Support.FALLBACK,
        edit=Support.FALLBACK,
        delete=Support.FALLBACK,
        reaction=Support.FALLBACK,
        caption=Support.FALLBACK,
        voice=Support.FALLBACK,
    )
