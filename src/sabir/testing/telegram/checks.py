"""Telegram's limits on texts, as its servers check them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sabir.testing.telegram.shell import Refusal


def check_length(text: str, most: int, what: str) -> None:
    """Refuse a text of more than so many UTF-16 units."""
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > most:
        raise Refusal(400, f"Bad Request: {what}")


def check_entities(text: str, entities: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a range that leaves the text or splits a surrogate pair."""
    units = text.encode("utf-16-le", "surrogatepass")
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if end * 2 > len(units):
            raise Refusal(400, "Bad Request: ENTITY_BOUNDS_INVALID")
        for at in (start, end):
            unit = units[at * 2 : at * 2 + 2]
            if unit and 0xDC <= unit[1] <= 0xDF:
                raise Refusal(400, "Bad Request: ENTITY_BOUNDS_INVALID")
