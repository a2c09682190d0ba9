"""From a Matrix event to what it means. Pure.

Rules (docs/reference/networks/matrix.md lists them for people):

 * `m.new_content` is the text of an edit; its fallback body never is.
 * `content.redacts` comes before the top-level `redacts` (room versions from 11).
 * The copy of the answered message is stripped only where the relation is present.
 * What nobody can read or show becomes a message with a phrase in `lost`, never
   nothing.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from sabir.clock import Instant
from sabir.content.meaning import MediaKind
from sabir.content.rich import ListBlock, Paragraph, Rich, Text
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatAvatarChanged,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    NativeMedia,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ProfileChanged,
    ReactionAdded,
    Retracted,
    TopicChanged,
)
from sabir.networks.matrix.envelope import (
    Envelope,
    Json,
    member_of,
    open_envelope,
    subject_of,
)
from sabir.networks.matrix.html import parse
from sabir.networks.matrix.render import ENTRY
from sabir.networks.matrix.text import clean, one_line

HTML_FORMAT: Final = "org.matrix.custom.html"
VOICE: Final = "org.matrix.msc3245.voice"
POLL_STARTS: Final = ("m.poll.start", "org.matrix.msc3381.poll.start")
INSTANT_MAX: Final = 2**53 - 1
"""Largest integer of canonical JSON."""
NAME_CHARACTERS_MAX: Final = 1_000
"""Synapse takes display names of up to 1,000 characters."""
EMOJI_CHARACTERS_MAX: Final = 255
"""Any string is a reaction on Matrix; longer than a line, it is none to people."""

_MEDIA: Final = {
    "m.image": MediaKind.IMAGE,
    "m.video": MediaKind.VIDEO,
    "m.audio": MediaKind.AUDIO,
    "m.file": MediaKind.FILE,
    "m.sticker": MediaKind.STICKER,
}
_MXC: Final = re.compile(r"mxc://[A-Za-z0-9.:\[\]-]{1,255}/[A-Za-z0-9_-]{1,255}")
_CONTENT_TYPE: Final = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII)

Meaning = tuple[Action, tuple[str, ...]]
"""What an event does, and the phrases of what could not be expressed."""


def decode(event: NativeEvent) -> Incoming | None:
    """Say what a stored event means; None if it means nothing to people.

    Raises:
        PeerMisbehaved: MATRIX-001 to 003 (see `open_envelope`), MATRIX-004 a
            relation without its target, MATRIX-005 an edit without new content,
            MATRIX-006 a file without a usable address.
    """
    envelope = open_envelope(event.payload)
    if ENTRY in envelope.event["content"]:
        # Another Sabir carried it in (our own never get here). Carried on, it would
        # come back by that one, and go round for ever.
        return None
    reader = _READERS.get(envelope.event["type"])
    meaning = None if reader is None else reader(envelope)
    if meaning is None:
        return None
    action, lost = meaning
    return Incoming(
        sender=_person(envelope),
        action=action,
        sent_at=_instant(envelope.event.get("origin_server_ts")),
        lost=lost,
    )


def _person(envelope: Envelope) -> Person:
    user = subject_of(envelope.event)
    member = envelope.member
    content = envelope.event["content"]
    if (
        envelope.event["type"] == "m.room.member"
        and content.get("membership") == "join"
    ):
        member = member_of(content)
    name = one_line(member.name)[:NAME_CHARACTERS_MAX]
    local = user.removeprefix("@").split(":", 1)[0]
    avatar = member.avatar if _MXC.fullmatch(member.avatar) else None
    return Person(id=PersonId(user), name=name or local or user, avatar=avatar)


def _instant(value: object) -> Instant:
    if isinstance(value, int) and not isinstance(value, bool):
        return Instant(value if 0 <= value <= INSTANT_MAX else 0)
    return Instant(0)


# ---- messages


def _message(envelope: Envelope) -> Meaning | None:
    content = envelope.event["content"]
    relation = _object(content.get("m.relates_to"))
    if relation.get("rel_type") == "m.replace":
        return _edit(content, relation)
    reply_to, thread = _reply_and_thread(relation)
    text, media, lost = _body(
        content, envelope.event["type"], is_reply="m.in_reply_to" in relation
    )
    if text is None and not media and not lost:
        return None
    emote = content.get("msgtype") == "m.emote"
    return (
        Posted(text=text, media=media, reply_to=reply_to, thread=thread, emote=emote),
        lost,
    )


def _edit(content: Json, relation: Json) -> Meaning:
    target = _event_id(relation, "the edit")
    new = content.get("m.new_content")
    if not isinstance(new, dict):
        raise PeerMisbehaved("MATRIX-005", "an edit without m.new_content")
    text, media, lost = _body(new, "m.room.message", is_reply=False)
    return Corrected(target=target, text=text, media=media), lost


def _reply_and_thread(relation: Json) -> tuple[NativeId | None, NativeId | None]:
    """Return the answered message and the thread's root.

    In a thread, `m.in_reply_to` is a real answer only when it is not the
    fallback for clients without threads.
    """
    thread = None
    if relation.get("rel_type") == "m.thread":
        thread = _event_id(relation, "the thread")
    if "m.in_reply_to" not in relation:
        return None, thread
    if thread is not None and relation.get("is_falling_back") is True:
        return None, thread
    return _event_id(_object(relation["m.in_reply_to"]), "the reply"), thread


def _body(
    content: Json, event_type: str, *, is_reply: bool
) -> tuple[Rich | None, tuple[NativeMedia, ...], tuple[str, ...]]:
    kind = "m.sticker" if event_type == "m.sticker" else _string(content.get("msgtype"))
    if kind in _MEDIA:
        return _file(content, _MEDIA[kind])
    text = _text(content, is_reply=is_reply)
    match kind:
        case "m.text" | "m.emote":
            return text, (), ()
        case "m.notice":
            return text, (), ("marked as an automatic notice",)
        case "m.location":
            place = _string(content.get("geo_uri"))
            shown = f"{_string(content.get('body')) or 'Location'}\n{place}".strip()
            return Rich.plain(clean(shown)), (), ("location, shown as text",)
        case "" if text is None:
            return None, (), ()  # redacted: nothing is left
        case _:
            shown = one_line(kind)[:80] or "unknown"
            return text, (), (f"message type {shown}, shown as text",)


def _text(content: Json, *, is_reply: bool) -> Rich | None:
    formatted = content.get("formatted_body")
    if content.get("format") == HTML_FORMAT and isinstance(formatted, str):
        rich = parse(formatted, drop_reply=is_reply)
        if rich.blocks:
            return rich
    body = clean(_string(content.get("body")))
    if is_reply:
        body = _without_fallback(body)
    return Rich.plain(body) if body.strip() else None


def _without_fallback(body: str) -> str:
    """Return a body without the copy of the answered message (before 1.13)."""
    if not body.startswith(("> <@", "> * <@")):
        return body
    lines = body.split("\n")
    count = next((i for i, line in enumerate(lines) if not line.startswith(">")), None)
    if count is None:
        return body
    rest = lines[count:]
    return "\n".join(rest[1:] if rest[0] == "" else rest)


def _file(
    content: Json, kind: MediaKind
) -> tuple[Rich | None, tuple[NativeMedia, ...], tuple[str, ...]]:
    body = clean(_string(content.get("body")))
    filename = one_line(_string(content.get("filename")))
    has_caption = bool(filename) and body != filename  # spec 1.10
    caption = _text(content, is_reply=False) if has_caption else None
    name = filename or ("" if kind is MediaKind.STICKER else one_line(body))
    if "url" not in content and isinstance(content.get("file"), dict):
        shown = caption or (Rich.plain(name) if name else None)
        return shown, (), ("encrypted file, not readable here",)
    url = _string(content.get("url"))
    if not _MXC.fullmatch(url):
        raise PeerMisbehaved("MATRIX-006", "a file without an mxc address")
    if kind is MediaKind.AUDIO and VOICE in content:
        kind = MediaKind.VOICE
    info = _object(content.get("info"))
    content_type = _string(info.get("mimetype"))
    media = NativeMedia(
        handle=url,
        content_type=content_type
        if _CONTENT_TYPE.fullmatch(content_type)
        else "application/octet-stream",
        filename=name,
        size=_count(info.get("size")),
        kind=kind,
        description=one_line(body) if kind is MediaKind.STICKER else "",
        width=_count(info.get("w")),
        height=_count(info.get("h")),
        duration_ms=_count(info.get("duration")),
    )
    return caption, (media,), ()


def _encrypted(envelope: Envelope) -> Meaning | None:
    relation = _object(envelope.event["content"].get("m.relates_to"))
    reply_to, thread = (None, None)
    if relation.get("rel_type") != "m.replace":
        reply_to, thread = _reply_and_thread(relation)
    return (
        Posted(reply_to=reply_to, thread=thread),
        ("encrypted message, not readable here",),
    )


def _poll(envelope: Envelope) -> Meaning | None:
    content = envelope.event["content"]
    poll = _object(
        content.get("org.matrix.msc3381.poll.start") or content.get("m.poll")
    )
    question = _poll_text(_object(poll.get("question")))
    answers = poll.get("answers")
    options = [
        _poll_text(_object(answer))
        for answer in (answers if isinstance(answers, list) else [])
    ]
    if not question:
        raise PeerMisbehaved("MATRIX-002", "a poll without a question")
    items = tuple((Paragraph((Text(option),)),) for option in options if option)
    shown = Paragraph((Text(question),))
    rich = Rich((shown, ListBlock(items, ordered=True)) if items else (shown,))
    return Posted(text=rich), ("poll, shown as text",)


def _poll_text(part: Json) -> str:
    found = part.get("org.matrix.msc1767.text")
    if found is None:
        texts = part.get("m.text")
        first = texts[0] if isinstance(texts, list) and texts else None
        found = _object(first).get("body") or part.get("body")
    return one_line(_string(found))


# ---- what refers to messages


def _reaction(envelope: Envelope) -> Meaning | None:
    relation = _object(envelope.event["content"].get("m.relates_to"))
    if relation.get("rel_type") != "m.annotation":
        return None  # redacted: the relation is gone
    key = relation.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= EMOJI_CHARACTERS_MAX:
        raise PeerMisbehaved("MATRIX-004", "a reaction without a usable key")
    return ReactionAdded(
        target=_event_id(relation, "the reaction"), emoji=clean(key)
    ), ()


def _redaction(envelope: Envelope) -> Meaning | None:
    event = envelope.event
    target = event["content"].get("redacts") or event.get("redacts")
    if not isinstance(target, str) or not target:
        raise PeerMisbehaved("MATRIX-004", "a redaction without a target")
    # The homeserver lets only authors and people of enough power redact.
    return Retracted(target=NativeId(target), by_moderator=True), ()


# ---- people and rooms


def _member(envelope: Envelope) -> Meaning | None:
    event = envelope.event
    content, before = event["content"], _before(event)
    user, was = event.get("state_key"), before.get("membership")
    if not isinstance(user, str):
        raise PeerMisbehaved("MATRIX-002", "a membership without a state key")
    match content.get("membership"):
        case "join" if was == "join":
            old, new = member_of(before), member_of(content)
            if old == new:
                return None
            return ProfileChanged(old_name=one_line(old.name)), ()
        case "join":
            return PersonJoined(), ()
        case "leave" | "ban" if was is None or was == "join":
            return (
                PersonLeft(
                    reason=one_line(_string(content.get("reason"))),
                    removed=event["sender"] != user,
                ),
                (),
            )
        case _:
            return None


def _before(event: Json) -> Json:
    unsigned = _object(event.get("unsigned"))
    return _object(unsigned.get("prev_content") or event.get("prev_content"))


def _name(envelope: Envelope) -> Meaning | None:
    return ChatRenamed(
        name=one_line(_string(envelope.event["content"].get("name")))
    ), ()


def _topic(envelope: Envelope) -> Meaning | None:
    topic = clean(_string(envelope.event["content"].get("topic"))).strip()
    return TopicChanged(topic=topic), ()


def _avatar(envelope: Envelope) -> Meaning | None:
    content = envelope.event["content"]
    url = _string(content.get("url"))
    if not url:
        return ChatAvatarChanged(media=None), ()
    if not _MXC.fullmatch(url):
        raise PeerMisbehaved("MATRIX-006", "a room picture without an mxc address")
    mimetype = _string(_object(content.get("info")).get("mimetype"))
    kind = mimetype if _CONTENT_TYPE.fullmatch(mimetype) else "image/*"
    return (
        ChatAvatarChanged(
            media=NativeMedia(handle=url, content_type=kind, kind=MediaKind.IMAGE)
        ),
        (),
    )


# ---- small readers


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value if value <= INSTANT_MAX else None
    return None


def _event_id(relation: Json, what: str) -> NativeId:
    target = relation.get("event_id")
    if not isinstance(target, str) or not target:
        raise PeerMisbehaved("MATRIX-004", f"{what} does not name its message")
    return NativeId(target)


_READERS: Final[dict[str, Callable[[Envelope], Meaning | None]]] = {
    "m.room.message": _message,
    "m.sticker": _message,
    "m.room.encrypted": _encrypted,
    "m.reaction": _reaction,
    "m.room.redaction": _redaction,
    "m.room.member": _member,
    "m.room.name": _name,
    "m.room.topic": _topic,
    "m.room.avatar": _avatar,
    **dict.fromkeys(POLL_STARTS, _poll),
}
