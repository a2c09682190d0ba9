"""One operation of the agent API: its path, its limits, and who answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from sabir.mimi.agent_api.forms import Form, encode_form
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.uris import SCHEME, Kind, domain_of, parse_uri
from sabir.provider.agent_api.tokens import Caller
from sabir.provider.http import JSON, Answer, Exchange, Streamed
from sabir.wire.errors import Malformed

QUERY_FIELDS_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request of one of our devices.

    Attributes:
        caller: who asks.
        variables: of the path, decoded.
        query: of the path, raw.
        body: whole, undecoded.
    """

    caller: Caller
    variables: Mapping[str, str]
    query: str
    body: bytes = field(repr=False)

    def room(self) -> str:
        """Return the room in the path.

        Raises:
            Problem: PATH_MISMATCH, it names none.
        """
        return self._uri("roomId", Kind.ROOM)

    def target_user(self) -> str:
        """Return the user in the path.

        Raises:
            Problem: PATH_MISMATCH, it names none.
        """
        return self._uri("targetUser", Kind.USER)

    def domain(self) -> str:
        """Return the domain in the path.

        Raises:
            Problem: PATH_MISMATCH, it names none.
        """
        domain = self.variables["domain"].lower()
        try:
            return domain_of(SCHEME + domain)
        except Malformed as wrong:
            raise Problem(
                ProblemCode.PATH_MISMATCH, "the path names no domain"
            ) from wrong

    def _uri(self, name: str, kind: Kind) -> str:
        try:
            return parse_uri(self.variables[name], kind).text
        except Malformed as wrong:
            raise Problem(
                ProblemCode.PATH_MISMATCH, f"the path names no {kind.name.lower()}"
            ) from wrong


class Key(Enum):
    """What an idempotency key means to an operation."""

    IGNORED = auto()
    """It changes nothing, or only what a repetition changes as well."""
    OPTIONAL = auto()
    """With a key, a repetition gets the first answer."""
    REQUIRED = auto()
    """It changes what must not change twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation whose body and answer are in memory.

    Attributes:
        method: HTTP.
        template: of the path.
        answer: gives the answer.
        octets_max: of the body; 0 without one.
        key: what an idempotency key means to it.
    """

    method: str
    template: str
    answer: Callable[[Ask], Awaitable[Answer]]
    octets_max: int = 0
    key: Key = Key.IGNORED


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOperation:
    """An operation that reads and answers as it likes.

    Attributes:
        method: HTTP.
        template: of the path.
        handler: answers one of our devices.
    """

    method: str
    template: str
    handler: Callable[
        [Caller, Exchange], Awaitable[Answer | Streamed | web.StreamResponse]
    ]


def json_answer(form: Form, status: int = HTTPStatus.OK) -> Answer:
    """Answer with a JSON object."""
    return Answer(status=status, body=encode_form(form), content_type=JSON)


def query_value(query: str, name: str, default: str) -> str:
    """Return a value of a query.

    Raises:
        Problem: MALFORMED_BODY, the query does not decode, or has it twice.
    """
    try:
        found = parse_qs(
            query,
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=QUERY_FIELDS_MAX,
        ).get(name, [default])
    except ValueError:
        found = []
    if len(found) != 1:
        raise Problem(ProblemCode.MALFORMED_BODY, f"the query needs one {name}")
    return found[0]
