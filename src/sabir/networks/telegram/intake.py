"""From updates to native events of the chats that are open, in one take."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard

import structlog

from sabir.networks.api import (
    PAYLOAD_OCTETS_MAX,
    ChatId,
    Host,
    NativeEvent,
    NativeId,
)
from sabir.networks.telegram import names
from sabir.networks.telegram.decode import MEMBER, topic_of
from sabir.networks.telegram.directory import Directory

CURSOR: Final = "updates"
"""`<update_id>@<when it was stored, in ms>`."""
ALLOWED_UPDATES: Final = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "message_reaction",
    "my_chat_member",
)
"""Reactions must be asked for by name ("getUpdates"); nothing else is of use here."""

_MESSAGES: Final = ("message", "channel_post")
_ABOUT_MESSAGES: Final = (*_MESSAGES, "edited_message", "edited_channel_post")
_GONE: Final = frozenset({"left", "kicked"})

Json = Mapping[str, Any]
_log = structlog.get_logger(__name__)


class Intake:
    """Takes what Telegram delivers, by polling or by webhook."""

    def __init__(self, host: Host, directory: Directory, *, bot: int) -> None:
        self._host = host
        self._directory = directory
        self._bot = bot
        self._open: set[ChatId] = set(host.chats())

    def open(self, chat: ChatId) -> None:
        """Hand on a chat's events from now on."""
        self._open.add(chat)

    def close(self, chat: ChatId) -> None:
        """Hand on no more of a chat's events."""
        self._open.discard(chat)

    async def take(self, updates: Sequence[Json], *, late: bool) -> int | None:
        """Store updates; durable on return.

        Args:
            updates: as Telegram ordered them.
            late: they come from catching up.

        Returns:
            The last update's id, None if there was none.

        Raises:
            StorageFailed: nothing was stored; they must not be acknowledged.
        """
        events: list[NativeEvent] = []
        last: int | None = None
        for update in updates:
            number = update.get("update_id") if isinstance(update, dict) else None
            if not isinstance(number, int) or isinstance(number, bool):
                _log.warning("update_without_id_skipped")
                continue
            last = number
            self._learn(update)
            events += self._events(update, late=late)
        await self._directory.save()
        if last is not None:
            cursor = f"{last}@{self._host.clock.now()}"
            await self._host.take(events, cursors={CURSOR: cursor})
        return last

    # ---- what an update tells of chats

    def _learn(self, update: Json) -> None:
        for kind in _ABOUT_MESSAGES:
            message = update.get(kind)
            if _has_chat(message):
                self._directory.learn(message["chat"])
                self._directory.learn_topic(message)
                self._learn_move(message)
        change = update.get("my_chat_member")
        if _has_chat(change):
            chat = self._directory.learn(change["chat"])
            member = change.get("new_chat_member")
            if isinstance(member, dict) and member.get("status") in _GONE:
                self._directory.forget(chat)
                _log.info("bot_left_chat", chat=chat, status=member["status"])

    def _learn_move(self, message: Json) -> None:
        here = message["chat"]["id"]
        new, old = (
            message.get("migrate_to_chat_id"),
            message.get("migrate_from_chat_id"),
        )
        if isinstance(new, int):
            self._directory.move(here, new)
        elif isinstance(old, int):
            self._directory.move(old, here)

    # ---- events

    def _events(self, update: Json, *, late: bool) -> Iterator[NativeEvent]:
        for kind in (*_ABOUT_MESSAGES, "message_reaction"):
            about = update.get(kind)
            if not _has_chat(about) or not _is_id(about.get("message_id")):
                continue
            for native_id, extra in self._named(update, kind, about):
                payload = _encoded({**update, **extra})
                for chat in self._portals(kind, about):
                    yield NativeEvent(
                        chat=chat, native_id=native_id, payload=payload, late=late
                    )

    def _named(
        self, update: Json, kind: str, about: Json
    ) -> Iterator[tuple[NativeId, Json]]:
        """Yield the name of every event of an update, and what to note beside it."""
        number, message = about["chat"]["id"], about["message_id"]
        if kind not in _MESSAGES:
            # The same message again: the update is what tells them apart.
            at = about.get("edit_date", about.get("date"))
            yield NativeId(f"u{update['update_id']}.{at}"), {}
            return
        if _user_id(about.get("from")) == self._bot:
            return
        if "forum_topic_created" in about:
            yield names.topic_id(message), {}
            return
        name = names.message_id(number, message)
        people = about.get("new_chat_members")
        if _user_id(about.get("left_chat_member")) == self._bot:
            return
        if not isinstance(people, list):
            yield name, {}
            return
        for index, person in enumerate(people):
            if _user_id(person) != self._bot:
                first = NativeId(f"{name}.{index}") if index else name
                yield first, {MEMBER: index}

    def _portals(self, kind: str, about: Json) -> Iterator[ChatId]:
        """Yield the open chats that an update belongs to."""
        chat = names.chat_id(about["chat"]["id"])
        if kind == "message_reaction":  # does not say in which topic
            inside = f"{chat}/"
            yield from sorted(c for c in self._open if c.startswith(inside))
        else:
            topic = topic_of(about)
            if "forum_topic_created" in about:
                topic = about["message_id"]
            if topic is not None and ChatId(f"{chat}/{topic}") in self._open:
                yield ChatId(f"{chat}/{topic}")
                return
        former = self._directory.former(chat)
        for name in (chat, former):
            if name is not None and name in self._open:
                yield name
                return


def _has_chat(about: object) -> TypeGuard[Json]:
    chat = about.get("chat") if isinstance(about, dict) else None
    return isinstance(chat, dict) and _is_id(chat.get("id"))


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value != 0


def _user_id(user: object) -> int | None:
    number = user.get("id") if isinstance(user, dict) else None
    return number if isinstance(number, int) else None


def _encoded(update: Json) -> bytes:
    payload = json.dumps(update, ensure_ascii=False, separators=(",", ":"))
    # JSON can carry half of a surrogate pair, UTF-8 cannot.
    return payload.encode(errors="replace")[: PAYLOAD_OCTETS_MAX + 1]
