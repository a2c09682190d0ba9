import pytest

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    Piece,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Rich
from sabir.networks.api import ChatId
from sabir.networks.signal.capabilities import TEXT_OCTETS_MAX
from sabir.networks.signal.render import Request, Unsendable, render
from tests.unit.networks.signal.bench import GROUP_CHAT, METHODS, Bench, new_daemon
from tests.unit.networks.signal.events import BOB, DM, GROUP, OWN

OURS = NativeRef(native_id=f"{OWN}|5", excerpt="our\nown words")
THEIRS = NativeRef(native_id=f"{BOB}|6")
ELSEWHERE = NativeRef(native_id="$event")
HERE = Bench(new_daemon())


def rendered(piece: Piece, chat: ChatId = DM) -> Request:
    request = render(HERE.outgoing(piece, chat), me=OWN)
    assert isinstance(request, Request)
    unknown = set(request.params) - set(METHODS[request.method])
    assert not unknown, f"signal-cli's {request.method} has no {unknown}"
    return request


def refused(piece: Piece, chat: ChatId = DM) -> str:
    request = render(HERE.outgoing(piece, chat), me=OWN)
    assert isinstance(request, Unsendable)
    return request.reason


def file(kind: MediaKind, content_type: str) -> MediaPiece:
    part = ExternalPart(content_type=content_type, url="spool:x")
    return MediaPiece(attachment=Attachment(part=part, kind=kind))


def test_a_text_goes_to_a_person_a_group_or_oneself() -> None:
    piece = TextPiece(text=Rich.plain("hi"))
    assert rendered(piece).params == {"recipient": [BOB], "message": "hi"}
    assert rendered(piece, GROUP_CHAT).params == {"groupId": GROUP, "message": "hi"}
    own = rendered(piece, ChatId(f"dm:{OWN}")).params
    assert own == {"noteToSelf": True, "message": "hi"}


def test_a_reply_quotes_our_copy_on_one_line() -> None:
    params = rendered(TextPiece(text=Rich.plain("yes"), reply_to=OURS)).params
    assert params["quoteTimestamp"] == 5
    assert params["quoteAuthor"] == OWN
    assert params["quoteMessage"] == "our own words"
    without = rendered(TextPiece(text=Rich.plain("yes"), reply_to=ELSEWHERE)).params
    assert "quoteTimestamp" not in without


def test_changes_name_their_message_by_author_and_time() -> None:
    edit = rendered(EditPiece(target=OURS, text=Rich.plain("new")))
    assert (edit.method, edit.params["editTimestamp"]) == ("send", 5)
    react = rendered(ReactPiece(target=THEIRS, emoji="👍"))
    assert react.params["targetAuthor"] == BOB
    assert (react.params["targetTimestamp"], react.params["remove"]) == (6, False)
    gone = rendered(UnreactPiece(target=THEIRS, emoji="👍"))
    assert gone.params["remove"] is True
    deletion = rendered(DeletePiece(target=OURS))
    assert (deletion.method, deletion.params["targetTimestamp"]) == ("remoteDelete", 5)


def test_an_administrator_deletes_others_words_in_groups_only() -> None:
    deletion = rendered(DeletePiece(target=THEIRS), GROUP_CHAT)
    assert deletion.method == "sendAdminDelete"
    assert deletion.params["targetAuthor"] == BOB
    assert "only its author" in refused(DeletePiece(target=THEIRS))


@pytest.mark.parametrize(
    "piece",
    [
        EditPiece(target=ELSEWHERE, text=Rich.plain("x")),
        DeletePiece(target=ELSEWHERE),
        ReactPiece(target=ELSEWHERE, emoji="x"),
    ],
)
def test_a_message_without_a_name_on_signal_cannot_be_changed(piece: Piece) -> None:
    assert "no name on Signal" in refused(piece)


def test_voice_is_marked_only_where_every_phone_plays_it() -> None:
    aac = rendered(file(MediaKind.VOICE, "audio/aac"))
    assert aac.params["voiceNote"] is True
    ogg = rendered(file(MediaKind.VOICE, "audio/ogg"))
    assert "voiceNote" not in ogg.params
    assert ogg.lost == ("a voice message, sent as an audio file",)


def test_a_text_beyond_what_phones_show_is_refused() -> None:
    long = Rich.plain("x" * (TEXT_OCTETS_MAX + 1))
    assert "send it as a file" in refused(TextPiece(text=long))
    assert "send it as a file" in refused(EditPiece(target=OURS, text=long))
    rendered(TextPiece(text=Rich.plain("x" * TEXT_OCTETS_MAX)))
