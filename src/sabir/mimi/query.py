"""Answers to identifier queries (7.9): exact matches of what may be found."""

import re
from collections.abc import Collection, Sequence
from typing import Final

from sabir.mimi.codepoints import QueryCode, SearchType
from sabir.mimi.structs.query import (
    IdentifierRequest,
    IdentifierResponse,
)

FOUND_MAX: Final = 5
"""Users in one answer; more are ambiguous."""

_FORBIDDEN: Final = frozenset({SearchType.PARTIAL_NAME, SearchType.WHOLE_PROFILE})
_EXACT: Final = frozenset(
    {SearchType.HANDLE, SearchType.NICK, SearchType.EMAIL, SearchType.PHONE}
)
_VERIFIED_ONLY: Final = frozenset({SearchType.EMAIL, SearchType.PHONE})

_EMAIL: Final = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,253}")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{1,14}")

NOT_FOUND: Final = IdentifierResponse(code=QueryCode.NOT_FOUND)
"""Also about those who hide."""


def refusal_of(request: IdentifierRequest) -> IdentifierResponse | None:
    """Return the answer to a query that is not looked up at all, else None.

    Also a value that cannot be an address or a number finds nobody.
    """
    types = {element.search_type for element in request.elements}
    if types & _FORBIDDEN:
        return IdentifierResponse(code=QueryCode.FORBIDDEN)
    if types - _EXACT:
        return IdentifierResponse(code=QueryCode.UNSUPPORTED_FIELD)
    if not all(is_plausible(each.search_type, each.value) for each in request.elements):
        return NOT_FOUND
    return None


def is_plausible(search_type: int, value: str) -> bool:
    """Tell whether a value can be an identifier of a type at all."""
    match search_type:
        case SearchType.EMAIL:
            return _EMAIL.fullmatch(value) is not None
        case SearchType.PHONE:
            return _PHONE.fullmatch(value) is not None
        case _:
            return bool(value)


def is_findable(search_type: int, *, searchable: bool, verified: bool) -> bool:
    """Tell whether a user may be found by one of their identifiers.

    Args:
        search_type: of the identifier.
        searchable: the user wants to be found by it.
        verified: it is known to be the user's.
    """
    return (
        search_type in _EXACT
        and searchable
        and (verified or search_type not in _VERIFIED_ONLY)
    )


def answer_of(found: Sequence[Collection[str]]) -> IdentifierResponse:
    """Answer a query.

    Args:
        found: for each condition, the findable users that meet it.
    """
    first, *others = found
    users = sorted(set(first).intersection(*others))
    if not users:
        return NOT_FOUND
    if len(users) > FOUND_MAX:
        return IdentifierResponse(code=QueryCode.AMBIGUOUS)
    return IdentifierResponse(code=QueryCode.SUCCESS, users=tuple(users))
