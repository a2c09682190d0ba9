"""What others compose is read to something a person can use."""

from pathlib import Path
from typing import Final

import pytest

from sabir.content import codec
from sabir.content.composing import ROOM_EVENT_TYPE
from sabir.content.inline_data import inline_octets, inline_part
from sabir.content.meaning import (
    Attachment,
    Deleted,
    Edited,
    Meaning,
    MediaKind,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import (
    GFM_MIMI,
    PLAIN_TEXT,
    Content,
    Disposition,
    ExternalPart,
    MessageId,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.content.reading import author_of, lost_of, origin_of, read
from sabir.content.rich import (
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Link,
    Mention,
    Paragraph,
    Rich,
    Strong,
    Text,
)
from sabir.wire import cbor

DATA: Final = Path(__file__).parents[2] / "vectors" / "mimi-content"
ID: Final = MessageId(b"\x01" + bytes(31))
ORIGINAL: Final = MessageId(
    bytes.fromhex("017ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4")
)
REPLY: Final = MessageId(
    bytes.fromhex("015354973c2b65ca937bf1e035ae53a5ab80e947afa43d46920d4202e5cc0b27")
)
REACTION: Final = MessageId(
    bytes.fromhex("0158c4288911e50a8f6be3f47746b6682f10fd91bc8c05557aa589a3157aff68")
)


def text(*children: Text | Strong | Emphasis | Link | Mention | Code) -> Rich:
    return Rich((Paragraph(children),))


def content(body: Part, **fields: object) -> Content:
    return Content(salt=bytes(16), body=body, **fields)  # type: ignore[arg-type]  # tests


def single(content_type: str, octets: bytes, disposition: int = 1) -> SinglePart:
    return SinglePart(
        content_type=content_type, content=octets, disposition=disposition
    )


def choose(*parts: Part) -> MultiPart:
    return MultiPart(semantics=PartSemantics.CHOOSE_ONE, parts=parts)


# ---- the official vectors

VECTORS: Final[dict[str, Meaning]] = {
    "original": Said(
        text=text(
            Text("Hi everyone, we just shipped release 2.0. "),
            Strong((Text("Good  work"),)),
            Text("!"),
        )
    ),
    "reply": Said(
        text=text(
            Text("Right on! "), Emphasis((Text("Congratulations"),)), Text(" 'all!")
        ),
        in_reply_to=ORIGINAL,
    ),
    "reaction": Reacted(target=ORIGINAL, emoji="❤"),
    "mention": Said(
        text=text(
            Text("Kudos to "),
            Mention("Alice Smith", "mimi://example.com/u/alice-smith"),
            Text(" for making the release happen!"),
        ),
        in_reply_to=ORIGINAL,
    ),
    "mention-html": Said(
        text=text(
            Text("Kudos to "),
            Mention("Alice Smith", "mimi://example.com/u/alice-smith"),
            Text(" for making the release happen!"),
        ),
        in_reply_to=ORIGINAL,
    ),
    "edit": Edited(
        target=REPLY,
        text=text(
            Text("Right on! "), Emphasis((Text("Congratulations"),)), Text(" y'all!")
        ),
    ),
    "delete": Deleted(target=REPLY),
    "unlike": Deleted(target=REACTION),
    "expiring": Said(
        text=text(
            Strong((Emphasis((Text("VPN GOING DOWN"),)),)),
            Text(" I'm rebooting the VPN in ten minutes unless anyone objects."),
        )
    ),
    "conferencing": Said(
        text=text(
            Link(
                (Text("Join the Foo 118 conference"),), "https://example.com/join/12345"
            )
        ),
        topic=b"Foo 118",
    ),
    "multipart-1": Said(text=Rich((Heading(1, (Text("Welcome!"),)),))),
    "multipart-2": Said(text=Rich.plain("❤ 🥳 🤞")),
    "multipart-3": Said(
        text=Rich(
            (Heading(1, (Text("Welcome!"),)), Paragraph((Text("Welcome image"),)))
        ),
        attachments=(
            Attachment(
                part=inline_part(
                    bytes.fromhex("dc861ebaa718fd7c3ca159f71a2001a7"),
                    content_type="image/gif",
                ),
                kind=MediaKind.IMAGE,
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_the_official_vectors_mean_something(name: str) -> None:
    octets = (DATA / f"{name}.cbor").read_bytes()
    assert read(codec.decode(octets)) == VECTORS[name]


def test_the_attachment_vector_is_a_video() -> None:
    meaning = read(codec.decode((DATA / "attachment.cbor").read_bytes()))
    assert isinstance(meaning, Said)
    (attachment,) = meaning.attachments
    assert attachment.kind is MediaKind.VIDEO
    assert attachment.part.filename == "bigfile.mp4"
    assert attachment.part.size == 708_234_961


def test_no_vector_is_left_out() -> None:
    # implied-original is not a content but what is derived from one.
    named = {path.stem for path in DATA.glob("*.cbor")} - {"implied-original"}
    assert named == {*VECTORS, "attachment"}


# ---- foreign parts


def test_an_unknown_type_is_a_file_never_nothing() -> None:
    meaning = read(content(single("application/vnd.x-fancy", b"\xdc\x86")))
    assert isinstance(meaning, Said)
    (attachment,) = meaning.attachments
    assert attachment.kind is MediaKind.FILE
    assert attachment.part.content_type == "application/vnd.x-fancy"
    assert inline_octets(attachment.part) == b"\xdc\x86"


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/png", MediaKind.IMAGE),
        ("VIDEO/mp4", MediaKind.VIDEO),
        ("audio/ogg;codecs=opus", MediaKind.AUDIO),
        ("text/vcard", MediaKind.FILE),
        ("image/png;x-sabir-kind=sticker", MediaKind.STICKER),
        ("image/png;x-sabir-kind=hologram", MediaKind.IMAGE),
    ],
)
def test_the_type_says_how_a_file_is_shown(content_type: str, kind: MediaKind) -> None:
    meaning = read(content(ExternalPart(content_type=content_type, url="https://x/")))
    assert isinstance(meaning, Said)
    assert meaning.attachments[0].kind is kind


def test_an_endless_number_is_no_size() -> None:
    part = ExternalPart(
        content_type="image/png;x-sabir-width=" + "9" * 5_000, url="https://x/"
    )
    meaning = read(content(part))
    assert isinstance(meaning, Said)
    assert meaning.attachments[0].width is None


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((single("text/plain", b"p"), single(GFM_MIMI, b"**g**")), b"g"),
        ((single("text/html", b"h"), single("text/plain", b"p")), b"p"),
        ((single("x/y", b"?"), single("text/html", b"h")), b"h"),
        ((NullPart(), single("text/plain", b"p")), b"p"),
        ((single(ROOM_EVENT_TYPE, b"broken"), single("text/plain", b"p")), b"p"),
        (
            (
                MultiPart(
                    semantics=PartSemantics.SINGLE_UNIT,
                    parts=(single(GFM_MIMI, b"u"), single("x/y", b"?")),
                ),
                single("text/plain", b"p"),
            ),
            b"p",
        ),
    ],
)
def test_mc_098_the_best_alternative_is_chosen(
    parts: tuple[Part, ...], expected: bytes
) -> None:
    meaning = read(content(choose(*parts)))
    assert isinstance(meaning, Said)
    assert meaning.text is not None
    assert expected.decode() in repr(meaning.text)
    assert meaning.attachments == ()


def test_a_picture_is_better_than_an_unknown_type() -> None:
    picture = ExternalPart(content_type="image/png", url="https://x/")
    meaning = read(content(choose(single("x/y", b"?"), picture)))
    assert isinstance(meaning, Said)
    assert meaning.attachments[0].kind is MediaKind.IMAGE


def test_mc_098_several_texts_are_one_after_the_other() -> None:
    both = MultiPart(
        semantics=PartSemantics.PROCESS_ALL,
        parts=(single(PLAIN_TEXT, b"one"), single(GFM_MIMI, b"`two`")),
    )
    assert read(content(both)) == Said(
        text=Rich((Paragraph((Text("one"),)), Paragraph((Code("two"),))))
    )


@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        (GFM_MIMI, b"see ![the tide](cid:2@local.invalid)"),
        (GFM_MIMI, b"see [the tide](CID:2@local.invalid)"),
        ("text/html", b'see <a href="cid:2@local.invalid">the tide</a>'),
    ],
)
def test_mc_098_a_part_that_a_text_refers_to_is_shown_once_beside_it(
    media_type: str, text: bytes
) -> None:
    picture = ExternalPart(content_type="image/png", url="https://x/")
    both = MultiPart(
        semantics=PartSemantics.SINGLE_UNIT,
        parts=(single(media_type, text), picture),
    )
    meaning = read(content(both))
    assert isinstance(meaning, Said)
    assert meaning.text == Rich.plain("see the tide")
    assert [each.part for each in meaning.attachments] == [picture]


