"""What a rendering changed or dropped, why, and whether it can be restored.

CONVERSION.md sections 2 and 9. Rule names (`TXT-3`, `FMT-2`, ...) are those of
its section 6.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

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
