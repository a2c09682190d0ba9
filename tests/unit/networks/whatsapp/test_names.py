"""How chats are named, and what a person may type for them."""

import pytest

from sabir.networks.whatsapp.names import chat_of, group_chat, is_group, person_id


@pytest.mark.parametrize(
    "typed",
    ["15557654321", "+15557654321", "+1 (555) 765-4321", "1.555.765.4321"],
)
def test_a_number_may_be_typed_as_people_do(typed: str) -> None:
    assert chat_of(typed) == "15557654321"


@pytest.mark.parametrize("typed", ["", "Ann", "0155", "1" * 18, "group:", "group:a b"])
def test_other_things_are_no_chat(typed: str) -> None:
    assert chat_of(typed) is None


def test_groups_are_marked() -> None:
    chat = group_chat("Y2FwaV9ncm91cDox")
    assert chat is not None
    assert is_group(chat)
    assert chat_of(chat) == chat
    assert not is_group("15557654321")
    assert group_chat("a b") is None
    assert group_chat(7) is None


def test_ids_of_people_are_digits() -> None:
    assert person_id("15557654321") == "15557654321"
    assert person_id("+15557654321") is None
    assert person_id(15557654321) is None
