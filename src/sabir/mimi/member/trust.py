"""Clients whom nobody let in: sending stops until a person looks (D-48)."""

from collections.abc import Iterable

from sabir.mimi.member.events import Event, SendingFrozen
from sabir.mimi.member.state import MemberState
from sabir.mimi.policy.view import Client, key_of


def freeze(
    state: MemberState, accepted_at: int, ghosts: Iterable[Client]
) -> tuple[Event, ...]:
    """Stop sending because of some clients; they are named until acknowledged."""
    known = {key_of(ghost) for ghost in state.memory.ghosts}
    new = tuple(ghost for ghost in ghosts if key_of(ghost) not in known)
    if not new:
        return ()
    state.memory.ghosts = (*state.memory.ghosts, *new)
    return (SendingFrozen(accepted_at=accepted_at, clients=new),)
