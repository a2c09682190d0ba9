import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.meaning import MediaKind
from sabir.content.plain import to_plain
from sabir.content.rich import (
    CodeBlock,
    Mention,
    Paragraph,
    Rich,
    Spoiler,
    Strong,
    Text,
)
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    ChatId,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)
from sabir.networks.signal import envelope as envelopes
from sabir.networks.signal.decode import decode
from sabir.networks.signal.envelope import Seen
from tests.unit.networks.signal.events import (
    BOB,
    CAROL,
    DM,
    GROUP,
    OWN,
    T,
    body,
    envelope,
    group_info,
    stored,
)


def meant(**data: Any) -> Incoming:
    incoming = decode(stored(envelope(dataMessage=body(**data))))
    assert incoming is not None
    return incoming


def posted(**data: Any) -> Posted:
    action = meant(**data).action
    assert isinstance(action, Posted)
    return action


def test_a_text_is_said_by_its_account_id_with_a_name() -> None:
    incoming = meant(message="hello")
    assert incoming.sender.id == BOB
    assert incoming.sender.name == "Bob"
    assert incoming.sent_at == T
    assert incoming.action == Posted(text=Rich.plain("hello"))
    assert incoming.lost == ()


def test_a_phone_number_is_never_a_name() -> None:
    found = envelope(dataMessage=body(message="hi"))
    message = envelopes.said(found, OWN)
    assert message is not None
    event = envelopes.seal(message, found, OWN, {BOB: "+1 202-555-0102"})
    incoming = decode(event)
    assert incoming is not None
    assert incoming.sender.name == "Signal user 1111"


def test_styles_and_mentions_stand_after_an_emoji_outside_the_bmp() -> None:
    text = "😀 \ufffc bold and hidden"
    action = posted(
        message=text,
        mentions=[{"name": "+1", "uuid": CAROL, "start": 3, "length": 1}],
        textStyles=[
            {"style": "BOLD", "start": 5, "length": 4},
            {"style": "SPOILER", "start": 14, "length": 6},
        ],
    )
    assert action.text == Rich(
        (
            Paragraph(
                (
                    Text("😀 "),
                    Mention("Carol", CAROL),
                    Text(" "),
                    Strong((Text("bold"),)),
                    Text(" and "),
                    Spoiler((Text("hidden"),)),
                )
            ),
        )
    )


def test_lines_in_monospace_are_a_block_of_code() -> None:
    styles = [{"style": "MONOSPACE", "start": 5, "length": 7}]
    action = posted(message="look\na = 1\nb\nso", textStyles=styles)
    assert action.text is not None
    assert CodeBlock("a = 1\nb") in action.text.blocks


def test_the_copy_that_a_quote_brings_along_is_not_trusted() -> None:
    quote = {"id": T - 5, "authorUuid": CAROL, "text": "I never said that"}
    action = posted(message="yes", quote={**quote, "attachments": []})
    assert action.reply_to == NativeId(f"{CAROL}|{T - 5}")
    assert "never said" not in repr(action)


def test_an_edit_names_the_message_by_author_and_time() -> None:
    edit = {"targetSentTimestamp": T - 9, "dataMessage": body(message="better")}
    incoming = decode(stored(envelope(editMessage=edit)))
    assert incoming is not None
    assert incoming.action == Corrected(
        target=NativeId(f"{BOB}|{T - 9}"), text=Rich.plain("better")
    )


def test_reactions_replace_each_other() -> None:
    reaction = {"emoji": "❤", "targetAuthorUuid": OWN, "targetSentTimestamp": T - 1}
    target = NativeId(f"{OWN}|{T - 1}")
    new = meant(reaction={**reaction, "isRemove": False})
    gone = meant(reaction={**reaction, "isRemove": True})
    assert new.action == ReactionsReplaced(target=target, emoji=("❤️",))
    assert gone.action == ReactionsReplaced(target=target, emoji=())


def test_deletions_mean_the_whole_message_by_any_version() -> None:
    own = meant(remoteDelete={"timestamp": T - 4})
    admin = meant(adminDelete={"targetAuthorUuid": CAROL, "targetSentTimestamp": T - 4})
    assert own.action == Retracted(target=NativeId(f"{BOB}|{T - 4}"), any_version=True)
    assert admin.action == Retracted(
        target=NativeId(f"{CAROL}|{T - 4}"), by_moderator=True, any_version=True
    )