def test_several_reactions_of_one_entry_are_shown_as_an_answer() -> None:
    both = MultiPart(
        semantics=PartSemantics.PROCESS_ALL,
        disposition=Disposition.REACTION,
        parts=(single(PLAIN_TEXT, b"a", 2), single(PLAIN_TEXT, b"b", 2)),
    )
    assert read(content(both, in_reply_to=ID)) == Said(
        text=Rich.plain("a b"), in_reply_to=ID
    )


def test_a_null_part_that_replaces_nothing_says_nothing() -> None:
    assert read(content(NullPart())) == Said()


def test_an_edit_to_plain_text_is_an_edit() -> None:
    edited = content(single(PLAIN_TEXT, b"new"), replaces=ID)
    assert read(edited) == Edited(target=ID, text=Rich.plain("new"))


def test_text_that_is_not_utf8_is_read_as_far_as_it_goes() -> None:
    assert read(content(single("text/plain", b"a\xff"))) == Said(
        text=Rich.plain("a\ufffd")
    )


def test_a_call_without_a_description_is_its_link() -> None:
    part = ExternalPart(
        content_type="", url="https://x/join", disposition=Disposition.SESSION
    )
    assert read(content(part)) == Said(
        text=text(Link((Text("https://x/join"),), "https://x/join"))
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        cbor.encode(5),
        cbor.encode({1: 1, 2: "danced", 3: ""}),
        cbor.encode({1: 1, 2: 7, 3: ""}),
        cbor.encode({1: 1, 2: "joined"}),
    ],
)
def test_an_event_we_do_not_know_is_shown_as_its_line(octets: bytes) -> None:
    event = choose(single(ROOM_EVENT_TYPE, octets), single(PLAIN_TEXT, b"Ada danced"))
    assert read(content(event)) == Said(text=Rich.plain("Ada danced"))


