"""Which emoji a bot can react with."""

import pytest

from sabir.networks.telegram.reactions import ALLOWED, is_same, nearest


def test_the_vendors_list_has_73_emoji() -> None:
    assert len(ALLOWED) == 73
    assert all(not set(each) & {"\ufe0e", "\ufe0f"} for each in ALLOWED)


@pytest.mark.parametrize(
    ("emoji", "shown"),
    [
        ("👍", "👍"),
        ("❤️", "❤"),
        ("👍🏽", "👍"),
        ("😂", "🤣"),
        ("💙", "❤"),
        ("❤️\u200d🔥", "❤\u200d🔥"),
        ("🐈", None),
        ("", None),
    ],
)
def test_an_emoji_is_itself_or_the_one_that_means_the_same(
    emoji: str, shown: str | None
) -> None:
    assert nearest(emoji) == shown


def test_how_an_emoji_is_written_makes_no_difference() -> None:
    assert is_same("❤️", "❤")
    assert not is_same("😂", "🤣")
