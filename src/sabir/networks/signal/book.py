"""Who is who, and which groups there are: from the daemon, kept in memory."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ChatKind,
    Person,
    PersonId,
)
from sabir.networks.signal import names
from sabir.networks.signal.envelope import display_name
from sabir.networks.signal.groups import Group, group_of
from sabir.networks.signal.rpc import Daemon
from sabir.networks.signal.text import one_line

PEOPLE_MAX: Final = 50_000
"""More names than that are not kept; those people have a made-up name."""
PLACES_MAX: Final = 20_000
"""Messages whose chat is remembered, for receipts, which do not name it."""

NOTE_TO_SELF: Final = "Note to Self"


class Book:
    """Names, groups, and where messages are."""

    def __init__(self, number: str, me: PersonId) -> None:
        self._number = number
        self.me = me
        self._names: dict[PersonId, str] = {}
        self.groups: dict[str, Group] = {}
        self._places: dict[tuple[PersonId, int], ChatId] = {}

    # ---- people

    def learn(self, person: PersonId, name: object) -> None:
        """Keep somebody's name."""
        known = one_line(name)
        if known and (person in self._names or len(self._names) < PEOPLE_MAX):
            self._names[person] = known

    def name(self, person: PersonId) -> str:
        """Return somebody's name for people."""
        return display_name(self._names.get(person), person)

    def names(self, people: Iterable[PersonId]) -> Mapping[PersonId, str]:
        """Return the names that are known."""
        return {each: self._names[each] for each in people if each in self._names}

    def person(self, person: PersonId) -> Person:
        """Return somebody for a signal."""
        return Person(id=person, name=self.name(person))

    # ---- messages

    def put(self, author: PersonId, sent_at: int, chat: ChatId) -> None:
        """Remember where a message is."""
        self._places[(author, sent_at)] = chat
        while len(self._places) > PLACES_MAX:
            del self._places[next(iter(self._places))]

    def chat_of(self, author: PersonId, sent_at: int) -> ChatId | None:
        """Return where a message is, if that is known."""
        return self._places.get((author, sent_at))

    # ---- from the daemon

    async def load(self, daemon: Daemon) -> None:
        """Ask for contacts and groups.

        Raises:
            RpcError, Unavailable: the daemon.
        """
        contacts = await daemon.call("listContacts", {"account": self._number})
        for contact in contacts if isinstance(contacts, list) else ():
            if isinstance(contact, dict):
                person = names.person_id(contact.get("uuid"))
                if person is not None:
                    self.learn(person, _name_of(contact))
        await self.load_groups(daemon)

    async def load_groups(self, daemon: Daemon, group: str = "") -> None:
        """Ask for the groups, or for one of them."""
        params: dict[str, Any] = {"account": self._number}
        if group:
            params["groupId"] = [group]
        entries = await daemon.call("listGroups", params)
        for entry in entries if isinstance(entries, list) else ():
            found = group_of(entry, self.me)
            if found is not None:
                self.groups[found.id] = found

    # ---- chats

    def describe(self, chat: ChatId) -> ChatInfo:
        """Return what a chat is."""
        where = names.place(chat)
        group = self.groups.get(where.group or "")
        if group is not None:
            return ChatInfo(
                chat=chat,
                kind=ChatKind.GROUP,
                name=group.name,
                topic=group.topic,
                members=len(group.members),
                encrypted=True,
            )
        if where.person is None:
            return ChatInfo(chat=chat, kind=ChatKind.GROUP, encrypted=True)
        own = where.person == self.me
        return ChatInfo(
            chat=chat,
            kind=ChatKind.DIRECT,
            name=NOTE_TO_SELF if own else self.name(where.person),
            members=1 if own else 2,
            encrypted=True,
        )

    def chats(self) -> list[ChatInfo]:
        """Return the groups we are in and the people we know."""
        groups = [
            names.group_chat(group.id)
            for group in self.groups.values()
            if group.is_member
        ]
        people = [names.direct(each) for each in sorted({*self._names, self.me})]
        return [self.describe(chat) for chat in (*groups, *people) if chat is not None]


def _name_of(contact: Mapping[str, Any]) -> str:
    """Return the name that the owner gave, else the one the person gave themself."""
    profile = contact.get("profile")
    own = profile if isinstance(profile, dict) else {}
    for source in (contact, own):
        both = (
            f"{one_line(source.get('givenName'))} {one_line(source.get('familyName'))}"
        )
        for name in (one_line(source.get("name")), both.strip()):
            if name:
                return name
    return ""
