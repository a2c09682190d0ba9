from xml.etree.ElementTree import Element, fromstring

from sabir.testing.clients.matrix import Seen
from sabir.testing.clients.stanza import Arrived
from sabir.testing.demo.sights import clip, seen_on_matrix, seen_on_xmpp

ROOM = "tea@rooms.example"
MUC = "http://jabber.org/protocol/muc#user"


def message(inside: str, at_s: float = 1.0, ident: str = "m1") -> Arrived:
    xml = (
        f'<message xmlns="jabber:client" from="{ROOM}/Ada" type="groupchat"'
        f' id="{ident}">{inside}</message>'
    )
    return Arrived(fromstring(xml), at_s)


def presence(nick: str, kind: str = "", new: str = "") -> Element:
    item = f'<item nick="{new}"/><status code="303"/>' if new else "<item/>"
    attribute = f' type="{kind}"' if kind else ""
    return fromstring(
        f'<presence xmlns="jabber:client" from="{ROOM}/{nick}"{attribute}>'
        f'<x xmlns="{MUC}">{item}</x></presence>'
    )


def said(*messages: Arrived) -> list[str]:
    return [sight.what for sight in seen_on_xmpp(messages, [], ROOM)]


def test_xmpp_messages_are_told_in_words_and_point_at_what_they_are_about() -> None:
    first = message(
        f'<body>hello</body><stanza-id xmlns="urn:xmpp:sid:0" by="{ROOM}" id="s1"/>'
    )
    assert said(
        first,
        message(
            '<body>&gt; hello\nhi</body><reply xmlns="urn:xmpp:reply:0" id="s1"/>',
            2,
            "m2",
        ),
        message(
            '<body>hallo</body><replace xmlns="urn:xmpp:message-correct:0" id="m1"/>',
            3,
        ),
        message(
            '<reactions xmlns="urn:xmpp:reactions:0" id="s1">'
            "<reaction>🎉</reaction></reactions>",
            4,
        ),
        message('<reactions xmlns="urn:xmpp:reactions:0" id="s1"/>', 5),
        message('<retract xmlns="urn:xmpp:message-retract:1" id="s1"/>', 6),
        message('<displayed xmlns="urn:xmpp:chat-markers:0" id="s9"/>', 7),
        message('<composing xmlns="http://jabber.org/protocol/chatstates"/>', 8),
        message('<paused xmlns="http://jabber.org/protocol/chatstates"/>', 9),
        message("<subject>scones</subject>", 10),
        message(f'<x xmlns="{MUC}"><status code="104"/></x>', 11),
        message(
            '<body>http://a/b%20c.png</body><x xmlns="jabber:x:oob">'
            "<url>http://a/b%20c.png</url></x>",
            12,
        ),
        message("<nothing/>", 13),
    ) == [
        "hello",
        "answers “hello”: hi",
        "edits “hello”: hallo",
        "reacts with 🎉 to “hello”",
        "reacts with nothing any more to “hello”",
        "deletes “hello”",
        "has read up to an unknown message (s9)",
        "is typing",
        "stops typing",
        "sets the topic: scones",
        "the room's settings have changed",
        "file b c.png",
    ]


def test_presence_is_told_once_until_somebody_leaves() -> None:
    seen = [
        (1.0, presence("Ada")),
        (2.0, presence("Ada")),
        (3.0, presence("Ada", "unavailable", "Bea")),
        (3.1, presence("Bea")),
        (4.0, presence("Bea", "unavailable")),
        (5.0, presence("Bea")),
        (6.0, fromstring('<presence xmlns="jabber:client" from="else@where/x"/>')),
    ]
    sights = [(one.who, one.what) for one in seen_on_xmpp([], seen, ROOM)]
    assert sights == [
        ("Ada", "is in the room"),
        ("Ada", "is now called Bea"),
        ("Bea", "leaves"),
        ("Bea", "is in the room"),
    ]


def event(kind: str, content: dict[str, object], **more: object) -> Seen:
    whole = {"type": kind, "content": content, "sender": "@ada:x", **more}
    return Seen("timeline", "!r", whole, 1.0)


def test_matrix_events_are_told_in_words_and_point_at_what_they_are_about() -> None:
    to_first = {"event_id": "$1"}
    events = [
        event("m.room.message", {"body": "hello"}, event_id="$1"),
        event(
            "m.room.message",
            {"body": "hi", "m.relates_to": {"m.in_reply_to": to_first}},
            event_id="$2",
        ),
        event(
            "m.room.message",
            {
                "body": "* hallo",
                "m.new_content": {"body": "hallo"},
                "m.relates_to": {"rel_type": "m.replace", **to_first},
            },
        ),
        event("m.reaction", {"m.relates_to": {"key": "🎉", **to_first}}, event_id="$3"),
        event("m.room.redaction", {"redacts": "$3"}),
        event("m.room.redaction", {}, redacts="$1"),
        event(
            "m.room.message",
            {"body": "a.bin", "filename": "a.bin", "url": "mxc://x/y", "info": {}},
        ),
        event("m.room.member", {"membership": "invite"}, state_key="@bea:x"),
        event(
            "m.room.member",
            {"membership": "join", "displayname": "Bea"},
            state_key="@bea:x",
        ),
        event(
            "m.room.member",
            {"membership": "join", "displayname": "Beata"},
            state_key="@bea:x",
            unsigned={"prev_content": {"membership": "join"}},
        ),
        event("m.room.member", {"membership": "leave"}, state_key="@bea:x"),
        event("m.room.name", {"name": "Tea"}),
        event("m.room.topic", {"topic": "scones"}),
        event("m.typing", {"user_ids": ["@ada:x"]}),
        event("m.typing", {"user_ids": []}),
        event("m.receipt", {"$2": {"m.read": {"@bea:x": {}}}}),
        event("m.room.join_rules", {}),
    ]
    told = seen_on_matrix(events, "!r", {"@ada:x": "Ada"})
    assert [(one.who, one.what) for one in told] == [
        ("Ada", "hello"),
        ("Ada", "answers “hello”: hi"),
        ("Ada", "edits “hello”: hallo"),
        ("Ada", "reacts with 🎉 to “hello”"),
        ("Ada", "deletes “the reaction 🎉”"),
        ("Ada", "deletes “hello”"),
        ("Ada", "file a.bin (0 octets)"),
        ("Bea", "joins"),
        ("Bea", "is now called Beata"),
        ("Beata", "leaves"),
        ("Ada", "names the room: Tea"),
        ("Ada", "sets the topic: scones"),
        ("Ada", "is typing"),
        ("nobody", "is typing"),
        ("Beata", "has read up to “hi”"),
    ]


def test_long_text_is_cut_and_its_size_told() -> None:
    assert clip("a\nb") == "a / b"
    assert clip("x" * 80) == "x" * 72 + "…"
    assert clip("x" * 20_000) == "x" * 72 + "… (20,000 octets)"
