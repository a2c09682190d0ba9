"""Tags are compared in constant time, or not at all."""

import pytest

from sabir.mls.tags import Tag


def test_tags_compare_with_tags_and_octets() -> None:
    assert Tag(b"one").ct_equal(Tag(b"one"))
    assert Tag(b"one").ct_equal(b"one")
    assert not Tag(b"one").ct_equal(b"two")
    assert not Tag(b"one").ct_equal(b"longer")


def test_two_equals_signs_raise() -> None:
    with pytest.raises(TypeError, match="ct_equal"):
        assert Tag(b"one") == Tag(b"one")


def test_a_tag_shows_and_hashes_nothing() -> None:
    assert repr(Tag(b"one")) == "<Tag of 3 octets>"
    with pytest.raises(TypeError):
        hash(Tag(b"one"))
