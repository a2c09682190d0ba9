"""Who has written, when, and under which number: what is remembered of chats.

* When somebody wrote last is a cursor, so it is stored with their message or not at
  all, and it never goes back, whatever is delivered again.
* Names, and numbers that WhatsApp knows by another, are facts: written when they
  change.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from sabir.clock import Instant
from sabir.networks.api import ChatId, Host
from sabir.networks.whatsapp.names import person_id

PEOPLE_MAX: Final = 5_000
"""Names kept for `sabir chats`; the ones longest unchanged go first."""
ALIASES_MAX: Final = 5_000
PEOPLE_FACT: Final = "people"
ALIASES_FACT: Final = "aliases"
_INBOUND: Final = "inbound/"
"""Start of a cursor's name; the chat follows."""


class People:
    """Memory of one account, over restarts.

    Args:
        host: where it is kept.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._inbound: dict[ChatId, Instant] = {}
        self.names: dict[str, str] = {}
        """wa_id to the name they chose, oldest first."""
        self.aliases: dict[str, ChatId] = {}
        """wa_id to the chat that we write to under another number."""

    async def load(self) -> None:
        """Read what is remembered."""
        names = _facts(await self._host.recall(PEOPLE_FACT))
        self.names = {p: n for p, n in names.items() if isinstance(n, str)}
        aliases = _facts(await self._host.recall(ALIASES_FACT))
        self.aliases = {p: ChatId(str(c)) for p, c in aliases.items()}

    async def last_inbound(self, chat: ChatId) -> Instant | None:
        """Return when the person of a chat wrote last, None if that is not known."""
        if chat not in self._inbound:
            text = await self._host.cursor(_INBOUND + chat)
            if text is None or not text.isdecimal():
                return None
            self._inbound[chat] = Instant(int(text))
        return self._inbound[chat]

    async def advanced(self, seen: Mapping[ChatId, Instant]) -> dict[ChatId, Instant]:
        """Return the times among `seen` that are later than what is known."""
        return {
            chat: at
            for chat, at in seen.items()
            if at > (await self.last_inbound(chat) or 0)
        }

    @staticmethod
    def cursors(times: Mapping[ChatId, Instant]) -> dict[str, str]:
        """Return times as cursors to store."""
        return {_INBOUND + chat: str(at) for chat, at in times.items()}

    def stored(self, times: Mapping[ChatId, Instant]) -> None:
        """Note times that are stored now."""
        self._inbound.update(times)

    async def meet(self, people: Mapping[str, str]) -> None:
        """Remember names that are new."""
        new = {p: n for p, n in people.items() if self.names.get(p) != n}
        if not new:
            return
        for person, name in new.items():
            self.names.pop(person, None)
            self.names[person] = name
        while len(self.names) > PEOPLE_MAX:
            del self.names[next(iter(self.names))]
        await self._host.remember(PEOPLE_FACT, json.dumps(self.names))

    async def rename(self, chat: ChatId, wa_id: str) -> None:
        """Remember that WhatsApp knows the person of a chat as `wa_id`."""
        if self.aliases.get(wa_id) == chat or wa_id in self._host.chats():
            return
        self.aliases[wa_id] = chat
        while len(self.aliases) > ALIASES_MAX:
            del self.aliases[next(iter(self.aliases))]
        await self._host.remember(ALIASES_FACT, json.dumps(self.aliases))


def _facts(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return {p: v for p, v in found.items() if person_id(p) is not None}
