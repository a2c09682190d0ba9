"""Digests by which a third party checks a conversion (CONVERSION.md section 9)."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import sha256

from sabir.content.capabilities import Capabilities
from sabir.content.pieces import Piece
from sabir.wire import cbor
from sabir.wire.cbor import Key, Value


def rendered_digest(pieces: tuple[Piece, ...]) -> bytes | None:
    """Return the SHA-256 of the rendered parts, None if there are none."""
    if not pieces:
        return None
    return sha256(cbor.encode(tuple(map(_value, pieces)))).digest()


def capabilities_digest(capabilities: Capabilities) -> bytes:
    """Return the SHA-256 of a capability snapshot."""
    return sha256(cbor.encode(_value(capabilities))).digest()


def _value(thing: object) -> Value:
    """Return a dataclass as its name and fields; what is at its default counts too."""
    match thing:
        case Enum():
            return _value(thing.value)
        case None | bool() | int() | str() | bytes():
            return thing
        case tuple():
            return tuple(map(_value, thing))
        case Mapping():
            entries: dict[Key, Value] = {
                str(key): _value(each) for key, each in thing.items()
            }
            return entries
        case _:
            assert is_dataclass(thing)
            name = type(thing).__name__
            return (name, *(_value(getattr(thing, f.name)) for f in fields(thing)))
