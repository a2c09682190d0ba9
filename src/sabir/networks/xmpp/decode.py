"""A stored stanza to its meaning. Pure.

* In a room the sender is the occupant that the room names in `from`.
* The `id` attribute and the origin-id are aliases; references of others to a
  room's message use the room's `stanza-id`, corrections use the `id`.
* Quoted text marked as fallback (XEP-0428) is cut from replies.
* A moderator's retraction counts only from the room's bare JID.
* States, receipts and markers mean nothing here: they are signals.
"""

import mimetypes
import posixpath
import re
from typing import Final
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from sabir.content.meaning import MediaKind
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
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
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)
from sabir.networks.xmpp import ids, names, styling
from sabir.networks.xmpp.envelope import Arrived, Kind, unseal

REACTIONS_MAX: Final = 20
"""One person's reactions on one message that we read (our choice)."""
ID_LENGTH_MAX: Final = 1_023
"""Characters of a foreign id; servers make up to 36, clients up to 64."""
_EMOTE: Final = "/me "
_OMEMO_TEXT: Final = "An OMEMO-encrypted message: Sabir cannot read it."
_KINDS: Final = (
    ("image/gif", MediaKind.GIF),
    ("image/", MediaKind.IMAGE),
    ("video/", MediaKind.VIDEO),
    ("audio/", MediaKind.AUDIO),
)
_DECIMAL: Final = re.compile(r"[0-9]{1,15}")
_SAYS: Final = (
    ("subject", None),
    ("body", None),
    ("retract", names.RETRACT),
    ("apply-to", names.FASTEN),
    ("reactions", names.REACTIONS),
    ("encrypted", names.OMEMO_OLD),
    ("encrypted", names.OMEMO),
    ("x", names.OOB),
    ("file-sharing", names.SFS),
)


def says_something(stanza: Element) -> bool:
    """Tell whether a message has something to store, not only states and receipts."""
    return any(names.child(stanza, name, ns) is not None for name, ns in _SAYS)


def decode(event: NativeEvent) -> Incoming | None:
    """Return what a stored event means; None if it means nothing to people.

    Raises:
        PeerMisbehaved: XMPP-001 too large, XMPP-002 not XML, XMPP-003 a reference
            without an id, XMPP-004 moderation by somebody other than the room,
            XMPP-005 nested too deep.
    """
    arrived = unseal(event.payload)
    match arrived.kind:
        case Kind.MESSAGE:
            return _message(arrived)
        case Kind.ROOM_NAME:
            return _incoming(arrived, ChatRenamed(name=arrived.value))
        case Kind.JOINED:
            return _incoming(arrived, PersonJoined())
        case Kind.LEFT | Kind.REMOVED:
            removed = arrived.kind is Kind.REMOVED
            reason = _leaving_reason(arrived.stanza)
            return _incoming(arrived, PersonLeft(reason=reason, removed=removed))
        case Kind.RENICKED:
            old = names.resource(arrived.stanza.get("from", ""))
            return _incoming(arrived, ProfileChanged(old_name=old))
        case _:
            return None


# ---- who


def sender_of(arrived: Arrived) -> Person:
    """Return who the stanza is from."""
    origin = arrived.stanza.get("from", "")
    room, nick = names.bare(origin), names.resource(origin)
    if arrived.stanza.tag.endswith("}message") and not _in_room(arrived.stanza):
        return Person(id=PersonId(room), name=room.partition("@")[0] or room)
    if arrived.kind is Kind.RENICKED:
        nick = arrived.value
    stable = ""
    if arrived.occupant_ids:
        found = names.child(arrived.stanza, "occupant-id", names.OCCUPANT_ID)
        stable = found.get("id", "") if found is not None else ""
    if not nick:
        return Person(id=PersonId(room), name=room.partition("@")[0])
    return Person(id=ids.occupant(room, nick, stable), name=nick)


def _in_room(stanza: Element) -> bool:
    return stanza.get("type") == "groupchat"


def _incoming(
    arrived: Arrived, action: Action, *, lost: tuple[str, ...] = ()
) -> Incoming:
    return Incoming(
        sender=sender_of(arrived),
        action=action,
        sent_at=arrived.at,
        aliases=_aliases(arrived.stanza),
        lost=lost,
    )


