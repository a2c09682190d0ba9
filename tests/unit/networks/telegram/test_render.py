"""Pieces as requests; every one as the Bot API's description wants it."""

from typing import Any

import pytest

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import Disposition, ExternalPart
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.errors import PolicyRefused
from sabir.networks.telegram import render
from sabir.networks.telegram.names import Place
from sabir.networks.telegram.render import Request, Showing
from sabir.testing.telegram.description import problems

WHERE = Place(-1_000_000_001_234)
TOPIC = Place(-1_000_000_001_234, 17)
PRIVATE = Place(5)


def checked(request: Request) -> dict[str, Any]:
    params = dict(request.params)
    full = {**params, request.file.member: b""} if request.file else params
    assert not problems(request.method, full)
    return params


def text(words: str, where: Place = WHERE, **more: Any) -> Request:
    return render.text(TextPiece(text=Rich.plain(words), **more), where)


def shown(
    kind: MediaKind,
    content_type: str,
    *,
    size: int = 9,
    caption: Rich | None = None,
    filename: str = "",
    **more: Any,
) -> Showing:
    part = ExternalPart(
        content_type=content_type,
        url="https://e.org/f",
        size=size,
        filename=filename,
        disposition=Disposition.ATTACHMENT,
    )
    attachment = Attachment(part=part, kind=kind, **more)
    piece = MediaPiece(attachment=attachment, caption=caption)
    return render.media(piece, WHERE, size=size)


# ---- text


def test_a_text_goes_with_its_entities_and_no_parse_mode() -> None:
    piece = TextPiece(text=Rich((Paragraph((Strong((Text("*a*"),)),)),)))
    assert checked(render.text(piece, WHERE)) == {
        "chat_id": WHERE.number,
        "text": "*a*",
        "entities": [{"type": "bold", "offset": 0, "length": 3}],
    }


def test_a_text_may_fill_the_limit_in_utf16_units() -> None:
    assert checked(text("😀" * 2_048))["text"] == "😀" * 2_048
    with pytest.raises(PolicyRefused, match="4097 UTF-16 units"):
        text("😀" * 2_048 + "x")


def test_an_invisible_text_is_refused() -> None:
    with pytest.raises(PolicyRefused, match="visible"):
        text(" \n")


def test_an_answer_goes_even_if_its_target_is_gone() -> None:
    params = checked(text("I", reply_to=NativeRef(native_id="3")))
    assert params["reply_parameters"] == {
        "message_id": 3,
        "allow_sending_without_reply": True,
    }


def test_a_topic_gets_its_messages() -> None:
    assert checked(text("x", TOPIC))["message_thread_id"] == 17
    threaded = text("x", thread=NativeRef(native_id="t17"))
    assert checked(threaded)["message_thread_id"] == 17
    assert threaded.lost == ()


def test_a_thread_that_is_no_topic_is_an_answer_to_its_first_message() -> None:
    request = text("x", thread=NativeRef(native_id="3"))
    assert checked(request)["reply_parameters"]["message_id"] == 3
    assert request.lost == ("a thread, which is not a topic there",)
    both = text("x", thread=NativeRef(native_id="3"), reply_to=NativeRef(native_id="4"))
    assert checked(both)["reply_parameters"]["message_id"] == 4


def test_an_answer_to_a_message_of_the_basic_group_goes_without_it() -> None:
    request = text("x", reply_to=NativeRef(native_id="b3"))
    assert "reply_parameters" not in checked(request)
    assert "cannot reach any more" in request.lost[0]


# ---- files


@pytest.mark.parametrize(
    ("kind", "content_type", "size", "method"),
    [
        (MediaKind.IMAGE, "image/jpeg", 9, "sendPhoto"),
        (MediaKind.IMAGE, "image/jpeg", render.PHOTO_OCTETS_MAX + 1, "sendDocument"),
        (MediaKind.IMAGE, "image/svg+xml", 9, "sendDocument"),
        (MediaKind.GIF, "image/gif", 9, "sendAnimation"),
        (MediaKind.GIF, "video/mp4", 9, "sendAnimation"),
        (MediaKind.VIDEO, "video/mp4", 9, "sendVideo"),
        (MediaKind.VIDEO, "video/webm", 9, "sendDocument"),
        (MediaKind.AUDIO, "audio/mpeg", 9, "sendAudio"),
        (MediaKind.AUDIO, "audio/flac", 9, "sendDocument"),
        (MediaKind.VOICE, "audio/ogg; codecs=opus", 9, "sendVoice"),
        (MediaKind.VOICE, "audio/amr", 9, "sendDocument"),
        (MediaKind.STICKER, "image/webp", 9, "sendSticker"),
        (MediaKind.STICKER, "image/png", 9, "sendDocument"),
        (MediaKind.FILE, "image/jpeg", 9, "sendDocument"),
    ],
)
def test_a_file_is_shown_as_what_it_is_where_telegram_takes_that(
    kind: MediaKind, content_type: str, size: int, method: str
) -> None:
    request = shown(kind, content_type, size=size).first
    assert request.method == method
    checked(request)


