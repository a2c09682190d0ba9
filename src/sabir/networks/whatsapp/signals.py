"""Receipts from statuses, and read marks and typing to WhatsApp.

WhatsApp shows typing only together with a read mark. Nobody's message is marked as
read before somebody here has read it, so typing is shown only in a chat whose last
message was read already.
"""

from collections import OrderedDict
from typing import Final

from sabir.networks.api import ChatId, Delivered, Person, PersonId, Read, Signal
from sabir.networks.whatsapp.envelope import Status
from sabir.networks.whatsapp.names import is_group, phone

MESSAGES_KEPT_MAX: Final = 10_000
"""Of which the highest status is known; statuses of older ones are shown again."""
CHATS_KEPT_MAX: Final = 5_000
_RANK: Final = {"delivered": 1, "read": 2, "played": 2}


class Receipts:
    """Turns statuses into signals: the highest of each message, once."""

    def __init__(self) -> None:
        self._highest: OrderedDict[tuple[str, str], int] = OrderedDict()

    def signal(self, status: Status, name: str) -> Signal | None:
        """Return what a status says that was not known; statuses come in any order."""
        rank = _RANK.get(status.state, 0)
        place = (status.native_id, status.person)
        if not status.person or rank <= self._highest.get(place, 0):
            return None
        self._highest[place] = rank
        while len(self._highest) > MESSAGES_KEPT_MAX:
            self._highest.popitem(last=False)
        person = Person(id=PersonId(status.person), name=name or phone(status.person))
        kind = Read if rank == 2 else Delivered
        return kind(chat=status.chat, person=person, native_id=status.native_id)


class Marks:
    """What was read in each chat, and what came last."""

    def __init__(self) -> None:
        self._newest: OrderedDict[ChatId, str] = OrderedDict()
        self._read: OrderedDict[ChatId, str] = OrderedDict()

    def came(self, chat: ChatId, native_id: str) -> None:
        """Note a message of somebody."""
        _put(self._newest, chat, native_id)

    def to_mark(self, chat: ChatId, native_id: str) -> bool:
        """Tell whether a message is still to be marked as read; note that it is."""
        if self._read.get(chat) == native_id:
            return False
        _put(self._read, chat, native_id)
        return True

    def unmark(self, chat: ChatId) -> None:
        """Note that a mark did not get through."""
        self._read.pop(chat, None)

    def to_type(self, chat: ChatId) -> str | None:
        """Return the message to type at, None where typing would tell too much."""
        read = self._read.get(chat)
        if is_group(chat) or read is None or self._newest.get(chat) != read:
            return None
        return read


def _put(kept: OrderedDict[ChatId, str], chat: ChatId, native_id: str) -> None:
    kept[chat] = native_id
    kept.move_to_end(chat)
    while len(kept) > CHATS_KEPT_MAX:
        kept.popitem(last=False)
