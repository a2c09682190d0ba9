"""What did not reach the protocol layer: the codes of problem+json (D-06)."""

from enum import StrEnum
from typing import Final

from sabir.errors import PolicyRefused


class ProblemCode(StrEnum):
    """The extension member `code` of RFC 9457's documents."""

    MALFORMED_BODY = "malformed-body"
    PATH_MISMATCH = "path-mismatch"
    BAD_FROM = "bad-from"
    UNSUPPORTED_PROFILE = "unsupported-profile"
    WRONG_OPERATION = "wrong-operation"
    UNAUTHORIZED = "unauthorized"
    """Agent API only: no token, or one that is no longer good."""
    NOT_ALLOWED = "not-allowed"
    """Agent API only: the policy of a room says no."""
    CLIENT_CERTIFICATE_REQUIRED = "client-certificate-required"
    PEER_IDENTITY_MISMATCH = "peer-identity-mismatch"
    UNKNOWN_PEER = "unknown-peer"
    DOMAIN_NOT_AUTHORIZED = "domain-not-authorized"
    ASSET_TARGET_NOT_ALLOWED = "asset-target-not-allowed"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    REQUEST_TIMEOUT = "request-timeout"
    IDEMPOTENCY_CONFLICT = "idempotency-conflict"
    ROOM_GONE = "room-gone"
    BODY_TOO_LARGE = "body-too-large"
    MISDIRECTED = "misdirected"
    RATE_LIMITED = "rate-limited"
    INTERNAL = "internal"
    UPSTREAM_FAILED = "upstream-failed"
    UNAVAILABLE = "unavailable"
    UPSTREAM_TIMEOUT = "upstream-timeout"

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return _STATUS[self]


_STATUS: Final = {
    ProblemCode.MALFORMED_BODY: 400,
    ProblemCode.PATH_MISMATCH: 400,
    ProblemCode.BAD_FROM: 400,
    ProblemCode.UNSUPPORTED_PROFILE: 400,
    ProblemCode.WRONG_OPERATION: 400,
    ProblemCode.UNAUTHORIZED: 401,
    ProblemCode.NOT_ALLOWED: 403,
    ProblemCode.CLIENT_CERTIFICATE_REQUIRED: 403,
    ProblemCode.PEER_IDENTITY_MISMATCH: 403,
    ProblemCode.UNKNOWN_PEER: 403,
    ProblemCode.DOMAIN_NOT_AUTHORIZED: 403,
    ProblemCode.ASSET_TARGET_NOT_ALLOWED: 403,
    ProblemCode.NOT_FOUND: 404,
    ProblemCode.METHOD_NOT_ALLOWED: 405,
    ProblemCode.REQUEST_TIMEOUT: 408,
    ProblemCode.IDEMPOTENCY_CONFLICT: 409,
    ProblemCode.ROOM_GONE: 410,
    ProblemCode.BODY_TOO_LARGE: 413,
    ProblemCode.MISDIRECTED: 421,
    ProblemCode.RATE_LIMITED: 429,
    ProblemCode.INTERNAL: 500,
    ProblemCode.UPSTREAM_FAILED: 502,
    ProblemCode.UNAVAILABLE: 503,
    ProblemCode.UPSTREAM_TIMEOUT: 504,
}


class Problem(PolicyRefused):
    """A request is answered with an HTTP error.

    Args:
        problem: which.
        detail: for people, free of user data.
        retry_after_s: when to come again, for 429 and 503.
    """

    def __init__(
        self,
        problem: ProblemCode,
        detail: str = "",
        *,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{problem.value}: {detail}" if detail else problem.value)
        self.problem = problem
        self.detail = detail
        self.retry_after_s = retry_after_s
