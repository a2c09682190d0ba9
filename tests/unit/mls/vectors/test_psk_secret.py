"""psk_secret: none to ten keys, for each suite."""

from typing import Final

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.psk import psk_secret
from sabir.mls.psk_ids import ExternalPsk
from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)


@for_each("psk_secret")
def test_the_keys_add_up(vector: Strict) -> None:
    check(vector)


SUITE_UNSEEN: Final = {
    suite: {"cipher_suite": f"suite {suite ^ 1} has the same hash"}
    for suite in (2, 3, 4, 5)
}


@pytest.mark.parametrize("case", cases("psk_secret"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    unseen = SUITE_UNSEEN.get(case.suite or 0)
    check_can_fail(check, load(case), refusals=(KeyError,), unseen=unseen)


def check(vector: Strict) -> None:
    suite = SUITES[vector["cipher_suite"]]
    psks = [
        (
            ExternalPsk(given.octets("psk_id"), given.octets("psk_nonce")),
            Secret(given.octets("psk")),
        )
        for given in vector["psks"]
    ]
    assert psk_secret(suite, psks).ct_equal(vector.octets("psk_secret"))
