"""Deterministic CBOR (RFC 8949 section 4.2.1), strict both ways.

`decode` accepts exactly what `encode` makes: shortest integers, lengths and
floats; definite lengths; map keys in bytewise order of their encodings, no
duplicates; valid UTF-8; no integer as a bignum; nothing behind the value. So
the octets of an accepted value are its only octets.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any, Final, Union

from sabir.wire.errors import Malformed, NotEncodable

Key = int | str | bytes
Value = Union[
    int,
    str,
    bytes,
    bool,
    float,
    None,
    tuple["Value", ...],
    Mapping[Key, "Value"],
    "Tag",
]

UINT_MAX: Final = (1 << 64) - 1
INT_MIN: Final = -(1 << 64)

_BIGNUMS: Final = frozenset({2, 3})
"""Tags of integers beyond 64 bits: content-09 requires nobody to support them."""
_HALF_NAN: Final = b"\xf9\x7e\x00"
_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6
_HALF, _SINGLE, _DOUBLE = 0xF9, 0xFA, 0xFB
_FLOAT_FORMS: Final = {2: ">e", 4: ">f", 8: ">d"}


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged value (RFC 8949 section 3.4). Bignums (tags 2, 3) are refused."""

    number: int
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a decoder takes at the most."""

    depth_max: int = 16
    """Arrays, maps and tags inside each other."""
    items_max: int = 100_000
    """Values in all; stops small inputs from becoming large objects."""


# ---- encoding


def encode(value: object) -> bytes:
    """Encode a `Value` deterministically.

    Raises:
        NotEncodable: WIRE-005 a lone surrogate, WIRE-009 a bignum's tag, WIRE-012
            a map key that is no `Key`, WIRE-013 what has no form (an integer
            beyond 64 bits, a type that is not a `Value`).
    """
    out = bytearray()
    _encode(value, out)
    return bytes(out)


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major | number)
    elif number < 0x100:
        out += bytes((major | 24, number))
    elif number < 0x10000:
        out.append(major | 25)
        out += number.to_bytes(2, "big")
    elif number < 0x1_0000_0000:
        out.append(major | 26)
        out += number.to_bytes(4, "big")
    elif number <= UINT_MAX:
        out.append(major | 27)
        out += number.to_bytes(8, "big")
    else:
        raise NotEncodable("WIRE-013", "an integer beyond 64 bits")


def _encode(value: object, out: bytearray) -> None:
    if isinstance(value, bytes):
        _head(0x40, len(value), out)
        out += value
    elif isinstance(value, str):
        octets = _utf8(value)
        _head(0x60, len(octets), out)
        out += octets
    elif value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out.append(_TRUE if value else _FALSE)
    elif isinstance(value, int):
        if value >= 0:
            _head(0x00, value, out)
        else:
            _head(0x20, -1 - value, out)
    elif isinstance(value, tuple | list):
        _head(0x80, len(value), out)
        for item in value:
            _encode(item, out)
    elif isinstance(value, Mapping):
        _encode_map(value, out)
    elif isinstance(value, float):
        out += _encode_float(value)
    elif isinstance(value, Tag):
        _encode_tag(value, out)
    else:
        raise NotEncodable("WIRE-013", f"{type(value).__name__} has no CBOR form")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotEncodable("WIRE-005", f"a surrogate at {error.start}") from None


def _encode_tag(tag: Tag, out: bytearray) -> None:
    if tag.number in _BIGNUMS:
        raise NotEncodable("WIRE-009", f"tag {tag.number}")
    if tag.number < 0:
        raise NotEncodable("WIRE-013", "a tag below 0")
    _head(0xC0, tag.number, out)
    _encode(tag.value, out)


def _encode_map(value: Mapping[Any, object], out: bytearray) -> None:
    _head(0xA0, len(value), out)
    pairs = [(_encode_key(key), item) for key, item in value.items()]
    pairs.sort(key=lambda pair: pair[0])
    for key, item in pairs:
        out += key
        _encode(item, out)


def _encode_key(key: object) -> bytes:
    if isinstance(key, bool) or not isinstance(key, int | str | bytes):
        raise NotEncodable("WIRE-012", f"a key of type {type(key).__name__}")
    return encode(key)


def _encode_float(value: float) -> bytes:
    """Return the shortest of the three widths that keeps the value."""
    if isnan(value):
        return _HALF_NAN
    for head, form in ((_HALF, ">e"), (_SINGLE, ">f")):
        try:
            octets = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, octets)[0] == value:
            return bytes((head,)) + octets
    return bytes((_DOUBLE,)) + struct.pack(">d", value)


# ---- decoding


def decode(data: bytes, *, limits: Limits = Limits()) -> Value:
    """Decode exactly one value.

    Raises:
        Malformed: WIRE-001 to WIRE-012, and nothing else.
    """
    reader = _Reader(data, limits)
    value = reader.value(limits.depth_max)
    if reader.at != len(data):
        raise Malformed("WIRE-002", f"{len(data) - reader.at} octets behind the value")
    return value


class _Reader:
    """One pass over one buffer."""

    __slots__ = ("at", "data", "end", "items_left")

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.at = 0
        self.end = len(data)
        self.items_left = limits.items_max

    def value(self, depth: int) -> Value:
        at = self.at
        if at >= self.end:
            raise Malformed("WIRE-001", f"at {at}")
        self.items_left -= 1
        if self.items_left < 0:
            raise Malformed("WIRE-011")
        initial = self.data[at]
        major, low = initial >> 5, initial & 0x1F
        if major == 7:
            return self._simple(low)
        self.at = at + 1
        number = low if low < 24 else self._number(low)
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            return self._octets(number)
        if major == 3:
            return self._text(number)
        return self._container(major, number, depth)

    def _number(self, low: int) -> int:
        if low > 27:
            # 28 to 30 are reserved, 31 is an indefinite length.
            raise Malformed("WIRE-004", f"at {self.at - 1}")
        width = 1 << (low - 24)
        octets = self._octets(width)
        number = int.from_bytes(octets, "big")
        least = 24 if width == 1 else 1 << (4 * width)
        if number < least:
            raise Malformed("WIRE-003", f"at {self.at - width}")
        return number

    def _octets(self, count: int) -> bytes:
        start = self.at
        stop = start + count
        if stop > self.end:
            raise Malformed("WIRE-001", f"at {start}")
        self.at = stop
        return self.data[start:stop]

    def _text(self, count: int) -> str:
        try:
            return self._octets(count).decode()
        except UnicodeDecodeError:
            raise Malformed("WIRE-005", f"at {self.at - count}") from None

    def _container(self, major: int, number: int, depth: int) -> Value:
        if depth <= 0:
            raise Malformed("WIRE-010", f"at {self.at}")
        if major == 4:
            # Every item takes an octet: a longer claim needs no allocation.
            if number > self.end - self.at:
                raise Malformed("WIRE-001", f"at {self.at}")
            return tuple([self.value(depth - 1) for _ in range(number)])
        if major == 5:
            if 2 * number > self.end - self.at:
                raise Malformed("WIRE-001", f"at {self.at}")
            return self._map(number, depth - 1)
        if number in _BIGNUMS:
            raise Malformed("WIRE-009", f"at {self.at}")
        return Tag(number, self.value(depth - 1))

    def _map(self, count: int, depth: int) -> Mapping[Key, Value]:
        found: dict[Key, Value] = {}
        previous = b""
        for _ in range(count):
            start = self.at
            key = self.value(depth)
            octets = self.data[start : self.at]
            if octets <= previous:
                raise Malformed(
                    "WIRE-007" if octets == previous else "WIRE-006", f"at {start}"
                )
            if isinstance(key, bool) or not isinstance(key, int | str | bytes):
                raise Malformed("WIRE-012", f"at {start}")
            previous = octets
            found[key] = self.value(depth)
        return found

    def _simple(self, low: int) -> bool | float | None:
        start = self.at
        initial = self.data[start]
        self.at = start + 1
        if initial == _NULL:
            return None
        if initial in {_FALSE, _TRUE}:
            return initial == _TRUE
        if initial not in {_HALF, _SINGLE, _DOUBLE}:
            raise Malformed("WIRE-008", f"at {start}")
        octets = self._octets(1 << (low - 24))
        value: float
        (value,) = struct.unpack(_FLOAT_FORMS[len(octets)], octets)
        if _encode_float(value) != self.data[start : self.at]:
            raise Malformed("WIRE-003", f"at {start}")
        return value
