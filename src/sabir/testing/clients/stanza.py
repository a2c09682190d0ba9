"""An XMPP message as it arrived, read straight from its XML."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, tostring

NS_CORRECT: Final = "urn:xmpp:message-correct:0"
NS_DELAY: Final = "urn:xmpp:delay"
NS_FORWARD: Final = "urn:xmpp:forward:0"
NS_MAM: Final = "urn:xmpp:mam:2"
NS_MARKERS: Final = "urn:xmpp:chat-markers:0"
NS_OCCUPANT: Final = "urn:xmpp:occupant-id:0"
NS_OOB: Final = "jabber:x:oob"
NS_REACTIONS: Final = "urn:xmpp:reactions:0"
NS_REPLY: Final = "urn:xmpp:reply:0"
NS_RETRACT: Final = "urn:xmpp:message-retract:1"
NS_SID: Final = "urn:xmpp:sid:0"
NS_STATES: Final = "http://jabber.org/protocol/chatstates"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message stanza; `arrived_s` is the monotonic time of its arrival.

    `from_archive` tells that it came by catch-up (XEP-0313) and not live; its XML is
    the archived stanza then, and `archive_id` the archive's name for it.
    """

    xml: Element
    arrived_s: float
    from_archive: bool = False
    archive_id: str = ""

    def __repr__(self) -> str:
        """Show the stanza itself, cut to what fits an error text."""
        return f"Arrived({tostring(self.xml, encoding='unicode')[:400]})"

    @property
    def sender(self) -> str:
        """The full JID it came from; in a room, `room@service/nick`."""
        return self.xml.get("from", "")

    @property
    def chat(self) -> str:
        """The bare JID it came from: the room, or the person."""
        return self.sender.partition("/")[0]

    @property
    def nick(self) -> str:
        """The sender's nick in a room."""
        return self.sender.partition("/")[2]

    @property
    def type(self) -> str:
        """The message's type: groupchat, chat, error, ..."""
        return self.xml.get("type", "normal")

    @property
    def id(self) -> str:
        """The id its sender gave it; corrections refer to this one."""
        return self.xml.get("id", "")

    @property
    def body(self) -> str | None:
        """The text; None where there is none."""
        return self.text_of("body")

    @property
    def subject(self) -> str | None:
        """The room's topic, in a message that sets it."""
        return self.text_of("subject")

    @property
    def stanza_id(self) -> str:
        """The id the room gave it (XEP-0359); replies and retractions refer to it."""
        for child in self.children(NS_SID, "stanza-id"):
            if child.get("by") == self.chat:
                return child.get("id", "")
        return self.archive_id

    @property
    def origin_id(self) -> str:
        """The id its sender's device gave it (XEP-0359)."""
        return self._attribute(NS_SID, "origin-id", "id")

    @property
    def occupant_id(self) -> str:
        """The room's lasting name for the sender (XEP-0421)."""
        return self._attribute(NS_OCCUPANT, "occupant-id", "id")

    @property
    def corrects(self) -> str:
        """The id of the message that this one replaces (XEP-0308)."""
        return self._attribute(NS_CORRECT, "replace", "id")

    @property
    def replies_to(self) -> str:
        """The id of the message that this one answers (XEP-0461)."""
        return self._attribute(NS_REPLY, "reply", "id")

    @property
    def retracts(self) -> str:
        """The id of the message that this one takes back (XEP-0424)."""
        return self._attribute(NS_RETRACT, "retract", "id")

    @property
    def displayed(self) -> str:
        """The id of the message that the sender has read (XEP-0333)."""
        return self._attribute(NS_MARKERS, "displayed", "id")

    @property
    def reacts_to(self) -> str:
        """The id of the message that `reactions` belong to (XEP-0444)."""
        return self._attribute(NS_REACTIONS, "reactions", "id")

    @property
    def reactions(self) -> frozenset[str]:
        """The sender's full set of reactions to that message; empty: none left."""
        return frozenset(
            reaction.text or ""
            for parent in self.children(NS_REACTIONS, "reactions")
            for reaction in parent
        )

    @property
    def file_url(self) -> str | None:
        """The address of the file it shows (XEP-0066)."""
        for child in self.children(NS_OOB, "x"):
            return child.findtext(f"{{{NS_OOB}}}url")
        return None

    @property
    def chat_state(self) -> str:
        """What the sender is doing (XEP-0085): composing, paused, active, ..."""
        for child in self.xml:
            if child.tag.startswith(f"{{{NS_STATES}}}"):
                return child.tag.partition("}")[2]
        return ""

    @property
    def is_delayed(self) -> bool:
        """Whether the room sent it as history (XEP-0203)."""
        return next(self.children(NS_DELAY, "delay"), None) is not None

    def text_of(self, name: str) -> str | None:
        """Return the text of a child of the stanza's own namespace."""
        namespace = self.xml.tag.rpartition("}")[0]
        child = self.xml.find(f"{namespace}}}{name}" if namespace else name)
        return None if child is None else child.text or ""

    def children(self, namespace: str, name: str) -> Iterator[Element]:
        """Iterate over the stanza's own children of this name."""
        return iter(self.xml.findall(f"{{{namespace}}}{name}"))

    def _attribute(self, namespace: str, name: str, attribute: str) -> str:
        for child in self.children(namespace, name):
            return child.get(attribute, "")
        return ""
