"""How many may hold a role (D-36): judged on the transition from one room to another.

For each role but 0: if fewer hold it, not fewer than its minimum; if more, not more
than its maximum; the same for those who are active. A role that starts below its
minimum blocks nothing, and creation is no transition.
"""

from sabir.mimi.components.participants import NO_ROLE
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import RoomAfter, RoomView


def check_counts(before: RoomView, after: RoomAfter) -> None:
    """Check the constraints of all roles whose numbers changed.

    Raises:
        PolicyDenied: `constraint.violated`.
    """
    old, new = before.counts(), after.counts()
    for index in sorted((old.keys() | new.keys()) - {NO_ROLE}):
        role = after.room.roles.role(index)
        was, was_active = old.get(index, (0, 0))
        count, active = new.get(index, (0, 0))
        _check(index, "participants", was, count, role.minimum, role.maximum)
        _check(
            index,
            "active participants",
            was_active,
            active,
            role.minimum_active,
            role.maximum_active,
        )


def _check(
    role: int, what: str, was: int, count: int, minimum: int, maximum: int | None
) -> None:
    too_few = count < was and count < minimum
    too_many = count > was and maximum is not None and count > maximum
    if too_few or too_many:
        raise PolicyDenied(Slug.CONSTRAINT_VIOLATED, f"{count} {what} with role {role}")
