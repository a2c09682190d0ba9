"""What people say on WhatsApp means the same here, or says what is missing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.meaning import MediaKind
from sabir.content.plain import to_plain
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    ChatId,
    ChatRenamed,
    Incoming,
    NativeEvent,
    NativeId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    TopicChanged,
)
from sabir.networks.whatsapp.decode import decode
from sabir.networks.whatsapp.envelope import Kind, seal, take_apart
from tests.unit.networks.whatsapp.bodies import (
    ANN,
    MESSAGES,
    NUMBER,
    body,
    message,
    said,
)


def heard(content: dict[str, Any]) -> Incoming:
    (event,) = take_apart(said(content), number=NUMBER, aliases={}).events
    found = decode(event)
    assert found is not None
    return found


def posted(content: dict[str, Any]) -> Posted:
    action = heard(content).action
    assert isinstance(action, Posted)
    return action


def words(content: dict[str, Any]) -> str:
    text = posted(content).text
    return "" if text is None else to_plain(text)


def test_a_text_has_its_marks_its_author_and_its_time() -> None:
    incoming = heard(MESSAGES["text"])
    assert (incoming.sender.id, incoming.sender.name) == (ANN, "Ann")
    assert incoming.sent_at == 1_749_416_383_000
    assert incoming.lost == ()
    children = (Text("Does it "), Strong((Text("fly"),)), Text("?"))
    assert posted(MESSAGES["text"]).text == Rich((Paragraph(children),))


def test_a_reply_names_its_message() -> None:
    assert posted(MESSAGES["reply"]).reply_to == "wamid.OUT"


def test_a_reaction_is_the_persons_only_one() -> None:
    assert heard(MESSAGES["reaction"]).action == ReactionsReplaced(
        target=NativeId("wamid.OUT"), emoji=("👍",)
    )
    for gone in ({"message_id": "wamid.OUT"}, {"message_id": "wamid.OUT", "emoji": ""}):
        action = heard({"type": "reaction", "reaction": gone}).action
        assert action == ReactionsReplaced(target=NativeId("wamid.OUT"), emoji=())


@pytest.mark.parametrize(
    ("name", "kind", "content_type"),
    [
        ("image", MediaKind.IMAGE, "image/jpeg"),
        ("video", MediaKind.VIDEO, "video/mp4"),
        ("voice", MediaKind.VOICE, "audio/ogg; codecs=opus"),
        ("document", MediaKind.FILE, "image/jpeg"),
        ("sticker", MediaKind.STICKER, "image/jpeg"),
    ],
)
def test_a_file_is_named_by_its_id(
    name: str, kind: MediaKind, content_type: str
) -> None:
    (media,) = posted(MESSAGES[name]).media
    assert media.handle == "1003383421387256"
    assert (media.kind, media.content_type) == (kind, content_type)


def test_a_caption_is_text() -> None:
    assert words(MESSAGES["image"]) == "Taj Mahal"
    assert posted(MESSAGES["document"]).media[0].filename == "a/b.pdf"


@pytest.mark.parametrize(
    ("name", "text", "lost"),
    [
        ("location", "Location\nCoffee\ngeo:37.44,-122.16", "location, shown as text"),
        ("contacts", "Contact\nLucía Gómez, +1 983", "1 contacts, shown as text"),
        ("button", "Unsubscribe", "press of a button, shown as text"),
        ("list_reply", "Express\n2 Days", "answer to a menu, shown as text"),
        ("button_reply", "Cancel", "answer to a menu, shown as text"),
        ("order", "Order\n2 of di9, 30 USD", "order, shown as text"),
        ("system", "Ann changed from 1 to 2", "notice of WhatsApp, shown as text"),
        ("unsupported", "", "message of a kind WhatsApp does not pass on"),
        ("product", "Still there?", "about a product of the catalogue"),
        ("advertisement", "More?", "came by an advertisement"),
    ],
)
def test_what_has_no_form_here_is_text_and_says_so(
    name: str, text: str, lost: str
) -> None:
    assert words(MESSAGES[name]) == text
    assert any(lost in phrase for phrase in heard(MESSAGES[name]).lost)


def test_a_form_and_a_forwarded_text_say_what_they_are() -> None:
    form = {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "name": "flow"}}
    assert words({"type": "interactive", "interactive": form}) == "Sent"
    forwarded = {**MESSAGES["text"], "context": {"forwarded": True}}
    assert heard(forwarded).lost == ("marked as forwarded",)


def test_a_new_number_says_to_link_it() -> None:
    assert "link that chat too" in heard(MESSAGES["system"]).lost[1]


def test_without_a_name_the_number_is_the_name() -> None:
    item = message(MESSAGES["text"])
    event = seal(Kind.MESSAGE, item, ChatId(ANN), NativeId("x"), "")
    found = decode(event)
    assert found is not None
    assert found.sender.name == f"+{ANN}"


def test_a_failure_answers_the_message_that_failed() -> None:
    item = {"id": "wamid.OUT", "errors": [{"code": 131047}], "timestamp": "1"}
    found = decode(seal(Kind.FAILED, item, ChatId(ANN), NativeId("x"), ""))
    assert found is not None
    assert isinstance(found.action, Posted)
    assert found.action.reply_to == "wamid.OUT"
    assert found.action.text is not None
    shown = to_plain(found.action.text)
    assert shown.startswith("Not delivered: ")
    assert "last 24 hours" in shown
    bare = decode(seal(Kind.FAILED, {}, ChatId(ANN), NativeId("x"), ""))
    assert bare is not None


def test_groups_tell_their_name_and_who_is_in_them() -> None:
    group = ChatId("group:Y2FwaV9ncm91cDox")

    def told(kind: Kind, item: dict[str, Any]) -> object:
        found = decode(seal(kind, item, group, NativeId("x"), ""))
        return None if found is None else found.action

    assert told(Kind.GROUP, {"subject": "Tea"}) == ChatRenamed(name="Tea")
    assert told(Kind.GROUP, {"subject": {"text": "Tea"}}) == ChatRenamed(name="Tea")
    assert told(Kind.GROUP, {"description": "d"}) == TopicChanged(topic="d")
    assert told(Kind.GROUP, {"profile_picture": {}}) is None
    assert told(Kind.MEMBER, {"wa_id": ANN, "joined": True}) == PersonJoined()
    assert told(Kind.MEMBER, {"wa_id": ANN, "joined": False}) == PersonLeft()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ({"type": "text"}, "WHATSAPP-003"),
        ({"type": "location", "location": {"latitude": "1"}}, "WHATSAPP-003"),
        ({"type": "reaction"}, "WHATSAPP-004"),
        ({"type": "image", "image": {}}, "WHATSAPP-005"),
        ({"type": "image", "image": {"id": "../x"}}, "WHATSAPP-005"),
    ],
)
def test_what_is_malformed_is_named_by_its_rule(
    content: dict[str, Any], rule: str
) -> None:
    with pytest.raises(PeerMisbehaved) as raised:
        heard(content)
    assert raised.value.rule == rule


def test_without_a_sender_there_is_no_message() -> None:
    with pytest.raises(PeerMisbehaved, match="WHATSAPP-003"):
        decode(seal(Kind.MESSAGE, MESSAGES["text"], ChatId(ANN), NativeId("x"), ""))


def test_a_type_that_is_none_is_octets() -> None:
    for wrong in ("", "x", "a/b/c", "a b/c", 7):
        odd = {"type": "image", "image": {"id": "1", "mime_type": wrong}}
        assert posted(odd).media[0].content_type == "application/octet-stream"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-200, 200)
    | st.floats(allow_nan=True)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("name", sorted(MESSAGES))
@given(data=st.data())
def test_any_change_of_a_message_is_a_meaning_or_the_peers_fault(
    name: str, data: st.DataObject
) -> None:
    changed = json.loads(json.dumps(message(MESSAGES[name])))
    place: Any = changed
    for _ in range(data.draw(st.integers(0, 2))):
        inner = [v for v in place.values() if isinstance(v, dict) and v]
        if inner:
            place = data.draw(st.sampled_from(inner))
    key = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(JSON)
    event = seal(Kind.MESSAGE, changed, ChatId(ANN), NativeId("x"), "Ann")
    try:
        found = decode(event)
    except PeerMisbehaved:
        return
    assert found is None or isinstance(found, Incoming)


@given(st.binary(max_size=200))
def test_any_octets_are_a_meaning_or_the_peers_fault(payload: bytes) -> None:
    event = NativeEvent(chat=ChatId(ANN), native_id=NativeId("x"), payload=payload)
    try:
        decode(event)
    except PeerMisbehaved:
        return


def test_every_example_of_meta_has_a_meaning() -> None:
    for name, content in MESSAGES.items():
        assert heard(content).sender.id == ANN, name
    settings = body(
        {"groups": [{"group_id": "Y2FwaV9ncm91cDox", "subject": "Tea"}]},
        of="group_settings_update",
    )
    (event,) = take_apart(settings, number=NUMBER, aliases={}).events
    assert decode(event) is not None
