"""Whom a person means: `ada@a.example` is looked up at a.example (7.9)."""

import re
from typing import Final

from sabir.agent.membership.api import AgentApi
from sabir.errors import PolicyRefused
from sabir.mimi.codepoints import QueryCode, SearchType
from sabir.mimi.structs.query import (
    IdentifierRequest,
    QueryElement,
    decode_identifier_response,
)
from sabir.mimi.uris import Kind, parse_uri

_ADDRESS: Final = re.compile(r"([^\s@/]{1,64})@([a-z0-9.-]{1,253})")
_URI: Final = "mimi:"


async def find_user(api: AgentApi, text: str) -> str:
    """Return the URI of the user that a person names.

    Args:
        api: of our provider, which asks the other one.
        text: a user's URI, or `handle@provider`.

    Raises:
        PolicyRefused: it is neither, nobody is found by it, or more than one is.
        Malformed: MIMI-001, MIMI-002, a URI that is no user's.
        Unavailable: a provider does not answer.
    """
    if text.startswith(_URI):
        return parse_uri(text, Kind.USER).text
    address = _ADDRESS.fullmatch(text)
    if address is None:
        raise PolicyRefused(
            f'"{text}" is nobody\'s address; it looks like ada@a.example'
        )
    handle, domain = address[1], address[2]
    element = QueryElement(search_type=SearchType.HANDLE, value=handle)
    request = IdentifierRequest(elements=(element,)).encode()
    answer = decode_identifier_response(await api.query(domain, request))
    if answer.code == QueryCode.SUCCESS and len(answer.users) == 1:
        return parse_uri(answer.users[0], Kind.USER).text
    if answer.users or answer.code == QueryCode.AMBIGUOUS:
        raise PolicyRefused(f"more than one user of {domain} is called {handle}")
    raise PolicyRefused(
        f"{domain} knows nobody called {handle}, or they do not want to be found"
    )
