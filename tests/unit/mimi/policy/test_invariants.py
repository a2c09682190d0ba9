"""What holds in every room, and what is forgiven to who cleans up."""

from dataclasses import replace

import pytest

from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.roles import Role, RoleData
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.invariants import check_invariants
from sabir.mimi.policy.view import RoomView
from sabir.mimi.templates import role_set
from tests.unit.mimi.policy.rooms import client, user, view

ANN, BEN, EVE = user("ann"), user("ben"), user("eve")
ROLES = role_set("cooperative")
ANN_1, BEN_1, EVE_1 = client("ann"), client("ben"), client("eve")
GOOD = view(ROLES, {ANN: 4, BEN: 2}, [ANN_1, BEN_1])


def breach(before: RoomView | None, after: RoomView) -> str:
    try:
        check_invariants(before, after)
    except PolicyDenied as wrong:
        return wrong.detail if wrong.slug is Slug.CONSTRAINT_VIOLATED else "?"
    return ""


@pytest.mark.parametrize("before", [None, GOOD])
@pytest.mark.parametrize(
    ("after", "words"),
    [
        (GOOD, ""),
        (view(ROLES, {ANN: 4, BEN: 2}, [ANN_1, EVE_1]), "not listed"),
        (view(ROLES, {ANN: 4, BEN: 1}, [ANN_1, BEN_1]), "never active"),
        (view(ROLES, {ANN: 4, BEN: 5}, [ANN_1, BEN_1]), "never active"),
        (view(ROLES, {ANN: 4, BEN: 9}, [ANN_1]), "role 9 does not exist"),
        (view(ROLES, {ANN: 4, BEN: 2}, [ANN_1, ANN_1]), "twice"),
    ],
)
def test_a_broken_invariant_is_named(
    before: RoomView | None, after: RoomView, words: str
) -> None:
    assert words in breach(before, after)
    assert bool(breach(before, after)) is bool(words)


def test_banned_clients_are_never_active_even_where_the_role_does_not_say_so() -> None:
    roles = RoleData((Role(1, "banned"), Role(2, "r")))
    assert "never active" in breach(None, view(roles, {ANN: 1}, [ANN_1]))
    other = RoleData((Role(1, "visitor"), Role(2, "r")))
    assert not breach(None, view(other, {ANN: 1}, [ANN_1]))


def test_what_was_broken_before_is_not_held_against_who_cleans_up() -> None:
    ghosts = [EVE_1, client("eve", "2")]
    broken = view(ROLES, {ANN: 4}, [ANN_1, *ghosts])
    assert not breach(broken, view(ROLES, {ANN: 4}, [ANN_1, ghosts[0]]))
    another = view(ROLES, {ANN: 4}, [ANN_1, *ghosts, BEN_1])
    assert "not listed" in breach(broken, another)


@pytest.mark.parametrize(
    ("policy", "inside", "outside"),
    [
        (BaseRoomPolicy(max_clients=2), [ANN_1, BEN_1], [client("ann", "2")]),
        (BaseRoomPolicy(multi_device=False), [ANN_1, BEN_1], [client("ann", "2")]),
    ],
)
def test_mc_053_limits_hold_step_by_step(
    policy: BaseRoomPolicy, inside: list[object], outside: list[object]
) -> None:
    people = {ANN: 4, BEN: 2}
    fits = view(ROLES, people, inside, policy=policy)  # type: ignore[arg-type]  # clients
    over = view(ROLES, people, [*inside, *outside], policy=policy)  # type: ignore[list-item]  # clients
    worse = view(ROLES, people, [*over.clients, client("ann", "3")], policy=policy)
    assert not breach(None, fits)
    assert breach(None, over)
    assert breach(fits, over)
    assert not breach(over, over)
    assert breach(over, worse)
    assert not breach(worse, over)


def test_mc_053_the_banned_are_no_users() -> None:
    policy = BaseRoomPolicy(max_users=1)
    assert not breach(None, view(ROLES, {ANN: 4, BEN: 1}, policy=policy))
    assert breach(None, view(ROLES, {ANN: 4, BEN: 2}, policy=policy))


def test_mc_051_a_fixed_room_keeps_its_users_also_while_it_becomes_one() -> None:
    roles = role_set("sabir_dm")
    fixed = BaseRoomPolicy(fixed_membership=True)
    for before, after in ((fixed, fixed), (fixed, None), (None, fixed)):
        old = view(roles, {ANN: 2}, policy=before)
        assert not breach(old, view(roles, {ANN: 2}, policy=after))
        assert breach(old, view(roles, {ANN: 2, BEN: 2}, policy=after))
        assert breach(old, view(roles, {}, policy=after))
    assert "role 2 adds" in breach(None, view(ROLES, {ANN: 2}, policy=fixed))
    harmless = RoleData(
        (Role(0, "o", capabilities=(0,)), Role(1, "banned", capabilities=(0,)))
    )
    assert not breach(None, view(harmless, {}, policy=fixed))
    visitor = RoleData((Role(1, "visitor", capabilities=(0,)),))
    assert "role 1 adds" in breach(None, view(visitor, {}, policy=fixed))


def test_the_room_stays_the_room() -> None:
    other = replace(GOOD.room, metadata=RoomMetadata("mimi://hub.example/r/coffee"))
    assert "identifier" in breach(GOOD, RoomView(other, GOOD.clients))