def test_an_unknown_event_alone_is_a_file() -> None:
    meaning = read(content(single(ROOM_EVENT_TYPE, b"")))
    assert isinstance(meaning, Said)
    assert len(meaning.attachments) == 1


def test_an_event_brings_its_picture() -> None:
    event = single(ROOM_EVENT_TYPE, cbor.encode({1: 1, 2: "avatar", 3: ""}))
    picture = ExternalPart(content_type="image/png", url="https://x/")
    both = MultiPart(semantics=PartSemantics.PROCESS_ALL, parts=(event, picture))
    assert read(content(both)) == RoomEvent(
        kind=RoomEventKind.AVATAR,
        attachment=Attachment(part=picture, kind=MediaKind.IMAGE),
    )


@pytest.mark.parametrize(
    "extensions",
    [
        {"sabir.author": 1, "sabir.origin": 1, "sabir.loss": 1},
        {"sabir.author": {}, "sabir.origin": {}, "sabir.loss": ()},
        {"sabir.author": {1: 5}, "sabir.origin": {1: "m", 2: 3}, "sabir.loss": (1,)},
        {"sabir.loss": ({1: "X", 3: 9, 4: 0, 5: 1, 6: ("a", "b")}, {1: "X", 6: 1})},
    ],
)
def test_malformed_extensions_are_none(extensions: dict[str, cbor.Value]) -> None:
    foreign = content(NullPart(), extensions=extensions)
    assert author_of(foreign) is None
    assert origin_of(foreign) is None
    assert lost_of(foreign) == ()


def test_an_origin_with_odd_members_keeps_what_is_sound() -> None:
    foreign = content(
        NullPart(),
        extensions={"sabir.origin": {1: "m", 2: b"p", 3: 1, 4: "x", 5: 1, 6: b"short"}},
    )
    origin = origin_of(foreign)
    assert origin is not None
    assert (origin.profile, origin.gateway, origin.native_id) == ("", 0, "")
    assert (origin.in_tag, origin.original) == (None, None)


# ---- HTML of others


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("a\n  b<br>c", Rich.plain("a b\nc")),
        ("<p>a</p><p>b</p>", Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),))))),
        ("<b>a", text(Strong((Text("a"),)))),
        ("</b>a</p>", Rich.plain("a")),
        ("<b><i>a</b>b", text(Strong((Emphasis((Text("a"),)),)), Text("b"))),
        ("<script>x()</script>a<style>y</style>", Rich.plain("a")),
        ("</script>a", Rich.plain("a")),
        ("x<span>y</span>z<img><img alt=' logo'>", Rich.plain("xyz logo")),
        ("<a>x</a>", Rich.plain("x")),
        ("<code>a&lt;b</code>", text(Code("a<b"))),
        (
            "<pre>a\n  b<br>c</pre>d",
            Rich((CodeBlock("a\n  b\nc"), Paragraph((Text("d"),)))),
        ),
        (
            "<ul><li>a<li>b</ul>",
            Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),)))),
        ),
        ("a<hr>b", Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),))))),
        ("<b>" * 500 + "a", text(Strong((Text("a"),)))),
        (" <b>a</b> ", text(Strong((Text("a"),)))),
    ],
)
def test_html_is_read_for_its_words(html: str, expected: Rich) -> None:
    assert read(content(single("text/html;charset=utf-8", html.encode()))) == Said(
        text=expected
    )


def test_a_part_behind_a_url_holds_nothing_itself() -> None:
    assert inline_octets(ExternalPart(content_type="", url="https://x/")) is None
    broken = ExternalPart(content_type="", url="data:;base64,%%%")
    assert inline_octets(broken) is None
