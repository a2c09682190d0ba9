"""What a member shows of messages that others refer to, or may not send (5.6, 6.2)."""

from dataclasses import replace
from typing import Any

import pytest

from sabir.content.model import (
    Content,
    Disposition,
    ExternalPart,
    MessageId,
    NullPart,
    Part,
    SinglePart,
)
from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import Capability
from sabir.mimi.components.roles import Role
from sabir.mimi.hub.outcome import EventKind, FanoutEvent
from sabir.mimi.member.admission import Held, admit
from sabir.mimi.member.events import (
    Discarded,
    Franked,
    FrankVerdict,
    MessageReceived,
    Violation,
    Why,
)
from sabir.mimi.member.kind_capability import Known, KnownMessage
from sabir.mimi.policy.kernel import name_of
from sabir.mimi.structs.fanout import FanoutMessage
from sabir.mls.framing import decode_message
from sabir.mls.proposals import Remove
from sabir.testing.mimi.member_harness import MemberHarness, said
from sabir.testing.mimi.people import NO_AAD, user_named

BEN, ANN = user_named("ben"), user_named("ann")
OLD = MessageId(b"\1" + b"o" * 31)
NEW = MessageId(b"\1" + b"n" * 31)
LIKE = SinglePart(
    content_type="text/plain", content=b"+1", disposition=Disposition.REACTION
)
TEXT = said("hello").body
EVERYTHING = tuple(int(each) for each in Capability)


def received(
    content: Content, *, lacks: Capability | None = None, id_: MessageId = NEW
) -> MessageReceived:
    """Return a message of Ben, who may do everything but one thing."""
    able = tuple(number for number in EVERYTHING if number != lacks)
    return MessageReceived(
        accepted_at=1,
        digest=bytes(32),
        message_id=id_,
        sender=BEN,
        client=BEN,
        content=content,
        octets=b"",
        franked=Franked(verdict=FrankVerdict.UNFRANKED),
        role=Role(index=2, name="tester", capabilities=able),
    )


def content(body: Part = TEXT, **how: Any) -> Content:
    return Content(salt=bytes(16), body=body, **how)


def known(**how: Any) -> Known:
    """Know one older message."""
    return Known(messages={OLD: KnownMessage(**{"sender": BEN, **how})})


EDIT = content(replaces=OLD)
DELETE = content(NullPart(), replaces=OLD)
UNLIKE = content(NullPart(), replaces=OLD)


@pytest.mark.parametrize(
    ("message", "before"),
    [
        (EDIT, known()),
        (DELETE, known()),
        (DELETE, known(sender=ANN)),  # with canDeleteOtherMessage
        (UNLIKE, known(is_reaction=True, in_reply_to=NEW)),
        (content(LIKE, replaces=OLD), known(is_reaction=True)),
        (content(in_reply_to=OLD), known()),
        (content(in_reply_to=OLD), Known()),
    ],
)
def test_mc_097_changes_that_are_shown(message: Content, before: Known) -> None:
    found = admit(received(message), before)
    assert isinstance(found, MessageReceived)


@pytest.mark.parametrize(
    ("message", "before", "detail"),
    [
        (EDIT, known(sender=ANN), "nobody may"),
        (EDIT, known(is_deleted=True), "nobody may"),
        (DELETE, known(is_deleted=True), "nobody may"),
        (content(LIKE, replaces=OLD), known(sender=ANN), "nobody may"),
        (
            content(in_reply_to=OLD),
            known(in_reply_to=NEW),
            "reply loop",
        ),
    ],
)
def test_mc_097_changes_that_nobody_may_make(
    message: Content, before: Known, detail: str
) -> None:
    found = admit(received(message), before)
    assert isinstance(found, Discarded)
    assert (found.why, found.detail, found.sender) == (Why.NOT_PERMITTED, detail, BEN)


def test_mc_097_an_edit_before_its_original_waits_and_is_a_message_then() -> None:
    assert admit(received(EDIT), Known()) == Held(received(EDIT), OLD)
    assert isinstance(admit(received(EDIT), Known(), final=True), MessageReceived)
    gone = admit(received(DELETE), Known(), final=True)
    assert isinstance(gone, Discarded)
    assert isinstance(admit(received(EDIT), known()), MessageReceived)


def test_mc_097_the_same_message_again_is_none() -> None:
    again = admit(received(content(), id_=OLD), known())
    assert isinstance(again, Discarded)
    assert again.why is Why.KNOWN_ID


