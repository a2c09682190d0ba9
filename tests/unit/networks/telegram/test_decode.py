"""What updates mean, from payloads as the Bot API's page shows them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.content.meaning import MediaKind
from sabir.content.plain import to_plain
from sabir.content.rich import Paragraph, Quote, Rich, Strong, Text
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
    NativeMedia,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
)
from sabir.networks.telegram.decode import MEMBER, decode
from sabir.testing.telegram.description import description, problems_in

GROUP = {"id": -1_000_000_001_234, "type": "supergroup", "title": "Tea"}
ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "last_name": "Lee"}
BOB = {"id": 8, "is_bot": False, "first_name": "Bob"}
FILE = {"file_id": "AgAD-1_x", "file_unique_id": "u1"}


def read(update: dict[str, Any], chat: str = "channel:1234") -> Incoming | None:
    payload = json.dumps({"update_id": 1, **update}).encode()
    event = NativeEvent(chat=ChatId(chat), native_id=NativeId("5"), payload=payload)
    return decode(event)


def message(**content: Any) -> dict[str, Any]:
    known = {"message_id": 5, "date": 1_700_000_000, "chat": GROUP, "from": ANN}
    found = {"message": {**known, **content}}
    assert not problems_in("Update", {"update_id": 1, **found})
    return found


def said(**content: Any) -> Incoming:
    incoming = read(message(**content))
    assert incoming is not None
    return incoming


def posted(**content: Any) -> Posted:
    action = said(**content).action
    assert isinstance(action, Posted)
    return action


def file_of(**content: Any) -> NativeMedia:
    (media,) = posted(**content).media
    return media


# ---- messages


def test_a_text_has_its_author_and_time() -> None:
    bold = [{"type": "bold", "offset": 0, "length": 4}]
    assert said(text="Ahoy!", entities=bold) == Incoming(
        sender=Person(id=PersonId("7"), name="Ann Lee"),
        action=Posted(
            text=Rich((Paragraph((Strong((Text("Ahoy"),)), Text("!"))),)),
        ),
        sent_at=1_700_000_000_000,  # type: ignore[arg-type]  # an Instant is an int
    )


def test_an_answer_names_what_it_answers() -> None:
    earlier = {"message_id": 3, "date": 1, "chat": GROUP, "text": "Who?"}
    assert posted(text="I", reply_to_message=earlier).reply_to == "3"


def test_words_chosen_to_answer_stand_in_front() -> None:
    earlier = {"message_id": 3, "date": 1, "chat": GROUP, "text": "Who is there?"}
    quote = {"text": "Who", "position": 0, "is_manual": True}
    action = posted(text="I", reply_to_message=earlier, quote=quote)
    assert action.text == Rich(
        (Quote((Paragraph((Text("Who"),)),)), Paragraph((Text("I"),)))
    )
    quote["is_manual"] = False
    assert posted(text="I", reply_to_message=earlier, quote=quote).text == Rich.plain(
        "I"
    )


def test_a_topic_is_a_thread_in_the_group_and_nothing_in_its_own_chat() -> None:
    root = {
        "message_id": 17,
        "date": 1,
        "chat": GROUP,
        "forum_topic_created": {"name": "Cakes", "icon_color": 1},
    }
    update = message(
        text="Nice", message_thread_id=17, is_topic_message=True, reply_to_message=root
    )
    in_group = read(update)
    assert in_group is not None
    assert in_group.action == Posted(text=Rich.plain("Nice"), thread=NativeId("t17"))
    in_topic = read(update, "channel:1234/17")
    assert in_topic is not None
    assert in_topic.action == Posted(text=Rich.plain("Nice"))


def test_a_new_topic_is_its_threads_first_message() -> None:
    update = message(forum_topic_created={"name": "Cakes", "icon_color": 1})
    in_group = read(update)
    assert in_group is not None
    assert in_group.action == Posted(text=Rich.plain("Cakes"))
    in_topic = read(update, "channel:1234/5")
    assert in_topic is not None
    assert in_topic.action == ChatRenamed(name="Cakes")


def test_a_topics_new_name_is_for_its_own_chat() -> None:
    update = message(forum_topic_edited={"name": "Pies"})
    assert read(update) is None
    in_topic = read(update, "channel:1234/17")
    assert in_topic is not None
    assert in_topic.action == ChatRenamed(name="Pies")


def test_a_basic_groups_messages_are_told_apart() -> None:
    basic = {"id": -77, "type": "group", "title": "Tea"}
    earlier = {"message_id": 3, "date": 1, "chat": basic, "text": "Who?"}
    assert posted(text="I", chat=basic, reply_to_message=earlier).reply_to == "b3"


def test_a_channel_speaks_for_itself() -> None:
    channel = {**GROUP, "type": "channel"}
    post = {"message_id": 5, "date": 1, "chat": channel, "text": "News"}
    incoming = read({"channel_post": post})
    assert incoming is not None
    assert incoming.sender == Person(id=PersonId("channel:1234"), name="Tea")
    post["author_signature"] = "Ann"
    incoming = read({"channel_post": post})
    assert incoming is not None
    assert incoming.sender.name == "Ann (Tea)"


def test_an_anonymous_administrator_is_the_group() -> None:
    assert said(text="x", sender_chat=GROUP).sender.id == "channel:1234"


def test_what_a_message_says_beside_its_text_is_reported() -> None:
    origin = {"type": "hidden_user", "date": 1, "sender_user_name": "X"}
    reply = {"origin": origin}
    assert said(text="x", forward_origin=origin).lost == ("marked as forwarded",)
    assert said(text="x", external_reply=reply).lost == (
        "an answer to something in another chat",
    )


def test_an_edit_replaces_the_text() -> None:
    edited = {**message(text="Ahoy")["message"], "edit_date": 1_700_000_009}
    incoming = read({"edited_message": edited})
    assert incoming is not None
    assert incoming.action == Corrected(target=NativeId("5"), text=Rich.plain("Ahoy"))
    assert incoming.sent_at == 1_700_000_009_000


# ---- files


def test_of_a_photo_the_largest_size_is_taken() -> None:
    sizes = [
        {**FILE, "file_id": f"f{width}", "width": width, "height": width}
        for width in (90, 800, 320)
    ]
    action = posted(photo=sizes, caption="The sea")
    assert action.text == Rich.plain("The sea")
    (media,) = action.media
    assert (media.handle, media.width, media.kind) == ("f800", 800, MediaKind.IMAGE)
    assert media.content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("member", "about", "kind", "content_type"),
    [
        ("voice", {"duration": 3}, MediaKind.VOICE, "audio/ogg"),
        ("audio", {"duration": 3}, MediaKind.AUDIO, "audio/mpeg"),
        (
            "video",
            {"duration": 3, "width": 4, "height": 3},
            MediaKind.VIDEO,
            "video/mp4",
        ),
        ("video_note", {"duration": 3, "length": 240}, MediaKind.VIDEO, "video/mp4"),
        ("document", {}, MediaKind.FILE, "application/octet-stream"),
    ],
)
def test_every_kind_of_file_has_its_kind(
    member: str, about: dict[str, Any], kind: MediaKind, content_type: str
) -> None:
    media = file_of(**{member: {**FILE, **about, "file_size": 9}})
    assert (media.kind, media.content_type, media.size) == (kind, content_type, 9)
    assert media.duration_ms == (3_000 if "duration" in about else None)


def test_an_animation_comes_as_a_document_too_and_is_one_file() -> None:
    animation = {**FILE, "duration": 1, "width": 4, "height": 3}
    media = file_of(animation=animation, document=FILE)
    assert media.kind is MediaKind.GIF


@pytest.mark.parametrize(
    ("flags", "content_type"),
    [
        ({}, "image/webp"),
        ({"is_animated": True}, "application/x-tgsticker"),
        ({"is_video": True}, "video/webm"),
    ],
)
def test_a_sticker_is_a_file_described_by_its_emoji(
    flags: dict[str, bool], content_type: str
) -> None:
    sticker = {
        **FILE,
        "type": "regular",
        "width": 512,
        "height": 512,
        "is_animated": False,
        "is_video": False,
        "emoji": "🐈",
        **flags,
    }
    media = file_of(sticker=sticker)
    assert media.kind is MediaKind.STICKER
    assert (media.content_type, media.description) == (content_type, "🐈")


def test_a_documents_name_and_type_are_its_own() -> None:
    about = {"file_name": "../etc/pass\nwd", "mime_type": "text/plain"}
    media = file_of(document={**FILE, **about})
    assert (media.filename, media.content_type) == ("pass wd", "text/plain")


def test_a_type_of_another_form_is_not_believed() -> None:
    media = file_of(document={**FILE, "mime_type": "text"})
    assert media.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    "content",
    [
        {"document": 7},
        {"document": {"file_id": ""}},
        {"document": {"file_id": "../x"}},
        {"photo": []},
        {"photo": "x"},
    ],
)
def test_a_file_without_a_usable_id_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(PeerMisbehaved) as found:
        read({"message": {**message()["message"], **content}})
    assert found.value.rule == "TELEGRAM-003"


# ---- things shown as text


@pytest.mark.parametrize(
    ("content", "shown", "lost"),
    [
        (
            {"location": {"latitude": 1.5, "longitude": -2}},
            "Location\ngeo:1.5,-2",
            "location",
        ),
        (
            {
                "venue": {
                    "location": {"latitude": 1.5, "longitude": 2.0},
                    "title": "Pier",
                    "address": "Quay 1",
                }
            },
            "Pier\nQuay 1\ngeo:1.5,2.0",
            "location",
        ),
        (
            {"contact": {"phone_number": "+1 555", "first_name": "Bob"}},
            "Bob\n+1 555",
            "a contact card",
        ),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4", "dice"),
        (
            {
                "checklist": {
                    "title": "Pack",
                    "tasks": [{"id": 1, "text": "rope"}, {"id": 2, "text": "tea"}],
                }
            },
            "Pack\n\n- rope\n- tea",
            "checklist",
        ),
    ],
)
def test_things_are_shown_as_text_and_reported(
    content: dict[str, Any], shown: str, lost: str
) -> None:
    incoming = said(**content)
    assert isinstance(incoming.action, Posted)
    assert incoming.action.text is not None
    assert to_plain(incoming.action.text) == shown
    assert incoming.lost == (f"{lost}, shown as text",)


def test_a_poll_is_a_numbered_list() -> None:
    option = {"persistent_id": "1", "text": "Tea", "voter_count": 0}
    poll = {
        "id": "1",
        "question": "What?",
        "options": [option, {**option, "text": "Coffee"}],
        "total_voter_count": 0,
        "is_closed": False,
        "is_anonymous": True,
        "type": "regular",
        "allows_multiple_answers": False,
        "allows_revoting": True,
        "members_only": False,
    }
    action = posted(poll=poll)
    assert action.text is not None
    assert to_plain(action.text) == "What?\n\n1. Tea\n2. Coffee"


@pytest.mark.parametrize(
    "content",
    [
        {"story": {"id": 1, "chat": GROUP}},
        {"location": {"latitude": 500.0, "longitude": 2.0}},
        {"dice": {"emoji": "", "value": 4}},
    ],
)
def test_what_cannot_be_shown_is_announced(content: dict[str, Any]) -> None:
    incoming = said(**content)
    assert incoming.action == Posted()
    (phrase,) = incoming.lost
    assert next(iter(content)) in phrase


def test_a_message_of_nothing_known_is_announced() -> None:
    assert said().lost == (
        "a Telegram message that cannot be shown here (of an unknown kind)",
    )


def test_a_timer_is_told_because_here_nothing_disappears() -> None:
    def lost(seconds: int) -> str:
        timer = {"message_auto_delete_time": seconds}
        return said(message_auto_delete_timer_changed=timer).lost[0]

    assert "after one day; here they stay" in lost(86_400)
    assert "after 7 days" in lost(7 * 86_400)
    assert "after 60 seconds" in lost(60)
    assert "do not disappear any more" in lost(0)


# ---- people and chats


def action_of(**content: Any) -> tuple[str, Action]:
    incoming = said(**content)
    return incoming.sender.name, incoming.action


def test_people_join_and_leave() -> None:
    assert action_of(new_chat_members=[BOB]) == ("Bob", PersonJoined())
    assert action_of(left_chat_member=ANN) == ("Ann Lee", PersonLeft())
    assert action_of(left_chat_member=BOB) == ("Bob", PersonLeft(removed=True))


def test_each_of_several_who_joined_has_an_event() -> None:
    update = {**message(new_chat_members=[ANN, BOB]), MEMBER: 1}
    incoming = read(update)
    assert incoming is not None
    assert incoming.sender.name == "Bob"


def test_a_chat_gets_a_name_and_a_picture() -> None:
    assert action_of(new_chat_title=" High\ntea ")[1] == ChatRenamed(name="High tea")
    _, action = action_of(new_chat_photo=[{**FILE, "width": 1, "height": 1}])
    assert isinstance(action, ChatAvatarChanged)
    assert action.media is not None
    assert action_of(delete_chat_photo=True)[1] == ChatAvatarChanged(media=None)


@pytest.mark.parametrize(
    "content",
    [
        {"group_chat_created": True},
        {"migrate_to_chat_id": -1},
        {"pinned_message": {"message_id": 3, "date": 0, "chat": GROUP}},
        {"video_chat_started": {}},
    ],
)
def test_what_says_nothing_to_people_is_nothing(content: dict[str, Any]) -> None:
    assert read(message(**content)) is None


def test_updates_of_other_kinds_are_nothing() -> None:
    assert read({"my_chat_member": {}}) is None
    assert read({}) is None


# ---- reactions


def reaction(new: list[Any], **more: Any) -> Incoming:
    update = {
        "message_reaction": {
            "chat": GROUP,
            "message_id": 5,
            "date": 1_700_000_000,
            "user": ANN,
            "old_reaction": [],
            "new_reaction": new,
            **more,
        }
    }
    assert not problems_in("Update", {"update_id": 1, **update})
    incoming = read(update)
    assert incoming is not None
    return incoming


def test_a_persons_reactions_are_the_whole_set_as_keyboards_write_them() -> None:
    incoming = reaction([{"type": "emoji", "emoji": "❤"}])
    assert incoming.action == ReactionsReplaced(target=NativeId("5"), emoji=("❤️",))
    assert incoming.sender.name == "Ann Lee"
    assert reaction([]).action == ReactionsReplaced(target=NativeId("5"), emoji=())


def test_a_reaction_that_is_no_emoji_is_reported() -> None:
    custom = {"type": "custom_emoji", "custom_emoji_id": "1"}
    incoming = reaction([custom, custom, {"type": "emoji", "emoji": "👍"}])
    assert incoming.action == ReactionsReplaced(target=NativeId("5"), emoji=("👍",))
    assert incoming.lost == ("a reaction that is no ordinary emoji",)


def test_a_group_reacts_as_such() -> None:
    update = {"message_reaction": {"chat": GROUP, "message_id": 5, "actor_chat": GROUP}}
    incoming = read(update)
    assert incoming is not None
    assert incoming.sender.id == "channel:1234"


# ---- bad input


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * (PAYLOAD_OCTETS_MAX + 1)],
)
def test_what_is_no_update_is_refused(payload: bytes) -> None:
    event = NativeEvent(chat=ChatId("user:5"), native_id=NativeId("5"), payload=payload)
    with pytest.raises(PeerMisbehaved) as found:
        decode(event)
    assert found.value.rule == "TELEGRAM-001"


@pytest.mark.parametrize(
    "update",
    [
        {"message": 7},
        {"message": {"message_id": 5}},
        {"message": {"message_id": 5, "from": {"id": "x"}, "text": "x"}},
        {"message": {"from": ANN, "new_chat_members": []}},
        {"message": {"from": ANN, "new_chat_members": [7]}},
        {"message": {"from": ANN, "left_chat_member": 7}},
        {"edited_message": {"from": ANN, "chat": GROUP}},
        {"edited_message": {"from": ANN, "chat": GROUP, "message_id": -5}},
        {"edited_message": {"from": ANN, "message_id": 5}},
        {"message_reaction": {"chat": GROUP, "message_id": 5}},
        {"message_reaction": []},
    ],
)
def test_a_part_that_is_missing_or_of_another_type_is_refused(
    update: dict[str, Any],
) -> None:
    with pytest.raises(PeerMisbehaved) as found:
        read(update)
    assert found.value.rule == "TELEGRAM-002"


def test_a_time_that_is_none_is_not_known() -> None:
    for date in (-1, 2**40, "now", True, None):
        incoming = read({"message": {**message(text="x")["message"], "date": date}})
        assert incoming is not None
        assert incoming.sent_at == 0


def test_somebody_without_a_name_has_their_username_or_number() -> None:
    assert said(
        text="x", **{"from": {**ANN, "first_name": "", "last_name": ""}}
    ).sender == (Person(id=PersonId("7"), name="7"))
    nameless = {"id": 7, "is_bot": False, "first_name": "", "username": "ann"}
    assert said(text="x", **{"from": nameless}).sender.name == "ann"


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(-9, 9),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def objects(draw: st.DrawFn, kind: str, depth: int = 4) -> Any:
    """Draw a value of a described type, with missing, extra and odd members."""
    if draw(st.integers(0, 40)) == 0 or depth == 0:
        return draw(_anything)
    if kind.startswith("Array of "):
        inner = kind.removeprefix("Array of ")
        return [draw(objects(inner, depth - 1)) for _ in range(draw(st.integers(0, 2)))]
    primitive: dict[str, st.SearchStrategy[Any]] = {
        "Integer": st.integers(-(2**53), 2**53) | st.integers(0, 40),
        "String": st.text(max_size=12) | st.sampled_from(["emoji", "bold", "private"]),
        "Boolean": st.booleans(),
        "True": st.just(True),
        "Float": st.floats(-200, 200),
    }
    if kind in primitive:
        return draw(primitive[kind])
    known = description()["types"][kind]
    if known.get("one_of"):
        return draw(objects(draw(st.sampled_from(known["one_of"])), depth))
    found: dict[str, Any] = {}
    names = [n for n, f in known["fields"].items() if f.get("required")]
    others = [n for n in known["fields"] if n not in names]
    names += draw(st.lists(st.sampled_from(others), max_size=4)) if others else []
    for name in names:
        if draw(st.integers(0, 30)):
            field = known["fields"][name]
            value = field.get("const") or draw(objects(field["types"][0], depth - 1))
            found[name] = value
    if draw(st.booleans()):
        found["future_member"] = draw(_anything)
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["message", "edited_message", "channel_post"]).flatmap(
        lambda kind: objects("Message").map(lambda found: {kind: found})
    )
    | objects("MessageReactionUpdated").map(lambda f: {"message_reaction": f})
    | objects("Update"),
    st.sampled_from(["channel:1234", "channel:1234/17", "user:5"]),
)
def test_random_updates_are_a_meaning_nothing_or_the_peers_fault(
    update: Any, chat: str
) -> None:
    payload = json.dumps(update).encode()
    event = NativeEvent(chat=ChatId(chat), native_id=NativeId("5"), payload=payload)
    try:
        incoming = decode(event)
    except PeerMisbehaved:
        return
    assert incoming is None or isinstance(incoming, Incoming)
