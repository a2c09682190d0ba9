"""Consent: who may be added by whom, as the target's provider holds it (7.2, D-29)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from sabir.mimi.codepoints import ConsentOperation
from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.uris import Kind, domain_of, parse_uri
from sabir.wire.errors import Malformed

ANY_ROOM: Final = ""
"""The scope of all rooms."""
REQUESTS_PER_DAY_MAX: Final = 20
"""Requests that one requester may make in a day, over all targets."""

_OPERATIONS: Final = {
    Endpoint.REQUEST_CONSENT: frozenset(
        {ConsentOperation.REQUEST, ConsentOperation.CANCEL}
    ),
    Endpoint.UPDATE_CONSENT: frozenset(
        {ConsentOperation.GRANT, ConsentOperation.REVOKE}
    ),
}


class Decision(Enum):
    """Whether somebody may be added."""

    ALLOWED = auto()
    DENIED = auto()
    DENIED_FOR_THIS_ROOM = auto()
    """Said so only where the operator lets it be known."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a target decided about one requester.

    Attributes:
        verdicts: by room, `ANY_ROOM` for all; True is a grant, False a revocation.
    """

    verdicts: Mapping[str, bool] = field(default_factory=dict)

    def decide(self, room: str) -> Decision:
        """Tell whether the requester may add the target; the first match decides.

        Args:
            room: its URI; `ANY_ROOM` when none is named, which only a consent for any
                room allows.
        """
        any_room = self.verdicts.get(ANY_ROOM)
        this_room = self.verdicts.get(room)
        if any_room is False:
            return Decision.DENIED
        if this_room is False:
            return Decision.DENIED_FOR_THIS_ROOM
        if this_room or any_room:
            return Decision.ALLOWED
        return Decision.DENIED

    def after(self, entry: ConsentEntry) -> "Consent":
        """Return what holds once an entry was taken.

        In one scope the latest decision stands; other scopes stay as they are.
        Requests and their withdrawal decide nothing.
        """
        match entry.operation:
            case ConsentOperation.GRANT:
                return Consent({**self.verdicts, entry.room: True})
            case ConsentOperation.REVOKE:
                return Consent({**self.verdicts, entry.room: False})
            case _:
                return self


def decide(consent: Consent, *, requester: str, target: str, room: str) -> Decision:
    """Tell whether a requester may add a target; nobody needs their own consent."""
    return Decision.ALLOWED if requester == target else consent.decide(room)


def check_entry(
    entry: ConsentEntry, endpoint: Endpoint, *, source: str, ours: str
) -> None:
    """Check that an entry is where it belongs, from whom it may come.

    Args:
        entry: as it came.
        endpoint: REQUEST_CONSENT or UPDATE_CONSENT.
        source: domain of the provider that sent it.
        ours: our domain.

    Raises:
        Problem: WRONG_OPERATION; DOMAIN_NOT_AUTHORIZED: a user of another provider
            than who speaks for them; MALFORMED_BODY: no user, or no room.
    """
    if entry.operation not in _OPERATIONS[endpoint]:
        raise Problem(
            ProblemCode.WRONG_OPERATION, f"operation {entry.operation:d} is not for it"
        )
    speaker, listener = entry.requester, entry.target
    if endpoint is Endpoint.UPDATE_CONSENT:
        speaker, listener = listener, speaker
    if domain_of(speaker) != source or domain_of(listener) != ours:
        raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "a user of another provider")
    try:
        if entry.room:
            parse_uri(entry.room, Kind.ROOM)
        parse_uri(listener, Kind.USER)
    except Malformed as wrong:
        raise Problem(ProblemCode.MALFORMED_BODY, f"rule {wrong.rule}") from wrong


def may_use_granted(entry: ConsentEntry, *, ours: str) -> bool:
    """Tell whether the KeyPackages of a grant are of use to us (D-30).

    They did not pass a hub, so only a hub that got them itself can route their
    Welcome: where no room is named, or the room is ours.
    """
    return not entry.room or domain_of(entry.room) == ours
