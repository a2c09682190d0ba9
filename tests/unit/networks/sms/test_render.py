"""Pieces as SMS."""

import pytest

from sabir.clock import Instant
from sabir.content.pieces import DeletePiece, NativeRef, Piece, TextPiece
from sabir.content.rich import Rich
from sabir.networks.api import ChatId, IdempotencyKey, Outgoing, Speaker
from sabir.networks.sms.capabilities import CAPABILITIES
from sabir.networks.sms.gsm import Alphabet, encode
from sabir.networks.sms.numbers import address_of, own_address
from sabir.networks.sms.pdu import Tag
from sabir.networks.sms.render import (
    ASK_FIRST,
    NO_FORM,
    NO_REACTIONS,
    TOO_LONG,
    Consent,
    Joining,
    Rendered,
    Writing,
    messages,
    render,
    render_text,
    validity,
)

OPEN = Writing(source=own_address("+15550002222"), consent=Consent.PORTAL)
ASKED = Writing(source=own_address("+15550002222"))


def outgoing(piece: Piece) -> Outgoing:
    return Outgoing(
        chat=ChatId("+15550001111"),
        key=IdempotencyKey("k"),
        speaker=Speaker(uri="u", name="Ada", network="matrix"),
        piece=piece,
        sent_at=Instant(1),
    )


def text(words: str, *, emote: bool = False) -> Outgoing:
    return outgoing(TextPiece(text=Rich.plain(words), emote=emote))


def test_a_text_goes_as_it_is() -> None:
    rendered = render(text("Ada: hi"), OPEN)
    assert isinstance(rendered, Rendered)
    assert rendered.text == "Ada: hi"


def test_an_action_names_who_acts() -> None:
    rendered = render(text("waves", emote=True), OPEN)
    assert isinstance(rendered, Rendered)
    assert rendered.text == "* Ada waves"


@pytest.mark.parametrize(
    ("words", "writing", "reason"),
    [
        ("Ada: hi", ASKED, ASK_FIRST),
        ('Ada reacted 👍 to "hi"', OPEN, NO_REACTIONS),
        ('Ada reacted 👍 to "hi"', ASKED, NO_REACTIONS),
        ("x" * 1531, OPEN, TOO_LONG),
        ("Ada: /sms", ASKED, "not sent: there is no text in it"),
    ],
)
def test_what_does_not_go_says_why(words: str, writing: Writing, reason: str) -> None:
    found = render(text(words), writing)
    if reason.endswith("in it"):
        found = render_text("  ", writing)
    assert found == reason


def test_the_senders_act_is_not_sent_along() -> None:
    rendered = render(text("Ada: /sms hi"), ASKED)
    assert isinstance(rendered, Rendered)
    assert rendered.text == "Ada: hi"


def test_what_is_no_text_is_refused() -> None:
    assert render(outgoing(DeletePiece(target=NativeRef(native_id="t"))), OPEN) == (
        NO_FORM
    )


@pytest.mark.parametrize("joining", Joining)
def test_parts_say_that_they_belong_together(joining: Joining) -> None:
    encoded = encode("a" * 200, Alphabet.GSM7)
    assert encoded is not None
    writing = Writing(source=own_address("Sabir"), joining=joining, validity_hours=25)
    made = messages(
        encoded,
        address_of("+15550001111"),
        writing,
        reference=9,
        numbers=[300, 301],
    )
    assert [each.option(Tag.USER_MESSAGE_REFERENCE) for each in made] == [300, 301]
    assert {each.registered_delivery for each in made} == {1}
    assert {each.validity for each in made} == {"000001010000000R"}
    if joining is Joining.UDH:
        assert made[1].octets == b"\x05\x00\x03\x09\x02\x02" + b"a" * 47
        assert made[1].esm_class == 0x40
    else:
        assert made[1].octets == b"a" * 47
        assert made[1].option(Tag.SAR_SEGMENT_SEQNUM) == 2
        assert made[1].option(Tag.SAR_MSG_REF_NUM) == 9


def test_one_message_has_no_header() -> None:
    encoded = encode("hi", Alphabet.GSM7)
    assert encoded is not None
    (made,) = messages(encoded, address_of("72404"), OPEN, reference=1, numbers=[1])
    assert (made.octets, made.esm_class) == (b"hi", 0)


def test_times_have_sixteen_characters() -> None:
    assert validity(24) == "000001000000000R"
    assert all(len(validity(hours)) == 16 for hours in (1, 24, 720))


def test_files_are_notes_and_texts_are_whole() -> None:
    assert CAPABILITIES.attachment == 0
    assert CAPABILITIES.text_max == 1530
    assert CAPABILITIES.text_parts_max == 1
    assert not CAPABILITIES.ghosts
