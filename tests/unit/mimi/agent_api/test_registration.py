"""What devices sign, and where the operations are."""

import os

from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.registration import (
    is_refresh,
    is_registration,
    sign_refresh,
    sign_registration,
)

SUITE = SUITES[1]
PRIVATE, PUBLIC = signature_key_pair(SUITE, os.urandom(SUITE.signature.private_octets))
USER = "mimi://a.example/u/alice"
DEVICE = "mimi://a.example/d/alice/phone"
CHALLENGE = bytes(range(32))


def test_a_registration_is_of_one_user_and_one_challenge() -> None:
    signature = sign_registration(SUITE, PRIVATE, CHALLENGE, USER)
    assert is_registration(SUITE, PUBLIC, CHALLENGE, USER, signature)
    assert not is_registration(SUITE, PUBLIC, CHALLENGE, DEVICE, signature)
    assert not is_registration(SUITE, PUBLIC, bytes(32), USER, signature)


def test_a_refresh_is_no_registration() -> None:
    signature = sign_refresh(SUITE, PRIVATE, CHALLENGE, DEVICE)
    assert is_refresh(SUITE, PUBLIC, CHALLENGE, DEVICE, signature)
    assert not is_registration(SUITE, PUBLIC, CHALLENGE, DEVICE, signature)


def test_paths_have_whole_uris_percent_encoded() -> None:
    room = "mimi://a.example/r/clubhouse"
    assert paths.path(paths.UPDATE, roomId=room) == (
        "/agent/v1/rooms/mimi%3A%2F%2Fa.example%2Fr%2Fclubhouse/update"
    )
    assert paths.path(paths.ROOMS) == "/agent/v1/rooms"
    assert paths.path(paths.JOIN_CODE, roomId=room, id="x-1").endswith("/joincodes/x-1")


def test_queries_are_percent_encoded() -> None:
    assert paths.query(after="7", wait=25) == "?after=7&wait=25"
    assert paths.query(url="https://b/?c&d") == "?url=https%3A%2F%2Fb%2F%3Fc%26d"
    assert paths.query() == ""
