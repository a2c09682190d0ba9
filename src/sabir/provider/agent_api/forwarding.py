"""What our agents want of other providers: passed on unchanged, with our own From."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.provider.core import Core
from sabir.provider.peers import PeerAnswer

RETRY_S: Final = 5
"""What we ask of an agent when a peer is busy and does not say for how long."""

_TOLD: Final[Mapping[int, ProblemCode]] = {
    HTTPStatus.BAD_REQUEST: ProblemCode.MALFORMED_BODY,
    HTTPStatus.NOT_FOUND: ProblemCode.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ProblemCode.BODY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS: ProblemCode.RATE_LIMITED,
    HTTPStatus.SERVICE_UNAVAILABLE: ProblemCode.UNAVAILABLE,
}
"""What a peer says about the request, not about us."""
_BUSY: Final = frozenset({ProblemCode.RATE_LIMITED, ProblemCode.UNAVAILABLE})


async def forward(
    core: Core,
    domain: str,
    endpoint: Endpoint,
    values: Mapping[str, str],
    body: bytes,
) -> bytes:
    """Pass a request on; return the answer's body.

    Args:
        core: of the provider.
        domain: to whom.
        endpoint: which.
        values: for the variables of its template.
        body: as the agent made it.

    Raises:
        Problem: what the peer says about the request; UPSTREAM_FAILED; as
            `Peers.call`.
    """
    answer = await core.peers.call(
        domain,
        endpoint,
        values,
        body,
        octets_max=MIMI06_A.answer_octets_max[endpoint],
    )
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _problem(domain, answer)
    return answer.body


def _problem(domain: str, answer: PeerAnswer) -> Problem:
    code = _TOLD.get(answer.status, ProblemCode.UPSTREAM_FAILED)
    retry_after_s = None
    if code in _BUSY:
        retry_after_s = answer.retry_after_s or RETRY_S
    return Problem(
        code, f"{domain} answers {answer.status}", retry_after_s=retry_after_s
    )
