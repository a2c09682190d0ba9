"""From a webhook's item to what it means. Pure.

* What nobody can show becomes a message with a phrase in `lost`, never nothing.
* A message of ours that was not delivered becomes a notice that answers it: the only
  way to tell its author.
"""

from collections.abc import Callable
from typing import Any, Final

from sabir.content.meaning import MediaKind
from sabir.content.normal import clean
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatRenamed,
    Incoming,
    NativeEvent,
    NativeId,
    NativeMedia,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    TopicChanged,
)
from sabir.networks.whatsapp import markup
from sabir.networks.whatsapp.envelope import (
    ID_CHARACTERS_MAX,
    Json,
    Kind,
    instant,
    open_envelope,
)
from sabir.networks.whatsapp.names import SERVICE, one_line, person_id, phone
from sabir.networks.whatsapp.verdicts import graph_error, judge, sentence

TEXT_CHARACTERS_MAX: Final = 65_536
"""What a person's app lets them write."""
LINES_MAX: Final = 50
"""Of contacts, products or answers, shown as text."""
EMOJI_CHARACTERS_MAX: Final = 64
MEDIA_ID_CHARACTERS_MAX: Final = 64

Meaning = tuple[Action, tuple[str, ...]]
"""What an item does, and the phrases of what could not be expressed."""

_MEDIA: Final = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "document": MediaKind.FILE,
    "sticker": MediaKind.STICKER,
}


def decode(event: NativeEvent) -> Incoming | None:
    """Say what a stored event means; None if it means nothing to people.

    Raises:
        PeerMisbehaved: WHATSAPP-001 and 002 (see `open_envelope`), WHATSAPP-003 a
            message without its sender or its content, WHATSAPP-004 a reaction
            without its message, WHATSAPP-005 a file without a usable id.
    """
    envelope = open_envelope(event.payload)
    item = envelope.item
    sender = Person(id=SERVICE, name="WhatsApp")
    if envelope.kind is Kind.MESSAGE:
        sender = _person(item.get("from"), envelope.name)
    elif envelope.kind is Kind.MEMBER:
        sender = _person(item.get("wa_id"), "")
    meaning = _BY_KIND[envelope.kind](item)
    if meaning is None:
        return None
    action, lost = meaning
    sent_at = instant(item.get("timestamp"))
    return Incoming(sender=sender, action=action, sent_at=sent_at, lost=lost)


def _person(value: object, name: str) -> Person:
    wa_id = person_id(value)
    if wa_id is None:
        raise PeerMisbehaved("WHATSAPP-003", "no sender")
    return Person(id=PersonId(wa_id), name=one_line(name) or phone(wa_id))


# ---- messages


def _message(item: Json) -> Meaning | None:
    kind = _string(item.get("type"))
    if kind == "reaction":
        return _reaction(item)
    body = _READERS[kind](item) if kind in _READERS else _unknown(item)
    text, media, lost = body
    context = _object(item.get("context"))
    if context.get("forwarded") is True or context.get("frequently_forwarded") is True:
        lost = (*lost, "marked as forwarded")
    if isinstance(context.get("referred_product"), dict):
        lost = (*lost, "about a product of the catalogue")
    if isinstance(item.get("referral"), dict):
        lost = (*lost, "came by an advertisement")
    return Posted(text=text, media=media, reply_to=_native_id(context.get("id"))), lost


Body = tuple[Rich | None, tuple[NativeMedia, ...], tuple[str, ...]]


def _text(item: Json) -> Body:
    body = _string(_object(item.get("text")).get("body"))
    if not body:
        raise PeerMisbehaved("WHATSAPP-003", "a text without its body")
    return _rich(body), (), ()


def _rich(text: str) -> Rich | None:
    cleaned = clean(text[:TEXT_CHARACTERS_MAX])
    return markup.read(cleaned) if cleaned.strip() else None


def _file(item: Json) -> Body:
    name = _string(item.get("type"))
    found = _object(item.get(name))
    handle = _string(found.get("id"))
    if not handle or len(handle) > MEDIA_ID_CHARACTERS_MAX or not _is_media_id(handle):
        raise PeerMisbehaved("WHATSAPP-005", f"{name} without a usable id")
    kind = _MEDIA[name]
    if kind is MediaKind.AUDIO and found.get("voice") is True:
        kind = MediaKind.VOICE
    media = NativeMedia(
        handle=handle,
        content_type=_content_type(found.get("mime_type")),
        filename=one_line(_string(found.get("filename")))[:255],
        kind=kind,
    )
    caption = found.get("caption")
    return (_rich(caption) if isinstance(caption, str) else None), (media,), ()


def _is_media_id(text: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "._-=") for c in text)


def _content_type(value: object) -> str:
    """Return a media type without parameters but for the codecs of a voice message."""
    text = _string(value).strip().lower()
    main, _, rest = text.partition(";")
    parts = main.strip().split("/")
    if len(parts) != 2 or not all(p and _is_type(p) for p in parts):
        return "application/octet-stream"
    codecs = rest.strip()
    return f"{main.strip()}; {codecs}" if codecs == "codecs=opus" else main.strip()


def _is_type(part: str) -> bool:
    return part.isascii() and all(c.isalnum() or c in ".+-_" for c in part)


