"""Rooms that tests of hubs begin with, and how answers are read."""

from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.components.roles import Role, RoleData
from sabir.mimi.structs.update import UpdateRoomResponse
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.testing.mimi.hub_harness import HubHarness, listed

ORDINARY, ADMIN, SUPER = 2, 3, 4
ANN, BEN, CAL, DEE = "ann", "b.example:ben", "hub.example:cal", "c.example:dee"


def of_four() -> HubHarness:
    """Ann, who may everything; Ben and Dee, admins; Cal, at the hub's provider."""
    hub = HubHarness.of(ANN)
    hub.commit(
        ANN,
        listed(added=[(BEN, ADMIN), (CAL, ORDINARY), (DEE, ADMIN)]),
        hub.package(BEN),
        hub.package(CAL),
        hub.package(DEE),
    )
    hub.check_agreement()
    return hub


def roles_with(template: TemplateName, changed: Role) -> RoleData:
    """Return a template's roles, one of them changed."""
    roles = TEMPLATES[template].roles.roles
    return RoleData(
        tuple(changed if role.index == changed.index else role for role in roles)
    )


def role_of(template: TemplateName, index: int) -> Role:
    """Return a template's role."""
    return TEMPLATES[template].roles.role(index)


def denied(response: UpdateRoomResponse, slug: str) -> bool:
    """Whether a handshake was not allowed, for this reason."""
    return response.code == UpdateCode.NOT_ALLOWED and _begins(response, slug)


def invalid(response: UpdateRoomResponse, slug: str = "proposal.invalid") -> bool:
    """Whether a handshake has an invalid proposal, for this reason."""
    return response.code == UpdateCode.INVALID_PROPOSAL and _begins(response, slug)


def _begins(response: UpdateRoomResponse, slug: str) -> bool:
    return response.description == slug or response.description.startswith(f"{slug}:")
