"""What each network can do, from the packaged data file, as `Capabilities`.

`data/network_capabilities.json` keeps source, date and confidence of every value.
What it does not say is taken as missing. Values that a server sets are defaults:
a connector replaces what it learns at run time (`dataclasses.replace`).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from sabir.content.capabilities import Capabilities, Format, Support, TextUnit
from sabir.errors import LocalError

SCHEMA: Final = "sabir/network-capabilities/1"
TEXT_UNKNOWN_MAX: Final = 5_000
"""UTF-16 units, where a network does not say (CONVERSION.md 6.1)."""
MATRIX_TEXT_MAX: Final = 60_000
"""JSON octets of a body: an event has 65,536, the rest is for ids and signatures."""
MATRIX_FORMATTED_MAX: Final = 20_000
"""JSON octets: body and formatted_body together; HTML takes up to twice the text."""
XMPP_TEXT_MAX: Final = 60_000
"""Octets of a body; a longer one becomes a text file (our rule)."""

_UNITS: Final[Mapping[str, TextUnit]] = {
    "utf16_code_units": TextUnit.UTF16,
    "characters": TextUnit.UTF16,
    "utf8_bytes": TextUnit.OCTETS,
    "gsm7_characters": TextUnit.GSM7,
}
_FORMATS: Final[Mapping[str, tuple[Format, ...]]] = {
    **{each.value: (each,) for each in Format},
    "code": (Format.INLINE_CODE, Format.CODE_BLOCK),
    "monospace": (Format.INLINE_CODE, Format.CODE_BLOCK),
    "lists": (Format.UL, Format.OL),
    "html": (Format.LINK_TEXT,),
    "spoiler(XEP-0382 Deferred)": (Format.SPOILER,),
    "mention(XEP-0372/0513)": (Format.MENTION,),
}
"""Names of the data file, beside our own; others are no formatting of ours."""

_OURS: Final[Mapping[str, Mapping[str, Any]]] = {
    "matrix": {
        "text_max": MATRIX_TEXT_MAX,
        "text_unit": TextUnit.JSON,
        "formatted_text_max": MATRIX_FORMATTED_MAX,
        "caption": Support.FULL,
    },
    "xmpp": {
        "text_max": XMPP_TEXT_MAX,
        "text_unit": TextUnit.OCTETS,
        "text_parts_max": 1,
        "edit_last_only": True,
        "delete_is_request": True,
    },
    "rcs": {"delete_is_request": True},
    # What SMS calls a reaction is a text of its own, which we write as RXN-6.
    "sms_mms": {"reaction": Support.FALLBACK},
    "whatsapp": {"caption": Support.FULL},
    "telegram": {"caption": Support.FULL},
    "signal": {"caption": Support.FULL},
}
"""What follows from the data file's words rather than from its numbers, and our
own budgets (CONVERSION.md sections 4, 5 and 6)."""


@cache
def table() -> Mapping[str, Any]:
    """Return the packaged data file.

    Raises:
        LocalError: it is of another schema: this installation is broken.
    """
    source = files("sabir.content") / "data" / "network_capabilities.json"
    data = json.loads(source.read_text(encoding="utf-8"))
    if data["_meta"]["schema"] != SCHEMA:
        raise LocalError(
            f"network_capabilities.json is not of schema {SCHEMA}; install Sabir again."
        )
    networks: Mapping[str, Any] = data["networks"]
    return networks


@cache
def capabilities(network: str) -> Capabilities:
    """Return the defaults of a network.

    Args:
        network: id as in the data file, e.g. `matrix`.

    Returns:
        What the data file says; everything else missing. A network that the file
        does not know can do plain text and nothing else.
    """
    known = table().get(network)
    if known is None:
        return Capabilities(network=network)
    cells: Mapping[str, Mapping[str, Any]] = known["values"]
    text_max, text_unit = _text(cells)
    base = Capabilities(
        network=network,
        text_max=text_max,
        text_unit=text_unit,
        formatting=_formatting(cells),
        reply=_level(cells, "reply"),
        thread=_level(cells, "thread"),
        edit=_level(cells, "edit"),
        edit_window_s=_number(cells, "edit_window"),
        delete=_level(cells, "delete_for_all"),
        delete_window_s=_number(cells, "delete_window"),
        reaction=_level(cells, "reaction"),
        reactions_per_person=_number(cells, "reaction_per_user"),
        attachment=_attachment(cells),
        attachment_octets_max=_number(cells, "max_attachment"),
        caption=_level(cells, "caption"),
        voice=_level(cells, "voice"),
        room_name_max=_number(cells, "group_name_max"),
    )
    return replace(base, **_OURS.get(network, {}))


def _text(cells: Mapping[str, Mapping[str, Any]]) -> tuple[int, TextUnit]:
    cell = cells.get("max_text", {})
    number, unit = cell.get("value"), _UNITS.get(cell.get("unit", ""))
    if isinstance(number, int) and unit is not None:
        return number, unit
    return TEXT_UNKNOWN_MAX, TextUnit.UTF16


def _formatting(cells: Mapping[str, Mapping[str, Any]]) -> Mapping[Format, Support]:
    levels = cells.get("formatting", {}).get("value")
    if not isinstance(levels, Mapping):
        return {}
    found: dict[Format, Support] = {}
    for name, level in levels.items():
        for each in _FORMATS.get(name, ()):
            found[each] = Support(level)
    return found


def _level(cells: Mapping[str, Mapping[str, Any]], name: str) -> Support:
    """Return a feature's level; unknown counts as missing (section 1, rule 7)."""
    level = cells.get(name, {}).get("level")
    return Support(level) if isinstance(level, int) else Support.FALLBACK


def _number(cells: Mapping[str, Mapping[str, Any]], name: str) -> int | None:
    number = cells.get(name, {}).get("value")
    return number if isinstance(number, int) else None


def _attachment(cells: Mapping[str, Mapping[str, Any]]) -> Support:
    return Support.FULL if "max_attachment" in cells else _level(cells, "file")
