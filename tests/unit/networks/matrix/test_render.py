"""What we send to Matrix: content of events, and what is left out when too large."""

import json
from typing import Any

import pytest

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.measuring import measure
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
)
from sabir.content.rich import (
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Link,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Spoiler,
    Strike,
    Strong,
    Table,
    Text,
    Underline,
)
from sabir.networks.api import ChatId, IdempotencyKey, NativeEvent, NativeId, Posted
from sabir.networks.matrix.capabilities import of_ghosts
from sabir.networks.matrix.decode import decode
from sabir.networks.matrix.envelope import seal
from sabir.networks.matrix.plain import plain
from sabir.networks.matrix.render import (
    CONTENT_OCTETS_MAX,
    ENTRY,
    Rendered,
    render_edit,
    render_media,
    render_reaction,
    render_text,
)

KEY = IdempotencyKey("a" * 32)
OLD = NativeRef(native_id="$old", author="@bo:example.org")
ROOT = NativeRef(native_id="$root")


def octets(rendered: Rendered) -> int:
    return len(json.dumps(rendered.content, ensure_ascii=False).encode())


def para(*inlines: Any) -> Rich:
    return Rich((Paragraph(inlines),))


def test_plain_text_has_no_html_and_mentions_nobody() -> None:
    rendered = render_text(TextPiece(text=Rich.plain("a < b")), key=KEY)
    assert rendered == Rendered(
        "m.room.message",
        {"msgtype": "m.text", "body": "a < b", "m.mentions": {}, ENTRY: KEY},
    )


def test_formatting_goes_as_html_beside_a_faithful_body() -> None:
    rich = para(Strong((Text("b"),)), Mention("Al", "@al:example.org"))
    content = render_text(TextPiece(text=rich, emote=True), key=KEY).content
    assert content["msgtype"] == "m.emote"
    assert content["body"] == "**b**Al"
    assert content["format"] == "org.matrix.custom.html"
    assert content["formatted_body"] == (
        '<strong>b</strong><a href="https://matrix.to/#/@al:example.org">Al</a>'
    )
    assert content["m.mentions"] == {"user_ids": ["@al:example.org"]}


def test_somebody_of_another_network_is_named_not_mentioned() -> None:
    rich = para(Mention("Al", "xmpp:al@example.org"))
    content = render_text(TextPiece(text=rich), key=KEY).content
    assert (content["body"], content["m.mentions"]) == ("Al", {})


@pytest.mark.parametrize(
    ("reply_to", "thread", "relation"),
    [
        (OLD, None, {"m.in_reply_to": {"event_id": "$old"}}),
        (
            None,
            ROOT,
            {
                "rel_type": "m.thread",
                "event_id": "$root",
                "is_falling_back": True,
                "m.in_reply_to": {"event_id": "$root"},
            },
        ),
        (
            OLD,
            ROOT,
            {
                "rel_type": "m.thread",
                "event_id": "$root",
                "is_falling_back": False,
                "m.in_reply_to": {"event_id": "$old"},
            },
        ),
    ],
)
def test_relations(
    reply_to: NativeRef | None, thread: NativeRef | None, relation: dict[str, Any]
) -> None:
    piece = TextPiece(text=Rich.plain("x"), reply_to=reply_to, thread=thread)
    content = render_text(piece, key=KEY).content
    assert content["m.relates_to"] == relation
    notified = {"user_ids": ["@bo:example.org"]} if reply_to else {}
    assert content["m.mentions"] == notified


def test_an_edit_carries_the_new_text_twice_and_notifies_nobody_again() -> None:
    content = render_edit(
        EditPiece(target=OLD, text=Rich.plain("new")), key=KEY
    ).content
    assert content["body"] == "* new"
    assert content["m.new_content"] == {
        "msgtype": "m.text",
        "body": "new",
        "m.mentions": {},
    }
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$old"}
    assert (content["m.mentions"], content[ENTRY]) == ({}, KEY)


def test_a_reaction_has_its_key() -> None:
    rendered = render_reaction(ReactPiece(target=OLD, emoji="🐟"), key=KEY)
    relation = {"rel_type": "m.annotation", "event_id": "$old", "key": "🐟"}
    assert rendered == Rendered("m.reaction", {"m.relates_to": relation, ENTRY: KEY})


