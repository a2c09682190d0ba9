"""Polls, places, cards and the like as words, and what is passed over. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sabir.content.normal import clean
from sabir.content.rich import Block, ListBlock, Paragraph, Rich, Text
from sabir.networks.telegram.text import one_line

Json = Mapping[str, Any]
Shown = tuple[Rich | None, tuple[str, ...]]

SILENT: Final = frozenset(
    {
        "group_chat_created",
        "supergroup_chat_created",
        "channel_chat_created",
        "migrate_to_chat_id",
        "migrate_from_chat_id",
        "pinned_message",
        "forum_topic_edited",
        "forum_topic_closed",
        "forum_topic_reopened",
        "general_forum_topic_hidden",
        "general_forum_topic_unhidden",
        "chat_owner_left",
        "chat_owner_changed",
        "connected_website",
        "write_access_allowed",
        "passport_data",
        "boost_added",
        "chat_background_set",
        "direct_message_price_changed",
        "paid_message_price_changed",
        "managed_bot_created",
        "users_shared",
        "chat_shared",
        "web_app_data",
        "video_chat_scheduled",
        "video_chat_started",
        "video_chat_ended",
        "video_chat_participants_invited",
    }
)
"""Members of a `Message` that say nothing in the conversation."""
_ENVELOPE: Final = frozenset(
    {
        "message_id",
        "message_thread_id",
        "from",
        "sender_chat",
        "sender_boost_count",
        "sender_tag",
        "date",
        "chat",
        "forward_origin",
        "is_topic_message",
        "is_automatic_forward",
        "reply_to_message",
        "external_reply",
        "quote",
        "reply_to_story",
        "via_bot",
        "edit_date",
        "has_protected_content",
        "is_from_offline",
        "is_paid_post",
        "media_group_id",
        "author_signature",
        "link_preview_options",
        "effect_id",
        "reply_markup",
        "caption",
        "caption_entities",
        "text",
        "entities",
        "show_caption_above_media",
        "has_media_spoiler",
    }
)
_DAY_S: Final = 86_400


def is_silent(message: Json) -> bool:
    """Tell whether a message says nothing to people."""
    return not SILENT.isdisjoint(message)


def shown(message: Json) -> Shown:
    """Return the words for a message that has neither text nor a file."""
    for member, reader in _READERS.items():
        thing = message.get(member)
        if isinstance(thing, dict):
            text = reader(thing)
            if text is not None:
                return text, (f"{_LABELS.get(member, member)}, shown as text",)
    kinds = sorted(set(message) - _ENVELOPE)
    kind = one_line(kinds[0])[:80] if kinds else "of an unknown kind"
    return None, (f"a Telegram message that cannot be shown here ({kind})",)


def timer(change: Json) -> str:
    """Return the phrase for a chat's new disappearing timer."""
    seconds = change.get("message_auto_delete_time")
    if not isinstance(seconds, int) or seconds <= 0:
        return "messages in the Telegram chat do not disappear any more"
    days = seconds // _DAY_S
    when = f"{days} days" if days > 1 else "one day" if days else f"{seconds} seconds"
    return f"messages disappear from the Telegram chat after {when}; here they stay"


def _poll(poll: Json) -> Rich | None:
    question = _words(poll.get("question"))
    return _listed(question, poll.get("options"), ordered=True) if question else None


def _checklist(checklist: Json) -> Rich | None:
    title = _words(checklist.get("title")) or "Checklist"
    return _listed(title, checklist.get("tasks"), ordered=False)


def _listed(head: str, entries: object, *, ordered: bool) -> Rich:
    texts = [
        _words(entry.get("text"))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    items = tuple((Paragraph((Text(text),)),) for text in texts if text)
    first: tuple[Block, ...] = (Paragraph((Text(head),)),)
    return Rich((*first, ListBlock(items, ordered=ordered)) if items else first)


def _location(location: Json) -> Rich | None:
    at = _coordinates(location)
    return Rich.plain(f"Location\n{at}") if at else None


def _venue(venue: Json) -> Rich | None:
    inner = venue.get("location")
    at = _coordinates(inner) if isinstance(inner, dict) else ""
    parts = [_words(venue.get("title")), _words(venue.get("address")), at]
    text = "\n".join(part for part in parts if part)
    return Rich.plain(text) if text else None


def _coordinates(location: Json) -> str:
    latitude, longitude = location.get("latitude"), location.get("longitude")
    for number, most in ((latitude, 90), (longitude, 180)):
        if isinstance(number, bool) or not isinstance(number, int | float):
            return ""
        if not -most <= number <= most:
            return ""
    return f"geo:{latitude},{longitude}"


def _contact(contact: Json) -> Rich | None:
    both = (_words(contact.get(part)) for part in ("first_name", "last_name"))
    full = " ".join(part for part in both if part)
    text = "\n".join(p for p in (full, _words(contact.get("phone_number"))) if p)
    return Rich.plain(text) if text else None


def _dice(dice: Json) -> Rich | None:
    emoji, value = _words(dice.get("emoji")), dice.get("value")
    return Rich.plain(f"{emoji} {value}") if emoji and isinstance(value, int) else None


def _words(value: object) -> str:
    return one_line(clean(value)) if isinstance(value, str) else ""


_READERS: Final[Mapping[str, Callable[[Json], Rich | None]]] = {
    "poll": _poll,
    "checklist": _checklist,
    "venue": _venue,
    "location": _location,
    "contact": _contact,
    "dice": _dice,
}
_LABELS: Final = {"contact": "a contact card", "venue": "location", "dice": "dice"}
