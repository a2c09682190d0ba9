"""What a commit made of a room, as events: by comparing before and after."""

from collections.abc import Iterator, Mapping
from typing import Final

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.metadata import changed_fields
from sabir.mimi.member.events import (
    ClientsChanged,
    Event,
    MetadataChanged,
    ParticipantsChanged,
    PolicyChanged,
    RoleChanged,
)
from sabir.mimi.policy.acts import (
    Act,
    ListAdd,
    ListRemove,
    MetadataChange,
    RoleChange,
)
from sabir.mimi.policy.derive import acts_of
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.view import RoomView, key_of
from sabir.mls.components import AppDataDictionary, dictionary_of
from sabir.mls.effects import Effects
from sabir.wire.errors import Malformed

_OWN_EVENTS: Final = frozenset(
    {ComponentId.PARTICIPANT_LIST, ComponentId.ROOM_METADATA}
)


def events_of(
    before: EffectiveState,
    after: RoomView,
    effects: Effects,
    *,
    accepted_at: int,
    by: str,
) -> Iterator[Event]:
    """Say what a commit changed.

    Args:
        before: the room before it.
        after: the room after it.
        effects: of the commit.
        accepted_at: ms.
        by: URI of the user who committed.
    """
    acts = _acts(before, effects)
    old, new = before.committed, after
    changes = _role_changes(old, new, _authors(acts))
    if changes:
        yield ParticipantsChanged(accepted_at=accepted_at, changes=changes)
    there = {key_of(client): client for client in old.clients}
    here = {key_of(client): client for client in new.clients}
    added = tuple(client for key, client in here.items() if key not in there)
    removed = tuple(client for key, client in there.items() if key not in here)
    if added or removed:
        yield ClientsChanged(
            accepted_at=accepted_at, added=added, removed=removed, by=by
        )
    fields = changed_fields(old.room.metadata, new.room.metadata)
    if fields:
        authors = [act.actor.user for act in acts if _is_metadata(act)]
        yield MetadataChanged(
            accepted_at=accepted_at,
            old=old.room.metadata,
            new=new.room.metadata,
            fields=fields,
            by=authors[0] if authors else by,
        )
    components = _changed_components(effects)
    if components:
        yield PolicyChanged(accepted_at=accepted_at, components=components, by=by)


def _acts(before: EffectiveState, effects: Effects) -> tuple[Act, ...]:
    """Return who did what; nothing where a commit is beyond the policy's words."""
    items = [(None, item) for item in effects.proposals]
    try:
        return acts_of(before, items, effects.joiner)
    except (PolicyDenied, Malformed):
        return ()


def _is_metadata(act: Act) -> bool:
    return isinstance(act.effect, MetadataChange)


def _authors(acts: tuple[Act, ...]) -> Mapping[str, str]:
    """Return who touched each user's entry in the list."""
    return {
        act.effect.user: act.actor.user
        for act in acts
        if isinstance(act.effect, ListAdd | ListRemove | RoleChange)
    }


def _role_changes(
    old: RoomView, new: RoomView, authors: Mapping[str, str]
) -> tuple[RoleChanged, ...]:
    users = [*old.room.participants.participants, *new.room.participants.participants]
    names = dict.fromkeys(participant.user for participant in users)
    return tuple(
        RoleChanged(
            user=user,
            old=old.role_index(user),
            new=new.role_index(user),
            by=authors.get(user, ""),
        )
        for user in names
        if old.role_index(user) != new.role_index(user)
    )


def _changed_components(effects: Effects) -> tuple[int, ...]:
    old = dict((dictionary_of(effects.old_extensions) or AppDataDictionary()).entries)
    new = dict((dictionary_of(effects.new_extensions) or AppDataDictionary()).entries)
    return tuple(
        number
        for number in sorted(old.keys() | new.keys())
        if old.get(number) != new.get(number) and number not in _OWN_EVENTS
    )
