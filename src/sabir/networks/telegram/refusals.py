"""Telegram's refusals in words for a person: why, and what can be done."""

from typing import Final

from sabir.networks.telegram.client import Rejected

_HINTS: Final = (
    (
        ("bot was blocked by the user",),
        "the person has blocked the bot; only they can unblock it",
    ),
    (("user is deactivated",), "the account does not exist any more"),
    (
        ("can't initiate conversation",),
        "a bot cannot write first: the person has to open it and press Start",
    ),
    (
        ("bot was kicked", "bot is not a member", "group chat was deactivated"),
        "the bot is not in the group any more; let a member add it again",
    ),
    (
        ("not enough rights", "have no rights", "chat_write_forbidden", "need admin"),
        "the group does not let the bot do this; an administrator can allow it",
    ),
    (("chat not found",), "the chat does not exist, or the bot has never been in it"),
    (
        ("message can't be deleted",),
        "Telegram lets bots delete messages for 48 hours; a person can delete it",
    ),
    (
        ("message to edit not found", "message to react not found"),
        "the message is not there any more",
    ),
    (("message can't be edited",), "only the bot's own messages can be changed"),
    (
        ("reaction_invalid", "reactions_too_many", "reaction_not_allowed"),
        "the group does not allow this reaction",
    ),
    (
        ("topic_closed", "topic_deleted", "message thread not found"),
        "the topic is closed or deleted; open it again, or link the whole group",
    ),
    (
        ("file is too big", "request entity too large"),
        "Telegram takes 50 MB from a bot; send a smaller file, or a link",
    ),
    (
        ("image_process_failed", "photo_invalid_dimensions", "wrong file"),
        "Telegram cannot read the picture; send it as a file",
    ),
    (
        ("voice_messages_forbidden",),
        "the person takes no voice messages; send it as a file",
    ),
)


def reason(no: Rejected) -> str:
    """Return Telegram's words, and what they mean for people."""
    for words, hint in _HINTS:
        if no.says(*words):
            return f"{no}; {hint}"
    return f"{no}; nothing was sent"
