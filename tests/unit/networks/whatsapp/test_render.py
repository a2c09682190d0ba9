"""Every body fits the description of the API, and says what it lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.meaning import MediaKind
from sabir.content.pieces import NativeRef, ReactPiece, TextPiece, UnreactPiece
from sabir.content.rich import (
    Code,
    Emphasis,
    Heading,
    Paragraph,
    Rich,
    Strike,
    Strong,
    Text,
)
from sabir.errors import PolicyRefused
from sabir.networks.api import ChatId, IdempotencyKey
from sabir.networks.whatsapp import render
from sabir.networks.whatsapp.media_rules import form_of
from sabir.testing.openapi.document import Request, whatsapp_cloud

CHAT = ChatId("15557654321")
GROUP = ChatId("group:Y2FwaV9ncm91cDox")
KEY = IdempotencyKey("a" * 32)
TARGET = NativeRef(native_id="wamid.1")


def wrong(body: Any) -> list[str]:
    headers = {
        "authorization": "Bearer T",
        "user-agent": "Sabir/0.1.0",
        "content-type": "application/json",
    }
    path = "/v23.0/100000000000000/messages"
    asked = Request(method="POST", path=path, query={}, headers=headers, body=body)
    return whatsapp_cloud().violations(asked)


def test_a_text_names_its_recipient_and_carries_the_key() -> None:
    body, words = render.text(
        TextPiece(text=Rich.plain("hi"), reply_to=TARGET), chat=CHAT, key=KEY
    )
    assert wrong(body) == []
    assert body["to"] == CHAT
    assert body["recipient_type"] == "individual"
    assert body["context"] == {"message_id": "wamid.1"}
    assert body["biz_opaque_callback_data"] == KEY
    assert words.lost == ()


def test_a_group_is_another_kind_of_recipient() -> None:
    body, _ = render.text(TextPiece(text=Rich.plain("hi")), chat=GROUP, key=KEY)
    assert wrong(body) == []
    assert (body["recipient_type"], body["to"]) == ("group", "Y2FwaV9ncm91cDox")


def test_an_action_is_in_italics() -> None:
    blocks = (Paragraph((Text("waves"),)), Heading(1, (Text("H"),)))
    body, words = render.text(
        TextPiece(text=Rich(blocks), emote=True), chat=CHAT, key=KEY
    )
    assert body["text"]["body"] == "_waves_\n*H*"
    assert "an action, in italics" in words.lost


def test_an_empty_text_is_refused() -> None:
    for text in ("", " \n"):
        with pytest.raises(PolicyRefused, match="empty"):
            render.text(TextPiece(text=Rich.plain(text)), chat=CHAT, key=KEY)


def test_a_text_too_long_in_marks_goes_without_their_safety() -> None:
    starred = Rich.plain("*a* " * 1_000)
    words = render.words(starred)
    assert len(words.text) <= 4_096
    assert "too long" in words.lost[0]
    with pytest.raises(PolicyRefused, match="in parts"):
        render.words(Rich.plain("x" * 4_097))


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        (MediaKind.IMAGE, "image/png"),
        (MediaKind.VIDEO, "video/mp4"),
        (MediaKind.VOICE, "audio/ogg"),
        (MediaKind.FILE, "text/plain"),
        (MediaKind.STICKER, "image/webp"),
    ],
)
def test_a_file_is_named_by_its_id(kind: MediaKind, content_type: str) -> None:
    body = render.media(
        form_of(kind, content_type, 1, head=b""),
        media_id="7",
        filename="",
        caption="c",
        chat=CHAT,
        key=KEY,
        reply_to=TARGET,
    )
    assert wrong(body) == []


def test_a_documents_name_is_one_line_without_slashes_and_keeps_its_ending() -> None:
    form = form_of(MediaKind.FILE, "application/pdf", 1, head=b"")
    assert render.shown_name("a/b\\c\n.pdf", form) == "a_b_c .pdf"
    long = render.shown_name("x" * 500 + ".pdf", form)
    assert (len(long), long[-4:]) == (240, ".pdf")
    assert len(render.shown_name("x" * 500, form)) == 240
    assert render.shown_name("", form) == "file.pdf"


def test_an_empty_emoji_takes_a_reaction_back() -> None:
    added = render.reaction(ReactPiece(target=TARGET, emoji="👍"), chat=CHAT, key=KEY)
    gone = render.reaction(UnreactPiece(target=TARGET, emoji="👍"), chat=CHAT, key=KEY)
    assert wrong(added) == wrong(gone) == []
    assert (added["reaction"]["emoji"], gone["reaction"]["emoji"]) == ("👍", "")


def test_a_template_carries_the_words_on_one_line() -> None:
    text = Rich((Paragraph((Strong((Text("a"),)), Text("\n\tb    c"))),))
    body, words = render.template(
        TextPiece(text=text), name="t", language="en_US", chat=CHAT, key=KEY
    )
    assert wrong(body) == []
    parameter = body["template"]["components"][0]["parameters"][0]
    assert parameter["text"] == "*a* b c"
    assert words.lost


def test_read_marks_fit_with_and_without_typing() -> None:
    assert wrong(render.read_mark("wamid.1", typing=False)) == []
    assert wrong(render.read_mark("wamid.1", typing=True)) == []


INLINES = st.recursive(
    st.builds(Text, st.text(max_size=30)) | st.builds(Code, st.text(max_size=8)),
    lambda inner: st.one_of(
        *(st.builds(k, st.tuples(inner, inner)) for k in (Strong, Emphasis, Strike))
    ),
    max_leaves=6,
)
RICH = st.builds(
    Rich,
    st.lists(st.builds(Paragraph, st.lists(INLINES, max_size=4).map(tuple))).map(tuple),
)


@given(RICH)
def test_any_text_fits_or_is_refused(text: Rich) -> None:
    try:
        body, _ = render.text(TextPiece(text=text), chat=CHAT, key=KEY)
    except PolicyRefused:
        return
    assert wrong(body) == []


@given(st.text(max_size=300))
def test_any_name_becomes_one_that_fits(name: str) -> None:
    form = form_of(MediaKind.FILE, "application/pdf", 1, head=b"")
    body = render.media(
        form,
        media_id="7",
        filename=name,
        caption="",
        chat=CHAT,
        key=KEY,
        reply_to=None,
    )
    assert wrong(body) == []
