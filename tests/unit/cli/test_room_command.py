"""What a person is told of a room."""

from typing import Any

import pytest

from sabir.cli.chat_command import author_line
from sabir.cli.room_command import shown_lines

ADA = "mimi://a.example/u/ada"


def a_room(**ghost: Any) -> dict[str, Any]:
    """A room of Ada, who links a Matrix room in which Zoe is."""
    zoe = {
        "network": "matrix",
        "native": "@zoe:hs.example",
        "gateway": ADA,
        "is_connected": True,
        **ghost,
    }
    return {
        "room": "mimi://a.example/r/tea",
        "name": "Tea",
        "epoch": 3,
        "fingerprint": "00" * 32,
        "waiting": 0,
        "frozen_by": [],
        "notices": [],
        "participants": [
            {
                "user": ADA,
                "name": "Ada",
                "role_name": "owner",
                "clients": ["1"],
                "ghost": None,
            },
            {
                "user": "mimi://matrix.ghosts.a.example/u/ada:zoe",
                "name": "Zoe",
                "role_name": "member",
                "clients": [],
                "ghost": zoe,
            },
        ],
    }


def test_people_of_networks_are_named_with_whose_word_that_is() -> None:
    text = "\n".join(shown_lines(a_room()))
    assert "1 device(s)" in text
    assert "on matrix as @zoe:hs.example, by the word of ada@a.example" in text
    assert (
        "Also readable by: matrix, its servers and the chat that is linked there,"
        " through the Sabir of ada@a.example." in text
    )


def test_a_room_without_them_is_readable_by_nobody_else() -> None:
    shown = a_room()
    del shown["participants"][1]
    assert "Also readable" not in "\n".join(shown_lines(shown))


def test_whom_nothing_reaches_any_more_is_named_as_that() -> None:
    text = "\n".join(shown_lines(a_room(is_connected=False, native="")))
    assert "on matrix as a long id" in text
    assert "who is not here: nothing reaches them" in text
    assert "Also readable" not in text


def test_what_was_noticed_is_shown() -> None:
    notice = {"at": 0, "kind": "irregular", "detail": "the hub's times go back"}
    text = "\n".join(shown_lines(a_room() | {"notices": [notice]}))
    assert "ago  irregular: the hub's times go back" in text
    assert "Noticed" not in "\n".join(shown_lines(a_room()))


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"author": ADA, "name": "Ada", "via": None}, "Ada@a.example"),
        ({"author": ADA, "name": "ada@a.example", "via": None}, "ada@a.example"),
        (
            {"author": "matrix:@z:hs", "name": "Zoe", "via": {"network": "matrix"}},
            "Zoe (matrix)",
        ),
        ({"author": "", "name": "note", "via": None}, "note"),
    ],
)
def test_an_author_is_shown_with_who_vouches(row: dict[str, Any], line: str) -> None:
    assert author_line(row) == line
