"""Recorded stanzas and what they mean."""

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.content.meaning import MediaKind
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatId,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    NativeMedia,
    PersonJoined,
    PersonLeft,
    Posted,
    ProfileChanged,
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)
from sabir.networks.xmpp.decode import decode, says_something
from sabir.networks.xmpp.envelope import Arrived, Kind, seal

ROOM = "tea@conference.example.org"
OCCUPANT = (
    '<occupant-id xmlns="urn:xmpp:occupant-id:0" id="o1"/>'
    f'<stanza-id xmlns="urn:xmpp:sid:0" by="{ROOM}" id="s1"/>'
)


def event(
    stanza: str,
    *,
    kind: Kind = Kind.MESSAGE,
    value: str = "",
    occupant_ids: bool = False,
) -> NativeEvent:
    arrived = Arrived(
        kind=kind,
        at=Instant(7),
        stanza=fromstring(stanza),
        value=value,
        occupant_ids=occupant_ids,
    )
    return NativeEvent(
        chat=ChatId(ROOM), native_id=NativeId("s1"), payload=seal(arrived)
    )


def room(
    inside: str,
    *,
    sender: str = f"{ROOM}/Ada",
    ns: str = "jabber:component:accept",
    attributes: str = 'id="m1"',
    **more: bool,
) -> Incoming | None:
    return decode(
        event(
            f'<message xmlns="{ns}" from="{sender}" to="sabir@gw/sabir" '
            f'type="groupchat" {attributes}>{inside}</message>',
            **more,  # type: ignore[arg-type]  # only bools are passed
        )
    )


def action(inside: str, **more: str) -> Action | None:
    found = room(inside, **more)  # type: ignore[arg-type]  # only texts are passed
    return found.action if found is not None else None


@pytest.mark.parametrize("ns", ["jabber:client", "jabber:component:accept"])
def test_a_text_in_a_room(ns: str) -> None:
    found = room(
        '<body>hi *you*</body><origin-id xmlns="urn:xmpp:sid:0" id="o"/>' + OCCUPANT,
        ns=ns,
    )
    assert found is not None
    assert found.action == Posted(
        text=Rich((Paragraph((Text("hi "), Strong((Text("you"),)))),))
    )
    assert (found.sender.id, found.sender.name) == (f"{ROOM}/Ada", "Ada")
    assert found.aliases == ("m1", "o")
    assert found.sent_at == 7
    assert found.lost == ()


def test_an_occupant_id_counts_only_where_the_room_vouches() -> None:
    trusted = room("<body>x</body>" + OCCUPANT, occupant_ids=True)
    assert trusted is not None
    assert trusted.sender.id == f"{ROOM}#o1"


def test_a_direct_message() -> None:
    found = decode(
        event(
            '<message xmlns="jabber:client" from="ada@example.org/phone" type="chat" '
            'id="m2"><body>hello</body></message>'
        )
    )
    assert found is not None
    assert (found.sender.id, found.sender.name) == ("ada@example.org", "ada")
    assert found.action == Posted(text=Rich.plain("hello"))


def test_unstyled_text_stays_literal() -> None:
    unstyled = '<body>*x*</body><unstyled xmlns="urn:xmpp:styling:0"/>'
    assert action(unstyled) == Posted(text=Rich.plain("*x*"))


def test_an_emote() -> None:
    assert action("<body>/me waves</body>") == Posted(
        text=Rich.plain("waves"), emote=True
    )


def test_a_reply_loses_its_quotation() -> None:
    inside = (
        "<body>&gt; Bob: 😀?\nyes</body>"
        '<reply xmlns="urn:xmpp:reply:0" to="x" id="s0"/>'
        '<fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reply:0">'
        '<body start="0" end="10"/></fallback><thread>t1</thread>'
    )
    assert action(inside) == Posted(
        text=Rich.plain("yes"), reply_to=NativeId("s0"), thread=NativeId("t1")
    )


@pytest.mark.parametrize(
    "bounds",
    ['start="5" end="2"', 'start="-1" end="3"', 'start="9" end="99999"', 'start="x"'],
)
def test_impossible_fallback_ranges_cut_nothing(bounds: str) -> None:
    inside = (
        '<body>text</body><reply xmlns="urn:xmpp:reply:0" id="s0"/>'
        '<fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reply:0">'
        f"<body {bounds}/></fallback>"
    )
    assert action(inside) == Posted(text=Rich.plain("text"), reply_to=NativeId("s0"))


def test_the_fallback_of_what_we_do_not_know_stays() -> None:
    inside = (
        '<body>poll: a or b</body><fallback xmlns="urn:xmpp:fallback:0" for="urn:x"/>'
    )
    assert action(inside) == Posted(text=Rich.plain("poll: a or b"))


def test_a_correction_points_at_the_original() -> None:
    inside = '<body>new</body><replace xmlns="urn:xmpp:message-correct:0" id="m0"/>'
    assert action(inside) == Corrected(target=NativeId("m0"), text=Rich.plain("new"))


