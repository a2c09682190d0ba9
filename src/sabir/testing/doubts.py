"""What Sabir's log calls ambiguous, as the messages that a chat showed."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from sabir.errors import Unavailable
from sabir.testing.load import Said

PATIENCE_S: Final = 30.0
"""Sabir may have been killed a moment ago, and takes in what it missed."""


class Log(Protocol):
    """Whose log it is."""

    def log_lines(self, *arguments: str) -> list[Any]:
        """Return `sabir log --json` as objects."""
        ...


async def doubted_in(
    sabir: Log, trouble: Sequence[Any], chat: str, shown: Sequence[Said]
) -> list[Said]:
    """Return the messages of a chat that the log calls ambiguous.

    The log never has texts: the n-th message of a chat in the log is the n-th that
    the chat showed.

    Args:
        sabir: whose log it is.
        trouble: the lines of `sabir log --trouble`.
        chat: `network:address`, where the messages were written.
        shown: all of them, in the chat's order.

    Raises:
        Unavailable: the log does not come to the same number of messages.
    """
    doubted = {
        line["seq"]
        for line in trouble
        if line["from"] == chat and line["state"] == "ambiguous"
    }
    if not doubted:
        return []
    seqs = await _numbers(sabir, chat, len(shown))
    return [each for seq, each in zip(seqs, shown, strict=True) if seq in doubted]


async def _numbers(sabir: Log, chat: str, count: int) -> list[int]:
    """Return the numbers of a chat's messages, once the log has them all."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = await asyncio.to_thread(sabir.log_lines)
        seqs = {e["seq"] for e in lines if e["from"] == chat and e["kind"] == "said"}
        if len(seqs) == count:
            return sorted(seqs)
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the log has {len(seqs)} messages of {chat}, which showed {count}"
            )
        await asyncio.sleep(0.5)
