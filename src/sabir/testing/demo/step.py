"""One event of the conversation, and the verdict over it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sabir.testing.demo.stage import Stage

_SHOWN_CHARS_MAX: Final = 160
"""Of a value in a complaint: enough to recognise it, 20 kB would bury it."""


class Way(StrEnum):
    """From whom to whom."""

    TO_XMPP = "M→X"
    TO_MATRIX = "X→M"
    TO_THIRD = "*→A"
    OF_THIRD = "A→*"
    """Of Ada, who is on neither network."""
    BOTH = "M=X"
    """A check over all, no event."""


class Wrong(Exception):
    """The other side saw something, and it was not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something happens on one side and is looked for on the other.

    `natively` says in the other network's own words what must be seen there; `play`
    makes it happen, checks that, and returns the latency in seconds.
    """

    way: Way
    name: str
    natively: str
    play: "Callable[[Stage], Awaitable[float]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a step went.

    `began_ms` is the time of day in milliseconds since 1970, to find the step in
    Sabir's log. `complaint` is empty when all was right.
    """

    number: int
    step: Step
    began_ms: int
    latency_s: float
    complaint: str

    @property
    def is_right(self) -> bool:
        """Whether the other side saw what it should."""
        return not self.complaint


async def play(stage: "Stage", number: int, step: Step) -> Played:
    """Play a step; whatever goes wrong in it becomes its complaint."""
    began_ms = time.time_ns() // 1_000_000
    stage.mark()
    latency_s, complaint = 0.0, ""
    try:
        latency_s = await step.play(stage)
    except Wrong as wrong:
        complaint = str(wrong)
    except TimeoutError as late:
        complaint = f"it did not come. {late}"
    except stage.troubles as trouble:
        complaint = f"{type(trouble).__name__}: {trouble}"
    return Played(
        number=number,
        step=step,
        began_ms=began_ms,
        latency_s=latency_s,
        complaint=complaint,
    )


def same(what: str, came: object, expected: object) -> None:
    """Compare what came with what should have come.

    Raises:
        Wrong: they differ.
    """
    if came != expected:
        raise Wrong(f"{what}: expected {_short(expected)}, came {_short(came)}")


def _short(value: object) -> str:
    text = repr(value)
    if len(text) <= _SHOWN_CHARS_MAX:
        return text
    return f"{text[:_SHOWN_CHARS_MAX]}… ({len(text)} characters)"