RETRACTED = Retracted(target=NativeId("s0"))
MODERATED = Retracted(target=NativeId("s0"), by_moderator=True)


@pytest.mark.parametrize(
    ("inside", "sender", "meaning"),
    [
        (
            '<retract xmlns="urn:xmpp:message-retract:1" id="s0"/><body>no</body>',
            f"{ROOM}/Ada",
            RETRACTED,
        ),
        (
            (
                '<apply-to xmlns="urn:xmpp:fasten:0" id="s0">'
                '<retract xmlns="urn:xmpp:message-retract:0"/></apply-to>'
            ),
            f"{ROOM}/Ada",
            RETRACTED,
        ),
        (
            (
                '<retract xmlns="urn:xmpp:message-retract:1" id="s0">'
                '<moderated xmlns="urn:xmpp:message-moderate:1" by="x"/></retract>'
            ),
            ROOM,
            MODERATED,
        ),
        (
            (
                '<apply-to xmlns="urn:xmpp:fasten:0" id="s0">'
                '<moderated xmlns="urn:xmpp:message-moderate:0" by="x">'
                '<retract xmlns="urn:xmpp:message-retract:0"/></moderated></apply-to>'
            ),
            ROOM,
            MODERATED,
        ),
        (
            '<apply-to xmlns="urn:xmpp:fasten:0" id="s0"><other xmlns="x"/></apply-to>',
            f"{ROOM}/Ada",
            None,
        ),
    ],
)
def test_retractions_old_and_new(
    inside: str, sender: str, meaning: Action | None
) -> None:
    assert action(inside, sender=sender) == meaning


def test_only_the_room_itself_moderates() -> None:
    inside = (
        '<retract xmlns="urn:xmpp:message-retract:1" id="s0">'
        '<moderated xmlns="urn:xmpp:message-moderate:1" by="x"/></retract>'
    )
    with pytest.raises(PeerMisbehaved, match="XMPP-004"):
        room(inside)


def test_reactions_are_a_whole_set() -> None:
    inside = (
        '<reactions xmlns="urn:xmpp:reactions:0" id="s0"><reaction>👍</reaction>'
        "<reaction> 🎉 </reaction><reaction>👍</reaction><reaction/></reactions>"
    )
    assert action(inside) == ReactionsReplaced(
        target=NativeId("s0"), emoji=("👍", "🎉")
    )
    none = '<reactions xmlns="urn:xmpp:reactions:0" id="s0"/>'
    assert action(none) == ReactionsReplaced(target=NativeId("s0"), emoji=())


@pytest.mark.parametrize(
    "inside",
    [
        '<reactions xmlns="urn:xmpp:reactions:0"/>',
        '<retract xmlns="urn:xmpp:message-retract:1"/>',
        '<body>x</body><replace xmlns="urn:xmpp:message-correct:0"/>',
        f'<body>x</body><reply xmlns="urn:xmpp:reply:0" id="{"i" * 2000}"/>',
    ],
)
def test_a_reference_needs_an_id(inside: str) -> None:
    with pytest.raises(PeerMisbehaved, match="XMPP-003"):
        room(inside)


URL = "https://up.example.org/a%20b/cat%20photo.jpg"
OOB = f'<x xmlns="jabber:x:oob"><url>{URL}</url></x>'


def test_a_file_by_its_address() -> None:
    found = action(f"<body>{URL}</body>{OOB}")
    assert found == Posted(
        media=(
            NativeMedia(
                handle=URL,
                content_type="image/jpeg",
                filename="cat photo.jpg",
                kind=MediaKind.IMAGE,
            ),
        )
    )


def test_a_file_with_metadata() -> None:
    inside = (
        f"<body>{URL}</body>{OOB}"
        '<file-sharing xmlns="urn:xmpp:sfs:0"><file xmlns="urn:xmpp:file:metadata:0">'
        "<media-type>audio/ogg</media-type><name>v.ogg</name><size>10</size>"
        "<width>1</width><height>2</height><length>1500</length><desc>d</desc></file>"
        '<sources><url-data xmlns="http://jabber.org/protocol/url-data" '
        f'target="{URL}"/></sources></file-sharing>'
        '<fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:sfs:0"><body/></fallback>'
    )
    assert action(inside) == Posted(
        media=(
            NativeMedia(
                handle=URL,
                content_type="audio/ogg",
                filename="v.ogg",
                size=10,
                kind=MediaKind.AUDIO,
                description="d",
                width=1,
                height=2,
                duration_ms=1500,
            ),
        )
    )


def test_addresses_that_are_not_of_the_web_are_no_files() -> None:
    inside = '<body>x</body><x xmlns="jabber:x:oob"><url>file:///etc/passwd</url></x>'
    assert action(inside) == Posted(text=Rich.plain("x"))
    odd = '<body>x</body><x xmlns="jabber:x:oob"><url>https://[</url></x>'
    found = action(odd)
    assert isinstance(found, Posted)
    assert found.media[0].filename == ""
    bare = '<body>x</body><file-sharing xmlns="urn:xmpp:sfs:0"/>'
    assert action(bare) == Posted(text=Rich.plain("x"))