def part(content_type: str, octets: bytes = b"x", disposition: int = 1) -> SinglePart:
    return SinglePart(
        content_type=content_type, content=octets, disposition=disposition
    )


ELSEWHERE = ExternalPart(content_type="x/y", url="https://example.org")
PICTURE = part("image/png")
TOPIC = b"kettles"

KINDS: list[tuple[Capability, Content, Known]] = [
    (Capability.CAN_SEND_MESSAGE, content(), Known()),
    (Capability.CAN_REPLY_TO_MESSAGE, content(in_reply_to=OLD), known()),
    (Capability.CAN_REACT_TO_MESSAGE, content(LIKE, in_reply_to=OLD), known()),
    (Capability.CAN_EDIT_OWN_MESSAGE, EDIT, known()),
    (Capability.CAN_DELETE_OWN_MESSAGE, DELETE, known()),
    (Capability.CAN_DELETE_OTHER_MESSAGE, DELETE, known(sender=ANN)),
    (
        Capability.CAN_EDIT_REACTION,
        content(LIKE, replaces=OLD),
        known(is_reaction=True),
    ),
    (Capability.CAN_DELETE_OWN_REACTION, UNLIKE, known(is_reaction=True)),
    (
        Capability.CAN_DELETE_OTHER_REACTION,
        UNLIKE,
        known(is_reaction=True, sender=ANN),
    ),
    (Capability.CAN_START_TOPIC, content(topic_id=TOPIC), Known()),
    (
        Capability.CAN_REPLY_IN_TOPIC,
        content(topic_id=TOPIC),
        Known(topics=frozenset({TOPIC})),
    ),
    (
        Capability.CAN_SEND_LINK,
        content(part("text/markdown", b"[tea](https://tea.example/)")),
        Known(),
    ),
    (
        Capability.CAN_SEND_LINK,
        content(part("text/html", b"<a href='https://tea.example/'>tea</a>")),
        Known(),
    ),
    (
        Capability.CAN_SEND_LINK_PREVIEW,
        content(part("text/plain", b"x", Disposition.PREVIEW)),
        Known(),
    ),
    (Capability.CAN_UPLOAD_IMAGE, content(PICTURE), Known()),
    (Capability.CAN_UPLOAD_AUDIO, content(part("audio/ogg")), Known()),
    (Capability.CAN_UPLOAD_VIDEO, content(part("video/mp4")), Known()),
    (Capability.CAN_UPLOAD_ATTACHMENT, content(ELSEWHERE), Known()),
    (
        Capability.CAN_UPLOAD_ATTACHMENT,
        content(replace(PICTURE, disposition=Disposition.ATTACHMENT)),
        Known(),
    ),
]


@pytest.mark.parametrize(("needed", "message", "before"), KINDS)
def test_mc_101_each_kind_needs_its_capability(
    needed: Capability, message: Content, before: Known
) -> None:
    assert isinstance(admit(received(message), before), MessageReceived)
    found = admit(received(message, lacks=needed), before)
    assert isinstance(found, Discarded)
    assert (found.why, found.detail) == (Why.NOT_PERMITTED, name_of(needed))


def test_mc_101_who_may_not_send_may_react_and_take_it_back() -> None:
    silent = Capability.CAN_SEND_MESSAGE
    like = received(content(LIKE, in_reply_to=OLD), lacks=silent)
    assert isinstance(admit(like, known()), MessageReceived)
    back = received(UNLIKE, lacks=silent)
    assert isinstance(admit(back, known(is_reaction=True)), MessageReceived)


def test_mc_056_a_commit_against_the_policy_is_applied_and_reported() -> None:
    """A hub that does not judge passes on what Ben may not do."""
    house = MemberHarness.of()
    house.invite("ann", "ben", "b.example:cat")
    ben, cat = house["ben"], house["b.example:cat"]
    group, epoch = ben.room.group, cat.room.epoch
    ann = next(leaf for leaf, _ in group.members if leaf != group.own_leaf)
    made = group.commit(house.env, [Remove(ann)], as_public=True, aad=NO_AAD)
    message = decode_message(made.commit, ROOM_PROPOSALS)
    fanned = FanoutMessage(house.now_ms + 1, message, None)
    event = FanoutEvent.of(EventKind.HANDSHAKE, fanned, frozenset({cat.domain}))
    house.bring(cat, event)
    assert cat.room.epoch == epoch + 1
    (violation,) = cat.all(Violation)
    assert violation.by == BEN
    assert violation.slug
