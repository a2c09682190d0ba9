"""The five kinds of room that Sabir makes: their role sets, and how a room begins.

The role sets are those of room-policy-04 Appendix A, from the packaged
`data/role_sets.json`, with no minimum for the policy enforcer, and one of ours for
direct messages.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from sabir.errors import LocalError
from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.roles import Role, RoleChange, RoleData
from sabir.mimi.template_names import TemplateName

SCHEMA: Final = "sabir/role-sets/1"

_ENFORCER: Final = "policy_enforcer"

POLICY_COMPONENTS: Final = (
    ComponentId.ROLES_LIST,
    ComponentId.STATUS_NOTIFICATION_POLICY,
    ComponentId.ASSET_POLICY,
)
"""The policy components of a new room (D-40: with the roles, without the list)."""


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of room.

    Attributes:
        name: by which it is chosen.
        role_set: name in the packaged data.
        roles: as a new room has them.
        creator_role: role of who makes the room: the highest one.
        base_policy: as a new room has it.
    """

    name: TemplateName
    role_set: str
    roles: RoleData
    creator_role: int
    base_policy: BaseRoomPolicy

    @property
    def fixed_membership(self) -> bool:
        """Whether all participants are there from the beginning."""
        return self.base_policy.fixed_membership


@cache
def _document() -> Mapping[str, Any]:
    source = files("sabir.mimi") / "data" / "role_sets.json"
    document: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    if document["schema"] != SCHEMA:
        raise LocalError(
            f"role_sets.json is not of {SCHEMA}; this installation is broken: "
            "install Sabir again"
        )
    return document


def role_set(name: str) -> RoleData:
    """Return a packaged role set, as its source has it."""
    return RoleData(
        tuple(_role(entry) for entry in _document()["role_sets"][name]["roles"])
    )


def _role(entry: Mapping[str, Any]) -> Role:
    return Role(
        entry["index"],
        entry["name"],
        capabilities=tuple(int(number, 16) for number in entry["capabilities"]),
        minimum=entry["minimum"],
        maximum=entry["maximum"],
        minimum_active=entry["minimum_active"],
        maximum_active=entry["maximum_active"],
        changes=tuple(
            RoleChange(source, tuple(targets))
            for source, targets in entry["role_changes"]
        ),
    )


def _without_enforcer_minimum(roles: RoleData) -> RoleData:
    return RoleData(
        tuple(
            replace(role, minimum=0) if role.name == _ENFORCER else role
            for role in roles.roles
        )
    )


def _template(
    name: TemplateName, set_name: str, creator_role: int, *, fixed: bool = False
) -> Template:
    return Template(
        name,
        set_name,
        _without_enforcer_minimum(role_set(set_name)),
        creator_role,
        BaseRoomPolicy(
            fixed_membership=fixed,
            policy_components=tuple(map(int, POLICY_COMPONENTS)),
        ),
    )


TEMPLATES: Final[Mapping[TemplateName, Template]] = MappingProxyType(
    {
        template.name: template
        for template in (
            _template(TemplateName.DM, "sabir_dm", 2, fixed=True),
            _template(TemplateName.GROUP, "cooperative", 4),
            _template(TemplateName.MANAGED, "strictly_administered", 4),
            _template(TemplateName.MODERATED, "moderated", 6),
            _template(TemplateName.ORGANIZATIONS, "multi_organization", 8),
        )
    }
)
"""All templates by name."""
