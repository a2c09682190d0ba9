"""Signs that our stream is not what members sent: held back, reordered, forked.

A hub cannot make up messages. It can keep some from some members, or give members
different commits for one epoch; whoever is apart then cannot read the others any more.
"""

from sabir.mimi.member.events import Event, Irregular, Sign
from sabir.mimi.member.state import MemberState
from sabir.mimi.policy.view import client_of
from sabir.mls.group.process import ApplicationMessage


def signs_of_time(state: MemberState, accepted_at: int) -> tuple[Event, ...]:
    """Note the hub's time of an event of our stream, which only ever grows (D-22)."""
    memory = state.memory
    if accepted_at < memory.streamed_ms:
        return (Irregular(accepted_at=accepted_at, sign=Sign.TIME_BACK),)
    memory.streamed_ms = accepted_at
    return ()


def signs_of_sender(message: ApplicationMessage, accepted_at: int) -> tuple[Event, ...]:
    """Look at the place of a message among those of its sender (RFC 9420 9.1)."""
    if not (message.skipped or message.is_late):
        return ()
    sign = Sign.REORDERED if message.is_late else Sign.MISSING
    client = client_of(message.leaf_node).identity
    return (
        Irregular(
            accepted_at=accepted_at, sign=sign, client=client, count=message.skipped
        ),
    )


def signs_of_unopened(
    state: MemberState, epoch: int, accepted_at: int
) -> tuple[Event, ...]:
    """Look at a message that cannot be opened: in our own epoch, all can be."""
    if epoch != state.group.epoch:
        return ()
    return (Irregular(accepted_at=accepted_at, sign=Sign.NO_KEY),)
