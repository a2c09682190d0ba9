"""transcript-hashes: one commit for each suite."""

from typing import Final

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.framing import read_authenticated_content
from sabir.mls.transcript import confirmation_tag, confirmed_hash, interim_hash
from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)
from sabir.wire.tls import read_whole


@for_each("transcript-hashes")
def test_the_hashes_and_the_tag_agree(vector: Strict) -> None:
    check(vector)


SUITE_UNSEEN: Final = {
    suite: {"cipher_suite": f"suite {suite ^ 1} has the same hash"}
    for suite in (2, 3, 4, 5)
}


@pytest.mark.parametrize("case", cases("transcript-hashes"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    unseen = SUITE_UNSEEN.get(case.suite or 0)
    check_can_fail(check, load(case), refusals=(KeyError,), unseen=unseen)


def check(vector: Strict) -> None:
    suite = SUITES[vector["cipher_suite"]]
    octets = vector.octets("authenticated_content")
    content = read_whole(octets, read_authenticated_content)
    confirmed = confirmed_hash(
        suite,
        vector.octets("interim_transcript_hash_before"),
        content.confirmed_transcript_input(),
    )
    assert confirmed == vector.octets("confirmed_transcript_hash_after")
    tag = confirmation_tag(suite, Secret(vector.octets("confirmation_key")), confirmed)
    assert content.confirmation_tag is not None
    assert tag.ct_equal(content.confirmation_tag)
    interim = interim_hash(suite, confirmed, tag)
    assert interim == vector.octets("interim_transcript_hash_after")
