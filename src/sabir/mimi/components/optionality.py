"""`Optionality`: whether a feature may, must or must not be used (room-policy-04)."""

from enum import IntEnum
from typing import Final

from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader


class Optionality(IntEnum):
    """Whether members use a feature."""

    OPTIONAL = 0
    REQUIRED = 1
    FORBIDDEN = 2


_KNOWN: Final = {int(value): value for value in Optionality}


def read_optionality(reader: Reader) -> Optionality:
    """Take an `Optionality`.

    Raises:
        Malformed: MIMI-110, another number: it decides which fields follow, and what
            members must do.
    """
    number = reader.uint8()
    found = _KNOWN.get(number)
    if found is None:
        raise Malformed("MIMI-110", f"optionality {number}")
    return found
