"""A webhook's body is taken apart, whatever is in it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.errors import PeerMisbehaved
from sabir.networks.api import ChatId, NativeId
from sabir.networks.whatsapp.envelope import (
    PAYLOAD_OCTETS_MAX,
    Kind,
    instant,
    open_body,
    open_envelope,
    seal,
    take_apart,
)
from tests.unit.networks.whatsapp.bodies import ANN, MESSAGES, NUMBER, body, said

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("entry", "changes", "field", "value", "messages", "statuses", "from")
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def test_a_message_is_an_event_of_its_person_with_their_name() -> None:
    found = take_apart(said(MESSAGES["text"]), number=NUMBER, aliases={})
    (event,) = found.events
    assert (event.chat, event.native_id) == (ANN, "wamid.IN")
    envelope = open_envelope(event.payload)
    assert (envelope.kind, envelope.name) == (Kind.MESSAGE, "Ann")
    assert found.people == {ANN: "Ann"}
    assert found.inbound == {ANN: 1_749_416_383_000}
    assert found.newest == {ANN: "wamid.IN"}


def test_a_number_known_by_another_stays_in_its_chat() -> None:
    aliases = {ANN: ChatId("1650")}
    found = take_apart(said(MESSAGES["text"]), number=NUMBER, aliases=aliases)
    assert found.events[0].chat == "1650"


def test_a_group_message_belongs_to_the_group() -> None:
    content = {**MESSAGES["text"], "group_id": "Y2FwaV9ncm91cDox"}
    found = take_apart(said(content), number=NUMBER, aliases={})
    assert found.events[0].chat == "group:Y2FwaV9ncm91cDox"


def test_a_system_notice_does_not_open_the_window() -> None:
    found = take_apart(said(MESSAGES["system"]), number=NUMBER, aliases={})
    assert found.inbound == {}
    assert len(found.events) == 1


def test_what_is_not_ours_is_counted_and_left() -> None:
    other = take_apart(said(MESSAGES["text"]), number="1", aliases={})
    assert (other.events, other.foreign) == ([], 1)
    unread = body({"event": "x"}, of="account_update")
    assert take_apart(unread, number=NUMBER, aliases={}).foreign == 1


def test_what_cannot_be_stored_is_counted() -> None:
    nameless = body({"messages": [{"from": ANN}, {"id": "x"}, None, 7]})
    found = take_apart(nameless, number=NUMBER, aliases={})
    assert (found.events, found.unusable) == ([], 4)
    lost = body({"statuses": [{"id": "x"}, {}], "errors": [{"code": 1}]})
    found = take_apart(lost, number=NUMBER, aliases={})
    assert (found.unusable, found.errors) == (2, [{"code": 1}])
    groups = body({"groups": [{}]}, of="group_settings_update")
    assert take_apart(groups, number=NUMBER, aliases={}).unusable == 1
    members: dict[str, Any] = {"groups": [{"group_id": "Y2FwaV9ncm91cDox"}, {}]}
    members["groups"][0]["added_participants"] = [{"wa_id": "x"}]
    found = take_apart(
        body(members, of="group_participants_update"), number=NUMBER, aliases={}
    )
    assert found.unusable == 2


def test_statuses_name_chat_person_and_key() -> None:
    value = {
        "statuses": [
            {"id": "wamid.1", "status": "read", "recipient_id": ANN},
            {
                "id": "wamid.2",
                "status": "failed",
                "recipient_id": "Y2FwaV9ncm91cDox",
                "recipient_type": "group",
                "recipient_participant_id": ANN,
                "biz_opaque_callback_data": "k",
            },
            {"id": "wamid.3", "status": 7, "recipient_id": ANN},
        ]
    }
    found = take_apart(body(value), number=NUMBER, aliases={})
    first, second, third = found.statuses
    assert (first.chat, first.state, first.person, first.key) == (ANN, "read", ANN, "")
    assert (second.chat, second.key) == ("group:Y2FwaV9ncm91cDox", "k")
    assert third.state == ""
    (failed,) = found.events
    assert failed.native_id == f"wamid.2:failed:{ANN}"


def test_who_comes_and_goes_is_one_event_each_the_same_when_it_comes_again() -> None:
    value = {
        "groups": [
            {
                "group_id": "Y2FwaV9ncm91cDox",
                "timestamp": "1750269342",
                "added_participants": [{"wa_id": ANN}, {"wa_id": "12025550199"}],
                "removed_participants": [{"wa_id": "12025550100"}],
            }
        ]
    }
    change = body(value, of="group_participants_update")
    once = take_apart(change, number=NUMBER, aliases={}).events
    again = take_apart(change, number=NUMBER, aliases={}).events
    assert len({event.native_id for event in once}) == 3
    assert once == again


def test_a_body_that_is_no_object_is_refused() -> None:
    for octets in (b"", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"a":' * 50_000):
        with pytest.raises(ValueError):
            open_body(octets)


def test_of_an_item_nested_too_deeply_only_its_presence_is_kept() -> None:
    deep: Any = {"type": "text", "id": "x", "from": ANN, "timestamp": [1]}
    inner = deep
    for _ in range(3_000):
        inner["a"] = {}
        inner = inner["a"]
    event = seal(Kind.MESSAGE, deep, ChatId(ANN), NativeId("x"), "")
    assert open_envelope(event.payload).item == {"from": ANN, "id": "x", "type": "text"}


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"x" * (PAYLOAD_OCTETS_MAX + 1), "WHATSAPP-002"),
        (b"null", "WHATSAPP-001"),
        (b'{"kind":"nothing","item":{}}', "WHATSAPP-001"),
        (b'{"kind":"message","item":[]}', "WHATSAPP-001"),
    ],
)
def test_a_payload_of_another_form_is_named_by_its_rule(
    payload: bytes, rule: str
) -> None:
    with pytest.raises(PeerMisbehaved) as raised:
        open_envelope(payload)
    assert raised.value.rule == rule


def test_times_are_seconds_as_text() -> None:
    assert instant("1749416383") == 1_749_416_383_000
    for wrong in (1749416383, "", "-1", "٣", "99999999999", "1.5", None):
        assert instant(wrong) == 0


@given(JSON | st.fixed_dictionaries({"entry": JSON}))
def test_any_json_can_be_taken_apart(value: object) -> None:
    octets = json.dumps(value).encode()
    try:
        read = open_body(octets)
    except ValueError:
        assert not isinstance(value, dict)
        return
    take_apart(read, number=NUMBER, aliases={})


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3))
def test_any_items_can_be_taken_apart(messages: list[Any], statuses: list[Any]) -> None:
    value = {"messages": messages, "statuses": statuses, "contacts": messages}
    for of in ("messages", "group_settings_update", "group_participants_update"):
        change = body({**value, "groups": messages}, of=of)
        take_apart(change, number=NUMBER, aliases={})
