"""What a rendering changed or dropped, why, and whether it can be restored.

CONVERSION.md sections 2 and 9. Rule names (`TXT-3`, `FMT-2`, ...) are those of
its section 6.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from sabir.content.loss_words import WORDS

SENTENCES_MAX: Final = 3
"""So many are read before sending; the rest is counted (CONVERSION.md section 9)."""

CODEC_VERSION: Final = "sabir-conv/1"


class Level(IntEnum):
    """How bad a loss is."""

    NONE = 0
    FORM = 1
    FUNCTION = 2
    MEANING = 3
    WITHHELD = 4


class WayBack(IntEnum):
    """How the original comes back."""

    NONE = 0
    STORE = 1
    MARKER = 2
    BOTH = 3


class Why(IntEnum):
    """Cause of a loss."""

    TEXT_LIMIT = 1
    SIZE_LIMIT = 2
    TYPE_NOT_ACCEPTED = 3
    FEATURE_MISSING = 4
    WINDOW_PASSED = 5
    COUNT_EXCEEDED = 6
    NOT_ALLOWED_HERE = 7
    POLICY = 8
    UNKNOWN_CAPABILITY = 9
    REFUSED_BY_NETWORK = 10
    TARGET_NOT_THERE = 11
    TOOL_MISSING = 12
    PERSONS_CHOICE = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class LossItem:
    """One loss."""

    rule: str
    level: Level
    back: WayBack
    why: Why
    before: str = ""
    """What it was, named by kind, never content (e.g. `underline`, `21000 octets`)."""
    after: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class LossReport:
    """All losses of one entry on one leg."""

    items: tuple[LossItem, ...] = ()

    @property
    def level(self) -> Level:
        """Return the highest level of the items, `NONE` if there are none."""
        return max((item.level for item in self.items), default=Level.NONE)

    @property
    def restorable(self) -> bool:
        """Tell whether every item has a way back."""
        return all(item.back is not WayBack.NONE for item in self.items)

    def sentences(self) -> tuple[str, ...]:
        """Return what the sender must know before sending: L3 and L4, in English.

        Returns:
            One sentence per item, at most three, then "And N more."
        """
        heavy = [item for item in self.items if item.level >= Level.MEANING]
        shown = [_sentence(item) for item in heavy[:SENTENCES_MAX]]
        if len(heavy) > SENTENCES_MAX:
            shown.append(f"And {len(heavy) - SENTENCES_MAX} more.")
        return tuple(shown)

    def phrases(self) -> tuple[str, ...]:
        """Return every item as a short English phrase, heaviest first."""
        ordered = sorted(self.items, key=lambda item: -item.level)
        return tuple(_phrase(item) for item in ordered)


LOSSLESS: Final = LossReport()


def merged(items: Iterable[LossItem]) -> LossReport:
    """Return a report in which equal losses are one item, counted."""
    counted: dict[LossItem, int] = {}
    for item in items:
        one = replace(item, times=1)
        counted[one] = counted.get(one, 0) + item.times
    return LossReport(
        tuple(replace(item, times=times) for item, times in counted.items())
    )


def inbound_item(phrase: str) -> LossItem:
    """Return the item for what a network said and its `decode` cannot express."""
    return LossItem(
        rule="DEC-1",
        level=Level.FUNCTION,
        back=WayBack.STORE,
        why=Why.FEATURE_MISSING,
        before=phrase,
    )


def _phrase(item: LossItem) -> str:
    words = WORDS.get(item.rule, f"changed by rule {item.rule}")
    text = words.format(before=item.before, after=item.after).strip()
    return f"{text} ({item.times} times)" if item.times > 1 else text


def _sentence(item: LossItem) -> str:
    text = _phrase(item)
    return f"{text[:1].upper()}{text[1:]}."
