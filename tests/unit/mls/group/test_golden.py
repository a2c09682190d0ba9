"""Stores of former formats are read, and go on: nobody is locked out by an upgrade."""

import json
from pathlib import Path
from typing import Any

import pytest

from sabir.mls.codepoints import ContentType
from sabir.mls.errors import MlsMissing, MlsRolledBack
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import MlsGroup, accept
from sabir.mls.group.process import ApplicationMessage, OwnEcho, StagedCommit
from sabir.mls.group.state import FORMAT_VERSION, SENT, Rows
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import Clock, client

GOLDEN = Path(__file__).parent / "golden"
FILES = {
    path.name: json.loads(path.read_text())
    for path in sorted(GOLDEN.glob("format_*.json"))
}
STORES = [
    (file, name, stored)
    for file, about in FILES.items()
    for name, stored in about["groups"].items()
]
JOINS = [
    (file, name, stored)
    for file, about in FILES.items()
    for name, stored in about.get("joins", {}).items()
]


def rows_of(stored: dict[str, Any]) -> tuple[Rows, Clock]:
    env = Clock()
    env.time = stored["time"]
    rows = {
        bytes.fromhex(key): bytes.fromhex(value)
        for key, value in stored["rows"].items()
    }
    return rows, env


def load(stored: dict[str, Any]) -> tuple[MlsGroup, Clock]:
    rows, env = rows_of(stored)
    return MlsGroup.load(client("ben"), rows), env


def test_there_is_a_store_of_each_format() -> None:
    formats = [about["format"] for about in FILES.values()]
    assert formats == list(range(1, FORMAT_VERSION + 1))


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


@pytest.mark.parametrize(("file", "name", "stored"), STORES)
def test_own_messages_are_known_as_far_as_the_format_has_them(
    file: str, name: str, stored: dict[str, Any]
) -> None:
    group, env = load(stored)
    for message, kind, epoch, generation, aad in stored.get("own", ()):
        wanted = OwnEcho(ContentType(kind), epoch, generation, bytes.fromhex(aad))
        assert group.process(env, bytes.fromhex(message)) == wanted
    for message, generation in stored.get("unknown", ()):
        with pytest.raises(MlsRolledBack) as found:
            group.process(env, bytes.fromhex(message))
        assert found.value.generation == generation
    if "cleared" in stored:
        with pytest.raises(MlsMissing, match="cleared"):
            group.process(env, bytes.fromhex(stored["cleared"]))
    assert any(key[0] == SENT for key in group.save()) is ("own" in stored)


@pytest.mark.parametrize(("file", "name", "stored"), JOINS)
def test_a_join_that_waits_is_completed(
    file: str, name: str, stored: dict[str, Any]
) -> None:
    rows, env = rows_of(stored)
    join = PendingExternalJoin.load(client("ben"), rows)
    assert join.commit.hex() == stored["commit"]
    removed = [each.leaf_index for each in join.effects.removed]
    assert removed == stored["removed"]
    group = accept(client("ben"), join)
    assert group.epoch_authenticator.reveal().hex() == stored["authenticator"]
    for message, data in stored["read"]:
        heard = group.process(env, bytes.fromhex(message))
        assert isinstance(heard, ApplicationMessage)
        assert heard.data.hex() == data
