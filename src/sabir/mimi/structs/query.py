"""identifierQuery: who is known by a handle, an address, a number (3.8)."""

from dataclasses import dataclass, field
from typing import Final

from sabir.mimi.codepoints import QueryCode, SearchType
from sabir.mimi.components.fields import read_identifier, read_text, text
from sabir.mimi.structs.fields import (
    ELEMENTS_MAX,
    EMPTY,
    decode_whole,
    known,
    read_extensions,
)
from sabir.mls.components import AppDataDictionary
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, uint8, vector

QUERY_ELEMENTS_MAX: Final = 16
"""Conditions of one query."""
SEARCH_OCTETS_MAX: Final = 1_024
"""Octets of a value, or of a field's name: the longest address has 254."""
FIELD_OCTETS_MAX: Final = 64 << 10
"""Octets of a field of a profile: a small picture."""

_NAMED: Final = frozenset({SearchType.OIDC_STD_CLAIM, SearchType.VCARD_FIELD})
"""Search types that name a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryElement:
    """One condition.

    Attributes:
        search_type: a `SearchType`, or another number.
        value: what is looked for.
        name: of the claim or property, for the two types that have one.
    """

    search_type: int
    value: str = field(repr=False)
    name: str = ""

    def encode(self) -> bytes:
        """Write the `QueryElement`."""
        name = text(self.name) if self.search_type in _NAMED else b""
        return uint8(self.search_type) + name + text(self.value)


def read_query_element(reader: Reader) -> QueryElement:
    """Take a `QueryElement`.

    Raises:
        Malformed: MIMI-100, a value that is no text; as `Reader`.
    """
    search_type = known(SearchType, reader.uint8())
    name = read_text(reader, SEARCH_OCTETS_MAX) if search_type in _NAMED else ""
    return QueryElement(
        search_type=search_type, name=name, value=read_text(reader, SEARCH_OCTETS_MAX)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierRequest:
    """A query: all conditions must hold."""

    elements: tuple[QueryElement, ...]
    extensions: AppDataDictionary = EMPTY

    def encode(self) -> bytes:
        """Write the `IdentifierRequest`."""
        elements = vector(element.encode() for element in self.elements)
        return elements + self.extensions.encode()


def decode_identifier_request(body: bytes) -> IdentifierRequest:
    """Read an `IdentifierRequest`.

    Raises:
        Malformed: MIMI-014 no condition; C03 more than 16; as `decode_whole`.
    """
    return decode_whole(body, read_identifier_request)


def read_identifier_request(reader: Reader) -> IdentifierRequest:
    """Take an `IdentifierRequest`."""
    elements = reader.vector(read_query_element, count_max=QUERY_ELEMENTS_MAX)
    if not elements:
        raise Malformed("MIMI-014", "a query without a condition")
    return IdentifierRequest(elements=elements, extensions=read_extensions(reader))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileField:
    """Something that a user publishes.

    Attributes:
        source: a `SearchType` of a named field, or another number.
        name: of the claim or property.
        value: its octets.
    """

    source: int
    name: str
    value: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the `ProfileField`."""
        return uint8(self.source) + text(self.name) + opaque(self.value)


def read_profile_field(reader: Reader) -> ProfileField:
    """Take a `ProfileField`."""
    return ProfileField(
        source=known(SearchType, reader.uint8()),
        name=read_text(reader, SEARCH_OCTETS_MAX),
        value=reader.opaque(FIELD_OCTETS_MAX),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserProfile:
    """What a user publishes."""

    user: str
    fields: tuple[ProfileField, ...] = ()

    def encode(self) -> bytes:
        """Write the `UserProfile`."""
        return text(self.user) + vector(each.encode() for each in self.fields)


def read_user_profile(reader: Reader) -> UserProfile:
    """Take a `UserProfile`."""
    user = read_identifier(reader)
    fields = reader.vector(read_profile_field, count_max=ELEMENTS_MAX)
    return UserProfile(user=user, fields=fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierResponse:
    """What was found.

    Attributes:
        code: a `QueryCode`, or another number.
        users: stable URIs.
        profiles: of those who publish something, in the same order (D-31).
        extensions: by component id.
    """

    code: int
    users: tuple[str, ...] = ()
    profiles: tuple[UserProfile, ...] = ()
    extensions: AppDataDictionary = EMPTY

    def encode(self) -> bytes:
        """Write the `IdentifierResponse`."""
        return (
            uint8(self.code)
            + vector(text(user) for user in self.users)
            + vector(profile.encode() for profile in self.profiles)
            + self.extensions.encode()
        )


def decode_identifier_response(body: bytes) -> IdentifierResponse:
    """Read an `IdentifierResponse`.

    Raises:
        Malformed: as `decode_whole`.
    """
    return decode_whole(body, read_identifier_response)


def read_identifier_response(reader: Reader) -> IdentifierResponse:
    """Take an `IdentifierResponse`."""
    return IdentifierResponse(
        code=known(QueryCode, reader.uint8()),
        users=reader.vector(read_identifier, count_max=ELEMENTS_MAX),
        profiles=reader.vector(read_user_profile, count_max=ELEMENTS_MAX),
        extensions=read_extensions(reader),
    )
