"""The JSON both sides write and read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.agent_api.events import (
    Ack,
    Event,
    EventPage,
    EventType,
    decode_event,
    decode_event_page,
    read_cursor,
)
from sabir.mimi.agent_api.forms import (
    Form,
    Octets,
    base64url,
    decode_form,
    encode_form,
    octets_of,
)
from sabir.mimi.agent_api.people import Searchable
from sabir.mimi.agent_api.registration import (
    Challenge,
    DeviceAnswer,
    DeviceRequest,
    TokenAnswer,
    TokenRequest,
)
from sabir.mimi.agent_api.rooms import JoinCode, ReserveRequest
from sabir.mimi.template_names import TemplateName
from sabir.wire.errors import Malformed

CURSORS = st.integers(0, (1 << 63) - 1).map(str)


@given(st.binary(max_size=100))
def test_octets_come_back_from_their_text(octets: bytes) -> None:
    text = base64url(octets)
    assert "=" not in text
    assert octets_of(text) == octets


@pytest.mark.parametrize("text", ["A", "AA=", "A+/A", "AB", "AA\n", "Ä", "AAAAA"])
def test_text_that_no_octets_have_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        octets_of(text)
    assert caught.value.rule == "MIMI-371"


@given(st.binary(max_size=40), st.integers(0, 1 << 50))
def test_a_form_comes_back(octets: bytes, expires: int) -> None:
    form = Challenge(challenge=Octets(octets), expires_ms=expires, user="x")
    assert decode_form(encode_form(form), Challenge) == form
    assert json.loads(encode_form(form))["challenge"] == base64url(octets)


def test_unknown_members_of_answers_are_passed_over() -> None:
    body = b'{"challenge": "AA", "expires_ms": 1, "more": [1]}'
    assert decode_form(body, Challenge) == Challenge(
        challenge=Octets(b"\0"), expires_ms=1
    )


@pytest.mark.parametrize(
    ("form", "document"),
    [
        (Challenge, {"challenge": "AA"}),
        (Challenge, {"challenge": "A", "expires_ms": 1}),
        (Challenge, {"challenge": 1, "expires_ms": 1}),
        (Challenge, {"challenge": "AA", "expires_ms": "1"}),
        (Challenge, ["AA", 1]),
        (ReserveRequest, {"template": "castle"}),
        (ReserveRequest, {"template": "dm", "provider": []}),
        (ReserveRequest, {"template": "dm", "providers": [""]}),
        (Searchable, {"identifiers": [{"type": "partialName"}]}),
    ],
)
def test_other_forms_are_refused_without_quoting_them(
    form: type[Form], document: Any
) -> None:
    with pytest.raises(Malformed) as caught:
        decode_form(json.dumps(document), form)
    assert caught.value.rule == "MIMI-370"
    assert "castle" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"nul"])
def test_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="MIMI-370"):
        decode_form(body, Challenge)


def test_no_secret_is_in_a_representation() -> None:
    secret = Octets(b"a secret")
    word = base64url(secret)
    forms = [
        DeviceRequest(
            account_token=word,
            device_name="d",
            suite=1,
            signature_key=Octets(),
            challenge=Octets(),
            signature=Octets(),
        ),
        DeviceAnswer(
            device_uri="d",
            user="u",
            credential=Octets(),
            token=word,
            token_expires_ms=1,
            refresh_token=word,
        ),
        TokenRequest(refresh_token=word, challenge=Octets(), signature=Octets()),
        TokenAnswer(token=word, token_expires_ms=1),
        JoinCode(id="i", code=secret),
    ]
    for form in forms:
        assert word not in repr(form)
        assert "a secret" not in repr(form)


def test_a_template_is_asked_for_by_its_name() -> None:
    body = encode_form(
        ReserveRequest(template=TemplateName.DM, providers=("b.example",))
    )
    assert json.loads(body) == {"template": "dm", "providers": ["b.example"]}


# ---- events


@given(CURSORS, st.binary(min_size=1, max_size=30), st.integers(1, 1 << 50))
def test_an_event_comes_back(cursor: str, data: bytes, accepted: int) -> None:
    event = Event(
        cursor=cursor,
        type=EventType.MESSAGE,
        room="mimi://a.example/r/r",
        accepted_ms=accepted,
        data=Octets(data),
    )
    assert decode_event(encode_form(event)) == event
    page = EventPage(events=(event,), next=cursor)
    assert decode_event_page(encode_form(page)) == page
    assert event.place == int(cursor)


def test_members_that_a_type_does_not_have_are_not_written() -> None:
    event = Event(cursor="7", type=EventType.KEY_PACKAGES_LOW, stock=3)
    assert json.loads(encode_form(event)) == {
        "cursor": "7",
        "type": "keypackages.low",
        "stock": 3,
    }


def test_an_unknown_type_of_event_is_read() -> None:
    event = decode_event(b'{"cursor": "7", "type": "weather", "data": "AA"}')
    assert event.type == "weather"


@pytest.mark.parametrize(
    "type_",
    [
        each
        for each in EventType
        if each not in {EventType.RESET, EventType.REPORT_STATUS}
    ],
)
def test_an_event_without_its_members_is_refused(type_: EventType) -> None:
    body = encode_form(Event(cursor="7", type=type_))
    with pytest.raises(Malformed) as caught:
        decode_event(body)
    assert caught.value.rule == "MIMI-373"


@pytest.mark.parametrize("text", ["", "-1", "1.0", "٣", "1" * 30, str(1 << 63)])
def test_a_cursor_is_a_number(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        read_cursor(text)
    assert caught.value.rule == "MIMI-372"
    with pytest.raises(Malformed):
        decode_event_page(encode_form(EventPage(events=(), next=text)))


def test_the_word_ack_has_a_cursor() -> None:
    assert decode_form(b'{"ack": "1042"}', Ack).place == 1042
