"""The templates are the drafts' role sets, with what MIMI.md 6.5 says of them."""

import pytest

from sabir.errors import LocalError
from sabir.mimi import templates
from sabir.mimi.policy.invariants import check_invariants
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES, role_set
from tests.unit.mimi.policy.rooms import client, user, view


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cooperative", [0, 0, 37, 44, 47, 9]),
        ("strictly_administered", [1, 0, 31, 48, 53, 9]),
        ("moderated", [1, 0, 10, 20, 30, 46, 52, 9]),
        ("multi_organization", [0, 0, 24, 22, 22, 35, 33, 33, 50, 9]),
    ],
)
def test_role_sets_have_as_many_capabilities_as_the_draft(
    name: str, sizes: list[int]
) -> None:
    roles = role_set(name).roles
    assert [len(role.capabilities) for role in roles] == sizes
    assert [role.index for role in roles] == [*range(len(sizes))]
    assert roles[-1].name == "policy_enforcer"
    assert (roles[-1].minimum, roles[-1].maximum) == (1, 2)
    assert roles[-1].maximum_active == 0


@pytest.mark.parametrize("name", TemplateName)
def test_a_template_asks_for_no_enforcer_and_lets_its_creator_be_alone(
    name: TemplateName,
) -> None:
    template = TEMPLATES[name]
    enforcers = [role for role in template.roles.roles if role.maximum == 2]
    assert all(role.minimum == 0 for role in enforcers)
    assert len(enforcers) == (name is not TemplateName.DM)
    room = view(
        template.roles,
        {user("ann"): template.creator_role},
        [client("ann")],
        policy=template.base_policy,
    )
    check_invariants(None, room)
    assert room.can_send(user("ann"))


def test_a_data_file_of_another_schema_is_a_broken_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(templates, "SCHEMA", "sabir/role-sets/2")
    with pytest.raises(LocalError, match="install Sabir again"):
        templates._document.__wrapped__()
