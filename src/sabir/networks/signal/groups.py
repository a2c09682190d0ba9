"""What a group is, from `listGroups`, and what of it has changed. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sabir.networks.api import PersonId
from sabir.networks.signal import names
from sabir.networks.signal.envelope import Seen
from sabir.networks.signal.text import clean, one_line

Change = tuple[Seen, PersonId | None, str | int]
"""What happened, to whom (None: to the group), and the new value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group's state."""

    id: str
    name: str = ""
    topic: str = ""
    timer_s: int = 0
    members: frozenset[PersonId] = field(default_factory=frozenset)
    admins: frozenset[PersonId] = field(default_factory=frozenset)
    is_member: bool = True
    is_invited: bool = False

    def to_json(self, number: int) -> str:
        """Return a note of this state.

        Args:
            number: how many changes of it were seen so far.
        """
        return json.dumps(
            {
                "number": number,
                "id": self.id,
                "name": self.name,
                "description": self.topic,
                "messageExpirationTime": self.timer_s,
                "members": [{"uuid": each} for each in sorted(self.members)],
                "admins": [{"uuid": each} for each in sorted(self.admins)],
                "isMember": self.is_member,
            }
        )


def group_of(entry: object, me: PersonId) -> Group | None:
    """Read one entry of `listGroups`, None if it is none."""
    if not isinstance(entry, Mapping) or names.group_chat(entry.get("id")) is None:
        return None
    timer = entry.get("messageExpirationTime")
    return Group(
        id=entry["id"],
        name=one_line(entry.get("name")),
        topic=clean(entry.get("description")),
        timer_s=timer if isinstance(timer, int) and timer > 0 else 0,
        members=_people(entry.get("members")),
        admins=_people(entry.get("admins")),
        is_member=entry.get("isMember") is not False,
        is_invited=me in _people(entry.get("pendingMembers")),
    )


def noted(note: str, me: PersonId) -> tuple[Group, int] | None:
    """Read what `Group.to_json` wrote."""
    entry: Mapping[str, Any] = json.loads(note)
    group = group_of(entry, me)
    return None if group is None else (group, int(entry["number"]))


def changes(before: Group, after: Group) -> Iterator[Change]:
    """Yield what is different now."""
    if not after.members:
        return  # the daemon has not fetched the state yet
    for person in sorted(after.members - before.members):
        yield Seen.JOINED, person, ""
    for person in sorted(before.members - after.members):
        yield Seen.LEFT, person, ""
    for person in sorted((after.admins ^ before.admins) & after.members):
        if person in before.members:
            yield Seen.ROLE, person, "admin" if person in after.admins else "member"
    if after.name and after.name != before.name:
        yield Seen.RENAMED, None, after.name
    if after.topic != before.topic:
        yield Seen.TOPIC, None, after.topic
    if after.timer_s != before.timer_s:
        yield Seen.TIMER, None, after.timer_s


def _people(entries: object) -> frozenset[PersonId]:
    found = (
        names.person_id(entry.get("uuid") if isinstance(entry, Mapping) else None)
        for entry in (entries if isinstance(entries, list) else ())
    )
    return frozenset(person for person in found if person is not None)
