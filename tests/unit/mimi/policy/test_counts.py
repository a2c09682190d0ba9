"""MC-037: how many may hold a role, on both sides of each bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.components.roles import Role, RoleData
from sabir.mimi.policy.counts import check_counts
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import RoomView
from sabir.mimi.template_names import TemplateName
from tests.unit.mimi.policy.rooms import client, user, view
from tests.unit.mimi.world import World, add, listed, uri


def room(roles: RoleData, holders: int, active: int, role: int = 2) -> RoomView:
    names = [f"u{number}" for number in range(holders)]
    people = dict.fromkeys(map(user, names), role)
    return view(roles, people, map(client, names[:active]))


def passes(role: Role, before: tuple[int, int], after: tuple[int, int]) -> bool:
    roles = RoleData((role,))
    try:
        check_counts(room(roles, *before, role.index), room(roles, *after, role.index))
    except PolicyDenied as wrong:
        return wrong.slug is not Slug.CONSTRAINT_VIOLATED
    return True


@pytest.mark.parametrize(
    ("role", "before", "after", "expected"),
    [
        (Role(2, "r", minimum=2), (3, 0), (2, 0), True),
        (Role(2, "r", minimum=2), (2, 0), (1, 0), False),
        (Role(2, "r", minimum=2), (1, 0), (1, 0), True),
        (Role(2, "r", minimum=2), (0, 0), (1, 0), True),
        (Role(2, "r", maximum=2), (1, 0), (2, 0), True),
        (Role(2, "r", maximum=2), (2, 0), (3, 0), False),
        (Role(2, "r", maximum=2), (4, 0), (3, 0), True),
        (Role(2, "r", maximum=0), (0, 0), (1, 0), False),
        (Role(2, "r", minimum_active=2), (3, 3), (3, 2), True),
        (Role(2, "r", minimum_active=2), (3, 2), (3, 1), False),
        (Role(2, "r", minimum_active=2), (3, 0), (3, 1), True),
        (Role(2, "r", maximum_active=2), (3, 1), (3, 2), True),
        (Role(2, "r", maximum_active=2), (3, 2), (3, 3), False),
        (Role(2, "r", maximum_active=2), (4, 4), (3, 3), True),
        (Role(2, "r", maximum_active=0), (1, 0), (1, 1), False),
    ],
)
def test_mc_037_each_bound_counts_in_its_direction_only(
    role: Role, before: tuple[int, int], after: tuple[int, int], expected: bool
) -> None:
    assert passes(role, before, after) is expected


def test_mc_037_role_0_has_no_numbers() -> None:
    roles = RoleData((Role(0, "no_role", maximum_active=0, minimum=9), Role(2, "r")))
    check_counts(room(roles, 1, 1), room(roles, 0, 0))


NUMBERS = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(
    lambda pair: (max(pair), min(pair))
)
BOUNDS = st.none() | st.integers(0, 5)


@given(
    st.builds(
        Role,
        st.just(2),
        st.just("r"),
        minimum=st.integers(0, 5),
        maximum=BOUNDS,
        minimum_active=st.integers(0, 5),
        maximum_active=BOUNDS,
    ),
    NUMBERS,
    NUMBERS,
)
def test_mc_037_a_bound_refuses_exactly_the_steps_away_from_it(
    role: Role, before: tuple[int, int], after: tuple[int, int]
) -> None:
    def away(was: int, now: int, least: int, most: int | None) -> bool:
        short = max(least - now, 0) > max(least - was, 0)
        over = most is not None and max(now - most, 0) > max(was - most, 0)
        return short or over

    expected = not away(before[0], after[0], role.minimum, role.maximum) and not away(
        before[1], after[1], role.minimum_active, role.maximum_active
    )
    assert passes(role, before, after) is expected


def test_mc_037_a_batch_is_judged_by_what_it_leads_to() -> None:
    world = World.of("ann", TemplateName.ORGANIZATIONS)
    world.commit("ann", add(("ben", 6), ("cal", 6), ("dan", 6)), world.package("ben"))
    with pytest.raises(PolicyDenied) as caught:
        world.stage("ben", add(("eli", 6)))
    assert caught.value.description == (
        "constraint.violated: 4 participants with role 6"
    )
    world.commit("ben", add(("eli", 6)), listed(changed=[(2, 3)]))
    with pytest.raises(PolicyDenied) as caught:
        world.stage("ann", world.remove("ben"))
    assert caught.value.description == (
        "constraint.violated: 0 active participants with role 6"
    )
    assert world.effective.view.role_index(uri("eli")) == 6
