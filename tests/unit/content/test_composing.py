"""What is composed is read back, and looks as others expect it."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.content import codec
from sabir.content.composing import (
    ROOM_EVENT_TYPE,
    canonical,
    compose,
    system_line,
)
from sabir.content.meaning import (
    Attachment,
    Author,
    Deleted,
    Meaning,
    MediaKind,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import (
    GFM_MIMI,
    PLAIN_TEXT,
    Content,
    ExternalPart,
    MessageId,
    MultiPart,
    SinglePart,
)
from sabir.content.origin import Origin, portal_tag
from sabir.content.reading import author_of, lost_of, origin_of, read
from sabir.content.rich import Paragraph, Rich, Strong, Text
from tests.unit.content.meanings import meanings

SALT: Final = bytes(16)
ID: Final = MessageId(b"\x01" + bytes(31))
ADA: Final = Author(uri="matrix:u/ada:x.example", name="Ada")


def composed(
    meaning: Meaning,
    *,
    author: Author | None = None,
    origin: Origin | None = None,
    sent_at: int = 1_500,
    lost: tuple[str, ...] = (),
) -> Content:
    return compose(
        meaning,
        salt=SALT,
        sender_uri="mimi://x.example/u/bob",
        room_uri="mimi://x.example/r/1",
        author=author,
        origin=origin,
        sent_at=Instant(sent_at),
        lost=lost,
    )


@settings(max_examples=400, deadline=None)
@given(meanings)
def test_what_is_composed_is_read_back(meaning: Meaning) -> None:
    assert read(composed(meaning)) == canonical(meaning)


@settings(max_examples=100, deadline=None)
@given(meanings)
def test_it_survives_the_octets(meaning: Meaning) -> None:
    content = composed(meaning, author=ADA, lost=("a poll",))
    assert read(codec.decode(codec.encode(content))) == canonical(meaning)


def test_plain_text_stays_plain_text() -> None:
    body = composed(Said(text=Rich.plain("2 * 3 * 4 # _x_"))).body
    assert body == SinglePart(content_type=PLAIN_TEXT, content=b"2 * 3 * 4 # _x_")


def test_formatted_text_is_gfm_mimi() -> None:
    text = Rich((Paragraph((Strong((Text("now"),)), Text(" or never"))),))
    body = composed(Said(text=text)).body
    assert body == SinglePart(content_type=GFM_MIMI, content=b"**now** or never")


def test_a_room_event_can_be_read_without_knowing_its_type() -> None:
    event = RoomEvent(kind=RoomEventKind.NAME, value="Tea")
    body = composed(event, author=ADA).body
    assert isinstance(body, MultiPart)
    machine, line = body.parts
    assert isinstance(machine, SinglePart)
    assert isinstance(line, SinglePart)
    assert machine.content_type == ROOM_EVENT_TYPE
    assert line.content == b"Ada named the conversation Tea"


def test_every_event_has_a_line() -> None:
    picture = Attachment(part=ExternalPart(content_type="image/png", url="x:"))
    lines = {
        system_line(RoomEvent(kind=kind, value=value, attachment=attachment), "Ada")
        for kind in RoomEventKind
        for value in ("", "x", "Ada")
        for attachment in (None, picture)
        if value or kind is not RoomEventKind.NOTICE
    }
    assert lines == {
        "Ada joined",
        "Ada left",
        "Ada left: x",
        "Ada left: Ada",
        "Ada was removed",
        "Ada was removed: x",
        "Ada was removed: Ada",
        "Ada has a new profile",
        "Ada is now called x",
        "Ada named the conversation ",
        "Ada named the conversation x",
        "Ada named the conversation Ada",
        "Ada set the topic: x",
        "Ada set the topic: Ada",
        "Ada removed the topic",
        "Ada removed the picture of the conversation",
        "Ada changed the picture of the conversation",
        "x",
        "Ada",
    }


def test_an_event_of_nobody_known_is_somebodys() -> None:
    assert system_line(RoomEvent(kind=RoomEventKind.JOINED)) == "Somebody joined"


origins = st.builds(
    Origin,
    network=st.sampled_from(("matrix", "xmpp")),
    portal=st.binary(min_size=16, max_size=16),
    native_id=st.sampled_from(("", "$event", "é")),
    profile=st.sampled_from(("", "matrix-megolm")),
    gateway=st.integers(0, 2),
    in_tag=st.none() | st.binary(min_size=32, max_size=32),
    original=st.none() | st.just(ID),
)


@given(origins)
def test_origin_is_read_back(origin: Origin) -> None:
    assert origin_of(composed(Said(), origin=origin)) == origin


def test_the_scope_of_a_native_id_is_kept() -> None:
    origin = Origin(
        network="matrix", portal=bytes(16), native_id="$1", scope="x.example"
    )
    content = composed(Said(), origin=origin)
    assert content.extensions[4] == (b"$1", "x.example")
    assert origin_of(content) == origin


def test_author_and_losses_are_read_back() -> None:
    content = composed(Said(), author=ADA, lost=("a poll", "a sticker"))
    assert author_of(content) == ADA
    assert lost_of(content) == ("a poll", "a sticker")


def test_a_hidden_author_has_no_uri() -> None:
    content = composed(Said(), author=Author(uri="", name="Somebody"))
    assert content.extensions["sabir.author"] == {1: "Somebody", 2: None, 3: 2}
    assert author_of(content) == Author(uri="", name="Somebody")


def test_a_message_of_the_room_has_none_of_them() -> None:
    content = composed(Said())
    assert author_of(content) is None
    assert origin_of(content) is None
    assert lost_of(content) == ()


def test_the_time_has_milliseconds_only_where_there_are_some() -> None:
    assert composed(Said(), sent_at=1_500).extensions[3] == {1: 1, -3: 500}
    assert composed(Said(), sent_at=2_000).extensions[3] == {1: 2}


def test_a_lone_surrogate_does_not_stop_a_message() -> None:
    content = composed(Said(text=Rich.plain("a\ud800b")))
    assert read(content) == Said(text=Rich.plain("a\ufffdb"))


def test_a_voice_message_keeps_its_codec_and_kind() -> None:
    voice = Attachment(
        part=ExternalPart(content_type="audio/ogg; codecs=opus", url="spool:1"),
        kind=MediaKind.VOICE,
        duration_ms=1_200,
    )
    body = composed(Said(attachments=(voice,))).body
    assert isinstance(body, ExternalPart)
    assert body.content_type == (
        "audio/ogg; codecs=opus;x-sabir-kind=voice;x-sabir-duration=1200"
    )


def test_a_moderators_deletion_says_so() -> None:
    content = composed(Deleted(target=ID, by_moderator=True))
    assert content.extensions["sabir.moderated"] is True
    assert read(content) == Deleted(target=ID, by_moderator=True)


def test_a_portal_is_named_without_its_chat() -> None:
    tag = portal_tag("matrix", "!a:x.example")
    assert tag.hex() == "0928837c2d75fa9d63e56f1774de2073"
    assert tag != portal_tag("matrix", "!b:x.example")
