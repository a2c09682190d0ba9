"""How a hub says no to a handshake (D-20, D-21)."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.structs.update import DESCRIPTION_OCTETS_MAX, UpdateRoomResponse
from sabir.mls.errors import MlsInvalid, MlsUnsupported
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed

_INVALID: Final = frozenset({Slug.PROPOSAL_INVALID, Slug.COMPONENT_UNKNOWN})
"""What is answered with `invalidProposal`; all else is `notAllowed`."""

_SLUGS: Final[Mapping[str, Slug]] = MappingProxyType(
    {
        Rule.F03.name: Slug.SENDER_UNKNOWN,
        Rule.F05.name: Slug.SENDER_UNKNOWN,
        Rule.F07.name: Slug.SIGNATURE_INVALID,
        Rule.X05.name: Slug.SIGNATURE_INVALID,
        Rule.E02.name: Slug.COMPONENT_UNKNOWN,
        Rule.C03.name: Slug.LIMIT_EXCEEDED,
        Rule.P11.name: Slug.LIMIT_EXCEEDED,
    }
)
"""Rules of MLS that have a slug of their own; others are invalid proposals."""

MlsFault = MlsInvalid | MlsUnsupported | Malformed

ROOM_UNKNOWN: Final = UpdateRoomResponse(
    code=UpdateCode.NOT_ALLOWED, description=str(Slug.ROOM_UNKNOWN)
)
"""No such room, or nothing to do with it: the same octets."""

PAIR_TAKEN: Final = UpdateRoomResponse(
    code=UpdateCode.NOT_ALLOWED,
    description=f"{Slug.CONSTRAINT_VIOLATED}: these users have such a room",
)
"""The users of a fixed membership have another room here (D-51)."""


def stale(epoch: int) -> UpdateRoomResponse:
    """Answer a handshake of another epoch than `epoch`."""
    return UpdateRoomResponse(
        code=UpdateCode.WRONG_EPOCH,
        description=str(Slug.EPOCH_STALE),
        current_epoch=epoch,
    )


def denied(
    wrong: MlsFault,
    *,
    references: Iterable[bytes] = (),
    inline: Iterable[int] = (),
) -> PolicyDenied:
    """Put a broken rule of MLS into the words of a hub.

    Args:
        wrong: what was raised.
        references: of the standalone proposals that are to blame.
        inline: places of the proposals by value that are to blame.
    """
    if isinstance(wrong, MlsUnsupported):
        slug, detail = Slug.PROPOSAL_INVALID, f"{wrong.what} 0x{wrong.number:04X}"
    else:
        slug = _SLUGS.get(wrong.rule, Slug.PROPOSAL_INVALID)
        detail = f"rule {wrong.rule}"
    return PolicyDenied(slug, detail, references=references, inline=inline)


def answer_of(wrong: PolicyDenied) -> UpdateRoomResponse:
    """Return the answer to a handshake that is refused."""
    code = UpdateCode.NOT_ALLOWED
    if wrong.slug in _INVALID:
        code = UpdateCode.INVALID_PROPOSAL
    return UpdateRoomResponse(
        code=code,
        description=_fitting(wrong.description),
        invalid=wrong.references if code == UpdateCode.INVALID_PROPOSAL else (),
    )


def _fitting(description: str) -> str:
    """Cut a description that lists too much, after a whole entry."""
    if len(description) <= DESCRIPTION_OCTETS_MAX:
        return description
    return description[:DESCRIPTION_OCTETS_MAX].rpartition(",")[0]
