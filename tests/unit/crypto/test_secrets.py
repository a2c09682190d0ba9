"""A secret does not slip out by accident."""

import pickle

import pytest

from sabir.crypto.secrets import Secret

CANARY = "canary-password-9e2c"


def test_no_way_of_printing_shows_the_octets() -> None:
    secret = Secret.from_text(CANARY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!s:}"):
        assert CANARY not in shown
        assert shown == "<Secret of 20 octets>"


def test_reveal_gives_the_octets_and_the_text() -> None:
    secret = Secret.from_text("käse")
    assert secret.reveal() == "käse".encode()
    assert secret.reveal_text() == "käse"


def test_secrets_are_compared_in_constant_time_only() -> None:
    secret = Secret(b"a")
    assert secret.ct_equal(Secret(b"a"))
    assert secret.ct_equal(b"a")
    assert not secret.ct_equal(b"b")
    with pytest.raises(TypeError, match="ct_equal"):
        _ = secret == Secret(b"a")


def test_a_secret_goes_into_no_set_and_no_pickle() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(b"a"))
    with pytest.raises(TypeError, match="not serializable"):
        pickle.dumps(Secret(b"a"))
