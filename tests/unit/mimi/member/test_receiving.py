"""What a member shows of what members send, and what it only notes (5.9)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sabir.content.codec import encode
from sabir.content.model import (
    Content,
    Disposition,
    Expiry,
    ExtensionKey,
    MessageId,
    NullPart,
    SinglePart,
)
from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import SubmitCode
from sabir.mimi.components.framing import MIMI_CONTENT
from sabir.mimi.franking import franking_aad, franking_tag
from sabir.mimi.member.events import (
    Discarded,
    ForeignReceived,
    FrankVerdict,
    MessageReceived,
    StatusReceived,
    Why,
)
from sabir.mimi.member.status import (
    MEDIA_TYPE,
    REPORTS_MAX,
    Status,
    decode_reports,
    encode_reports,
)
from sabir.mimi.structs.key_material import decode_key_material_response
from sabir.mimi.structs.submit import SubmitMessageRequest
from sabir.mls.components import ApplicationFraming, MediaType
from sabir.mls.framing import decode_message
from sabir.testing.mimi.hub_harness import ROOM
from sabir.testing.mimi.member_harness import MemberHarness, said
from sabir.testing.mimi.people import user_named
from sabir.wire import cbor
from sabir.wire.errors import Malformed

BEN = user_named("ben")
YEAR_S = 366 * 24 * 3_600
REPORT = MessageId(b"\1" * 32)


@pytest.fixture
def house() -> MemberHarness:
    made = MemberHarness.of()
    made.invite("ann", "ben")
    return made


def whole(text: str = "hello", **how: Any) -> Content:
    """Return a content as Ben's honest client would send it."""
    return replace(
        said(text),
        salt=b"s" * 16,
        extensions={ExtensionKey.SENDER_URI: BEN, ExtensionKey.ROOM_URI: ROOM},
        **how,
    )


def plain(content: Content) -> bytes:
    extensions = {
        int(key) if isinstance(key, int) else key: value
        for key, value in content.extensions.items()
    }
    return encode(replace(content, extensions=extensions))


def arrives(
    house: MemberHarness,
    octets: bytes,
    *,
    salt: bytes = b"s" * 16,
    media_type: MediaType = MIMI_CONTENT,
    tag: Callable[[bytes], bytes] = lambda tag: tag,
    late_s: int = 0,
) -> Any:
    """Let Ben seal any octets, and return what Ann makes of them."""
    ann, ben = house["ann"], house["ben"]
    data = ApplicationFraming(media_type, octets).encode()
    aad = franking_aad(tag(franking_tag(salt, data)))
    sealed = ben.room.group.encrypt(house.env, data, aad=aad).message
    request = SubmitMessageRequest(decode_message(sealed, ROOM_PROPOSALS), BEN)
    outcome = house.room.submit(house.now_ms, ben.domain, request)
    assert outcome.response.code == SubmitCode.ACCEPTED
    house.prompt = False
    before = len(ann.events)
    house.take(outcome)
    house.env.time -= late_s
    house.deliver("ann")
    house.env.time += late_s
    ben.queue.clear()
    (event,) = ann.events[before:]
    return event


def test_a_message_as_it_should_be_is_shown(house: MemberHarness) -> None:
    event = arrives(house, plain(whole()))
    assert isinstance(event, MessageReceived)
    assert event.sender == BEN
    assert event.franked.verdict is FrankVerdict.ACCOUNTABLE


@pytest.mark.parametrize(
    "extensions",
    [
        {ExtensionKey.SENDER_URI: user_named("ann"), ExtensionKey.ROOM_URI: ROOM},
        {ExtensionKey.SENDER_URI: BEN, ExtensionKey.ROOM_URI: ROOM + "x"},
        {ExtensionKey.SENDER_URI: user_named("ann")},
    ],
)
def test_mc_096_a_message_that_names_another_sender_or_room(
    house: MemberHarness, extensions: Any
) -> None:
    event = arrives(house, plain(replace(whole(), extensions=extensions)))
    assert isinstance(event, Discarded)
    assert (event.why, event.detail) == (Why.OTHER_SENDER, "MIMI-302")
    assert event.sender == BEN


def test_mc_087_a_message_that_names_nobody_cannot_be_reported(
    house: MemberHarness,
) -> None:
    event = arrives(house, plain(replace(whole(), extensions={})))
    assert isinstance(event, MessageReceived)
    assert event.franked.verdict is FrankVerdict.NOT_REPORTABLE


def test_mc_087_a_tag_of_another_content(house: MemberHarness) -> None:
    event = arrives(
        house, plain(whole()), tag=lambda tag: bytes([tag[0] ^ 1]) + tag[1:]
    )
    assert (event.why, event.detail) == (Why.BAD_TAG, "MIMI-303")
    other_salt = arrives(house, plain(whole("again")), salt=b"t" * 16)
    assert (other_salt.why, other_salt.detail) == (Why.BAD_TAG, "MIMI-303")


