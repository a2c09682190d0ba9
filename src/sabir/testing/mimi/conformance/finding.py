"""What a check found."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from sabir.wire.errors import Malformed

if TYPE_CHECKING:
    from sabir.testing.mimi.conformance.visit import Visit


T = TypeVar("T")


class Verdict(StrEnum):
    """How a line of the checklist stands."""

    KEPT = "kept"
    BROKEN = "broken"
    DEVIATES = "deviates"
    """It does what the drafts allow and our profile does not."""
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table.

    Attributes:
        number: of the checklist, or of the decision that is checked.
        what: was tried.
        verdict: how it stands.
        evidence: what was seen, or why it was not tried.
    """

    number: str
    what: str
    verdict: Verdict
    evidence: str


class Broken(Exception):
    """The provider does something else; the text says what was seen."""


class NotRun(Exception):
    """The check needs something that was not given; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A line that can be tried.

    Attributes:
        number: of the checklist, or of a decision.
        what: is tried, in a few words.
        ours: only our profile asks for it; a bare peer merely deviates.
        run: returns what was seen. Raises `Broken`, `NotRun`.
    """

    number: str
    what: str
    ours: bool
    run: "Callable[[Visit], Awaitable[str]]"


CHECKS: list[Check] = []
"""All of them; filled where they are written."""


def check(
    number: str, what: str, *, ours: bool = False
) -> "Callable[[Callable[[Visit], Awaitable[str]]], Callable[[Visit], Awaitable[str]]]":
    """Make a function a check."""

    def enter(
        run: "Callable[[Visit], Awaitable[str]]",
    ) -> "Callable[[Visit], Awaitable[str]]":
        CHECKS.append(Check(number=number, what=what, ours=ours, run=run))
        return run

    return enter


def expect(holds: object, seen: str) -> None:
    """Go on only if something holds.

    Raises:
        Broken: it does not; `seen` says what is so instead.
    """
    if not holds:
        raise Broken(seen)


def decoded(decode: Callable[[bytes], T], octets: bytes) -> T:
    """Decode an answer.

    Raises:
        Broken: it does not.
    """
    try:
        return decode(octets)
    except Malformed as wrong:
        raise Broken(f"an answer that does not decode: {wrong}") from None
