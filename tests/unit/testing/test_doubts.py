"""Doubts of the log are found among the messages of a chat by their place."""

from typing import Any

import pytest

from sabir.errors import Unavailable
from sabir.testing import doubts
from sabir.testing.doubts import doubted_in
from sabir.testing.lab import SabirProcess
from sabir.testing.load import Said

CHAT = "xmpp:tea@rooms.example"
SHOWN = [Said("ann", number) for number in range(3)]


def line(seq: int, chat: str = CHAT, state: str = "sent") -> dict[str, Any]:
    return {"seq": seq, "from": chat, "kind": "said", "state": state}


class Logged(SabirProcess):
    """A process of which nothing but the log is asked; it grows with each asking."""

    def __init__(self, *logs: list[dict[str, Any]]) -> None:
        self.logs = list(logs)

    def log_lines(self, *arguments: str) -> list[Any]:
        assert not arguments
        return self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]


async def test_the_nth_of_the_log_is_the_nth_of_the_chat() -> None:
    sabir = Logged([line(4), line(5, "matrix:!a"), line(7), line(9)])
    trouble = [line(7, state="ambiguous"), line(5, "matrix:!a", "ambiguous")]
    assert await doubted_in(sabir, trouble, CHAT, SHOWN) == [SHOWN[1]]
    assert await doubted_in(sabir, [line(7, state="refused")], CHAT, SHOWN) == []


async def test_a_log_that_is_behind_is_waited_for() -> None:
    sabir = Logged([line(4)], [line(4), line(7), line(9)])
    trouble = [line(9, state="ambiguous")]
    assert await doubted_in(sabir, trouble, CHAT, SHOWN) == [SHOWN[2]]


async def test_a_log_of_another_length_names_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doubts, "PATIENCE_S", 0.0)
    with pytest.raises(Unavailable, match="has 1 messages"):
        await doubted_in(Logged([line(4)]), [line(4, state="ambiguous")], CHAT, SHOWN)
