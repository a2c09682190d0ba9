"""Reading message stanzas as servers send them."""

from xml.etree.ElementTree import fromstring

from sabir.testing.clients.stanza import Arrived


def _arrived(inside: str, **attributes: str) -> Arrived:
    shown = " ".join(f"{name}='{value}'" for name, value in attributes.items())
    sender = "from='room@rooms.example/Anna' type='groupchat' id='i1'"
    return Arrived(
        fromstring(
            f"<message xmlns='jabber:client' {shown or sender}>{inside}</message>"
        ),
        1.5,
    )


def test_a_plain_message() -> None:
    message = _arrived("<body>hello</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>")
    assert (message.chat, message.nick) == ("room@rooms.example", "Anna")
    assert (message.type, message.id, message.origin_id) == ("groupchat", "i1", "o1")
    assert message.body == "hello"
    assert message.subject is None
    assert message.reactions == frozenset()
    assert message.file_url is None


def test_an_empty_subject_is_not_an_absent_one() -> None:
    assert _arrived("<subject/>").subject == ""


def test_a_stanza_id_of_somebody_else_does_not_count() -> None:
    mine = "<stanza-id xmlns='urn:xmpp:sid:0' by='room@rooms.example' id='s1'/>"
    theirs = "<stanza-id xmlns='urn:xmpp:sid:0' by='evil.example' id='s2'/>"
    assert _arrived(theirs + mine).stanza_id == "s1"
    assert _arrived(theirs).stanza_id == ""


def test_references_to_other_messages() -> None:
    assert (
        _arrived("<replace xmlns='urn:xmpp:message-correct:0' id='a'/>").corrects == "a"
    )
    assert _arrived("<reply xmlns='urn:xmpp:reply:0' id='b'/>").replies_to == "b"
    assert (
        _arrived("<retract xmlns='urn:xmpp:message-retract:1' id='c'/>").retracts == "c"
    )
    displayed = _arrived("<displayed xmlns='urn:xmpp:chat-markers:0' id='d'/>")
    assert displayed.displayed == "d"
    reacted = _arrived(
        "<reactions xmlns='urn:xmpp:reactions:0' id='e'>"
        "<reaction>👍</reaction><reaction>🎉</reaction></reactions>"
    )
    assert reacted.reacts_to == "e"
    assert reacted.reactions == {"👍", "🎉"}


def test_what_is_beside_the_text() -> None:
    oob = "<x xmlns='jabber:x:oob'><url>http://f.example/a</url></x>"
    assert _arrived(oob).file_url == "http://f.example/a"
    state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    assert _arrived(state).chat_state == "composing"
    assert _arrived("<delay xmlns='urn:xmpp:delay'/>").is_delayed
    assert not _arrived("").is_delayed
    occupant = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/>"
    assert _arrived(occupant).occupant_id == "o"


def test_a_component_reads_its_own_namespace() -> None:
    xml = fromstring(
        "<message xmlns='jabber:component:accept'><body>hi</body></message>"
    )
    assert Arrived(xml, 0).body == "hi"
