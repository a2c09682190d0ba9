"""Requests and answers checked against the description of Bot API 10.1.

`bot_api_10_1.json` has names, types and required members, without any prose. It is
made from PaulSonOfLars/telegram-bot-api-spec (MIT, see the licence beside it), which
is made from the vendor's page. Limits of length are not in it.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

FILE: Final = "bot_api_10_1.json"
_LIST: Final = "Array of "
_PRIMITIVES: Final[Mapping[str, tuple[type, ...]]] = {
    "Integer": (int,),
    "String": (str,),
    "Boolean": (bool,),
    "True": (bool,),
    "False": (bool,),
    "Float": (int, float),
    "InputFile": (bytes,),
}


@cache
def description() -> Mapping[str, Any]:
    """Return the description: `methods` and `types`."""
    source = files("sabir.testing.telegram") / FILE
    found: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return found


def problems(method: str, params: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a request: nothing, if it is as described.

    Args:
        method: as in the address.
        params: decoded; a file is its octets. Unknown parameters are wrong.
    """
    known = description()["methods"].get(method)
    if known is None:
        return [f"{method}: there is no such method"]
    return _object(known["fields"], params, method, is_strict=True)


def problems_in(kind: str, value: object) -> list[str]:
    """Return what is wrong with an object that a server sends.

    Unknown members are fine: newer servers have more.
    """
    return _typed(kind, value, kind, is_strict=False)


def result_problems(method: str, result: object) -> list[str]:
    """Return what is wrong with a method's result."""
    kinds = description()["methods"][method]["returns"]
    return _any_of(kinds, result, f"result of {method}", is_strict=False)


def types_of(method: str, member: str) -> Sequence[str]:
    """Return the types of a parameter; none if there is no such parameter."""
    fields = description()["methods"].get(method, {"fields": {}})["fields"]
    found: Sequence[str] = fields.get(member, {"types": ()})["types"]
    return found


def _typed(kind: str, value: object, where: str, *, is_strict: bool) -> list[str]:
    if kind.startswith(_LIST):
        if not isinstance(value, list):
            return [f"{where}: a list is expected"]
        inner = kind.removeprefix(_LIST)
        return [
            problem
            for index, each in enumerate(value)
            for problem in _typed(inner, each, f"{where}[{index}]", is_strict=is_strict)
        ]
    if kind in _PRIMITIVES:
        wanted = _PRIMITIVES[kind]
        fits = isinstance(value, wanted)
        if isinstance(value, bool) and bool not in wanted:
            fits = False  # to Python a Boolean is an integer
        return [] if fits else [f"{where}: {kind} is expected, {value!r:.40} found"]
    known = description()["types"].get(kind)
    if known is None:
        return [f"{where}: there is no type {kind}"]
    if known.get("one_of"):
        return _any_of(known["one_of"], value, where, is_strict=is_strict)
    return _object(known["fields"], value, where, is_strict=is_strict)


def _any_of(
    kinds: Sequence[str], value: object, where: str, *, is_strict: bool
) -> list[str]:
    """Return nothing if one type fits, else what the nearest misses."""
    tried = [_typed(kind, value, where, is_strict=is_strict) for kind in kinds]
    return min(tried, key=len, default=[])


def _object(
    fields: Mapping[str, Any], value: object, where: str, *, is_strict: bool
) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{where}: an object is expected"]
    found = [
        f"{where}.{name} is missing"
        for name, field in fields.items()
        if field.get("required") and name not in value
    ]
    for name, inner in value.items():
        field = fields.get(name)
        if field is None:
            found += [f"{where}.{name}: there is no such member"] if is_strict else []
        elif "const" in field and inner != field["const"]:
            found.append(f"{where}.{name}: {field['const']!r} is expected")
        else:
            at = f"{where}.{name}"
            found += _any_of(field["types"], inner, at, is_strict=is_strict)
    return found