@pytest.mark.parametrize("filler", ['"', "x", "€", "<", "a\n", "\\"])
def test_the_longest_text_fits_an_event_whatever_it_consists_of(filler: str) -> None:
    can = of_ghosts(attachment_octets_max=None)
    words = filler * (can.text_max // measure(filler, can.text_unit))
    said = render_text(TextPiece(text=Rich.plain(words)), key=KEY)
    edit = render_edit(EditPiece(target=OLD, text=Rich.plain(words)), key=KEY)
    assert max(octets(said), octets(edit)) < 65_000
    assert said.content["body"] == words
    assert edit.content["m.new_content"]["body"] == words


def test_long_paragraphs_lose_nothing_when_their_html_does_not_fit() -> None:
    words = Rich((Paragraph((Text("x" * 29_000),)), Paragraph((Text("y" * 29_000),))))
    rendered = render_text(TextPiece(text=words), key=KEY)
    assert rendered.content["body"] == "x" * 29_000 + "\n\n" + "y" * 29_000
    assert "formatted_body" not in rendered.content
    assert (rendered.lost, octets(rendered) <= CONTENT_OCTETS_MAX) == ((), True)


def test_formatting_that_would_not_fit_is_left_out_and_reported() -> None:
    rich = para(*(Strong((Text("<<<<<"),)) for _ in range(3_000)))
    for rendered, inner in (
        (render_text(TextPiece(text=rich), key=KEY), ""),
        (render_edit(EditPiece(target=OLD, text=rich), key=KEY), "m.new_content"),
    ):
        assert octets(rendered) <= CONTENT_OCTETS_MAX + 5_000
        assert rendered.lost == ("formatting, because the text is too long",)
        content = rendered.content[inner] if inner else rendered.content
        assert "formatted_body" not in content
        assert content["body"].startswith("**<<<<<**")


def media(kind: MediaKind, caption: Rich | None = None, **part: Any) -> dict[str, Any]:
    external = ExternalPart(content_type="audio/ogg", url="", **part)
    attachment = Attachment(part=external, kind=kind, duration_ms=1_500)
    piece = MediaPiece(attachment=attachment, caption=caption, reply_to=OLD)
    rendered = render_media(piece, mxc="mxc://e/x", size=7, key=KEY)
    return dict(rendered.content)


def test_a_voice_message_has_what_clients_look_for() -> None:
    content = media(MediaKind.VOICE)
    assert content["msgtype"] == "m.audio"
    assert content["org.matrix.msc3245.voice"] == {}
    assert content["org.matrix.msc1767.audio"] == {"duration": 1_500}
    assert content["info"] == {"mimetype": "audio/ogg", "size": 7, "duration": 1_500}
    assert content["body"] == content["filename"] == "voice.ogg"
    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$old"}}


def test_a_caption_is_the_body_and_differs_from_the_filename() -> None:
    content = media(MediaKind.FILE, para(Strong((Text("c"),))), filename="f.ogg")
    assert (content["body"], content["filename"]) == ("**c**", "f.ogg")
    assert content["formatted_body"] == "<strong>c</strong>"
    same = media(MediaKind.FILE, Rich.plain("f.ogg"), filename="f.ogg")
    assert same["body"] != same["filename"]
    described = media(MediaKind.IMAGE, filename="f.png", description="a fish")
    assert (described["body"], described["filename"]) == ("a fish", "f.png")


def test_what_we_send_is_read_back_the_same() -> None:
    rich = Rich(
        (
            Paragraph((Text("a\nb "), Emphasis((Text("c"),)))),
            Quote((Paragraph((Text("q"),)),)),
        )
    )
    rendered = render_text(TextPiece(text=rich, reply_to=OLD, thread=ROOT), key=KEY)
    raw = {
        "event_id": "$e",
        "room_id": "!r",
        "sender": "@x:y",
        "type": rendered.event_type,
        "content": rendered.content,
    }
    native: NativeEvent = seal(raw, None)
    assert native.chat == ChatId("!r")
    assert decode(native) is None  # another Sabir's: carried on, it would come back
    raw["content"] = {k: v for k, v in rendered.content.items() if k != ENTRY}
    incoming = decode(seal(raw, None))
    assert incoming is not None
    assert incoming.action == Posted(
        text=rich, reply_to=NativeId("$old"), thread=NativeId("$root")
    )


def test_the_body_shows_every_form_in_plain_characters() -> None:
    rich = Rich(
        (
            Heading(1, (Text("T"),)),
            Paragraph(
                (
                    Strike((Text("s"),)),
                    Underline((Text("u"),)),
                    Code("c"),
                    Spoiler((Text("p"),), "why"),
                    Link((Text("l"),), "https://e.org"),
                    Link((Text("https://e.org"),), "https://e.org"),
                )
            ),
            CodeBlock("x", "py"),
            Quote((Paragraph((Text("a\nb"),)),)),
            ListBlock(
                (
                    (Paragraph((Text("i"),)), ListBlock(((Paragraph((Text("j"),)),),))),
                    (Paragraph((Text("k"),)),),
                ),
                ordered=True,
                start=9,
            ),
            Table(((Text("h"),), (Text("g"),)), (((Text("1"),), (Text("2"),)),)),
            Table((), (((Text("3"),),),)),
            Rule(),
        )
    )
    assert plain(rich).split("\n\n") == [
        "T",
        "~~s~~u`c`||p||l (https://e.org)https://e.org",
        "```py\nx\n```",
        "> a\n> b",
        "9. i\n   - j\n10. k",
        "h | g\n1 | 2",
        "3",
        "---",
    ]
