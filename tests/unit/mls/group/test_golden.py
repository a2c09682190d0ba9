"""Stores of former formats are read, and go on: nobody is locked out by an upgrade."""

import json
from pathlib import Path
from typing import Any

import pytest

from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import Clock, client

GOLDEN = Path(__file__).parent / "golden"
STORES = [
    (path.name, name, stored)
    for path in sorted(GOLDEN.glob("format_*.json"))
    for name, stored in json.loads(path.read_text())["groups"].items()
]


def load(stored: dict[str, Any]) -> tuple[MlsGroup, Clock]:
    env = Clock()
    env.time = stored["time"]
    rows = {
        bytes.fromhex(key): bytes.fromhex(value)
        for key, value in stored["rows"].items()
    }
    return MlsGroup.load(client("ben"), rows), env


@pytest.mark.parametrize(("file", "name", "stored"), STORES)
def test_messages_on_their_way_are_read_once(
    file: str, name: str, stored: dict[str, Any]
) -> None:
    group, env = load(stored)
    for message, data in stored["read"]:
        heard = group.process(env, bytes.fromhex(message))
        assert isinstance(heard, ApplicationMessage)
        assert heard.data.hex() == data
    for message in [*stored["read before"], *(each for each, _ in stored["read"])]:
        with violates(Rule.D02):
            group.process(env, bytes.fromhex(message))
    assert group.pending is not None


@pytest.mark.parametrize(("file", "name", "stored"), STORES)
def test_the_commit_of_another_is_followed(
    file: str, name: str, stored: dict[str, Any]
) -> None:
    group, env = load(stored)
    staged = group.process(env, bytes.fromhex(stored["commit"]))
    assert isinstance(staged, StagedCommit)
    group.merge(env, staged)
    wanted = stored["authenticator after commit"]
    assert group.epoch_authenticator.reveal().hex() == wanted


@pytest.mark.parametrize(("file", "name", "stored"), STORES)
def test_the_own_commit_is_merged(file: str, name: str, stored: dict[str, Any]) -> None:
    group, env = load(stored)
    pending = group.merge_pending(env)
    assert pending.commit.hex() == stored["own commit"]
    assert pending.welcome is not None
    wanted = stored["authenticator after own commit"]
    assert group.epoch_authenticator.reveal().hex() == wanted
