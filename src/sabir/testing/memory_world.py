"""The memory network as a `World` of the contract kit."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sabir.content.plain import to_plain
from sabir.networks.api import ChatId, NativeEvent, Posted
from sabir.testing.clock import LoopClock
from sabir.testing.contract.world import Ability
from sabir.testing.memory_codec import decode
from sabir.testing.memory_server import Event, MemoryServer, Rules, SendFault

TEXT_CHARS_MAX: Final = 2_000
"""The text limit of the network under test."""
SLOW_MS: Final = 3_600_000
"""Longer than any test waits."""


class MemoryWorld:
    """A `MemoryServer` with two chats and one person."""

    chat = ChatId("lounge")
    other_chat = ChatId("garden")
    person = "eve"

    def __init__(self, rules: Rules | None = None) -> None:
        self.server = MemoryServer(LoopClock(), rules or Rules())
        self.server.rules.text_chars_max = TEXT_CHARS_MAX
        for chat in (self.chat, self.other_chat):
            self.server.chat(chat)
        lacking = set() if self.server.rules.idempotent else {Ability.IDEMPOTENT}
        self.can = frozenset(set(Ability) - lacking)
        self.cannot: Mapping[Ability, str] = MappingProxyType(
            dict.fromkeys(lacking, "this network has no idempotency keys")
        )

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        """Make somebody send a text."""
        self.server.says(chat, who, text)

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        """Return who said what from our side."""
        return [said for event in self.server.sent(chat) for said in _said(event)]

    async def redeliver(self) -> None:
        """Deliver the newest event again."""
        self.server.redeliver()

    async def go_dark(self) -> None:
        """Cut everything."""
        self.server.go_dark()

    async def come_back(self) -> None:
        """End it."""
        self.server.come_back()

    async def drop_answer(self) -> None:
        """Accept the next send and die."""
        self.server.fail_next_sends(SendFault.DIES_AFTER)

    async def drop_send(self) -> None:
        """Die before the next send is accepted."""
        self.server.fail_next_sends(SendFault.DIES_BEFORE)

    async def slow(self, chat: ChatId) -> None:
        """Let sends to one chat take an hour."""
        self.server.slow(chat, SLOW_MS)

    def refused_text(self) -> str:
        """Return a text over the limit."""
        return "x" * (TEXT_CHARS_MAX + 1)

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        """Make somebody send a file."""
        self.server.sends_file(chat, who, data)

    async def close(self) -> None:
        """Nothing is left."""


def _said(event: Event) -> list[tuple[str, str]]:
    incoming = decode(
        NativeEvent(chat=event.chat, native_id=event.native_id, payload=event.payload)
    )
    if incoming is None or not isinstance(incoming.action, Posted):
        return []
    text = incoming.action.text
    return [] if text is None else [(incoming.sender.name, to_plain(text))]