def _location(item: Json) -> Body:
    found = _object(item.get("location"))
    latitude, longitude = found.get("latitude"), found.get("longitude")
    if not _is_number(latitude) or not _is_number(longitude):
        raise PeerMisbehaved("WHATSAPP-003", "a location without its place")
    lines = [one_line(_string(found.get(each))) for each in ("name", "address")]
    lines += [f"geo:{latitude},{longitude}", one_line(_string(found.get("url")))]
    shown = "\n".join(line for line in ("Location", *lines) if line)
    return Rich.plain(shown), (), ("location, shown as text",)


def _contacts(item: Json) -> Body:
    found = _list(item.get("contacts"))
    lines: list[str] = []
    for contact in found[:LINES_MAX]:
        known = _object(contact)
        name = one_line(_string(_object(known.get("name")).get("formatted_name")))
        numbers = _each(known.get("phones"), "phone")
        mails = _each(known.get("emails"), "email")
        lines.append(", ".join(part for part in (name, *numbers, *mails) if part))
    shown = "\n".join(line for line in ("Contact", *lines) if line)
    return Rich.plain(shown), (), (f"{len(found)} contacts, shown as text",)


def _each(value: object, name: str) -> list[str]:
    found = [one_line(_string(_object(one).get(name))) for one in _list(value)]
    return [text for text in found[:LINES_MAX] if text]


def _button(item: Json) -> Body:
    text = _string(_object(item.get("button")).get("text"))
    return Rich.plain(clean(text)), (), ("press of a button, shown as text",)


def _interactive(item: Json) -> Body:
    found = _object(item.get("interactive"))
    kind = _string(found.get("type"))
    chosen = _object(found.get(kind))
    title, more = _string(chosen.get("title")), _string(chosen.get("description"))
    if kind == "nfm_reply":
        title, more = _string(chosen.get("body")) or "Sent a form", ""
    shown = clean("\n".join(part for part in (title, more) if part))
    return Rich.plain(shown), (), ("answer to a menu, shown as text",)


def _order(item: Json) -> Body:
    found = _object(item.get("order"))
    lines = [clean(_string(found.get("text"))) or "Order"]
    for product in _list(found.get("product_items"))[:LINES_MAX]:
        known = _object(product)
        name = one_line(_string(known.get("product_retailer_id")))
        price = f"{known.get('item_price')} {_string(known.get('currency'))}".strip()
        lines.append(one_line(f"{known.get('quantity')} of {name}, {price}"))
    return Rich.plain("\n".join(lines)), (), ("order, shown as text",)


def _system(item: Json) -> Body:
    found = _object(item.get("system"))
    body = one_line(_string(found.get("body"))) or "WhatsApp changed something here"
    new = person_id(found.get("wa_id")) or person_id(found.get("new_wa_id"))
    lost: tuple[str, ...] = ("notice of WhatsApp, shown as text",)
    if new is not None:
        lost = (*lost, "messages come from the new number now: link that chat too")
    return Rich.plain(body), (), lost


def _unknown(item: Json) -> Body:
    kind = one_line(_string(item.get("type")))[:40] or "unknown"
    codes = [graph_error(each).code for each in _list(item.get("errors"))]
    named = f" (code {codes[0]})" if codes else ""
    return None, (), (f"message of a kind WhatsApp does not pass on: {kind}{named}",)


def _reaction(item: Json) -> Meaning:
    found = _object(item.get("reaction"))
    target = _native_id(found.get("message_id"))
    if target is None:
        raise PeerMisbehaved("WHATSAPP-004", "a reaction does not name its message")
    emoji = clean(_string(found.get("emoji")))[:EMOJI_CHARACTERS_MAX]
    return ReactionsReplaced(target=target, emoji=(emoji,) if emoji else ()), ()


# ---- what is told about messages and groups


def _failed(item: Json) -> Meaning:
    errors = _list(item.get("errors"))
    error = graph_error(errors[0] if errors else None)
    words = sentence(error, judge(error))
    text = Rich.plain(f"Not delivered: {words}")
    return Posted(text=text, reply_to=_native_id(item.get("id"))), ()


def _group(item: Json) -> Meaning | None:
    for name, make in (("subject", _renamed), ("description", _topic)):
        value = item.get(name)
        if isinstance(value, dict):  # the form of an answer to our own request
            value = value.get("text")
        if isinstance(value, str):
            return make(value), ()
    return None


def _renamed(value: str) -> Action:
    return ChatRenamed(name=one_line(value))


def _topic(value: str) -> Action:
    return TopicChanged(topic=clean(value).strip())


def _member(item: Json) -> Meaning:
    return (PersonJoined() if item.get("joined") is True else PersonLeft()), ()


# ---- small readers


def _native_id(value: object) -> NativeId | None:
    if isinstance(value, str) and 0 < len(value) <= ID_CHARACTERS_MAX:
        return NativeId(value)
    return None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) and abs(value) <= 180


_READERS: Final[dict[str, Callable[[Json], Body]]] = {
    "text": _text,
    **dict.fromkeys(_MEDIA, _file),
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "order": _order,
    "system": _system,
}
_BY_KIND: Final[dict[Kind, Callable[[Json], Meaning | None]]] = {
    Kind.MESSAGE: _message,
    Kind.FAILED: _failed,
    Kind.GROUP: _group,
    Kind.MEMBER: _member,
}
