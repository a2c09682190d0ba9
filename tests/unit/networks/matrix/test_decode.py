"""What Matrix events mean, from payloads as Synapse and Element send them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.meaning import MediaKind
from sabir.content.rich import Emphasis, ListBlock, Paragraph, Rich, Strong, Text
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
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
    ProfileChanged,
    ReactionAdded,
    Retracted,
    TopicChanged,
)
from sabir.networks.matrix.decode import decode
from sabir.networks.matrix.envelope import PAYLOAD_OCTETS_MAX, Member, seal

ROOM = "!sea:example.org"
ADA = "@ada:example.org"
BO = "@bo:example.org"
MXC = "mxc://example.org/abc"


def event(
    content: dict[str, Any], event_type: str = "m.room.message", **extra: Any
) -> dict[str, Any]:
    return {
        "event_id": "$e",
        "room_id": ROOM,
        "type": event_type,
        "sender": ADA,
        "origin_server_ts": 1_700_000_000_000,
        "content": content,
        "unsigned": {"age": 12},
    } | extra


def read(raw: dict[str, Any], *, name: str = "Ada") -> Incoming | None:
    return decode(seal(raw, Member(name, "")))


def action(
    content: dict[str, Any], event_type: str = "m.room.message", **extra: Any
) -> Action:
    incoming = read(event(content, event_type, **extra))
    assert incoming is not None
    return incoming.action


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body} | more


def html(formatted: str, body: str = "fallback") -> dict[str, Any]:
    return text(body, format="org.matrix.custom.html", formatted_body=formatted)


def para(*inlines: Any) -> Rich:
    return Rich((Paragraph(inlines),))


# ---- text


def test_a_plain_message_has_sender_name_and_time() -> None:
    assert read(event(text("hi"))) == Incoming(
        sender=Person(id=PersonId(ADA), name="Ada"),
        action=Posted(text=Rich.plain("hi")),
        sent_at=1_700_000_000_000,  # type: ignore[arg-type]  # an Instant
    )


def test_without_a_known_name_the_localpart_is_shown() -> None:
    incoming = decode(seal(event(text("hi")), None))
    assert incoming is not None
    assert incoming.sender.name == "ada"


def test_html_comes_before_the_body() -> None:
    assert action(html("<em>x</em>")) == Posted(text=para(Emphasis((Text("x"),))))


def test_html_of_another_format_or_without_words_gives_the_body() -> None:
    assert action(text("b", format="other", formatted_body="<b>x</b>")) == Posted(
        text=Rich.plain("b")
    )
    assert action(html("<p></p>", "b")) == Posted(text=Rich.plain("b"))


def test_an_emote_is_one() -> None:
    assert action({"msgtype": "m.emote", "body": "waves"}) == Posted(
        text=Rich.plain("waves"), emote=True
    )


def test_a_notice_is_a_message_and_says_what_it_was() -> None:
    incoming = read(event({"msgtype": "m.notice", "body": "beep"}))
    assert incoming is not None
    assert incoming.action == Posted(text=Rich.plain("beep"))
    assert incoming.lost == ("marked as an automatic notice",)


def test_an_unknown_type_of_message_shows_its_body() -> None:
    incoming = read(event({"msgtype": "org.example.dice", "body": "six"}))
    assert incoming is not None
    assert incoming.action == Posted(text=Rich.plain("six"))
    assert incoming.lost == ("message type org.example.dice, shown as text",)


def test_nul_and_lone_surrogates_do_not_pass() -> None:
    assert action(text("a\x00b\ud800c\r\nd")) == Posted(text=Rich.plain("ab�c\nd"))


def test_what_was_redacted_means_nothing_more() -> None:
    assert read(event({})) is None
    assert read(event({}, "m.reaction")) is None


def test_a_location_and_a_poll_become_text_and_are_reported() -> None:
    place = read(event({"msgtype": "m.location", "body": "Here", "geo_uri": "geo:1,2"}))
    assert place is not None
    assert place.action == Posted(text=Rich.plain("Here\ngeo:1,2"))
    assert place.lost == ("location, shown as text",)
    answers = [{"id": "1", "org.matrix.msc1767.text": "yes"}, {"id": "2", "body": "no"}]
    start = {
        "question": {"org.matrix.msc1767.text": "Fish?"},
        "answers": answers,
    }
    poll = read(
        event({"org.matrix.msc3381.poll.start": start}, "org.matrix.msc3381.poll.start")
    )
    assert poll is not None
    items = tuple((Paragraph((Text(t),)),) for t in ("yes", "no"))
    expected = Rich((Paragraph((Text("Fish?"),)), ListBlock(items, ordered=True)))
    assert poll.action == Posted(text=expected)
    stable = {"m.poll": {"question": {"m.text": [{"body": "Tea?"}]}}}
    assert action(stable, "m.poll.start") == Posted(text=Rich.plain("Tea?"))


# ---- replies, threads, edits


def reply(**more: Any) -> dict[str, Any]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": "$old"}} | more}


def test_a_reply_names_its_message() -> None:
    assert action(text("yes") | reply()) == Posted(
        text=Rich.plain("yes"), reply_to=NativeId("$old")
    )


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("> <@bo:example.org> old\n> more\n\nnew", "new"),
        ("> * <@bo:example.org> waves\n\nnew", "new"),
        ("> <@bo:example.org> old\nnew", "new"),
        ("> a quote of mine\n\nnew", "> a quote of mine\n\nnew"),
        ("> <@bo:example.org> only that", "> <@bo:example.org> only that"),
    ],
)
def test_the_copy_of_the_answered_message_goes(body: str, left: str) -> None:
    assert action(text(body) | reply()) == Posted(
        text=Rich.plain(left), reply_to=NativeId("$old")
    )


def test_without_the_relation_nothing_is_stripped() -> None:
    body = "> <@bo:example.org> old\n\nnew"
    assert action(text(body)) == Posted(text=Rich.plain(body))
    formatted = "<mx-reply>old</mx-reply>new"
    assert action(html(formatted)) == Posted(text=Rich.plain("oldnew"))
    assert action(html(formatted) | reply()) == Posted(
        text=Rich.plain("new"), reply_to=NativeId("$old")
    )


def test_a_thread_has_a_root_and_only_real_replies() -> None:
    thread = {"rel_type": "m.thread", "event_id": "$root"}
    falling_back = action(text("x") | reply(**thread, is_falling_back=True))
    assert falling_back == Posted(text=Rich.plain("x"), thread=NativeId("$root"))
    real = action(text("x") | reply(**thread, is_falling_back=False))
    assert real == Posted(
        text=Rich.plain("x"), thread=NativeId("$root"), reply_to=NativeId("$old")
    )


def test_an_edit_is_its_new_content_never_its_fallback() -> None:
    relation = {"rel_type": "m.replace", "event_id": "$first"}
    content = text("* fallback") | {
        "m.new_content": html("<b>new</b>"),
        "m.relates_to": relation,
    }
    assert action(content) == Corrected(
        target=NativeId("$first"), text=para(Strong((Text("new"),)))
    )
    del content["m.new_content"]
    with pytest.raises(PeerMisbehaved, match="MATRIX-005"):
        action(content)


def test_an_edited_caption_keeps_the_file() -> None:
    new = {"msgtype": "m.image", "body": "c", "filename": "f.png", "url": MXC}
    content = text("* c") | {
        "m.new_content": new,
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$first"},
    }
    corrected = action(content)
    assert isinstance(corrected, Corrected)
    assert corrected.text == Rich.plain("c")
    assert corrected.media[0].handle == MXC


# ---- files


def test_an_image_with_a_caption() -> None:
    info = {"mimetype": "image/png", "size": 9, "w": 3, "h": 4, "duration": True}
    content = {
        "msgtype": "m.image",
        "body": "look",
        "filename": "sea.png",
        "url": MXC,
        "info": info,
    }
    assert action(content) == Posted(
        text=Rich.plain("look"),
        media=(
            NativeMedia(
                handle=MXC,
                content_type="image/png",
                filename="sea.png",
                size=9,
                kind=MediaKind.IMAGE,
                width=3,
                height=4,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("content", "event_type", "kind"),
    [
        ({"msgtype": "m.file"}, "m.room.message", MediaKind.FILE),
        ({"msgtype": "m.video"}, "m.room.message", MediaKind.VIDEO),
        ({"msgtype": "m.audio"}, "m.room.message", MediaKind.AUDIO),
        (
            {"msgtype": "m.audio", "org.matrix.msc3245.voice": {}},
            "m.room.message",
            MediaKind.VOICE,
        ),
        ({}, "m.sticker", MediaKind.STICKER),
    ],
)
def test_kinds_of_files(
    content: dict[str, Any], event_type: str, kind: MediaKind
) -> None:
    posted = action(content | {"body": "name.bin", "url": MXC}, event_type)
    assert isinstance(posted, Posted)
    assert posted.text is None  # a body without a filename is the name
    [media] = posted.media
    assert (media.kind, media.content_type) == (kind, "application/octet-stream")
    named = "" if kind is MediaKind.STICKER else "name.bin"
    described = "name.bin" if kind is MediaKind.STICKER else ""
    assert (media.filename, media.description) == (named, described)


def test_an_encrypted_file_is_named_and_reported() -> None:
    incoming = read(event({"msgtype": "m.file", "body": "x.pdf", "file": {"url": MXC}}))
    assert incoming is not None
    assert incoming.action == Posted(text=Rich.plain("x.pdf"))
    assert incoming.lost == ("encrypted file, not readable here",)


@pytest.mark.parametrize("url", ["https://example.org/x", "", "mxc://a/../b", 3])
def test_a_file_must_be_on_matrix(url: Any) -> None:
    with pytest.raises(PeerMisbehaved, match="MATRIX-006"):
        action({"msgtype": "m.file", "body": "x", "url": url})


def test_an_encrypted_message_is_announced_with_its_place() -> None:
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "A"} | reply()
    incoming = read(event(content, "m.room.encrypted"))
    assert incoming is not None
    assert incoming.action == Posted(reply_to=NativeId("$old"))
    assert incoming.lost == ("encrypted message, not readable here",)
    edit = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$x"}}
    assert action(edit, "m.room.encrypted") == Posted()


# ---- reactions and redactions


def test_a_reaction_names_message_and_emoji() -> None:
    relation = {"rel_type": "m.annotation", "event_id": "$old", "key": "👍"}
    assert action({"m.relates_to": relation}, "m.reaction") == ReactionAdded(
        target=NativeId("$old"), emoji="👍"
    )


@pytest.mark.parametrize(
    "relation",
    [
        {"event_id": "$old"},
        {"event_id": "$old", "key": 1},
        {"event_id": "$old", "key": "x" * 256},
        {"key": "👍"},
        {"event_id": "", "key": "👍"},
    ],
)
def test_a_reaction_without_its_parts_is_misbehaviour(relation: dict[str, Any]) -> None:
    content = {"m.relates_to": {"rel_type": "m.annotation"} | relation}
    with pytest.raises(PeerMisbehaved, match="MATRIX-004"):
        action(content, "m.reaction")


def test_the_content_of_a_redaction_comes_before_its_top_level() -> None:
    both = action({"redacts": "$a"}, "m.room.redaction", redacts="$b")
    assert both == Retracted(target=NativeId("$a"), by_moderator=True)
    old = action({}, "m.room.redaction", redacts="$b")
    assert old == Retracted(target=NativeId("$b"), by_moderator=True)
    with pytest.raises(PeerMisbehaved, match="MATRIX-004"):
        action({}, "m.room.redaction")


# ---- people


def member(
    membership: str, before: dict[str, Any] | None, *, sender: str = ADA, **more: Any
) -> Incoming | None:
    unsigned = {} if before is None else {"prev_content": before}
    raw = event(
        {"membership": membership} | more,
        "m.room.member",
        state_key=ADA,
        sender=sender,
        unsigned=unsigned,
    )
    return read(raw, name="Old")


@pytest.mark.parametrize(
    ("membership", "before", "sender", "expected"),
    [
        ("join", None, ADA, PersonJoined()),
        ("join", {"membership": "invite"}, ADA, PersonJoined()),
        ("join", {"membership": "leave"}, ADA, PersonJoined()),
        ("leave", {"membership": "join"}, ADA, PersonLeft()),
        ("leave", None, ADA, PersonLeft()),
        ("leave", {"membership": "join"}, BO, PersonLeft(removed=True)),
        ("ban", {"membership": "join"}, BO, PersonLeft(removed=True)),
        ("ban", {"membership": "leave"}, BO, None),
        ("leave", {"membership": "invite"}, ADA, None),
        ("leave", {"membership": "ban"}, BO, None),
        ("invite", {"membership": "leave"}, BO, None),
        ("knock", None, ADA, None),
    ],
)
def test_memberships(
    membership: str,
    before: dict[str, Any] | None,
    sender: str,
    expected: Action | None,
) -> None:
    incoming = member(membership, before, sender=sender)
    assert (incoming.action if incoming else None) == expected
    if incoming:
        assert incoming.sender.id == ADA  # it is about her, whoever did it


def test_a_removal_says_why_and_by_what_name_the_person_was_known() -> None:
    incoming = member("leave", {"membership": "join"}, sender=BO, reason="tea")
    assert incoming is not None
    assert incoming.action == PersonLeft(reason="tea", removed=True)
    assert incoming.sender.name == "Old"


def test_a_new_name_or_picture_is_a_change_of_profile() -> None:
    before = {"membership": "join", "displayname": "Old"}
    incoming = member("join", before, displayname="New", avatar_url=MXC)
    assert incoming is not None
    assert incoming.action == ProfileChanged(old_name="Old")
    assert incoming.sender == Person(id=PersonId(ADA), name="New", avatar=MXC)
    assert member("join", before, displayname="Old") is None


def test_a_membership_without_a_subject_is_misbehaviour() -> None:
    with pytest.raises(PeerMisbehaved, match="MATRIX-002"):
        action({"membership": "join"}, "m.room.member")


# ---- rooms


def test_a_room_changes_name_topic_and_picture() -> None:
    assert action({"name": " The\nSea "}, "m.room.name") == ChatRenamed(name="The Sea")
    assert action({}, "m.room.name") == ChatRenamed(name="")
    assert action({"topic": "a\nb"}, "m.room.topic") == TopicChanged(topic="a\nb")
    assert action({}, "m.room.avatar") == ChatAvatarChanged(media=None)
    changed = action({"url": MXC}, "m.room.avatar")
    media = NativeMedia(handle=MXC, content_type="image/*", kind=MediaKind.IMAGE)
    assert changed == ChatAvatarChanged(media=media)


def test_other_events_mean_nothing_to_people() -> None:
    assert read(event({"pinned": []}, "m.room.pinned_events", state_key="")) is None


# ---- malformed


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"", "MATRIX-001"),
        (b"\xff", "MATRIX-001"),
        (b"[" * 100_000, "MATRIX-001"),
        (b"[]", "MATRIX-002"),
        (b'{"event": {}}', "MATRIX-002"),
        (json.dumps({"event": event({}) | {"content": []}}).encode(), "MATRIX-002"),
        (json.dumps({"event": event({}) | {"sender": 1}}).encode(), "MATRIX-002"),
        (b" " * (PAYLOAD_OCTETS_MAX + 1), "MATRIX-003"),
    ],
)
def test_a_malformed_payload_is_misbehaviour_with_its_rule(
    payload: bytes, rule: str
) -> None:
    native = NativeEvent(chat=ChatId(ROOM), native_id=NativeId("$e"), payload=payload)
    with pytest.raises(PeerMisbehaved, match=rule):
        decode(native)


@pytest.mark.parametrize("at", [-1, 2**60, "1", True, 1.5, None])
def test_a_time_that_is_none_is_unknown(at: Any) -> None:
    incoming = read(event(text("x"), origin_server_ts=at))
    assert incoming is not None
    assert incoming.sent_at == 0


NAMES = """
msgtype body url info m.relates_to rel_type event_id key m.new_content membership
m.in_reply_to redacts file name topic question m.poll
"""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES.split()),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(max_size=5), json_values, max_size=3) | json_values,
    st.sampled_from(
        (
            "m.room.message",
            "m.sticker",
            "m.reaction",
            "m.room.redaction",
            "m.room.member",
            "m.room.avatar",
            "m.poll.start",
            "m.room.encrypted",
        )
    ),
)
def test_any_content_is_read_or_is_misbehaviour(content: Any, event_type: str) -> None:
    raw = event({}, event_type, state_key=ADA) | {"content": content}
    try:
        read(raw)
    except PeerMisbehaved:
        return
