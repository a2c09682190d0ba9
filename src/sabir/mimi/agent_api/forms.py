"""How the JSON of the agent API is written and read: strictly, octets as base64url."""

import base64
import binascii
import re
from typing import Final, TypeVar

import msgspec

from sabir.wire.errors import Malformed

T = TypeVar("T")

JSON_OCTETS_MAX: Final = 256 << 10
"""Octets of a JSON request; the longest says by what a user may be found."""
TEXT_MAX: Final = 512
"""Characters of a name or an identifier."""

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_PLACE: Final = re.compile(r" - at `(\$[^`]*)`")


class Octets(bytes):
    """Octets; in JSON base64url without padding."""

    __slots__ = ()


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object; whoever reads it passes over members that it does not know."""


def encode_form(form: Form) -> bytes:
    """Write a JSON object."""
    return msgspec.json.encode(form, enc_hook=_written)


def decode_form(body: bytes | str, form: type[T]) -> T:
    """Read a JSON object.

    Args:
        body: UTF-8.
        form: what it must be.

    Raises:
        Malformed: MIMI-370, it is not of that form.
    """
    try:
        return msgspec.json.decode(body, type=form, dec_hook=_read)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = _PLACE.search(str(error))
        place = "no such JSON" if found is None else found[1]
        raise Malformed("MIMI-370", place) from None


def base64url(octets: bytes) -> str:
    """Write octets as text, without padding."""
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def octets_of(text: str) -> Octets:
    """Read base64url without padding.

    Raises:
        Malformed: MIMI-371, it is none.
    """
    if _BASE64URL.fullmatch(text) is None:
        raise Malformed("MIMI-371", f"{len(text)} characters")
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise Malformed("MIMI-371", f"{len(text)} characters") from None
    if base64url(octets) != text:
        raise Malformed("MIMI-371", "bits left over")
    return Octets(octets)


def _written(value: object) -> object:
    if isinstance(value, Octets):
        return base64url(value)
    raise NotImplementedError


def _read(kind: type, value: object) -> object:
    if kind is Octets and isinstance(value, str):
        try:
            return octets_of(value)
        except Malformed as wrong:
            raise ValueError(wrong.rule) from None
    raise ValueError("no text")  # a ValidationError with the place, by msgspec