def _aliases(stanza: Element) -> tuple[NativeId, ...]:
    if not stanza.tag.endswith("}message"):
        return ()
    origin = names.child(stanza, "origin-id", names.SID)
    both = (stanza.get("id", ""), origin.get("id", "") if origin is not None else "")
    return tuple(NativeId(one) for one in dict.fromkeys(both) if _is_id(one))


def _is_id(text: str) -> bool:
    return 0 < len(text) <= ID_LENGTH_MAX


def _leaving_reason(presence: Element) -> str:
    item = presence.find(f"{{{names.MUC_USER}}}x/{{{names.MUC_USER}}}item")
    reason = names.text_of(item, "reason") if item is not None else ""
    return reason or names.text_of(presence, "status")


# ---- messages


def _message(arrived: Arrived) -> Incoming | None:
    stanza = arrived.stanza
    if stanza.get("type") == "error":
        return None
    if _is_encrypted(stanza):
        lost = ("the text: it is encrypted with OMEMO",)
        return _incoming(arrived, Posted(text=Rich.plain(_OMEMO_TEXT)), lost=lost)
    retracted = _retraction(stanza)
    if retracted is not None:
        return _incoming(arrived, retracted)
    reactions = names.child(stanza, "reactions", names.REACTIONS)
    if reactions is not None:
        return _incoming(arrived, _reactions(reactions))
    if names.child(stanza, "body") is None and _in_room(stanza):
        subject = names.child(stanza, "subject")
        if subject is not None:
            return _incoming(arrived, TopicChanged(topic=subject.text or ""))
    return _posted(arrived)


def _is_encrypted(stanza: Element) -> bool:
    return any(
        names.child(stanza, name, ns) is not None
        for name, ns in (
            ("encrypted", names.OMEMO_OLD),
            ("encrypted", names.OMEMO),
            ("encryption", names.EME),
        )
    )


def _reference(element: Element) -> NativeId:
    """Return the id that an element points at."""
    target = element.get("id", "")
    if not _is_id(target):
        raise PeerMisbehaved("XMPP-003", f"<{names.local(element)}/> without an id")
    return NativeId(target)


def _retraction(stanza: Element) -> Retracted | None:
    """Read XEP-0424 in its present and its first form, and XEP-0425 beside it."""
    retract = names.child(stanza, "retract", names.RETRACT)
    if retract is not None:
        moderated = names.child(retract, "moderated", names.MODERATE) is not None
        target = _reference(retract)
    else:
        applied = names.child(stanza, "apply-to", names.FASTEN)
        if applied is None:
            return None
        by = names.child(applied, "moderated", names.MODERATE_OLD)
        moderated = by is not None
        inside = applied if by is None else by
        if names.child(inside, "retract", names.RETRACT_OLD) is None:
            return None
        target = _reference(applied)
    if moderated and names.resource(stanza.get("from", "")):
        raise PeerMisbehaved("XMPP-004", "moderation that is not from the room itself")
    return Retracted(target=target, by_moderator=moderated)


def _reactions(element: Element) -> ReactionsReplaced:
    found = [
        (one.text or "").strip()
        for one in element.findall(f"{{{names.REACTIONS}}}reaction")
    ]
    emoji = tuple(dict.fromkeys(one for one in found if one))[:REACTIONS_MAX]
    return ReactionsReplaced(target=_reference(element), emoji=emoji)


def _posted(arrived: Arrived) -> Incoming | None:
    stanza = arrived.stanza
    media = _media(stanza)
    text, emote = _text(stanza, media)
    lost: list[str] = []
    if names.child(stanza, "spoiler", "urn:xmpp:spoiler:0") is not None:
        lost.append("that the message is a spoiler")
    replaced = names.child(stanza, "replace", names.CORRECT)
    if text is None and not media:
        return None
    action: Action
    if replaced is not None:
        action = Corrected(target=_reference(replaced), text=text, media=media)
    else:
        reply = names.child(stanza, "reply", names.REPLY)
        thread = names.text_of(stanza, "thread").strip()
        action = Posted(
            text=text,
            media=media,
            reply_to=_reference(reply) if reply is not None else None,
            thread=NativeId(thread) if _is_id(thread) else None,
            emote=emote,
        )
    return _incoming(arrived, action, lost=tuple(lost))


