"""Rules E: components, SafeAAD, SelfRemove, wire formats (mls-extensions-10)."""

from collections.abc import Iterable, Iterator
from typing import Final

from sabir.mls.codepoints import ProposalKind, SenderType, WireFormat
from sabir.mls.components import (
    APP_COMPONENTS,
    SAFE_AAD,
    Component,
    Components,
    dictionary_of,
    is_grease,
    listed_components,
    media_types_of,
    read_application_framing,
    read_safe_aad,
    requires_safe_aad,
)
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import (
    APP_DATA_DICTIONARY,
    REQUIRED_WIRE_FORMATS,
    SUPPORTED_WIRE_FORMATS,
    Extension,
    Extensions,
    find_extension,
    required_capabilities_of,
    wire_formats_of,
)
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.limits import Limits
from sabir.mls.proposal_list import ProposalList
from sabir.mls.proposals import AppDataUpdate
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed

_DEFAULT_WIRE_FORMATS: Final = frozenset(WireFormat) - {WireFormat.SEMI_PRIVATE_MESSAGE}

# ---- proposals


def known_component(components: Components, component_id: int) -> Component:
    """E02: the component of an AppDataUpdate or AppEphemeral is known."""
    found = components.get(component_id)
    if found is None:
        raise MlsInvalid(Rule.E02, f"component 0x{component_id:04X}")
    return found


def check_update_removes_something(extensions: Extensions, component_id: int) -> None:
    """E03: an AppDataUpdate removes only what is there."""
    dictionary = dictionary_of(extensions)
    if dictionary is None or dictionary.find(component_id) is None:
        raise MlsInvalid(Rule.E03, f"component 0x{component_id:04X} has no data")


def check_remove_stands_alone(component_id: int, updates: list[bytes | None]) -> None:
    """E04: for each component one remove, or only updates."""
    if None in updates and len(updates) > 1:
        raise MlsInvalid(
            Rule.E04, f"component 0x{component_id:04X}: {len(updates)} with a remove"
        )


def updates_by_component(proposals: ProposalList) -> dict[int, list[bytes | None]]:
    """Collect what AppDataUpdates do to each component, in the order of the list.

    Raises:
        MlsInvalid: E04.
    """
    found: dict[int, list[bytes | None]] = {}
    for proposal in proposals.of(AppDataUpdate):
        found.setdefault(proposal.component_id, []).append(proposal.update)
    for component_id, updates in found.items():
        check_remove_stands_alone(component_id, updates)
    return found


def check_dictionary_untouched(old: Extensions, new: Extensions) -> None:
    """E05: GroupContextExtensions leaves the dictionary to AppDataUpdate.

    It must where the group requires AppDataUpdate.
    """
    required = required_capabilities_of(old)
    if required is None or ProposalKind.APP_DATA_UPDATE not in required.proposals:
        return
    before = find_extension(old, APP_DATA_DICTIONARY)
    if before != find_extension(new, APP_DATA_DICTIONARY):
        raise MlsInvalid(Rule.E05, "the dictionary would change")


def check_self_remove_form(sender: Sender, wire_format: WireFormat) -> None:
    """E08: a SelfRemove comes from a member, as PublicMessage."""
    if sender.kind is not SenderType.MEMBER:
        raise MlsInvalid(Rule.E08, f"sender type {sender.kind}")
    if wire_format is not WireFormat.PUBLIC_MESSAGE:
        raise MlsInvalid(Rule.E08, f"wire format {wire_format}")


# ---- messages


def check_safe_aad(
    context: GroupContext, authenticated_data: bytes, limits: Limits
) -> None:
    """E07: with `safe_aad`, authenticated data are a sorted SafeAAD."""
    if not requires_safe_aad(context):
        return
    try:
        read_safe_aad(authenticated_data, limits.authenticated_data_octets_max)
    except Malformed as wrong:
        raise MlsInvalid(Rule.E07, str(wrong)) from None


def check_framing(context: GroupContext, application_data: bytes) -> None:
    """E12: with `content_media_types`, application data are framed."""
    try:
        read_application_framing(context, application_data)
    except Malformed as wrong:
        raise MlsInvalid(Rule.E12, str(wrong)) from None


# ---- the GroupContext and its members


def check_dictionary(extensions: Extensions) -> None:
    """E01 and E15: the GroupContext's dictionary is sorted and has no GREASE.

    What the core itself must read in it later is read now, too: the lists of components
    and of media types.

    Raises:
        Malformed: the dictionary or a list is none, or longer than its limit.
        MlsInvalid: E01, E15, E12 for an empty list of media types.
    """
    dictionary = dictionary_of(extensions)
    if dictionary is None:
        return
    named = [number for number, _ in dictionary.entries]
    named += listed_components(extensions, APP_COMPONENTS)
    named += listed_components(extensions, SAFE_AAD)
    for number in named:
        if is_grease(number):
            raise MlsInvalid(Rule.E15, f"component 0x{number:04X}")
    media_types_of(extensions)


def check_wire_formats(group: Extensions, leaf: LeafNodeIn) -> None:
    """E11: a member supports the `required_wire_formats`."""
    required = wire_formats_of(group, REQUIRED_WIRE_FORMATS)
    supported = {
        *_DEFAULT_WIRE_FORMATS,
        *wire_formats_of(leaf.extensions, SUPPORTED_WIRE_FORMATS),
    }
    for number in required:
        if number not in supported:
            raise MlsInvalid(Rule.E11, f"wire format 0x{number:04X}")


def check_components(group: Extensions, leaf: LeafNodeIn) -> None:
    """E13: a member supports the listed components and Safe AAD components."""
    for listed in (APP_COMPONENTS, SAFE_AAD):
        required = listed_components(group, listed)
        if not required:
            continue
        supported = listed_components(leaf.extensions, listed)
        for number in required:
            if number not in supported:
                raise MlsInvalid(
                    Rule.E13, f"component 0x{number:04X} of list 0x{listed:04X}"
                )


def check_member(group: Extensions, leaf: LeafNodeIn) -> None:
    """Check E11 and E13 for one member."""
    check_wire_formats(group, leaf)
    check_components(group, leaf)


def check_members(group: Extensions, leaves: Iterable[LeafNodeIn]) -> None:
    """Check E11 and E13, once for each distinct list of a leaf's extensions."""
    if not _demands_anything(group):
        return
    for leaf in _distinct(leaves):
        check_member(group, leaf)


def _demands_anything(group: Extensions) -> bool:
    return any(
        extension.kind in {APP_DATA_DICTIONARY, REQUIRED_WIRE_FORMATS}
        for extension in group
    )


def _distinct(leaves: Iterable[LeafNodeIn]) -> Iterator[LeafNodeIn]:
    """Leave out leaves whose extensions are the same object as another's."""
    seen: dict[int, tuple[Extension, ...]] = {}
    for leaf in leaves:
        if id(leaf.extensions) not in seen:
            seen[id(leaf.extensions)] = leaf.extensions
            yield leaf
