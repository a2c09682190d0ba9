"""Consent, and by what one may be found, as JSON."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from sabir.mimi.agent_api.forms import TEXT_MAX, Form
from sabir.mimi.codepoints import SearchType

IDENTIFIERS_MAX: Final = 64
"""By which one user may be found."""


class VerdictEntry(Form, frozen=True, kw_only=True):
    """A decision of the user.

    Attributes:
        requester: URI of whom it is about.
        room: URI; empty: any room.
        granted: or else revoked.
        decided_ms: ms since 1970.
    """

    requester: str
    room: str = ""
    granted: bool
    decided_ms: int


class RequestEntry(Form, frozen=True, kw_only=True):
    """Somebody who waits for a decision of the user.

    Attributes:
        requester: URI.
        room: URI; empty: any room.
        asked_ms: ms since 1970.
    """

    requester: str
    room: str = ""
    asked_ms: int


class Consents(Form, frozen=True, kw_only=True):
    """`GET /consents`."""

    verdicts: tuple[VerdictEntry, ...]
    requests: tuple[RequestEntry, ...]


class IdentifierType(StrEnum):
    """What kind of identifier it is."""

    HANDLE = "handle"
    NICK = "nick"
    EMAIL = "email"
    PHONE = "phone"

    @property
    def search_type(self) -> SearchType:
        """Return its number in queries."""
        return SearchType[self.name]


class OwnIdentifier(Form, frozen=True, kw_only=True):
    """Something that the user may be found by.

    Attributes:
        type: what it is.
        value: exactly as others must ask for it.
        searchable: others find the user by it.
        verified: the operator says that it is the user's; the answer to GET only.
    """

    type: IdentifierType
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]
    searchable: bool
    verified: bool = False


class Searchable(Form, frozen=True, kw_only=True):
    """`GET`, `PUT /me/searchable`.

    Handles, addresses and numbers are the operator's to give; nicks are the user's
    own. What a PUT does not name is searched for no more, and nicks are gone.
    """

    identifiers: Annotated[
        tuple[OwnIdentifier, ...], msgspec.Meta(max_length=IDENTIFIERS_MAX)
    ]
