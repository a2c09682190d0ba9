"""Typing, delivery and reading, both ways."""

from xml.etree.ElementTree import fromstring, tostring

from sabir.networks.api import (
    ChatId,
    Delivered,
    NativeId,
    Person,
    PersonId,
    Read,
    Typing,
)
from sabir.networks.xmpp import signals

CHAT = ChatId("r@m")
ADA = Person(id=PersonId("r@m/Ada"), name="Ada")


def wire(stanza: str) -> str:
    return stanza.replace("<message ", "<message xmlns='jabber:client' ", 1)


def test_what_we_write_is_what_we_read() -> None:
    written = (
        signals.typing("1", "g@x/s", "r@m", group=True, active=True),
        signals.typing("2", "g@x/s", "r@m", group=True, active=False),
        signals.displayed("3", "g@x/s", "r@m", "sid", group=True),
        signals.received("4", "g@x/s", "a@b/c", "ref"),
    )
    read = [
        signal
        for one in written
        for signal in signals.signals_of(
            fromstring(wire(tostring(one, "unicode"))), CHAT, ADA
        )
    ]
    assert read == [
        Typing(chat=CHAT, person=ADA, active=True),
        Typing(chat=CHAT, person=ADA, active=False),
        Read(chat=CHAT, person=ADA, native_id=NativeId("sid")),
        Delivered(chat=CHAT, person=ADA, native_id=NativeId("ref")),
    ]
    assert written[0].get("type") == "groupchat"
    assert written[3].get("type") == "chat"


def test_a_client_leaves_its_sender_to_the_server() -> None:
    assert signals.received("1", "", "a@b", "r").get("from") is None


def test_markers_without_an_id_say_nothing() -> None:
    marker = "<displayed xmlns='urn:xmpp:chat-markers:0'/>"
    stanza = f"<message xmlns='jabber:client'>{marker}</message>"
    assert signals.signals_of(fromstring(stanza), CHAT, ADA) == []
