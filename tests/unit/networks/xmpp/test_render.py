"""Pieces and the stanzas that say them; read back by `decode`."""

from xml.etree.ElementTree import Element, fromstring, tostring

from sabir.clock import Instant
from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.content.rich import CodeBlock, Paragraph, Rich, Strong, Text
from sabir.networks.api import (
    Action,
    ChatId,
    Corrected,
    NativeEvent,
    NativeId,
    Posted,
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)
from sabir.networks.xmpp.decode import decode
from sabir.networks.xmpp.envelope import Arrived, Kind, seal
from sabir.networks.xmpp.render import (
    SECOND,
    Address,
    Rendered,
    Spoken,
    Upload,
    render,
)

KEY = "k" * 32
GROUP = Address(sender="g@gw.x/sabir", to="r@m.x", group=True)
DIRECT = Address(sender="g@gw.x/sabir", to="ada@x", group=False)
REF = NativeRef(
    native_id="sid",
    aliases=("mid",),
    author="r@m.x/Bob",
    author_name="Bob",
    excerpt="two\nlines",
)
UPLOAD = Upload(url="https://up.x/a.png", size=3, sha256=b"\0" * 32)


def said(piece: Spoken, address: Address = GROUP) -> Rendered:
    return render(piece, key=KEY, address=address, upload=UPLOAD)


def arrived(stanza: Element) -> Element:
    """The stanza as a receiver parses it off a stream."""
    text = tostring(stanza, "unicode")
    return fromstring(f'<s xmlns="jabber:client">{text}</s>')[0]


def meant(stanza: Element) -> Action | None:
    event = Arrived(kind=Kind.MESSAGE, at=Instant(0), stanza=arrived(stanza))
    found = decode(
        NativeEvent(chat=ChatId("r@m.x"), native_id=NativeId("1"), payload=seal(event))
    )
    return found.action if found is not None else None


def test_a_text_has_its_key_as_id_and_origin_id() -> None:
    (stanza,) = said(TextPiece(text=Rich.plain("hi"))).stanzas
    assert stanza.attrib == {
        "from": "g@gw.x/sabir",
        "to": "r@m.x",
        "type": "groupchat",
        "id": KEY,
    }
    origin = arrived(stanza).find("{urn:xmpp:sid:0}origin-id")
    assert origin is not None
    assert origin.get("id") == KEY
    assert arrived(stanza).find("{urn:xmpp:chat-markers:0}markable") is not None
    assert meant(stanza) == Posted(text=Rich.plain("hi"))


def test_receipts_are_asked_only_in_direct_chats() -> None:
    for address, wanted in ((GROUP, False), (DIRECT, True)):
        (stanza,) = said(TextPiece(text=Rich.plain("hi")), address).stanzas
        asked = arrived(stanza).find("{urn:xmpp:receipts}request") is not None
        assert asked is wanted


def test_an_account_leaves_its_sender_to_the_server() -> None:
    address = Address(sender="", to="ada@x", group=False)
    (stanza,) = said(TextPiece(text=Rich.plain("hi")), address).stanzas
    assert "from" not in stanza.attrib


def test_literal_marks_are_unstyled() -> None:
    (stanza,) = said(TextPiece(text=Rich.plain("2 *3* 4"))).stanzas
    assert meant(stanza) == Posted(text=Rich.plain("2 *3* 4"))


def test_forbidden_characters_are_taken_out_and_reported() -> None:
    rendered = said(TextPiece(text=Rich.plain("a\x00\x07b")))
    assert rendered.lost == ("2 characters that XML does not allow",)
    assert meant(rendered.stanzas[0]) == Posted(text=Rich.plain("ab"))


def test_an_emote_and_a_thread() -> None:
    piece = TextPiece(text=Rich.plain("waves"), emote=True, thread=REF)
    assert meant(said(piece).stanzas[0]) == Posted(
        text=Rich.plain("waves"), emote=True, thread=NativeId("sid")
    )


def test_a_reply_quotes_for_old_clients_and_marks_the_quotation() -> None:
    (stanza,) = said(TextPiece(text=Rich.plain("yes"), reply_to=REF)).stanzas
    assert stanza.findtext("body") == "> Bob: two\n> lines\nyes"
    reply = arrived(stanza).find("{urn:xmpp:reply:0}reply")
    assert reply is not None
    assert reply.get("to") == "r@m.x/Bob"
    assert meant(stanza) == Posted(text=Rich.plain("yes"), reply_to=NativeId("sid"))


def test_a_reply_in_a_direct_chat_uses_the_messages_id() -> None:
    (stanza,) = said(TextPiece(text=Rich.plain("y"), reply_to=REF), DIRECT).stanzas
    assert meant(stanza) == Posted(text=Rich.plain("y"), reply_to=NativeId("mid"))