def test_what_is_viewed_once_is_named_and_never_fetched() -> None:
    file = {"contentType": "image/jpeg", "id": "a.jpg", "size": 5}
    incoming = meant(viewOnce=True, attachments=[file], message="secret caption")
    assert incoming.action == Posted()
    assert incoming.lost == ("something to be viewed once, which only Signal shows",)
    assert "secret" not in repr(incoming)


def test_files_keep_type_name_and_size_and_long_text_is_no_file() -> None:
    files = [
        {"contentType": "text/x-signal-plain", "id": "t", "size": 3_000},
        {"contentType": "audio/aac", "filename": None, "id": "v.aac", "size": 7},
        {"contentType": "IMAGE/PNG", "filename": "../x/cat.png", "id": "c=", "size": 9},
    ]
    action = posted(message="long", attachments=files)
    kinds = [(m.kind, m.content_type, m.filename, m.size) for m in action.media]
    assert kinds == [
        (MediaKind.AUDIO, "audio/aac", "", 7),
        (MediaKind.IMAGE, "image/png", "cat.png", 9),
    ]


def test_a_sticker_is_a_file() -> None:
    action = posted(sticker={"packId": "abcd", "stickerId": 3})
    assert [media.kind for media in action.media] == [MediaKind.STICKER]


def test_disappearing_messages_and_timers_are_said() -> None:
    one = meant(message="soon gone", expiresInSeconds=604_800)
    assert one.lost == ("it disappears on Signal 1 week after reading, here it stays",)
    on = meant(isExpirationUpdate=True, expiresInSeconds=3_600)
    off = meant(isExpirationUpdate=True, expiresInSeconds=0)
    assert "1 hour after" in on.lost[0]
    assert "do not disappear any more" in off.lost[0]


def test_a_poll_and_a_card_are_shown_as_text() -> None:
    poll = meant(pollCreate={"question": "Tea?", "options": ["yes", "no"]})
    card = meant(
        contacts=[{"name": {"display": "Dan"}, "phone": [{"value": "+1 555"}]}]
    )
    assert isinstance(poll.action, Posted)
    assert poll.action.text is not None
    assert to_plain(poll.action.text) == "Tea?\n\n1. yes\n2. no"
    assert isinstance(card.action, Posted)
    assert card.action.text == Rich.plain("Dan\n+1 555")
    assert card.lost == ("a contact card, shown as text",)


def test_parts_that_nobody_knows_are_said_to_be_left_behind() -> None:
    incoming = meant(message="hi", hologram={"x": 1}, pollVote={"a": 1})
    assert incoming.lost == (
        "a vote in a poll, which stays on Signal",
        "a part that this version of Sabir does not know (hologram)",
    )


def test_a_group_message_is_in_the_group_and_its_change_says_nothing() -> None:
    found = envelope(dataMessage=body(message="all", groupInfo=group_info()))
    assert stored(found).chat == ChatId(f"group:{GROUP}")
    update = envelope(dataMessage=body(groupInfo=group_info("UPDATE")))
    assert decode(stored(update)) is None


def test_what_the_owner_writes_on_the_phone_is_the_owners() -> None:
    sent = body(message="from my phone", destinationUuid=BOB, destination="+1202")
    event = stored(envelope(OWN, syncMessage={"sentMessage": sent}))
    incoming = decode(event)
    assert event.chat == DM
    assert event.native_id == f"{OWN}|{T}"
    assert incoming is not None
    assert incoming.sender.id == OWN
    edit = {"targetSentTimestamp": T - 1, "dataMessage": body(message="better")}
    sent = {"destinationUuid": BOB, "editMessage": edit}
    incoming = decode(stored(envelope(OWN, syncMessage={"sentMessage": sent})))
    assert incoming is not None
    assert isinstance(incoming.action, Corrected)


def test_somebody_else_cannot_speak_as_the_owner() -> None:
    sent = body(message="forged", destinationUuid=CAROL)
    found = envelope(BOB, syncMessage={"sentMessage": sent})
    assert envelopes.said(found, OWN) is None


def test_a_note_to_self_is_the_direct_chat_with_oneself() -> None:
    sent = body(message="milk", destinationUuid=OWN)
    event = stored(envelope(OWN, syncMessage={"sentMessage": sent}))
    assert event.chat == ChatId(f"dm:{OWN}")


# ---- what we saw ourselves


