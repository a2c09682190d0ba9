"""What we know of the bot's chats, kept in the host's facts.

The Bot API cannot list a bot's chats: they are known from updates. A basic group
that has become a supergroup keeps its portal under the old name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.networks.api import ChatId, ChatInfo, ChatKind, Host
from sabir.networks.telegram import names
from sabir.networks.telegram.decode import title_of, topic_of
from sabir.networks.telegram.names import Place

CHATS: Final = "chats"
MOVED: Final = "moved"
"""Names of the facts."""
CHATS_MAX: Final = 500
"""A list for a person to choose from; those known longest go first."""


@dataclass(slots=True)
class _Known:
    title: str
    is_group: bool
    is_forum: bool = False


class Directory:
    """The chats of one bot."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._chats: dict[ChatId, _Known] = {}
        self._moved: dict[ChatId, ChatId] = {}
        """From a basic group to the supergroup that it is now."""
        self._is_changed = False

    async def load(self) -> None:
        """Read what earlier runs have learned."""
        for chat, (title, is_group, is_forum) in (await self._fact(CHATS)).items():
            self._chats[ChatId(chat)] = _Known(title, is_group, is_forum)
        for old, new in (await self._fact(MOVED)).items():
            self._moved[ChatId(old)] = ChatId(new)

    async def _fact(self, name: str) -> Mapping[str, Any]:
        text = await self._host.recall(name)
        return json.loads(text) if text else {}

    async def save(self) -> None:
        """Store what is new."""
        if not self._is_changed:
            return
        self._is_changed = False
        while len(self._chats) > CHATS_MAX:
            self._chats.pop(next(iter(self._chats)))
        chats = {c: (k.title, k.is_group, k.is_forum) for c, k in self._chats.items()}
        await self._host.remember(CHATS, json.dumps(chats))
        await self._host.remember(MOVED, json.dumps(self._moved))

    # ---- learning

    def learn(self, chat: Mapping[str, Any], *, is_forum: bool | None = None) -> ChatId:
        """Note a `Chat`; return its name. The caller has checked its id."""
        name = names.chat_id(chat["id"])
        known = _Known(
            title_of(dict(chat)) or name,
            is_group=chat.get("type") != "private",
            is_forum=chat.get("is_forum") is True if is_forum is None else is_forum,
        )
        self._note(name, known)
        return name

    def learn_topic(self, message: Mapping[str, Any]) -> None:
        """Note the topic of a message, where the message tells its title."""
        topic = topic_of(message)
        opening = message
        if "forum_topic_created" in message:
            topic = message.get("message_id")
        elif isinstance(message.get("reply_to_message"), dict):
            opening = message["reply_to_message"]
        created = opening.get("forum_topic_created")
        title = created.get("name") if isinstance(created, dict) else None
        if topic is None or not isinstance(title, str):
            return
        number = message["chat"]["id"]
        group = self._chats.get(names.chat_id(number))
        whole = f"{group.title} / {title}" if group is not None else title
        self._note(names.chat_id(number, topic), _Known(whole, is_group=True))

    def _note(self, chat: ChatId, known: _Known) -> None:
        if self._chats.get(chat) != known:
            self._chats[chat] = known
            self._is_changed = True

    def forget(self, chat: ChatId) -> None:
        """Drop a chat that the bot is not in any more."""
        if self._chats.pop(chat, None) is not None:
            self._is_changed = True

    def move(self, old: int, new: int) -> None:
        """Note that a basic group has become a supergroup."""
        if self._moved.get(names.chat_id(old)) != names.chat_id(new):
            self._moved[names.chat_id(old)] = names.chat_id(new)
            self._is_changed = True

    # ---- asking

    def is_forum(self, chat: ChatId) -> bool:
        """Tell whether a chat has topics and stands for all of them."""
        known = self._chats.get(self._now(chat))
        return known is not None and known.is_forum

    def place(self, chat: ChatId) -> Place:
        """Return where a chat is now."""
        return names.place(self._now(chat))

    def _now(self, chat: ChatId) -> ChatId:
        return self._moved.get(chat, chat)

    def former(self, chat: ChatId) -> ChatId | None:
        """Return the name that a supergroup had as a basic group, if it was one."""
        return next((old for old, new in self._moved.items() if new == chat), None)

    def list(self) -> list[ChatInfo]:
        """Return every chat we have heard of."""
        return [
            ChatInfo(
                chat=chat,
                kind=ChatKind.GROUP if known.is_group else ChatKind.DIRECT,
                name=known.title,
            )
            for chat, known in self._chats.items()
        ]
