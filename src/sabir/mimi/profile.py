"""The profile: one reading of the drafts, with its limits and labels (D-01, D-07)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sabir.mimi.directory import Endpoint

KIB: Final = 1 << 10
MIB: Final = 1 << 20

_REQUESTS: Final = MappingProxyType(
    {
        Endpoint.KEY_MATERIAL: 64 * KIB,
        Endpoint.UPDATE: 8 * MIB,
        Endpoint.NOTIFY: 16 * MIB,
        Endpoint.SUBMIT_MESSAGE: 1 * MIB,
        Endpoint.GROUP_INFO: 64 * KIB,
        Endpoint.REQUEST_CONSENT: 1 * MIB,
        Endpoint.UPDATE_CONSENT: 1 * MIB,
        Endpoint.IDENTIFIER_QUERY: 16 * KIB,
        Endpoint.REPORT_ABUSE: 4 * MIB,
        Endpoint.PROXY_DOWNLOAD: 0,
    }
)

_ANSWERS: Final = MappingProxyType(
    {
        Endpoint.KEY_MATERIAL: 1 * MIB,
        Endpoint.UPDATE: 64 * KIB,
        Endpoint.NOTIFY: 4 * KIB,
        Endpoint.SUBMIT_MESSAGE: 64 * KIB,
        Endpoint.GROUP_INFO: 16 * MIB,
        Endpoint.REQUEST_CONSENT: 4 * KIB,
        Endpoint.UPDATE_CONSENT: 4 * KIB,
        Endpoint.IDENTIFIER_QUERY: 256 * KIB,
        Endpoint.REPORT_ABUSE: 4 * KIB,
        Endpoint.PROXY_DOWNLOAD: 128 * MIB,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One reading of a pinned set of drafts.

    Attributes:
        id: in directories and in the field `Mimi-Profile`.
        suites: cipher suites of rooms.
        request_octets_max: of a body, by endpoint.
        answer_octets_max: of an answer that we read, by endpoint.
        elements_max: of any vector that has no smaller limit.
    """

    id: str
    suites: tuple[int, ...] = (1,)
    request_octets_max: Mapping[Endpoint, int] = field(
        default_factory=lambda: _REQUESTS
    )
    answer_octets_max: Mapping[Endpoint, int] = field(default_factory=lambda: _ANSWERS)
    elements_max: int = 65_536


MIMI06_A: Final = Profile(id="mimi06-a")
"""protocol-06, content-09, room-policy-04, mls-extensions-10."""
