"""A small, stateful Telegram of our own: what crabline lacks, by the Bot API's rules.

It holds chats, messages, reactions, files, updates with their acknowledgement, and a
webhook. What people do are methods; what the bot does comes by HTTP. Every update and
every result is checked against the description, like the requests.

It is our reading of the vendor's page: good for the connector's behaviour, no proof
about the live service.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sabir.testing.telegram.checks import check_entities, check_length
from sabir.testing.telegram.description import problems_in, result_problems
from sabir.testing.telegram.shell import BotApiServer, Refusal
from sabir.testing.telegram.updates import Updates

TOKEN: Final = "4242:fake-telegram-bot-token-for-tests"
BOT: Final = {
    "id": 4242,
    "is_bot": True,
    "first_name": "Sabir",
    "username": "sabir_test_bot",
    "can_join_groups": True,
    "can_read_all_group_messages": True,
}
TEXT_UNITS_MAX: Final = 4_096
CAPTION_UNITS_MAX: Final = 1_024
UPLOAD_OCTETS_MAX: Final = 50 * 1000 * 1000
DOWNLOAD_OCTETS_MAX: Final = 20 * 1000 * 1000
REACTIONS: Final = frozenset("👍👎❤🔥🎉🤣😁😢😱👏🙏👌")
"""Some of those that a bot may use."""
Json = dict[str, Any]
_CAPITAL: Final = re.compile("[A-Z]")
_FILES: Final = {
    "sendPhoto": "photo",
    "sendDocument": "document",
    "sendVideo": "video",
    "sendAudio": "audio",
    "sendVoice": "voice",
    "sendAnimation": "animation",
    "sendSticker": "sticker",
}


def user(number: int, name: str) -> Json:
    """Return a person."""
    return {"id": number, "is_bot": False, "first_name": name}


class FakeTelegram(BotApiServer):
    """Telegram as a bot sees it."""

    def __init__(self, token: str = TOKEN) -> None:
        super().__init__(token)
        self.bot: Json = dict(BOT)
        self.chats: dict[int, Json] = {}
        self.messages: dict[tuple[int, int], Json] = {}
        """By chat and number; what was deleted is gone."""
        self.reactions: dict[tuple[int, int], list[str]] = {}
        """The bot's own."""
        self.actions: list[Json] = []
        self.members: dict[int, str] = {}
        """The bot's status in a chat; `member` where not said."""
        self.admin_chats: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._files: dict[str, bytes] = {}
        self.updates = Updates()
        self._moved: dict[int, int] = {}

    async def start(self) -> None:
        """Listen, and be ready to call a webhook."""
        await super().start()
        self.updates.start()

    async def stop(self) -> None:
        """Cut everything, the webhook's calls too."""
        await self.updates.close()
        await super().stop()

    # ---- what people do

    def add_chat(self, number: int, title: str, **more: Any) -> int:
        """Make a chat; its kind follows from the number."""
        kind = "private" if number > 0 else "group"
        if number < -(10**12):
            kind = "supergroup"
        named = {"first_name": title} if kind == "private" else {"title": title}
        self.chats[number] = {"id": number, "type": kind, **named, **more}
        return number

    def says(self, chat: int, who: Json, text: str, **more: Any) -> int:
        """Let somebody write; return the message's number."""
        return self.posts(chat, who, {"text": text, **more})

    def posts(self, chat: int, who: Json, content: Json) -> int:
        """Let somebody post a message of any content."""
        message = {**self._envelope(chat), "from": who, **content}
        self.messages[chat, message["message_id"]] = message
        is_channel = self.chats[chat]["type"] == "channel"
        self._update("channel_post" if is_channel else "message", message)
        return int(message["message_id"])

    def shows(self, chat: int, who: Json, kind: str, data: bytes, **about: Any) -> int:
        """Let somebody send a file as `document`, `photo`, `voice`, ..."""
        file = {**self._keep(data), **about}
        caption: Json = {
            name: file.pop(name)
            for name in ("caption", "caption_entities")
            if name in file
        }
        content: Json = {kind: [file] if kind == "photo" else file, **caption}
        return self.posts(chat, who, content)

    def edits(self, chat: int, number: int, **content: Any) -> None:
        """Let the author of a message change it."""
        message = self.messages[chat, number]
        for ranges in ("entities", "caption_entities"):
            message.pop(ranges, None)
        message |= {**content, "edit_date": int(time.time())}
        is_channel = self.chats[chat]["type"] == "channel"
        self._update("edited_channel_post" if is_channel else "edited_message", message)

    def reacts(self, chat: int, number: int, who: Json, *emoji: str) -> None:
        """Let somebody set their reactions; the bot hears it as an administrator."""
        self._update(
            "message_reaction",
            {
                "chat": self.chats[chat],
                "message_id": number,
                "user": who,
                "date": int(time.time()),
                "old_reaction": [],
                "new_reaction": [{"type": "emoji", "emoji": each} for each in emoji],
            },
        )

    def joins(self, chat: int, *people: Json) -> None:
        """Let people join."""
        self.posts(chat, people[0], {"new_chat_members": list(people)})

    def migrates(self, old: int, new: int, who: Json) -> None:
        """Make a basic group a supergroup."""
        title = self.chats[old]["title"]
        self._moved[old] = self.add_chat(new, title)
        self.posts(old, who, {"migrate_to_chat_id": new})
        self.posts(new, who, {"migrate_from_chat_id": old})

    def kicks_bot(self, chat: int, who: Json) -> None:
        """Throw the bot out."""
        self.members[chat] = "kicked"
        bot = {k: v for k, v in self.bot.items() if not k.startswith("can_")}
        self._update(
            "my_chat_member",
            {
                "chat": self.chats[chat],
                "from": who,
                "date": int(time.time()),
                "old_chat_member": {"status": "member", "user": bot},
                "new_chat_member": {"status": "kicked", "user": bot, "until_date": 0},
            },
        )

    def sent(self, chat: int) -> list[Json]:
        """Return what the bot has posted to a chat and not deleted, in order."""
        return [
            message
            for (where, _), message in sorted(self.messages.items())
            if where == chat and message["from"]["id"] == self.bot["id"]
        ]

    def octets(self, file: Mapping[str, Any]) -> bytes:
        """Return the octets of a file that was posted."""
        return self._files[file["file_id"]]

    def _envelope(self, chat: int) -> Json:
        number = self._numbers[chat] = self._numbers.get(chat, 0) + 1
        return {
            "message_id": number,
            "date": int(time.time()),
            "chat": self.chats[chat],
        }

    def _keep(self, data: bytes) -> Json:
        file_id = f"AgAD{len(self._files):08d}"
        self._files[file_id] = data
        return {
            "file_id": file_id,
            "file_unique_id": file_id[-8:],
            "file_size": len(data),
        }

    def _update(self, kind: str, content: Json) -> None:
        self.problems += problems_in("Update", self.updates.add(kind, content))

    # ---- what the bot does

    async def answer(self, method: str, params: Json) -> Any:
        """Do what the bot asks for."""
        snake = _CAPITAL.sub(lambda found: f"_{found[0].lower()}", method)
        action: Callable[[Json], Any] | None = getattr(self, f"_on_{snake}", None)
        if method == "getUpdates":
            result: Any = await self.updates.get(params)
        elif method in _FILES:
            result = self._on_file(method, params)
        elif action is not None:
            result = action(params)
        else:
            raise Refusal(404, "Not Found: method not found")
        self.problems += result_problems(method, result)
        return result

    def _on_get_me(self, params: Json) -> Json:
        return self.bot

    def _on_get_chat(self, params: Json) -> Json:
        number = params["chat_id"]
        if isinstance(number, str):
            name = number.removeprefix("@")
            found = [n for n, c in self.chats.items() if c.get("username") == name]
            number = found[0] if found else 0
        self._in_chat(number)
        gifts = (
            "unlimited_gifts",
            "limited_gifts",
            "unique_gifts",
            "premium_subscription",
            "gifts_from_channels",
        )
        return {
            **self.chats[number],
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys(gifts, False),
        }

    def _on_get_chat_member(self, params: Json) -> Json:
        number = params["chat_id"]
        self._in_chat(number)
        status = self.members.get(number, "member")
        if status == "administrator":
            rights = (
                "can_be_edited is_anonymous can_manage_chat can_delete_messages "
                "can_manage_video_chats can_restrict_members can_promote_members "
                "can_change_info can_invite_users can_post_stories can_edit_stories "
                "can_delete_stories"
            )
            return {
                "status": status,
                "user": self.bot,
                **dict.fromkeys(rights.split(), False),
            }
        return {"status": status, "user": self.bot}

    def _in_chat(self, number: Any) -> None:
        if number in self._moved:
            new = self._moved[number]
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, text, migrate_to_chat_id=new)
        if number not in self.chats:
            raise Refusal(400, "Bad Request: chat not found")
        if self.members.get(number) == "kicked":
            raise Refusal(403, "Forbidden: bot was kicked from the supergroup chat")
        if self.members.get(number) == "blocked":
            raise Refusal(403, "Forbidden: bot was blocked by the user")

    def _on_send_message(self, params: Json) -> Json:
        check_length(params.get("text", ""), TEXT_UNITS_MAX, "message is too long")
        check_entities(params["text"], params.get("entities", ()))
        if not params["text"].strip():
            raise Refusal(400, "Bad Request: message text is empty")
        return self._posted(
            params, {k: params[k] for k in ("text", "entities") if k in params}
        )

    def _on_file(self, method: str, params: Json) -> Json:
        member = _FILES[method]
        data = params[member]
        if len(data) > UPLOAD_OCTETS_MAX:
            raise Refusal(413, "Request Entity Too Large")
        caption = params.get("caption", "")
        check_length(caption, CAPTION_UNITS_MAX, "message caption is too long")
        check_entities(caption, params.get("caption_entities", ()))
        file = {**self._keep(data), **_about(method)}
        content: Json = {
            member: [file] if member == "photo" else file,
            **{k: params[k] for k in ("caption", "caption_entities") if k in params},
        }
        if member == "animation":
            content["document"] = self._keep(data)
        return self._posted(params, content)

    def _posted(self, params: Json, content: Json) -> Json:
        number = params["chat_id"]
        self._in_chat(number)
        reply = params.get("reply_parameters")
        message = {**self._envelope(number), "from": self._sender(), **content}
        if reply is not None:
            target = self.messages.get((number, reply["message_id"]))
            if target is not None:
                message["reply_to_message"] = target
            elif not reply.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
        topic = params.get("message_thread_id")
        if topic is not None:
            if not self.chats[number].get("is_forum"):
                raise Refusal(400, "Bad Request: message thread not found")
            message |= {"message_thread_id": topic, "is_topic_message": True}
        self.messages[number, message["message_id"]] = message
        return message

    def _sender(self) -> Json:
        return {k: v for k, v in self.bot.items() if not k.startswith("can_")}

    def _on_edit_message_text(self, params: Json) -> Json:
        return self._edited(params, "text", "entities", TEXT_UNITS_MAX)

    def _on_edit_message_caption(self, params: Json) -> Json:
        return self._edited(params, "caption", "caption_entities", CAPTION_UNITS_MAX)

    def _edited(self, params: Json, words: str, ranges: str, most: int) -> Json:
        number = params["chat_id"]
        self._in_chat(number)
        message = self.messages.get((number, params["message_id"]))
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != self.bot["id"]:
            raise Refusal(400, "Bad Request: message can't be edited")
        if words == "text" and "text" not in message:
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        check_length(params[words], most, "MESSAGE_TOO_LONG")
        check_entities(params[words], params.get(ranges, ()))
        new = {words: params[words]}
        new |= {ranges: params[ranges]} if ranges in params else {}
        old = {k: message[k] for k in (words, ranges) if k in message}
        if new == old:
            text = (
                "Bad Request: message is not modified: specified new message content "
                "and reply markup are exactly the same as a current content"
            )
            raise Refusal(400, text)
        message.pop(ranges, None)
        message |= new
        return message

    def _on_delete_message(self, params: Json) -> bool:
        number = params["chat_id"]
        self._in_chat(number)
        if self.messages.pop((number, params["message_id"]), None) is None:
            raise Refusal(400, "Bad Request: message to delete not found")
        return True

    def _on_delete_messages(self, params: Json) -> bool:
        self._in_chat(params["chat_id"])
        for number in params["message_ids"]:
            self.messages.pop((params["chat_id"], number), None)
        return True

    def _on_set_message_reaction(self, params: Json) -> bool:
        number = params["chat_id"]
        self._in_chat(number)
        place = number, params["message_id"]
        if place not in self.messages:
            raise Refusal(400, "Bad Request: message to react not found")
        emoji = [each["emoji"] for each in params.get("reaction", ())]
        if len(emoji) > 1 or any(each not in REACTIONS for each in emoji):
            raise Refusal(400, "Bad Request: REACTION_INVALID")
        self.reactions[place] = emoji
        return True

    def _on_send_chat_action(self, params: Json) -> bool:
        self._in_chat(params["chat_id"])
        self.actions.append(params)
        return True

    def _on_get_file(self, params: Json) -> Json:
        data = self._files.get(params["file_id"])
        if data is None:
            raise Refusal(400, "Bad Request: invalid file_id")
        if len(data) > DOWNLOAD_OCTETS_MAX:
            raise Refusal(400, "Bad Request: file is too big")
        return {
            "file_id": params["file_id"],
            "file_unique_id": params["file_id"][-8:],
            "file_size": len(data),
            "file_path": f"files/{params['file_id']}.bin",
        }

    async def file(self, path: str) -> bytes | None:
        """Return a file."""
        return self._files.get(path.removeprefix("files/").removesuffix(".bin"))

    def _on_delete_webhook(self, params: Json) -> bool:
        self.updates.unhook()
        return True

    def _on_set_webhook(self, params: Json) -> bool:
        self.updates.hook(params)
        return True

    def _on_get_webhook_info(self, params: Json) -> Json:
        return {
            "url": self.updates.hook_url,
            "has_custom_certificate": False,
            "pending_update_count": self.updates.count,
        }


def _about(method: str) -> Json:
    size = {"width": 640, "height": 480}
    known: dict[str, Json] = {
        "sendPhoto": size,
        "sendVideo": {**size, "duration": 1},
        "sendAnimation": {**size, "duration": 1},
        "sendAudio": {"duration": 1},
        "sendVoice": {"duration": 1},
        "sendSticker": {
            **size,
            "type": "regular",
            "is_animated": False,
            "is_video": False,
        },
    }
    return known.get(method, {})
