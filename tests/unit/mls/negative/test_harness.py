"""The harness can fail: it sees every trace that a refused message might leave."""

from collections.abc import Callable

import pytest

from sabir.crypto.secrets import Secret
from sabir.mls.proposals import Remove
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import UNGUARDED, violates
from sabir.testing.mls.snapshots import holds, octets_in, snapshot, unchanged
from sabir.testing.mls.world import World, process_and_merge
from tests.unit.mls.negative.judges import refuse

DAVE = 3

Trace = Callable[[World], object]

MEMBER: dict[str, Trace] = {
    "a key was used": lambda own: own.groups["bob"].process(
        own.env, own.groups["carol"].encrypt(own.env, b"hello").message
    ),
    "a key was passed over": lambda own: own.groups["bob"].process(
        own.env,
        [own.groups["carol"].encrypt(own.env, b"hello") for _ in range(3)][2].message,
    ),
    "a generation was used": lambda own: own.groups["bob"].encrypt(own.env, b"hello"),
    "a proposal waits": lambda own: own.groups["bob"].process(
        own.env, own.groups["carol"].propose(own.env, Remove(DAVE)).message
    ),
    "a proposal of ours waits": lambda own: own.groups["bob"].propose_update(
        own.env, as_public=True
    ),
    "a commit of ours waits": lambda own: own.groups["bob"].commit(
        own.env, as_public=True
    ),
    "an epoch ended": lambda own: process_and_merge(
        own.env, own.groups["bob"], own.groups["carol"].commit(own.env).commit
    ),
    "a secret was exported": lambda own: own.groups["bob"].safe_export(7),
}


@pytest.mark.parametrize("trace", MEMBER)
def test_a_trace_in_a_member_s_group_is_seen(own: World, trace: str) -> None:
    with (
        pytest.raises(AssertionError, match="has changed"),
        unchanged(own.groups["bob"]),
    ):
        MEMBER[trace](own)


def test_a_trace_in_a_hub_is_seen(own: World) -> None:
    sent = own.groups["carol"].propose(own.env, Remove(DAVE), as_public=True).message
    with pytest.raises(AssertionError, match="has changed"), unchanged(own.hub):
        own.hub.process(own.env, sent)
    with pytest.raises(AssertionError, match="has changed"), unchanged(own.hub):
        own.commit("alice", references=())


def test_another_rule_or_none_is_seen(own: World) -> None:
    carol = Forger(own, "carol")
    with pytest.raises(AssertionError, match="not P04"):
        refuse(own, carol.proposal(Remove(6)).message, Rule.P04)
    with pytest.raises(pytest.fail.Exception):
        refuse(own, carol.proposal(Remove(DAVE)).message, Rule.P03)


def test_a_refusal_that_nobody_watched_is_seen(own: World) -> None:
    bob = own.groups["bob"]
    watched: list[tuple[object, ...]] = [(), (own.person("bob").psks,), (bob,)]
    for kept in watched:
        UNGUARDED.clear()
        with unchanged(*kept), violates(Rule.C01):
            bob.process(own.env, b"\x00\x01\x00\x01\x40\x00")
        assert (set() if bob in kept else {Rule.C01}) == UNGUARDED


def test_what_was_loaded_is_what_was_saved(own: World) -> None:
    for name in own.groups:
        own.groups[name].encrypt(own.env, b"hello")
        assert own.fork(name).save() == own.groups[name].save()


def test_equal_groups_have_equal_snapshots(own: World) -> None:
    one, two = own.fork("bob"), own.fork("bob")
    assert snapshot(one) == snapshot(two)
    assert snapshot(one) != snapshot(own.fork("carol"))


def test_secrets_are_found_wherever_they_hide() -> None:
    secret = b"sixteen octets.."

    class Hiding:
        __slots__ = ("field",)

        def __init__(self, field: object) -> None:
            self.field = field

    def closed_over() -> bytes:
        return secret

    places: list[object] = [
        Hiding(secret),
        Hiding(Hiding(Secret(secret))),
        {"a": [({secret: 1},)]},
        bytearray(b"before" + secret),
        Hiding(closed_over),
        closed_over.__get__(Hiding(None)),
    ]
    for place in places:
        assert holds(secret, octets_in(place)), place
    assert not holds(secret, octets_in(Hiding(b"another")))