def test_measures_go_with_moving_pictures_and_sounds() -> None:
    request = shown(
        MediaKind.VIDEO, "video/mp4", width=640, height=480, duration_ms=1_400
    ).first
    params = checked(request)
    assert (params["width"], params["height"], params["duration"]) == (640, 480, 1)


def test_a_file_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(PolicyRefused, match="50000000"):
        shown(MediaKind.FILE, "text/plain", size=50_000_001)


def test_a_caption_may_fill_its_limit_and_else_follows() -> None:
    fits = shown(MediaKind.IMAGE, "image/png", caption=Rich.plain("x" * 1_024))
    assert checked(fits.first)["caption"] == "x" * 1_024
    assert fits.caption is None
    long = Rich.plain("x" * 1_025)
    follows = shown(MediaKind.IMAGE, "image/png", caption=long)
    assert "caption" not in checked(follows.first)
    assert follows.caption == long


def test_a_captions_marks_go_with_it() -> None:
    bold = Rich((Paragraph((Strong((Text("a"),)),)),))
    params = checked(shown(MediaKind.FILE, "text/plain", caption=bold).first)
    assert params["caption_entities"] == [{"type": "bold", "offset": 0, "length": 1}]


def test_a_sticker_has_no_caption_so_its_words_follow() -> None:
    words = Rich.plain("meow")
    showing = shown(MediaKind.STICKER, "image/webp", caption=words)
    assert "caption" not in checked(showing.first)
    assert showing.caption == words


def test_a_file_has_a_name_with_its_ending() -> None:
    def name(filename: str, content_type: str = "application/x-tar") -> str:
        part = shown(MediaKind.FILE, content_type, filename=filename).first.file
        assert part is not None
        return part.filename

    assert name("a/b.txt") == "a_b.txt"
    assert name("") == "file.tar"
    assert name("", "nonsense") == "file.stream"
    assert name("x" * 99 + ".txt").endswith(".txt")


def test_a_content_type_cannot_end_its_header() -> None:
    part = shown(MediaKind.FILE, 'a/b"\r\nX: y').first.file
    assert part is not None
    assert part.content_type == "application/octet-stream"


# ---- changes


def test_an_edit_replaces_text_or_caption() -> None:
    piece = EditPiece(target=NativeRef(native_id="3"), text=Rich.plain("new"))
    assert checked(render.edit(piece, WHERE)) == {
        "chat_id": WHERE.number,
        "message_id": 3,
        "text": "new",
    }
    request = render.edit(piece, WHERE, caption=True)
    assert request.method == "editMessageCaption"
    assert checked(request)["caption"] == "new"
    bold = EditPiece(
        target=piece.target, text=Rich((Paragraph((Strong((Text("a"),)),)),))
    )
    assert checked(render.edit(bold, WHERE))["entities"]
    assert checked(render.edit(bold, WHERE, caption=True))["caption_entities"]


def test_a_message_of_the_basic_group_cannot_be_changed() -> None:
    old = NativeRef(native_id="b3")
    with pytest.raises(PolicyRefused, match="supergroup"):
        render.edit(EditPiece(target=old, text=Rich.plain("x")), WHERE)
    with pytest.raises(PolicyRefused, match="supergroup"):
        render.delete(DeletePiece(target=old).target, WHERE)


def test_what_goes_with_a_file_is_deleted_with_it() -> None:
    alone = render.delete(NativeRef(native_id="3", aliases=("b9", "3")), WHERE)
    assert alone.method == "deleteMessage"
    assert checked(alone)["message_id"] == 3
    both = render.delete(NativeRef(native_id="3", aliases=("4",)), WHERE)
    assert checked(both)["message_ids"] == [3, 4]


def test_a_reaction_is_the_bots_whole_set() -> None:
    target = NativeRef(native_id="3")
    react = ReactPiece(target=target, emoji="❤️", all_emoji=("❤️",))
    request = render.reaction(react, WHERE)
    assert checked(request)["reaction"] == [{"type": "emoji", "emoji": "❤"}]
    assert request.lost == ()
    gone = UnreactPiece(target=target, emoji="❤️")
    assert checked(render.reaction(gone, WHERE))["reaction"] == []
    back = UnreactPiece(target=target, emoji="❤️", all_emoji=("👍",))
    assert checked(render.reaction(back, WHERE))["reaction"] == [
        {"type": "emoji", "emoji": "👍"}
    ]


def test_a_near_reaction_is_reported_and_a_foreign_one_refused() -> None:
    target = NativeRef(native_id="3")
    near = render.reaction(ReactPiece(target=target, emoji="😂"), WHERE)
    assert near.lost == ("reaction shown as 🤣",)
    with pytest.raises(PolicyRefused, match="73 emoji"):
        render.reaction(ReactPiece(target=target, emoji="🐈"), WHERE)


def test_typing_is_shown_in_the_topic() -> None:
    assert checked(render.typing(TOPIC))["message_thread_id"] == 17
    assert checked(render.typing(PRIVATE)) == {"chat_id": 5, "action": "typing"}
