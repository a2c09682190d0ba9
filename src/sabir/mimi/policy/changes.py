"""What a list of proposals makes of a room, whoever sent them.

The same for the proposals that wait and for those of a commit. What contradicts
itself is refused here by number; whether anybody may do it is the kernel's business.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.asset_policy import decode_asset_policy
from sabir.mimi.components.base_policy import decode_base_room_policy
from sabir.mimi.components.expiration import decode_message_expiration
from sabir.mimi.components.metadata import decode_room_metadata
from sabir.mimi.components.participants import (
    ParticipantListUpdate,
    apply_updates,
    decode_participant_list_update,
)
from sabir.mimi.components.roles import decode_role_data
from sabir.mimi.components.status_policy import decode_status_policy
from sabir.mimi.policy.view import Client, RoomView, client_of, key_of
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Add, AppDataUpdate, Remove, SelfRemove
from sabir.wire.errors import Malformed

_READ: Final[Mapping[int, tuple[str, Callable[[bytes], Any]]]] = MappingProxyType(
    {
        ComponentId.ROOM_METADATA: ("metadata", decode_room_metadata),
        ComponentId.ROLES_LIST: ("roles", decode_role_data),
        ComponentId.BASE_ROOM_POLICY: ("base_policy", decode_base_room_policy),
        ComponentId.STATUS_NOTIFICATION_POLICY: ("status_policy", decode_status_policy),
        ComponentId.ASSET_POLICY: ("asset_policy", decode_asset_policy),
        ComponentId.MESSAGE_EXPIRATION_POLICY: (
            "expiration",
            decode_message_expiration,
        ),
    }
)
"""Components that an update replaces whole: field of the state, and its reader."""


def applied(
    committed: RoomView, leaves: Mapping[int, Client], items: Sequence[Proposed]
) -> RoomView:
    """Return the room after a list of proposals.

    Args:
        committed: the room of the epoch in which they were proposed.
        leaves: whose the leaves of that epoch are, by place.
        items: the list, in its order.

    Raises:
        Malformed: MIMI-102 to MIMI-106 and the rules of other components; MIMI-115 a
            component that is replaced twice, or roles or preauthorisations together
            with participants; MIMI-116 a leaf that is touched twice, a client that is
            added while it is there.
    """
    check_combination(items)
    changed: dict[str, Any] = {
        "participants": apply_updates(committed.room.participants, list_updates(items))
    }
    for component, data in _data_updates(items):
        if component in _READ:
            field, decode = _READ[component]
            changed[field] = decode(data)
    room = replace(committed.room, **changed)
    return RoomView(room, _clients_after(leaves, items))


def list_updates(items: Iterable[Proposed]) -> tuple[ParticipantListUpdate, ...]:
    """Return what a list of proposals does to the participants, in its order."""
    return tuple(
        decode_participant_list_update(data)
        for component, data in _data_updates(items)
        if component == ComponentId.PARTICIPANT_LIST
    )


def check_decodes(item: Proposed) -> None:
    """Check that what a proposal brings can be read at all.

    Raises:
        Malformed: a rule of its component, or of the identity of a new leaf.
    """
    proposal = item.proposal
    if isinstance(proposal, Add):
        client_of(proposal.key_package.leaf_node)
    if not isinstance(proposal, AppDataUpdate) or proposal.update is None:
        return
    if proposal.component_id == ComponentId.PARTICIPANT_LIST:
        decode_participant_list_update(proposal.update)
    elif proposal.component_id in _READ:
        _READ[proposal.component_id][1](proposal.update)


def check_combination(items: Sequence[Proposed]) -> None:
    """Check what one commit may change together, and how often.

    Roles stay while people move, preauthorisations stay while people come.

    Raises:
        Malformed: MIMI-115.
    """
    seen: set[int] = set()
    for component, _ in _data_updates(items):
        if component in seen and component != ComponentId.PARTICIPANT_LIST:
            raise Malformed("MIMI-115", f"component 0x{component:04X} replaced twice")
        seen.add(component)
    lists = list_updates(items)
    moved = any(update.changed or update.added for update in lists)
    touched = moved or any(update.removed for update in lists)
    if ComponentId.ROLES_LIST in seen and touched:
        raise Malformed("MIMI-115", "roles and participants change together")
    if ComponentId.PREAUTH_LIST in seen and moved:
        raise Malformed("MIMI-115", "preauthorisations and participants together")


def _data_updates(items: Iterable[Proposed]) -> list[tuple[int, bytes]]:
    return [
        (item.proposal.component_id, item.proposal.update)
        for item in items
        if isinstance(item.proposal, AppDataUpdate) and item.proposal.update is not None
    ]


def _clients_after(
    leaves: Mapping[int, Client], items: Iterable[Proposed]
) -> tuple[Client, ...]:
    touched: set[int] = set()
    gone: set[int] = set()
    added: list[Client] = []
    for item in items:
        proposal, target = item.proposal, item.target
        if target is not None:
            if target in touched:
                raise Malformed("MIMI-116", f"leaf {target} is touched twice")
            touched.add(target)
            if isinstance(proposal, Remove | SelfRemove):
                gone.add(target)
        elif isinstance(proposal, Add):
            added.append(client_of(proposal.key_package.leaf_node))
    staying = [client for index, client in leaves.items() if index not in gone]
    present = {key_of(client) for client in staying}
    for index, client in enumerate(added):
        if key_of(client) in present:
            raise Malformed("MIMI-116", f"added client {index} is in the group")
        present.add(key_of(client))
    return (*staying, *added)
