"""notify, before it is stored: whose it is, what it holds, for whom it is."""

import pytest

from sabir.mimi.follower import body_digest, group_of, read_notification, welcomed
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mls.framing import encode_message
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, optional, uint64, vector
from tests.unit.mimi.world import AAD, HUB, ROOM, World, add

HELLO = b"\x00\x00" + opaque(b"hello")


@pytest.fixture(scope="module")
def body() -> bytes:
    """A message, a commit and its Welcome."""
    world = World.of()
    said = world["ann"].encrypt(world.env, HELLO, aad=AAD).message
    made = world.commit("ann", add(("ben", 2)), world.package("ben"))
    assert made.welcome is not None
    tree = RatchetTreeOption(world.hub.tree.encode())
    return (
        uint64(1)
        + said
        + optional(None)
        + uint64(2)
        + made.commit
        + vector([])
        + uint64(2)
        + encode_message(made.welcome)
        + tree.encode()
    )


def test_mc_067_a_body_is_read_whole(body: bytes) -> None:
    said, commit, welcome = read_notification(HUB, ROOM, body)
    assert group_of(said) == group_of(commit) != group_of(welcome) is None
    assert welcomed(said) is welcomed(commit) is None
    refs = welcomed(welcome)
    assert refs is not None
    assert [len(ref) for ref in refs] == [32]
    with pytest.raises(Malformed):
        read_notification(HUB, ROOM, body[:-1])


def test_mc_068_only_the_hub_notifies(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read_notification("b.example", ROOM, body)
    assert caught.value.problem is ProblemCode.DOMAIN_NOT_AUTHORIZED
    assert caught.value.problem.status == 403


def test_mc_067_a_message_of_another_room(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read_notification(HUB, f"mimi://{HUB}/r/golf", body)
    assert caught.value.problem is ProblemCode.PATH_MISMATCH


def test_mc_063_a_repeated_body_is_known_by_whom_and_what(body: bytes) -> None:
    assert body_digest(HUB, body) == body_digest(HUB, body)
    others = {body_digest("b.example", body), body_digest(HUB, body + b"\0")}
    assert body_digest(HUB, body) not in others
    assert len(others) == 2
