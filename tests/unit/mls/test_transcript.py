from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.tags import Tag
from sabir.mls.transcript import (
    CONFIRMED_AT_START,
    confirmation_tag,
    confirmed_hash,
    interim_hash,
)

SUITE = SUITES[1]


def test_a_group_begins_with_a_tag_over_nothing() -> None:
    tag = confirmation_tag(SUITE, Secret(b"key"), CONFIRMED_AT_START)
    assert tag.ct_equal(SUITE.mac(b"key", b""))
    interim = interim_hash(SUITE, CONFIRMED_AT_START, tag)
    assert interim == SUITE.hash(b"\x20" + tag.octets)


def test_each_hash_covers_the_one_before() -> None:
    one = confirmed_hash(SUITE, b"before", b"commit")
    assert one != confirmed_hash(SUITE, b"other", b"commit")
    assert one != confirmed_hash(SUITE, b"before", b"other")
    assert interim_hash(SUITE, one, Tag(b"1")) != interim_hash(SUITE, one, Tag(b"2"))