def test_mc_096_a_message_from_the_future(house: MemberHarness) -> None:
    assert isinstance(arrives(house, plain(whole()), late_s=299), MessageReceived)
    event = arrives(house, plain(whole("later")), late_s=301)
    assert (event.why, event.detail) == (Why.BAD_TIME, "MIMI-305")


@pytest.mark.parametrize(
    ("relative", "after_s", "good"),
    [
        (True, 0, True),
        (True, YEAR_S, True),
        (True, YEAR_S + 1, False),
        (False, YEAR_S, True),
        (False, YEAR_S + 1, False),
        (False, -YEAR_S, True),
        (False, -YEAR_S - 1, False),
    ],
)
def test_mc_096_when_a_message_may_expire(
    house: MemberHarness, relative: bool, after_s: int, good: bool
) -> None:
    at = after_s if relative else house.now_ms // 1_000 + after_s
    event = arrives(house, plain(whole(expires=Expiry(relative=relative, time_s=at))))
    if good:
        assert isinstance(event, MessageReceived)
    else:
        assert (event.why, event.detail) == (Why.BAD_EXPIRY, "MIMI-306")


def test_what_is_no_container_is_only_noted(house: MemberHarness) -> None:
    event = arrives(house, b"\x00")
    assert (event.why, event.detail) == (Why.NOT_READABLE, "CONTENT-002")


def test_what_is_of_another_type_is_kept_as_it_is(house: MemberHarness) -> None:
    event = arrives(house, b"%PDF", media_type=MediaType(b"application/pdf"))
    assert isinstance(event, ForeignReceived)
    assert (event.media_type.name, event.octets) == (b"application/pdf", b"%PDF")


# ---- receipts


def receipt(content: bytes) -> bytes:
    part = SinglePart(
        disposition=Disposition.UNSPECIFIED, content_type=MEDIA_TYPE, content=content
    )
    return plain(replace(whole(), body=part))


def test_a_receipt_is_no_message_wherever_it_stands(house: MemberHarness) -> None:
    reports = ((REPORT, Status.READ), (REPORT, 77))
    for event in (
        arrives(house, receipt(encode_reports(reports))),
        arrives(
            house,
            encode_reports(reports),
            media_type=MediaType(MEDIA_TYPE.encode("ascii")),
        ),
    ):
        assert isinstance(event, StatusReceived)
        assert event.reports == reports


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\1" * 32,
        (REPORT, 1),
        ((REPORT,),),
        ((REPORT, 1, 2),),
        ((REPORT, -1),),
        ((REPORT, 256),),
        ((REPORT, True),),
        ((REPORT, "read"),),
        ((b"\2" * 32, 1),),
        ((b"\1" * 31, 1),),
        ((REPORT, 1),) * (REPORTS_MAX + 1),
    ],
)
def test_what_is_no_receipt(house: MemberHarness, value: Any) -> None:
    octets = cbor.encode(value)
    with pytest.raises(Malformed) as caught:
        decode_reports(octets)
    assert caught.value.rule == "MIMI-304"
    event = arrives(house, receipt(octets))
    assert (event.why, event.detail) == (Why.NOT_READABLE, "MIMI-304")


def test_an_edit_never_is_a_receipt(house: MemberHarness) -> None:
    part = SinglePart(
        disposition=Disposition.UNSPECIFIED,
        content_type=MEDIA_TYPE,
        content=encode_reports(((REPORT, 1),)),
    )
    event = arrives(house, plain(replace(whole(), body=part, replaces=REPORT)))
    assert not isinstance(event, StatusReceived)


# ---- what one says oneself


def test_a_container_of_another_sender_is_not_sent(house: MemberHarness) -> None:
    foreign = plain(whole())
    with pytest.raises(Malformed) as caught:
        house["ann"].room.send(house.env, foreign)
    assert caught.value.rule == "MIMI-302"
    assert not house["ann"].room.outgoing


def test_deleting_needs_no_expiry(house: MemberHarness) -> None:
    first = house.send("ben", "gone soon")
    house.send("ben", Content(salt=b"", body=NullPart(), replaces=first))
    assert house["ann"].all(MessageReceived)[-1].content.replaces == first


# ---- key material


def test_key_material_of_another_user_is_not_taken(house: MemberHarness) -> None:
    house.publish("dan")
    room = house["ann"].room
    answer = house.claim("ann", user_named("dan"))
    assert room.key_material(house.env, user_named("dan"), answer).fitting
    assert decode_key_material_response(answer).user == user_named("dan")
    with pytest.raises(Malformed) as caught:
        room.key_material(house.env, user_named("eve"), answer)
    assert caught.value.rule == "MIMI-309"
