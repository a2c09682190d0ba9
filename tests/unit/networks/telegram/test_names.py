"""Names of chats and messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.errors import PolicyRefused
from sabir.networks.api import ChatId, NativeId
from sabir.networks.telegram import names
from sabir.networks.telegram.names import Place

USER, GROUP, CHANNEL = 5, -77, -1_000_000_001_234


def test_a_chat_has_a_typed_name() -> None:
    assert names.chat_id(USER) == "user:5"
    assert names.chat_id(GROUP) == "chat:77"
    assert names.chat_id(CHANNEL) == "channel:1234"
    assert names.chat_id(CHANNEL, 17) == "channel:1234/17"


@given(st.integers(-(2**52), 2**52).filter(bool), st.none() | st.integers(1, 2**31 - 1))
def test_a_typed_name_leads_back_to_its_number(number: int, topic: int | None) -> None:
    if number == -(10**12):  # no group and no channel has this one
        return
    assert names.place(names.chat_id(number, topic)) == Place(number, topic)


def test_a_person_may_give_the_number_of_the_bot_api() -> None:
    assert names.place(ChatId("-1000000001234")) == Place(CHANNEL)
    assert names.place(ChatId("-1000000001234/17")) == Place(CHANNEL, 17)


@pytest.mark.parametrize(
    "name", ["", "tea", "channel:", "channel:01", "user:-5", "chat:77/", "@tea", "5/0"]
)
def test_what_names_no_chat_is_refused_with_the_forms(name: str) -> None:
    with pytest.raises(PolicyRefused, match="channel:1234"):
        names.place(ChatId(name))


def test_a_public_name_is_known_by_its_at() -> None:
    assert names.is_username("@tea_room")
    assert not names.is_username("@te")
    assert not names.is_username("tea_room")


def test_a_topic_belongs_to_its_chat() -> None:
    assert names.without_topic(ChatId("channel:1234/17")) == "channel:1234"
    assert names.without_topic(ChatId("user:5")) == "user:5"


def test_a_basic_group_counts_for_itself() -> None:
    old, new = names.message_id(GROUP, 9), names.message_id(CHANNEL, 9)
    assert (old, new) == ("b9", "9")
    assert names.message_number(old, Place(GROUP)) == 9
    assert names.message_number(new, Place(CHANNEL)) == 9
    assert names.message_number(old, Place(CHANNEL)) is None
    assert names.message_number(new, Place(GROUP)) is None


def test_a_topic_is_named_by_its_first_message() -> None:
    root = names.topic_id(17)
    assert root == "t17"
    assert names.topic_of(root) == 17
    assert names.topic_of("17") is None
    assert names.topic_of("nothing") is None
    assert names.message_number(root, Place(CHANNEL, 17)) == 17


@pytest.mark.parametrize("native_id", ["", "u9.3", "x1", "0", "b0", "99999999999"])
def test_what_is_no_message_has_no_number(native_id: str) -> None:
    assert names.message_number(NativeId(native_id), Place(CHANNEL)) is None
