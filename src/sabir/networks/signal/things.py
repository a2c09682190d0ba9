"""What of Signal Sabir shows as words, or names as left behind. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sabir.content.rich import Block, ListBlock, Paragraph, Rich, Text
from sabir.networks.signal.text import one_line

Json = Mapping[str, Any]

VIEW_ONCE: Final = "something to be viewed once, which only Signal shows"
_READ: Final = frozenset(
    {
        "timestamp",
        "message",
        "expiresInSeconds",
        "isExpirationUpdate",
        "viewOnce",
        "reaction",
        "quote",
        "mentions",
        "attachments",
        "sticker",
        "remoteDelete",
        "adminDelete",
        "textStyles",
        "groupInfo",
        "previews",
        "destination",
        "destinationNumber",
        "destinationUuid",
    }
)
"""Members of a data message that `decode` reads, or that repeat what is in the text."""
_LEFT_BEHIND: Final[Mapping[str, str]] = {
    "pollVote": "a vote in a poll, which stays on Signal",
    "pollTerminate": "the end of a poll, which stays on Signal",
    "pinMessage": "a pinned message, which is pinned on Signal only",
    "unpinMessage": "a message that is not pinned on Signal any more",
    "payment": "a payment, which stays on Signal",
    "storyContext": "a story that this answers, which stays on Signal",
    "groupCallUpdate": "a group call, which takes place on Signal only",
    "giftBadge": "a gift, which stays on Signal",
}
_SPANS: Final = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


def span(seconds: int) -> str:
    """Return a time in words, in the largest unit that fits exactly."""
    for unit, name in _SPANS:
        if seconds >= unit and seconds % unit == 0:
            count = seconds // unit
            return f"{count} {name}" + ("s" if count > 1 else "")
    return f"{seconds} seconds"


def timer(seconds: object) -> str:
    """Return what a chat's new timer means."""
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        return "messages in the Signal chat do not disappear any more"
    return (
        f"messages now disappear from the Signal chat {span(seconds)} after they are"
        " read; here they stay"
    )


def disappearing(message: Json) -> tuple[str, ...]:
    """Return the phrase for a message that Signal will remove."""
    seconds = message.get("expiresInSeconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        return ()
    return (f"it disappears on Signal {span(seconds)} after reading, here it stays",)


def left_behind(message: Json) -> tuple[str, ...]:
    """Return phrases for the parts of a message that are neither shown nor read."""
    found = [
        phrase
        for member, phrase in _LEFT_BEHIND.items()
        if message.get(member) is not None
    ]
    unknown = sorted(
        name
        for name, value in message.items()
        if name not in _READ
        and name not in _LEFT_BEHIND
        and name not in _READERS
        and value not in (None, [], {}, False)
    )
    if unknown:
        kinds = ", ".join(one_line(name)[:40] for name in unknown[:5])
        found.append(f"a part that this version of Sabir does not know ({kinds})")
    return tuple(found)


def shown(message: Json) -> tuple[Rich | None, tuple[str, ...]]:
    """Return the words for a poll or for contact cards, and what they lose."""
    for member, (reader, phrase) in _READERS.items():
        if (value := message.get(member)) is not None:
            text = reader(value)
            if text is not None:
                return text, (phrase,)
    return None, ()


def _poll(poll: object) -> Rich | None:
    question = one_line(poll.get("question")) if isinstance(poll, dict) else ""
    if not isinstance(poll, dict) or not question:
        return None
    options = poll.get("options")
    words = [one_line(each) for each in options] if isinstance(options, list) else []
    items = tuple((Paragraph((Text(each),)),) for each in words if each)
    first: tuple[Block, ...] = (Paragraph((Text(question),)),)
    return Rich((*first, ListBlock(items, ordered=True)) if items else first)


def _contacts(contacts: object) -> Rich | None:
    cards = [_card(each) for each in contacts] if isinstance(contacts, list) else []
    words = "\n\n".join(card for card in cards if card)
    return Rich.plain(words) if words else None


def _card(contact: object) -> str:
    """Return a contact card in lines: its name, then numbers and addresses."""
    if not isinstance(contact, dict):
        return ""
    full = contact.get("name")
    rows = []
    if isinstance(full, dict):
        parts = ("display", "nickname", "given", "family")
        found = {part: one_line(full.get(part)) for part in parts}
        both = f"{found['given']} {found['family']}".strip()
        rows.append(found["display"] or both or found["nickname"])
    for member in ("phone", "email"):
        entries = contact.get(member)
        for entry in entries if isinstance(entries, list) else ():
            rows += [one_line(entry.get("value"))] if isinstance(entry, dict) else []
    return "\n".join(row for row in rows if row)


_READERS: Final[Mapping[str, tuple[Callable[[object], Rich | None], str]]] = {
    "pollCreate": (_poll, "a poll, shown as text"),
    "contacts": (_contacts, "a contact card, shown as text"),
}