def test_a_reply_to_somebody_known_by_occupant_id_names_their_nick() -> None:
    ref = NativeRef(native_id="sid", author="r@m.x#o1", author_name="Bob")
    (stanza,) = said(TextPiece(text=Rich.plain("y"), reply_to=ref)).stanzas
    reply = arrived(stanza).find("{urn:xmpp:reply:0}reply")
    assert reply is not None
    assert reply.get("to") == "r@m.x/Bob"
    nameless = NativeRef(native_id="sid", author="r@m.x#o1")
    (stanza,) = said(TextPiece(text=Rich.plain("y"), reply_to=nameless)).stanzas
    assert stanza.findtext("body") == "y"


def test_a_correction_names_the_id_never_the_stanza_id() -> None:
    (stanza,) = said(EditPiece(target=REF, text=Rich.plain("new"))).stanzas
    assert meant(stanza) == Corrected(target=NativeId("mid"), text=Rich.plain("new"))
    bare = NativeRef(native_id="only")
    (stanza,) = said(EditPiece(target=bare, text=Rich.plain("new"))).stanzas
    assert meant(stanza) == Corrected(target=NativeId("only"), text=Rich.plain("new"))


def test_a_retraction_is_kept_in_archives_and_readable_by_old_clients() -> None:
    (stanza,) = said(DeletePiece(target=REF)).stanzas
    assert meant(stanza) == Retracted(target=NativeId("sid"))
    assert "retracted" in (stanza.findtext("body") or "")
    assert arrived(stanza).find("{urn:xmpp:hints}store") is not None


def test_reactions_always_say_the_whole_set() -> None:
    many = ReactPiece(target=REF, emoji="🎉", all_emoji=("👍", "🎉"))
    assert meant(said(many).stanzas[0]) == ReactionsReplaced(
        target=NativeId("sid"), emoji=("👍", "🎉")
    )
    one = ReactPiece(target=REF, emoji="🎉")
    assert meant(said(one).stanzas[0]) == ReactionsReplaced(
        target=NativeId("sid"), emoji=("🎉",)
    )
    none = UnreactPiece(target=REF, emoji="🎉")
    assert meant(said(none).stanzas[0]) == ReactionsReplaced(
        target=NativeId("sid"), emoji=()
    )


def test_a_topic_has_no_body() -> None:
    (stanza,) = said(TopicPiece(topic="Tea")).stanzas
    assert meant(stanza) == TopicChanged(topic="Tea")


def image(kind: MediaKind = MediaKind.IMAGE) -> Attachment:
    part = ExternalPart(
        content_type="image/png", url="", size=99, filename="a.png", description="alt"
    )
    return Attachment(part=part, kind=kind, width=4, height=5)


def test_a_file_is_shown_by_old_and_new_clients() -> None:
    (stanza,) = said(MediaPiece(attachment=image())).stanzas
    assert stanza.findtext("body") == UPLOAD.url
    found = meant(stanza)
    assert isinstance(found, Posted)
    (media,) = found.media
    assert (media.handle, media.content_type, media.size) == (
        UPLOAD.url,
        "image/png",
        3,
    )
    assert (media.filename, media.description) == ("a.png", "alt")
    assert (media.width, media.height, media.kind) == (4, 5, MediaKind.IMAGE)
    assert found.text is None


def test_a_caption_follows_its_file() -> None:
    piece = MediaPiece(attachment=image(), caption=Rich.plain("look"), reply_to=REF)
    first, second = said(piece).stanzas
    assert second.get("id") == KEY + SECOND
    assert meant(second) == Posted(text=Rich.plain("look"))
    found = meant(first)
    assert isinstance(found, Posted)
    assert found.reply_to == "sid"


def test_a_voice_message_loses_its_mark() -> None:
    rendered = said(MediaPiece(attachment=image(MediaKind.VOICE)))
    assert rendered.lost == ("that it is a voice message",)


def test_who_has_no_seat_is_named_in_the_text() -> None:
    address = Address(sender="s@gw.x/sabir", to="r@m.x", group=True, prefix="Ada: ")
    text = Rich((Paragraph((Strong((Text("hi"),)),)),))
    (stanza,) = said(TextPiece(text=text), address).stanzas
    assert stanza.findtext("body") == "Ada: *hi*"
    (stanza,) = said(TextPiece(text=Rich((CodeBlock("x"),))), address).stanzas
    assert stanza.findtext("body") == "Ada:\n```\nx\n```"
    _, second = said(MediaPiece(attachment=image()), address).stanzas
    assert second.findtext("body") == "Ada: a.png"
