"""What lines mean and how pieces look; no connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sabir.clock import Instant
from sabir.content.pieces import (
    JoinPiece,
    NativeRef,
    Piece,
    TextPiece,
    TopicPiece,
)
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    ChatId,
    IdempotencyKey,
    Incoming,
    NativeEvent,
    NativeId,
    Outgoing,
    Posted,
    Refused,
    Speaker,
    TopicChanged,
)

from sabir_irc.decode import decode
from sabir_irc.line import KEY_TAG, Line, parse, write
from sabir_irc.render import render

words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9)


def meaning(payload: str) -> Incoming | None:
    return decode(
        NativeEvent(
            chat=ChatId("#c"), native_id=NativeId("1"), payload=payload.encode()
        )
    )


def outgoing(piece: Piece) -> Outgoing:
    return Outgoing(
        chat=ChatId("#c"),
        key=IdempotencyKey("k"),
        speaker=Speaker(uri="u", name="Ada", network="x"),
        piece=piece,
        sent_at=Instant(0),
    )


@given(
    params=st.lists(words, max_size=3),
    last=st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])),
    tags=st.dictionaries(words, st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_a_line_survives_the_wire(
    params: list[str], last: str, tags: dict[str, str]
) -> None:
    line = Line("PRIVMSG", (*params, last), tags)
    read = parse(write(line)[:-2])
    assert (read.command, read.params, read.tags) == (line.command, line.params, tags)


@given(st.binary(max_size=60))
def test_any_octets_are_a_line_or_the_peers_fault(octets: bytes) -> None:
    try:
        line = parse(octets)
    except PeerMisbehaved:
        return
    assert line.command.isalnum()


def test_a_message_has_author_time_and_target() -> None:
    incoming = meaning(
        "@time=2024-01-01T00:00:01.500Z;+draft/reply=id7 :Eve!u@h PRIVMSG #c :hi there"
    )
    assert incoming is not None
    assert incoming.sender.name == "Eve"
    assert incoming.sent_at == 1_704_067_201_500
    assert incoming.action == Posted(
        text=Rich.plain("hi there"), reply_to=NativeId("id7")
    )


@pytest.mark.parametrize(
    ("payload", "action", "lost"),
    [
        (
            ":E PRIVMSG #c :\x01ACTION waves\x01",
            Posted(text=Rich.plain("waves"), emote=True),
            (),
        ),
        (
            ":E PRIVMSG #c :\x02bold\x0f \x0304,01red",
            Posted(text=Rich.plain("bold red")),
            ("colours and fonts",),
        ),
        (":E TOPIC #c :New", TopicChanged(topic="New"), ()),
        ("@time=nonsense :E NOTICE #c x", Posted(text=Rich.plain("x")), ()),
    ],
)
def test_what_people_do_has_a_meaning(
    payload: str, action: object, lost: tuple[str, ...]
) -> None:
    incoming = meaning(payload)
    assert incoming is not None
    assert (incoming.action, incoming.lost, incoming.sent_at) == (action, lost, 0)


@pytest.mark.parametrize("payload", [":E JOIN #c", ":E PRIVMSG #c :\x01VERSION\x01"])
def test_the_rest_means_nothing_to_people(payload: str) -> None:
    assert meaning(payload) is None


@pytest.mark.parametrize("payload", ["PRIVMSG #c :no sender", ":E PRIVMSG #c", ""])
def test_a_malformed_line_is_the_peers_fault(payload: str) -> None:
    with pytest.raises(PeerMisbehaved, match="IRC-001"):
        meaning(payload)


def test_a_reply_names_its_target_and_every_line_its_key() -> None:
    rendered = render(
        outgoing(TextPiece(text=Rich.plain("yes"), reply_to=NativeRef(native_id="id7")))
    )
    assert not isinstance(rendered, Refused)
    assert rendered[0].tags == {KEY_TAG: "k", "+draft/reply": "id7"}


@pytest.mark.parametrize(
    ("piece", "text", "lost"),
    [
        (TextPiece(text=Rich.plain("a\n\nb")), "a / b", ("line breaks",)),
        (TextPiece(text=Rich.plain("x"), emote=True), "\x01ACTION x\x01", ()),
        (TopicPiece(topic="news"), "news", ()),
    ],
)
def test_a_piece_is_one_line(piece: Piece, text: str, lost: tuple[str, ...]) -> None:
    rendered = render(outgoing(piece))
    assert not isinstance(rendered, Refused)
    assert (rendered[0].last, rendered[1]) == (text, lost)


@pytest.mark.parametrize("piece", [JoinPiece(), TextPiece(text=Rich.plain("x" * 351))])
def test_what_irc_cannot_say_is_refused_with_a_reason(piece: Piece) -> None:
    rendered = render(outgoing(piece))
    assert isinstance(rendered, Refused)
    assert rendered.reason
