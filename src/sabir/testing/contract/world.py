"""The far side of a network, as the contract kit sees it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from sabir.networks.api import ChatId


class Ability(StrEnum):
    """What a world can provoke. A rule that needs more is skipped, with a reason."""

    REDELIVER = "redeliver"
    """`redeliver` works."""
    GO_DARK = "go_dark"
    """`go_dark` and `come_back` work."""
    DROP_ANSWER = "drop_answer"
    """`drop_answer` works."""
    DROP_SEND = "drop_send"
    """`drop_send` works."""
    SLOW_CHAT = "slow_chat"
    """`slow` works."""
    REFUSED_TEXT = "refused_text"
    """`refused_text` works."""
    SEND_FILE = "send_file"
    """`sends_file` works."""
    IDEMPOTENT = "idempotent"
    """The network itself keeps a repeated idempotency key from being a second
    message. Not a method: a fact that the rules about doubt must know."""


class World(Protocol):
    """The network's side, real or simulated, prepared for one test.

    Both chats exist, are empty, our account may enter them, and the person is
    in them. Methods whose ability is not declared are never called.
    """

    can: frozenset[Ability]
    cannot: Mapping[Ability, str]
    """The reason for every ability that is not in `can`."""
    chat: ChatId
    other_chat: ChatId
    person: str
    """Who speaks on the network's side, as `says` wants it."""

    async def says(self, chat: ChatId, who: str, text: str) -> None:
        """Make somebody of the network send `text`."""
        ...

    async def sent(self, chat: ChatId) -> Sequence[tuple[str, str]]:
        """Return what people of the network got from us: (speaker's name, text)."""
        ...

    async def redeliver(self) -> None:
        """Make the network deliver the newest event once more, live."""
        ...

    async def go_dark(self) -> None:
        """Cut all connections; accept none."""
        ...

    async def come_back(self) -> None:
        """End `go_dark`."""
        ...

    async def drop_answer(self) -> None:
        """Accept the next send, but let no answer reach the connector.

        The connection may die with it. An echo may still come.
        """
        ...

    async def drop_send(self) -> None:
        """Let the connection die with the next send, which is not accepted."""
        ...

    async def slow(self, chat: ChatId) -> None:
        """Let sends to this chat take longer than a test waits."""
        ...

    def refused_text(self) -> str:
        """Return a text that the network will never take."""
        ...

    async def sends_file(self, chat: ChatId, who: str, data: bytes) -> None:
        """Make somebody send a file of these octets."""
        ...

    async def close(self) -> None:
        """Clean up after the test."""
        ...
