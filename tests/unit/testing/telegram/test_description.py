"""The description finds what is wrong with requests and answers."""

import pytest

from sabir.testing.telegram.description import (
    description,
    problems,
    problems_in,
    result_problems,
    types_of,
)

CHAT = {"id": 4, "type": "private"}


def test_it_is_bot_api_10_1() -> None:
    assert description()["version"] == "Bot API 10.1"
    assert len(description()["methods"]) == 180


def test_a_right_request_has_no_problems() -> None:
    right = {
        "chat_id": 1,
        "text": "x",
        "reply_parameters": {"message_id": 5},
        "entities": [{"type": "bold", "offset": 0, "length": 1}],
    }
    assert problems("sendMessage", right) == []
    assert problems("sendDocument", {"chat_id": 1, "document": b"x"}) == []


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"chat_id": 1}, "sendMessage.text is missing"),
        ({"chat_id": True, "text": "x"}, "sendMessage.chat_id: String is expected"),
        (
            {"chat_id": 1, "text": "x", "reply_to_message_id": 5},
            "reply_to_message_id: there is no such member",
        ),
        ({"chat_id": 1, "text": "x", "entities": 5}, "a list is expected"),
        ({"chat_id": 1, "text": "x", "entities": [5]}, "an object is expected"),
    ],
)
def test_a_wrong_request_is_found(params: dict[str, object], problem: str) -> None:
    found = problems("sendMessage", params)
    assert any(problem.split(":")[0] in each for each in found), found


def test_a_union_has_to_be_one_of_its_kinds() -> None:
    where = {"chat_id": 1, "message_id": 2}
    right = [{"type": "emoji", "emoji": "👍"}]
    assert problems("setMessageReaction", {**where, "reaction": right}) == []
    wrong = [{"type": "emoji"}]
    assert problems("setMessageReaction", {**where, "reaction": wrong})


def test_a_method_that_there_is_not_is_found() -> None:
    assert problems("sendPigeon", {}) == ["sendPigeon: there is no such method"]
    assert types_of("sendPigeon", "x") == ()
    assert types_of("sendMessage", "text") == ["String"]


def test_answers_may_have_more_but_not_other_members() -> None:
    message = {"message_id": 2, "date": 3, "chat": CHAT, "text": "x", "new": 1}
    assert problems_in("Update", {"update_id": 1, "message": message}) == []
    wrong = {**message, "message_id": "2"}
    assert problems_in("Update", {"update_id": 1, "message": wrong}) == [
        "Update.message.message_id: Integer is expected, '2' found"
    ]
    assert problems_in("Pigeon", {}) == ["Pigeon: there is no type Pigeon"]
    assert result_problems("sendMessage", message) == []
    assert result_problems("sendMessage", True)