def test_a_topic_is_a_subject_without_a_body() -> None:
    assert action("<subject>Tea</subject>") == TopicChanged(topic="Tea")
    assert action("<subject/>") == TopicChanged(topic="")
    assert action("<subject>Tea</subject><body>x</body>") == Posted(
        text=Rich.plain("x")
    )


@pytest.mark.parametrize(
    "inside",
    [
        '<encrypted xmlns="eu.siacs.conversations.axolotl"/><body>old client?</body>',
        '<encrypted xmlns="urn:xmpp:omemo:2"/>',
        '<encryption xmlns="urn:xmpp:eme:0" namespace="x"/><body>old client?</body>',
    ],
)
def test_what_is_encrypted_is_shown_as_unreadable(inside: str) -> None:
    found = room(inside)
    assert found is not None
    assert isinstance(found.action, Posted)
    assert found.action.text is not None
    assert "OMEMO" in found.lost[0]
    assert "old client?" not in str(found.action)


@pytest.mark.parametrize(
    "inside",
    [
        '<composing xmlns="http://jabber.org/protocol/chatstates"/>',
        '<displayed xmlns="urn:xmpp:chat-markers:0" id="s"/>',
        '<x xmlns="http://jabber.org/protocol/muc#user"><status code="104"/></x>',
        "",
    ],
)
def test_signals_are_no_events(inside: str) -> None:
    stanza = f'<message xmlns="jabber:client" type="groupchat">{inside}</message>'
    assert not says_something(fromstring(stanza))
    assert room(inside) is None


def test_what_says_something_is_stored() -> None:
    for inside in ("<body>x</body>", "<subject/>", OOB):
        stanza = f'<message xmlns="jabber:client">{inside}</message>'
        assert says_something(fromstring(stanza))


def test_an_empty_body_and_an_error_mean_nothing() -> None:
    assert action("<body> </body>") is None
    error = '<message xmlns="jabber:client" type="error"><body>x</body></message>'
    assert decode(event(error)) is None


def test_a_spoiler_is_reported() -> None:
    found = room('<body>x</body><spoiler xmlns="urn:xmpp:spoiler:0">hint</spoiler>')
    assert found is not None
    assert found.lost == ("that the message is a spoiler",)


PRESENCE = (
    f'<presence xmlns="jabber:client" from="{ROOM}/Ada" type="{{kind}}">'
    '<status>see you</status><x xmlns="http://jabber.org/protocol/muc#user">'
    "<item>{reason}</item></x></presence>"
)


def test_coming_and_going() -> None:
    leaving = PRESENCE.format(kind="unavailable", reason="")
    kicked = PRESENCE.format(kind="unavailable", reason="<reason>spam</reason>")
    left = decode(event(leaving, kind=Kind.LEFT))
    removed = decode(event(kicked, kind=Kind.REMOVED))
    joined = decode(event(f'<presence from="{ROOM}/Ada"/>', kind=Kind.JOINED))
    assert left is not None
    assert left.action == PersonLeft(reason="see you")
    assert removed is not None
    assert removed.action == PersonLeft(reason="spam", removed=True)
    assert joined is not None
    assert (joined.action, joined.sender.name) == (PersonJoined(), "Ada")
    assert joined.aliases == ()


def test_a_new_nick_is_the_senders_name_now() -> None:
    stanza = PRESENCE.format(kind="unavailable", reason="")
    found = decode(event(stanza, kind=Kind.RENICKED, value="Ada L."))
    assert found is not None
    assert found.action == ProfileChanged(old_name="Ada")
    assert (found.sender.name, found.sender.id) == ("Ada L.", f"{ROOM}/Ada L.")


def test_a_room_gets_a_name() -> None:
    stanza = f'<message xmlns="jabber:client" from="{ROOM}" type="groupchat"/>'
    found = decode(event(stanza, kind=Kind.ROOM_NAME, value="Tea room"))
    assert found is not None
    assert found.action == ChatRenamed(name="Tea room")
    assert found.sender.id == ROOM


@given(st.text(max_size=100), st.integers(0, 200), st.integers(0, 200))
def test_any_fallback_range_is_harmless(body: str, start: int, end: int) -> None:
    stanza = fromstring(
        '<message xmlns="jabber:client" type="groupchat" from="r@m/a"><body/>'
        '<reply xmlns="urn:xmpp:reply:0" id="s"/>'
        '<fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reply:0">'
        f'<body start="{start}" end="{end}"/></fallback></message>'
    )
    stanza[0].text = body
    try:
        payload = seal(Arrived(kind=Kind.MESSAGE, at=Instant(0), stanza=stanza))
        found = decode(
            NativeEvent(chat=ChatId("r@m"), native_id=NativeId("1"), payload=payload)
        )
    except (PeerMisbehaved, UnicodeEncodeError):
        return  # a body that no server could have let through
    assert found is None or isinstance(found.action, Posted)
