"""Reactions in their full form."""

import pytest

from sabir.content.emoji import qualified


@pytest.mark.parametrize(
    ("emoji", "full"),
    [
        ("❤", "❤️"),
        ("❤️", "❤️"),
        ("👍", "👍"),
        ("👍🏽", "👍🏽"),
        ("☝🏽", "☝🏽"),
        ("1⃣", "1️⃣"),
        ("1", "1"),
        ("👩‍⚕", "👩‍⚕️"),
        ("🏳‍🌈", "🏳️‍🌈"),
        (":party:", ":party:"),
        ("☎\ufe0e", "☎\ufe0e"),
    ],
)
def test_a_picture_says_that_it_is_one(emoji: str, full: str) -> None:
    assert qualified(emoji) == full
    assert qualified(full) == full
