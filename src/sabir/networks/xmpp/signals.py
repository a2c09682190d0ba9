"""States, receipts and markers: stanzas to and from them. Pure."""

from xml.etree.ElementTree import Element, SubElement

from sabir.networks.api import (
    ChatId,
    Delivered,
    NativeId,
    Person,
    Read,
    Signal,
    Typing,
)
from sabir.networks.xmpp import names

_STATES = {"composing": True, "paused": False, "active": False, "inactive": False}


def signals_of(stanza: Element, chat: ChatId, person: Person) -> list[Signal]:
    """Return what a message says about typing, delivery and reading."""
    found: list[Signal] = []
    for element in stanza:
        space, name = names.namespace(element), names.local(element)
        ident = element.get("id", "")
        if space == names.STATES and name in _STATES:
            found.append(Typing(chat=chat, person=person, active=_STATES[name]))
        elif space == names.RECEIPTS and name == "received" and ident:
            native_id = NativeId(ident)
            found.append(Delivered(chat=chat, person=person, native_id=native_id))
        elif space == names.MARKERS and name == "displayed" and ident:
            native_id = NativeId(ident)
            found.append(Read(chat=chat, person=person, native_id=native_id))
    return found


def _message(ident: str, sender: str, to: str, *, group: bool) -> Element:
    kind = "groupchat" if group else "chat"
    attributes = {"type": kind, "to": to, "id": ident}
    return Element("message", {"from": sender} | attributes if sender else attributes)


def typing(ident: str, sender: str, to: str, *, group: bool, active: bool) -> Element:
    """Return a chat state (XEP-0085), not to be archived."""
    stanza = _message(ident, sender, to, group=group)
    SubElement(stanza, "composing" if active else "paused", {"xmlns": names.STATES})
    SubElement(stanza, "no-store", {"xmlns": names.HINTS})
    return stanza


def displayed(ident: str, sender: str, to: str, ref: str, *, group: bool) -> Element:
    """Return a marker (XEP-0333): everything up to `ref` has been read."""
    stanza = _message(ident, sender, to, group=group)
    SubElement(stanza, "displayed", {"xmlns": names.MARKERS, "id": ref})
    SubElement(stanza, "store", {"xmlns": names.HINTS})
    return stanza


def received(ident: str, sender: str, to: str, ref: str) -> Element:
    """Return a receipt (XEP-0184): the message `ref` is stored with us."""
    stanza = _message(ident, sender, to, group=False)
    SubElement(stanza, "received", {"xmlns": names.RECEIPTS, "id": ref})
    SubElement(stanza, "no-store", {"xmlns": names.HINTS})
    return stanza
