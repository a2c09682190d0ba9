"""What our own user says in a room, as an entry for its timeline."""

from sabir.agent.membership.ledger import Around
from sabir.agent.membership.naming import name_of
from sabir.content import codec, ids
from sabir.content.composing import compose
from sabir.content.meaning import (
    Author,
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    Said,
)
from sabir.content.model import SALT_OCTETS, MessageId
from sabir.storage.records import NewEntry, RoomId


def new_entry(
    around: Around,
    room: RoomId,
    meaning: Meaning,
    *,
    user: str,
    author: Author | None,
    submission: str = "",
) -> NewEntry:
    """Compose an entry.

    Args:
        around: clock and dice.
        room: URI.
        meaning: what to say.
        user: our URI.
        author: what we want to be called, if anything.
        submission: names this entry: the same again is the same. Empty: new.

    Raises:
        NotEncodable: rooms cannot carry it.
    """
    now = around.clock.now()
    content = compose(
        meaning,
        salt=around.rng(SALT_OCTETS),
        sender_uri=user,
        room_uri=room,
        author=author,
        origin=None,
        sent_at=now,
    )
    octets = codec.encode(content)
    entry = ids.message_id(user, room, octets, content.salt)
    return NewEntry(
        entry=entry,
        submission=submission or f"mimi:{entry.hex()}",
        kind=_kind(meaning),
        author=user,
        author_name=author.name if author else name_of(user),
        content=octets,
        target=_target(meaning),
        emoji=meaning.emoji if isinstance(meaning, Reacted) else "",
        received_at=now,
        sent_at=now,
    )


def _kind(meaning: Meaning) -> str:
    match meaning:
        case Said():
            return "said"
        case Edited():
            return "edited"
        case Deleted():
            return "deleted"
        case Reacted():
            return "reacted"
        case RoomEvent():
            return "event"


def _target(meaning: Meaning) -> MessageId | None:
    match meaning:
        case Edited(target=target) | Deleted(target=target) | Reacted(target=target):
            return target
        case _:
            return None