def _text(stanza: Element, media: tuple[NativeMedia, ...]) -> tuple[Rich | None, bool]:
    """Return the text without what is only there for older clients, and `/me`."""
    body = _without_fallback(stanza, names.text_of(stanza, "body"))
    if any(body.strip() == one.handle for one in media):
        body = ""
    emote = body.startswith(_EMOTE)
    if emote:
        body = body.removeprefix(_EMOTE)
    if not body.strip():
        return None, False
    if names.child(stanza, "unstyled", names.STYLING) is not None:
        return Rich.plain(body), emote
    return styling.read(body), emote


def _without_fallback(stanza: Element, body: str) -> str:
    """Cut the ranges that XEP-0428 marks for replies and files we understand."""
    ranges = []
    for fallback in stanza.findall(f"{{{names.FALLBACK}}}fallback"):
        if fallback.get("for") not in (names.REPLY, names.SFS):
            continue
        parts = fallback.findall(f"{{{names.FALLBACK}}}body")
        whole = not len(fallback)
        ranges += (
            [(0, len(body))] if whole else [_range(part, len(body)) for part in parts]
        )
    for start, end in sorted(ranges, reverse=True):
        body = body[:start] + body[end:]
    return body


def _range(part: Element, length: int) -> tuple[int, int]:
    """Return a range in code points, inside the body; all of it when left out."""
    start, end = part.get("start", "0"), part.get("end", str(length))
    if not (_DECIMAL.fullmatch(start) and _DECIMAL.fullmatch(end)):
        return (0, 0)
    first, last = min(int(start), length), min(int(end), length)
    return (first, max(first, last))


# ---- files


def _media(stanza: Element) -> tuple[NativeMedia, ...]:
    """Return the files of a message: XEP-0447 where given, else XEP-0066."""
    found: dict[str, NativeMedia] = {}
    for sharing in stanza.findall(f"{{{names.SFS}}}file-sharing"):
        media = _shared(sharing)
        if media is not None:
            found.setdefault(media.handle, media)
    for oob in stanza.findall(f"{{{names.OOB}}}x"):
        url = names.text_of(oob, "url").strip()
        if _is_web(url):
            found.setdefault(url, _linked(url, names.text_of(oob, "desc")))
    return tuple(found.values())


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _shared(sharing: Element) -> NativeMedia | None:
    path = f"{{{names.SFS}}}sources/{{{names.URL_DATA}}}url-data"
    targets = [found.get("target", "") for found in sharing.findall(path)]
    url = next((target for target in targets if _is_web(target)), None)
    file = names.child(sharing, "file", names.FILE)
    if url is None or file is None:
        return None
    linked = _linked(url, names.text_of(file, "desc"))
    content_type = names.text_of(file, "media-type").strip() or linked.content_type
    return NativeMedia(
        handle=url,
        content_type=content_type,
        filename=names.text_of(file, "name").strip() or linked.filename,
        size=_number(file, "size"),
        kind=_kind(content_type),
        description=linked.description,
        width=_number(file, "width"),
        height=_number(file, "height"),
        duration_ms=_number(file, "length"),
    )


def _linked(url: str, description: str) -> NativeMedia:
    try:
        filename = posixpath.basename(unquote(urlsplit(url).path))
    except ValueError:  # an address like "https://[": the download will say so
        filename = ""
    guessed, encoding = mimetypes.guess_type(filename, strict=True)
    content_type = guessed if guessed and not encoding else "application/octet-stream"
    return NativeMedia(
        handle=url,
        content_type=content_type,
        filename=filename,
        kind=_kind(content_type),
        description=description.strip(),
    )


def _number(file: Element, name: str) -> int | None:
    text = names.text_of(file, name).strip()
    return int(text) if _DECIMAL.fullmatch(text) else None


def _kind(content_type: str) -> MediaKind:
    for prefix, kind in _KINDS:
        if content_type.lower().startswith(prefix):
            return kind
    return MediaKind.FILE