def saw(kind: Seen, value: str | int = "") -> Incoming:
    event = envelopes.seen(
        DM, kind, person=BOB, name="Bob", at=T, number="3", value=value
    )
    incoming = decode(event)
    assert incoming is not None
    return incoming


def test_changes_of_a_group_have_their_own_form() -> None:
    assert saw(Seen.JOINED).action == PersonJoined()
    assert saw(Seen.LEFT).action == PersonLeft()
    assert saw(Seen.RENAMED, "Tea").action == ChatRenamed(name="Tea")
    assert saw(Seen.TOPIC, "every day").action == TopicChanged(topic="every day")
    assert saw(Seen.ROLE, "admin").lost == (
        "is now an administrator of the Signal group",
    )
    assert "1 day" in saw(Seen.TIMER, 86_400).lost[0]


def test_a_changed_key_says_what_to_do_and_a_decision_is_recorded() -> None:
    assert "sabir account add" in saw(Seen.KEY_CHANGED).lost[0]
    assert "was compared" in saw(Seen.KEY_TRUSTED, "TRUSTED_VERIFIED").lost[0]
    unseen = saw(Seen.KEY_TRUSTED, "TRUSTED_UNVERIFIED")
    assert "without comparing" in unseen.lost[0]


# ---- bad input


def rejected(payload: bytes) -> str:
    with pytest.raises(PeerMisbehaved) as caught:
        decode(NativeEvent(chat=DM, native_id=NativeId("x"), payload=payload))
    return caught.value.rule


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"me":"x","envelope":{}}',
        b"[" * 100_000,
        b" " * (1024 * 1024 + 1),
        b'{"seen":{"kind":"joined"}}',
        json.dumps({"seen": {"kind": "danced"}, "person": BOB, "at": T}).encode(),
    ],
)
def test_what_is_not_our_envelope_is_refused(payload: bytes) -> None:
    assert rejected(payload) == "SIGNAL-001"


@pytest.mark.parametrize(
    "data",
    [
        {"reaction": {"emoji": "", "targetAuthorUuid": BOB, "targetSentTimestamp": 1}},
        {"reaction": {"emoji": "❤", "targetAuthorUuid": "x", "targetSentTimestamp": 1}},
        {"reaction": "❤"},
        {"remoteDelete": {}},
        {"adminDelete": 1},
        {"adminDelete": {"targetAuthorUuid": BOB, "targetSentTimestamp": -1}},
    ],
)
def test_a_part_without_what_it_needs_is_refused(data: dict[str, Any]) -> None:
    event = stored(envelope(dataMessage=body(**data)))
    assert rejected(event.payload) == "SIGNAL-002"


@pytest.mark.parametrize("edit", [body(), body(message="x", viewOnce=True)])
def test_an_edit_needs_content(edit: dict[str, Any]) -> None:
    found = envelope(editMessage={"targetSentTimestamp": 5, "dataMessage": edit})
    assert rejected(stored(found).payload) == "SIGNAL-002"


def test_an_envelope_without_a_message_is_refused() -> None:
    payload = json.dumps({"me": OWN, "envelope": envelope()}).encode()
    assert rejected(payload) == "SIGNAL-002"


@pytest.mark.parametrize(
    "data",
    [
        {"attachments": ["x"]},
        {"attachments": [{"id": "../../etc/passwd\n"}]},
        {"sticker": {"packId": "xyz", "stickerId": 1}},
        {"sticker": {"packId": "ab", "stickerId": -1}},
        {"sticker": 5},
    ],
)
def test_a_file_without_a_usable_id_is_refused(data: dict[str, Any]) -> None:
    event = stored(envelope(dataMessage=body(**data)))
    assert rejected(event.payload) == "SIGNAL-003"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            "message",
            "expiresInSeconds",
            "viewOnce",
            "isExpirationUpdate",
            "reaction",
            "quote",
            "mentions",
            "attachments",
            "sticker",
            "remoteDelete",
            "adminDelete",
            "textStyles",
            "contacts",
            "pollCreate",
            "previews",
            "unheardOf",
        ]
    ),
    JSON,
    max_size=4,
)


@given(MEMBERS)
def test_any_members_are_read_or_are_misbehaviour(members: dict[str, Any]) -> None:
    event = stored(envelope(dataMessage=body(**members)))
    try:
        incoming = decode(event)
    except PeerMisbehaved:
        return
    assert incoming is None or incoming.sender.id == BOB
