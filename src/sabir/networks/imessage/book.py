"""Chats and people: from the Mac, kept in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from sabir.errors import PeerIncompatible, PolicyRefused, Unavailable
from sabir.networks.api import ChatId, ChatInfo, ChatKind, Person, PersonId
from sabir.networks.imessage import names, rows
from sabir.networks.imessage.client import BlueBubbles, Rejected
from sabir.networks.imessage.render import path_of
from sabir.networks.imessage.server import OWNER
from sabir.networks.imessage.text import name

CHATS_PAGE: Final = 1_000
"""The server's own limit."""
CHATS_MAX: Final = 20_000
PEOPLE_MAX: Final = 50_000

Json = Mapping[str, Any]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One conversation on the Mac."""

    id: ChatId
    name: str
    people: tuple[PersonId, ...]


class Book:
    """Who is who, and which chats there are."""

    def __init__(self, api: BlueBubbles) -> None:
        self._api = api
        self.me = OWNER
        self.chats: dict[ChatId, Chat] = {}
        self._names: dict[PersonId, str] = {}
        self._handles: dict[int, PersonId] = {}

    # ---- from the Mac

    async def load(self) -> None:
        """Ask for contacts and chats.

        Raises:
            Unavailable, CredentialsRefused: as they say.
        """
        await self._load_contacts()
        offset = 0
        while offset < CHATS_MAX:
            body = {"limit": CHATS_PAGE, "offset": offset, "with": ["participants"]}
            page = await self._api.post("/chat/query", body)
            found = page if isinstance(page, list) else []
            for entry in found:
                self._learn_chat(entry)
            if len(found) < CHATS_PAGE:
                return
            offset += CHATS_PAGE

    async def _load_contacts(self) -> None:
        """Ask for the Mac's contacts; without them people have their addresses."""
        try:
            found = await self._api.get("/contact")
        except (PeerIncompatible, PolicyRefused, Unavailable) as error:
            _log.info("contacts_not_read", code=error.code)
            return
        for contact in found if isinstance(found, list) else ():
            if isinstance(contact, dict):
                self._learn_contact(contact)

    def _learn_contact(self, contact: Json) -> None:
        parts = (contact.get("firstName"), contact.get("lastName"))
        full = name(contact.get("displayName")) or " ".join(
            filter(None, map(name, parts))
        )
        for kind in ("phoneNumbers", "emails"):
            entries = contact.get(kind)
            for entry in entries if isinstance(entries, list) else ():
                said = entry.get("address") if isinstance(entry, dict) else entry
                person = names.address(said)
                if person and full and len(self._names) < PEOPLE_MAX:
                    self._names[person] = full

    async def find(self, chat: ChatId) -> Chat | None:
        """Return a chat, asking the Mac for one that is new; None without it."""
        if chat not in self.chats:
            try:
                found = await self._api.get(path_of("chat", chat), **_PARTICIPANTS)
            except Rejected:
                return None
            self._learn_chat(found)
        return self.chats.get(chat)

    async def refresh(self, chat: ChatId) -> None:
        """Ask for a chat again, because its name or its people changed."""
        if self.chats.pop(chat, None) is not None:
            await self.find(chat)

    def _learn_chat(self, entry: object) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("guid"), str):
            return
        people = []
        handles = entry.get("participants")
        for handle in handles if isinstance(handles, list) else ():
            person = self.learn_handle(handle)
            if person is not None:
                people.append(person)
        chat = ChatId(entry["guid"])
        self.chats[chat] = Chat(
            id=chat, name=name(entry.get("displayName")), people=tuple(people)
        )

    def learn_handle(self, handle: object) -> PersonId | None:
        """Keep the number by which other rows name a person."""
        if not isinstance(handle, dict):
            return None
        person, row = names.person(handle.get("address")), rows.rowid(handle)
        if person is not None and row and len(self._handles) < PEOPLE_MAX:
            self._handles[row] = person
        return person

    # ---- people

    def name(self, person: PersonId) -> str:
        """Return somebody's name for people."""
        return self._names.get(person) or names.shown(person)

    def names(self, people: Iterable[PersonId | None]) -> dict[str, str]:
        """Return the names that are known."""
        return {p: self._names[p] for p in people if p is not None and p in self._names}

    def person(self, person: PersonId) -> Person:
        """Return somebody for a signal."""
        return Person(id=person, name=self.name(person))

    def by_row(self, row: int) -> PersonId | None:
        """Return the person whose handle has this row."""
        return self._handles.get(row)

    def peer(self, chat: ChatId) -> Person | None:
        """Return the other person of a direct chat."""
        known = self.chats.get(chat)
        if known is None or names.is_group(chat) or len(known.people) != 1:
            return None
        return self.person(known.people[0])

    def direct_with(self, person: PersonId) -> ChatId | None:
        """Return the iMessage chat with one person."""
        for chat in self.chats.values():
            direct = not names.is_group(chat.id) and not names.is_lesser(chat.id)
            if direct and chat.people == (person,):
                return chat.id
        return None

    # ---- for people

    def describe(self, chat: Chat) -> ChatInfo:
        """Return what a chat is; iMessage encrypts it, SMS and RCS do not."""
        is_group = names.is_group(chat.id)
        called = chat.name or ", ".join(self.name(each) for each in chat.people[:4])
        if names.is_lesser(chat.id):
            called = f"{called} ({names.service(chat.id).upper()})"
        return ChatInfo(
            chat=chat.id,
            kind=ChatKind.GROUP if is_group else ChatKind.DIRECT,
            name=called,
            members=len(chat.people) + 1,
            encrypted=not names.is_lesser(chat.id),
        )


_PARTICIPANTS: Final = {"with": "participants"}
