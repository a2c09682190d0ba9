"""XML namespaces of XMPP, named after what they are for; small helpers."""

from typing import Final
from xml.etree.ElementTree import Element

CLIENT: Final = "jabber:client"
COMPONENT: Final = "jabber:component:accept"
STANZAS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
STREAMS: Final = "http://etherx.jabber.org/streams"
MUC: Final = "http://jabber.org/protocol/muc"
MUC_USER: Final = "http://jabber.org/protocol/muc#user"
MUC_OWNER: Final = "http://jabber.org/protocol/muc#owner"
ROOM_CONFIG: Final = "http://jabber.org/protocol/muc#roomconfig"
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"
FORM: Final = "jabber:x:data"
PING: Final = "urn:xmpp:ping"
VERSION: Final = "jabber:iq:version"
VCARD_TEMP: Final = "vcard-temp"
VCARD4: Final = "urn:ietf:params:xml:ns:vcard-4.0"
SID: Final = "urn:xmpp:sid:0"
OCCUPANT_ID: Final = "urn:xmpp:occupant-id:0"
MAM: Final = "urn:xmpp:mam:2"
RSM: Final = "http://jabber.org/protocol/rsm"
FORWARD: Final = "urn:xmpp:forward:0"
DELAY: Final = "urn:xmpp:delay"
HINTS: Final = "urn:xmpp:hints"
CARBONS: Final = "urn:xmpp:carbons:2"
STYLING: Final = "urn:xmpp:styling:0"
REPLY: Final = "urn:xmpp:reply:0"
FALLBACK: Final = "urn:xmpp:fallback:0"
CORRECT: Final = "urn:xmpp:message-correct:0"
RETRACT: Final = "urn:xmpp:message-retract:1"
RETRACT_OLD: Final = "urn:xmpp:message-retract:0"
MODERATE: Final = "urn:xmpp:message-moderate:1"
MODERATE_OLD: Final = "urn:xmpp:message-moderate:0"
FASTEN: Final = "urn:xmpp:fasten:0"
REACTIONS: Final = "urn:xmpp:reactions:0"
OOB: Final = "jabber:x:oob"
SFS: Final = "urn:xmpp:sfs:0"
FILE: Final = "urn:xmpp:file:metadata:0"
HASHES: Final = "urn:xmpp:hashes:2"
URL_DATA: Final = "http://jabber.org/protocol/url-data"
UPLOAD: Final = "urn:xmpp:http:upload:0"
STATES: Final = "http://jabber.org/protocol/chatstates"
RECEIPTS: Final = "urn:xmpp:receipts"
MARKERS: Final = "urn:xmpp:chat-markers:0"
EME: Final = "urn:xmpp:eme:0"
OMEMO_OLD: Final = "eu.siacs.conversations.axolotl"
OMEMO: Final = "urn:xmpp:omemo:2"

ARRIVED: Final = "urn:sabir:xmpp:arrived:1"
"""Our own envelope around a stored stanza, see `envelope`."""


def namespace(element: Element) -> str:
    """Return the namespace of an element, empty if it has none."""
    return element.tag[1:].partition("}")[0] if element.tag[:1] == "{" else ""


def local(element: Element) -> str:
    """Return the element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def child(element: Element, name: str, ns: str | None = None) -> Element | None:
    """Return the first child `name`; in the element's own namespace if `ns` is None."""
    space = namespace(element) if ns is None else ns
    return element.find(f"{{{space}}}{name}" if space else name)


def text_of(element: Element, name: str, ns: str | None = None) -> str:
    """Return the text of the first child `name`, empty if there is none."""
    found = child(element, name, ns)
    return (found.text or "") if found is not None else ""


def bare(jid: str) -> str:
    """Return the JID without its resource."""
    return jid.partition("/")[0]


def resource(jid: str) -> str:
    """Return the JID's resource, in a room the nick."""
    return jid.partition("/")[2]


def condition(stanza: Element) -> str:
    """Return an error's defined condition, empty if the stanza is no error.

    Read from the raw XML, whatever the namespace of `<error/>`: libraries that
    look it up in `jabber:client` misread every error on a component.
    """
    if stanza.get("type") != "error":
        return ""
    for element in stanza.iter():
        if namespace(element) == STANZAS and local(element) != "text":
            return local(element)
    return "undefined-condition"


def error_text(stanza: Element) -> str:
    """Return the server's words about an error, empty if it gave none."""
    for element in stanza.iter(f"{{{STANZAS}}}text"):
        return element.text or ""
    return ""
