"""What messages of BlueBubbles mean."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.content.meaning import MediaKind
from sabir.content.plain import to_plain
from sabir.content.rich import Paragraph, Rich, Spoiler, Strong, Text
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    PAYLOAD_OCTETS_MAX,
    Action,
    ChatAvatarChanged,
    ChatId,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    Retracted,
)
from sabir.networks.imessage import effects
from sabir.networks.imessage.decode import decode
from sabir.networks.imessage.envelope import Envelope, Kind, seal

CHAT = ChatId("iMessage;-;+15550001111")
ME = PersonId("me@example.test")
ANN = PersonId("+15550001111")
BOB = PersonId("bob@example.test")
GUID = "8C4AB0F2-0000-4000-8000-000000000001"
OTHER = "8C4AB0F2-0000-4000-8000-000000000002"


def message(**fields: Any) -> dict[str, Any]:
    """Return a message as the server shows it."""
    return {
        "originalROWID": 7,
        "guid": GUID,
        "text": "hi",
        "attributedBody": None,
        "handle": {"originalROWID": 1, "address": ANN, "service": "iMessage"},
        "attachments": [],
        "subject": None,
        "error": 0,
        "dateCreated": 1_700_000_000_000,
        "dateRead": None,
        "dateDelivered": None,
        "dateEdited": None,
        "dateRetracted": None,
        "isFromMe": False,
        "itemType": 0,
        "groupTitle": None,
        "groupActionType": 0,
        "balloonBundleId": None,
        "associatedMessageGuid": None,
        "associatedMessageType": None,
        "threadOriginatorGuid": None,
        "expressiveSendStyleId": None,
        "isAudioMessage": False,
        "messageSummaryInfo": None,
        **fields,
    }


def read(kind: Kind = Kind.MESSAGE, /, **fields: Any) -> Incoming:
    envelope = Envelope(
        kind=kind,
        message=message(**fields),
        me=ME,
        names={ANN: "Ann Lee"},
        other=BOB,
    )
    event = seal(CHAT, NativeId(GUID), envelope, late=False)
    incoming = decode(event)
    assert incoming is not None
    return incoming


def posted(**fields: Any) -> Posted:
    action = read(**fields).action
    assert isinstance(action, Posted)
    return action


def plain(rich: Rich | None) -> str:
    assert rich is not None
    return to_plain(rich)


# ---- messages


def test_a_text_is_from_its_author_by_the_name_in_the_contacts() -> None:
    incoming = read()
    assert incoming.sender == Person(id=ANN, name="Ann Lee")
    assert incoming.sent_at == 1_700_000_000_000
    assert incoming.action == Posted(text=Rich.plain("hi"))
    assert incoming.lost == ()


def test_an_own_message_is_the_owners_without_a_handle() -> None:
    assert read(isFromMe=True, handle=None).sender == Person(id=ME, name="me")


def test_a_number_without_a_name_is_never_shown_whole() -> None:
    handle = {"address": "+15559998877", "service": "iMessage"}
    sender = read(handle=handle).sender
    assert sender == Person(id=PersonId("+15559998877"), name="iMessage user …8877")


def test_a_reply_names_what_it_answers() -> None:
    assert posted(threadOriginatorGuid=OTHER).reply_to == OTHER


def test_a_subject_stands_in_bold_above() -> None:
    text = posted(subject="Tea").text
    assert text is not None
    assert text.blocks[0] == Paragraph((Strong((Text("Tea"),)),))


def test_an_effect_is_said_in_words() -> None:
    incoming = read(expressiveSendStyleId="com.apple.messages.effect.CKConfettiEffect")
    assert isinstance(incoming.action, Posted)
    assert plain(incoming.action.text) == "hi\n\n(sent with Confetti)"
    assert incoming.lost == ("the effect Confetti, shown as words",)


def test_an_unknown_effect_has_the_name_that_apple_gave_it() -> None:
    text = posted(expressiveSendStyleId="com.apple.messages.effect.CKRainEffect").text
    assert plain(text) == "hi\n\n(sent with CKRainEffect)"


def test_invisible_ink_is_a_spoiler() -> None:
    incoming = read(expressiveSendStyleId=effects.INVISIBLE_INK)
    text = Rich((Paragraph((Spoiler((Text("hi"),)),)),))
    assert incoming.action == Posted(text=text)
    assert incoming.lost == ()


def test_an_app_that_cannot_be_shown_is_announced() -> None:
    incoming = read(text="\ufffc", balloonBundleId="com.apple.messages.Polls")
    assert incoming.action == Posted()
    assert incoming.lost == ("an iMessage that cannot be shown here (Polls)",)


@pytest.mark.parametrize("service", ["SMS", "RCS"])
def test_what_came_by_a_carrier_is_marked(service: str) -> None:
    incoming = read(handle={"address": ANN, "service": service})
    assert "the carrier can read it" in incoming.lost[0]


def test_a_single_message_by_sms_in_an_imessage_chat_is_marked() -> None:
    envelope = Envelope(kind=Kind.MESSAGE, message=message(), me=ME, is_lesser=True)
    incoming = decode(seal(CHAT, NativeId(GUID), envelope, late=False))
    assert incoming is not None
    assert "SMS or RCS" in incoming.lost[0]


# ---- files


def file(**fields: Any) -> dict[str, Any]:
    return {
        "guid": f"at_0_{GUID}",
        "mimeType": "image/jpeg",
        "transferName": "tea.jpg",
        "totalBytes": 5,
        "width": 4,
        "height": 3,
        **fields,
    }


def test_a_picture_comes_with_its_words() -> None:
    action = posted(text="\ufffclook", attachments=[file()])
    (media,) = action.media
    assert plain(action.text) == "look"
    assert (media.handle, media.filename, media.size) == (f"at_0_{GUID}", "tea.jpg", 5)
    assert (media.kind, media.width, media.height) == (MediaKind.IMAGE, 4, 3)


@pytest.mark.parametrize(
    ("fields", "message_fields", "kind", "content_type"),
    [
        ({"mimeType": "image/gif"}, {}, MediaKind.GIF, "image/gif"),
        ({"isSticker": True}, {}, MediaKind.STICKER, "image/jpeg"),
        ({"mimeType": "video/mp4"}, {}, MediaKind.VIDEO, "video/mp4"),
        ({"mimeType": "audio/mpeg"}, {}, MediaKind.AUDIO, "audio/mpeg"),
        (
            {"mimeType": None, "transferName": "Audio Message.caf"},
            {"isAudioMessage": True},
            MediaKind.VOICE,
            "audio/x-caf",
        ),
        (
            {"mimeType": None, "transferName": "Ann.vcf"},
            {},
            MediaKind.FILE,
            "text/vcard",
        ),
        (
            {"mimeType": "no type", "transferName": "x"},
            {},
            MediaKind.FILE,
            "application/octet-stream",
        ),
    ],
)
def test_a_file_is_of_its_kind(
    fields: dict[str, Any],
    message_fields: dict[str, Any],
    kind: MediaKind,
    content_type: str,
) -> None:
    (media,) = posted(text=None, attachments=[file(**fields)], **message_fields).media
    assert (media.kind, media.content_type) == (kind, content_type)


def test_a_filename_brings_no_folder() -> None:
    (media,) = posted(attachments=[file(transferName="../../a/tea.jpg")]).media
    assert media.filename == "tea.jpg"


def test_the_payload_of_a_link_preview_is_no_file() -> None:
    preview = file(transferName="A1.pluginPayloadAttachment")
    assert posted(attachments=[preview, file(hideAttachment=True)]).media == ()


@pytest.mark.parametrize("guid", [None, "", "../x", "a/b", "x" * 200])
def test_a_file_without_a_usable_guid_is_refused(guid: Any) -> None:
    with pytest.raises(PeerMisbehaved) as refused:
        posted(attachments=[file(guid=guid)])
    assert refused.value.rule == "IMESSAGE-003"


# ---- tapbacks


@pytest.mark.parametrize(
    ("kind", "emoji"),
    [
        ("love", "❤️"),
        ("like", "👍"),
        ("dislike", "👎"),
        ("laugh", "😂"),
        ("emphasize", "‼️"),
        ("question", "❓"),
        (2000, "❤️"),
        ("2005", "❓"),
    ],
)
def test_a_tapback_replaces_the_persons_reactions(kind: Any, emoji: str) -> None:
    for about in (f"p:0/{OTHER}", f"bp:{OTHER}", OTHER):
        action = read(associatedMessageType=kind, associatedMessageGuid=about).action
        assert action == ReactionsReplaced(target=NativeId(OTHER), emoji=(emoji,))


@pytest.mark.parametrize("kind", ["-love", "3001", "3006", 3006])
def test_a_tapback_that_is_taken_back_leaves_none(kind: Any) -> None:
    incoming = read(associatedMessageType=kind, associatedMessageGuid=OTHER)
    assert incoming.action == ReactionsReplaced(target=NativeId(OTHER), emoji=())
    assert incoming.lost == ()


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        ("Reacted 🎉 to “hi”", "🎉"),
        ("Reagierte mit 👩🏽‍🚀 auf „hi“", "👩🏽‍🚀"),
        ("🇪🇺 hi", "🇪🇺"),
        ("Reacted ❤ to “hi”", "❤️"),
        ("Reacted 1️⃣ to “hi”", "1️⃣"),
    ],
)
def test_an_emoji_tapback_is_read_from_the_text(text: str, emoji: str) -> None:
    fields = {"associatedMessageType": "2006", "associatedMessageGuid": f"p:0/{OTHER}"}
    action = read(text=text, **fields).action
    assert action == ReactionsReplaced(target=NativeId(OTHER), emoji=(emoji,))


def test_an_emoji_tapback_without_its_emoji_says_what_is_lost() -> None:
    fields = {"associatedMessageType": "2006", "associatedMessageGuid": OTHER}
    assert read(text="Reacted", **fields).lost == ("a reaction's emoji",)


def test_a_sticker_on_a_message_is_an_answer_to_it() -> None:
    incoming = read(
        text=None,
        associatedMessageType="sticker",
        associatedMessageGuid=OTHER,
        attachments=[file(isSticker=True)],
    )
    assert isinstance(incoming.action, Posted)
    assert incoming.action.reply_to == OTHER
    assert "a sticker that was put on a message, shown as an answer" in incoming.lost


def test_a_relation_of_an_unknown_kind_is_a_message() -> None:
    action = posted(associatedMessageType="9000", associatedMessageGuid=OTHER)
    assert plain(action.text) == "hi"


# ---- changes


def test_an_edit_is_the_new_text_of_its_message() -> None:
    incoming = read(Kind.EDIT, text="ho", dateEdited=1_700_000_009_000)
    assert incoming.action == Corrected(target=NativeId(GUID), text=Rich.plain("ho"))
    assert incoming.sent_at == 1_700_000_009_000


def test_a_part_that_was_taken_back_is_reported() -> None:
    info = [{"retractedParts": [1]}]
    incoming = read(Kind.EDIT, dateEdited=1, messageSummaryInfo=info)
    assert incoming.lost == ("a part of it was taken back",)


def test_an_unsent_message_is_retracted_whole() -> None:
    incoming = read(Kind.UNSEND, text=None, dateRetracted=1_700_000_009_000)
    assert incoming.action == Retracted(target=NativeId(GUID), any_version=True)
    assert incoming.sent_at == 1_700_000_009_000


@pytest.mark.parametrize(
    ("error", "words"), [(22, "not on iMessage"), (4, "error 4 of Messages")]
)
def test_a_send_that_failed_later_is_said_in_the_chat(error: int, words: str) -> None:
    incoming = read(Kind.FAILED, isFromMe=True, error=error)
    assert isinstance(incoming.action, Posted)
    assert incoming.action.reply_to == GUID
    assert words in plain(incoming.action.text)


# ---- groups


@pytest.mark.parametrize(
    ("kind", "sender", "action"),
    [
        ((1, 0), BOB, PersonJoined()),
        ((1, 1), BOB, PersonLeft(removed=True)),
        ((2, 0), ANN, ChatRenamed(name="Family")),
        ((3, 0), ANN, PersonLeft()),
        ((3, 1), ANN, Posted()),
        ((3, 2), ANN, ChatAvatarChanged(media=None)),
        ((9, 0), ANN, Posted()),
    ],
)
def test_a_change_of_the_group_is_told_of_whom_it_concerns(
    kind: tuple[int, int], sender: PersonId, action: Action
) -> None:
    item, what = kind
    incoming = read(text=None, itemType=item, groupActionType=what, groupTitle="Family")
    assert (incoming.sender.id, incoming.action) == (sender, action)


def test_a_change_by_nobody_known_is_the_systems() -> None:
    incoming = read(text=None, itemType=2, groupTitle="Family", handle=None)
    assert incoming.sender.id == "imessage"


def test_a_change_by_the_owner_is_the_owners() -> None:
    incoming = read(itemType=2, groupTitle="x", handle=None, isFromMe=True)
    assert incoming.sender.id == ME


# ---- bad input


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"sabir":"message"}',
        b'{"sabir":"other","message":{},"me":"me"}',
        b'{"sabir":"message","message":{},"me":""}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_our_envelope_is_refused(payload: bytes) -> None:
    event = NativeEvent(chat=CHAT, native_id=NativeId("x"), payload=payload)
    with pytest.raises(PeerMisbehaved) as refused:
        decode(event)
    assert refused.value.rule == "IMESSAGE-001"


@pytest.mark.parametrize(
    "fields",
    [
        {"guid": None},
        {"guid": "a b"},
        {"handle": None},
        {"handle": {"address": ""}},
        {"associatedMessageType": "love", "associatedMessageGuid": "p:0/"},
    ],
)
def test_a_message_without_what_it_needs_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(PeerMisbehaved) as refused:
        read(**fields)
    assert refused.value.rule == "IMESSAGE-002"


def test_a_message_over_the_limit_is_cut_and_refused() -> None:
    envelope = Envelope(
        kind=Kind.MESSAGE, message=message(text="x" * PAYLOAD_OCTETS_MAX), me=ME
    )
    event = seal(CHAT, NativeId(GUID), envelope, late=False)
    assert len(event.payload) == PAYLOAD_OCTETS_MAX
    with pytest.raises(PeerMisbehaved):
        decode(event)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["guid", "address", "retractedParts", "service"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(
    st.sampled_from(list(Kind)),
    st.dictionaries(st.sampled_from(sorted(message())), _VALUES, max_size=6),
)
def test_whatever_a_message_holds_is_a_meaning_or_refused(
    kind: Kind, fields: dict[str, Any]
) -> None:
    stored = {"sabir": kind, "me": ME, "message": message(**fields), "names": {}}
    event = NativeEvent(
        chat=CHAT, native_id=NativeId("x"), payload=json.dumps(stored).encode()
    )
    with suppress(PeerMisbehaved):
        assert isinstance(decode(event), Incoming)
