"""MC-028: a room begins exactly as its template has it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from sabir.mimi.client_settings import room_services
from sabir.mimi.components.expiration import MessageExpiration
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.optionality import Optionality
from sabir.mimi.components.participants import Participant, ParticipantList
from sabir.mimi.components.status_policy import StatusNotificationPolicy
from sabir.mimi.genesis import (
    REQUIRED,
    GenesisRefused,
    Reservation,
    check_genesis,
    founders,
    genesis_extensions,
)
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.room_state import RoomState
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import group_uri
from sabir.mls.components import dictionary_of, with_dictionary
from sabir.mls.extensions import Extensions
from sabir.mls.group.group import MlsGroup
from sabir.mls.public_group import PublicGroup
from sabir.testing.mls.seeded import SeededEnv
from tests.unit.mimi.world import ROOM, Keys, World, make_client, reservation, uri

ENV: Final = SeededEnv(3)
KEYS: Final = Keys.make(ENV)
ANN: Final = make_client(ENV, "ann")
GROUP: Final = group_uri(ROOM).encode()


def begin(
    extensions: Extensions,
    *,
    held: Reservation | None = None,
    group_id: bytes = GROUP,
    creator: str = "ann",
    fixed_rooms: tuple[frozenset[str], ...] = (),
    with_tree: bool = False,
) -> PublicGroup:
    group = MlsGroup.create(ENV, ANN, group_id, extensions)
    return check_genesis(
        room_services(),
        group.group_info(with_tree=with_tree),
        group.public.tree.encode(),
        held or reservation(KEYS),
        uri(creator),
        fixed_rooms,
    )


def refuses(rule: str) -> "pytest.RaisesExc[GenesisRefused]":
    return pytest.raises(GenesisRefused, match=rule)


def group_extensions(held: Reservation | None = None) -> Extensions:
    held = held or reservation(KEYS)
    return genesis_extensions(held, founders(held, uri("ann")))


def test_mc_014_the_golden_extensions() -> None:
    required, senders, _ = group_extensions()
    assert required.encode() == bytes.fromhex("0003 0b 02 0006 04 0008 000a 02 0001")
    assert REQUIRED.encode() == required.data
    key = KEYS.external[1]
    hub = bytes.fromhex("0001 12") + b"mimi://hub.example"
    assert senders.data == bytes((len(key) + 1 + len(hub), 32)) + key + hub
    dictionary = dictionary_of(group_extensions())
    assert dictionary is not None
    golden = {
        0x01: "16 0001 0002 0003 0020 0021 0022 0023 0025 0027 0028 002c",
        0x02: "02 0020",
        0x03: "4054 18 6170706c69636174696f6e2f6d696d692d636f6e74656e74 00"
        "0a 746578742f706c61696e 0e 07 63686172736574 05 7574662d38"
        "0d 746578742f6d61726b646f776e 11 07 76617269616e74 08 47464d2d4d494d49",
        0x27: "00 00 00 01 00 00 00 01 00 06 0025 0028 002c",
        0x28: "00 00",
    }
    for component, octets in golden.items():
        assert dictionary.find(component) == bytes.fromhex(octets)


@pytest.mark.parametrize("name", TemplateName)
def test_mc_028_a_room_of_each_template_begins(name: TemplateName) -> None:
    held = reservation(KEYS, name)
    others = [uri("ben")] if TEMPLATES[name].fixed_membership else []
    people = founders(held, uri("ann"), others)
    hub = begin(
        genesis_extensions(
            held,
            people,
            metadata=RoomMetadata(ROOM, "Tea", subject="Now"),
            status_policy=StatusNotificationPolicy(Optionality.REQUIRED),
            expiration=MessageExpiration(Optionality.OPTIONAL, 60, 3600),
            extra={0xFB01: b"anything"},
        ),
        held=held,
    )
    room = RoomState.of(hub.context)
    assert room.room_uri == ROOM
    assert room.participants == people
    assert room.role_of(uri("ann")).index == TEMPLATES[name].creator_role
    assert room.hub == held.hub
    assert room.franking_agent == held.franking_agent
    assert room.status_policy == StatusNotificationPolicy(Optionality.REQUIRED)
    assert room.expiration == MessageExpiration(Optionality.OPTIONAL, 60, 3600)
    assert room.base_policy.policy_components == (0x25, 0x28, 0x2C, 0x30)
    assert room.media_types is not None
    assert (room.fixed_users is None) is not TEMPLATES[name].fixed_membership


@pytest.mark.parametrize("place", range(3))
def test_mc_028_without_an_extension_it_is_refused(place: int) -> None:
    extensions = group_extensions()
    with refuses("MIMI-121"):
        begin((*extensions[:place], *extensions[place + 1 :]))
    with refuses("MIMI-121"):
        begin(
            (extensions[place], *extensions[:place], *extensions[place + 1 :])
            if place
            else extensions[::-1]
        )


COMPONENTS: Final = (1, 2, 3, 0x21, 0x22, 0x23, 0x25, 0x27, 0x28, 0x2C)


@pytest.mark.parametrize("component", COMPONENTS)
def test_mc_028_without_a_component_it_is_refused(component: int) -> None:
    extensions = group_extensions()
    dictionary = dictionary_of(extensions)
    assert dictionary is not None
    assert [number for number, _ in dictionary.entries] == [*COMPONENTS]
    with refuses("MIMI-121"):
        begin(with_dictionary(extensions, dictionary.without(component)))


def _with(component: int, data: bytes) -> Callable[[Extensions], Extensions]:
    def change(extensions: Extensions) -> Extensions:
        dictionary = dictionary_of(extensions)
        assert dictionary is not None
        return with_dictionary(extensions, dictionary.with_entry(component, data))

    return change


@pytest.mark.parametrize(
    "change",
    [
        _with(0x01, bytes.fromhex("12 0001 0002 0003 0020 0021 0022 0023 0025 0027")),
        _with(0x02, b"\x00"),
        _with(0x25, TEMPLATES[TemplateName.MANAGED].roles.encode()),
        _with(0x23, RoomMetadata("mimi://hub.example/r/coffee").encode()),
        _with(0x26, b"\x00"),
        _with(0x30, MessageExpiration(Optionality.FORBIDDEN).encode()),
        _with(0xFB02, b""),
    ],
)
def test_mc_028_another_content_than_the_templates_is_refused(
    change: Callable[[Extensions], Extensions],
) -> None:
    with refuses("MIMI-121"):
        begin(change(group_extensions()))


def test_mc_028_another_hub_or_franking_agent_is_refused() -> None:
    ours, other = reservation(KEYS), reservation(Keys.make(ENV))
    with refuses("MIMI-121"):
        begin(group_extensions(replace(ours, hub=other.hub)))
    with refuses("MIMI-121"):
        begin(group_extensions(replace(ours, franking_agent=other.franking_agent)))


@pytest.mark.parametrize(
    "people",
    [
        (("ann", 3),),
        (("ben", 4),),
        (("ann", 4), ("ben", 4)),
        (("ben", 4), ("ann", 4)),
    ],
)
def test_mc_028_the_creator_alone_begins_with_the_highest_role(
    people: tuple[tuple[str, int], ...],
) -> None:
    listed = ParticipantList(
        tuple(Participant(uri(name), role) for name, role in people)
    )
    with refuses("MIMI-122"):
        begin(genesis_extensions(reservation(KEYS), listed))


def test_mc_028_another_group_or_creator_is_refused() -> None:
    with refuses("MIMI-120"):
        begin(group_extensions(), group_id=GROUP + b".1")
    with refuses("MIMI-120"):
        begin(group_extensions(), creator="ben")


def test_mc_028_a_group_that_went_on_is_refused() -> None:
    world = World.of("ann")
    world.commit("ann")
    group = world["ann"]
    with refuses("MIMI-120"):
        check_genesis(
            room_services(),
            group.group_info(with_tree=False),
            group.public.tree.encode(),
            reservation(world.keys),
            uri("ann"),
        )


def test_mc_028_the_group_info_has_the_external_key_and_no_tree() -> None:
    with refuses("MIMI-123"):
        begin(group_extensions(), with_tree=True)
    group = MlsGroup.create(ENV, ANN, GROUP, group_extensions())
    shown = replace(group.group_info(with_tree=False), extensions=(), raw=b"")
    with refuses("MIMI-123"):
        check_genesis(
            room_services(),
            shown,
            group.public.tree.encode(),
            reservation(KEYS),
            uri("ann"),
        )


def test_mc_028_another_suite_is_refused() -> None:
    group = MlsGroup.create(ENV, ANN, GROUP, group_extensions())
    shown = group.group_info(with_tree=False)
    other = replace(shown.group_context, cipher_suite=2, raw=b"")
    with refuses("MIMI-120"):
        check_genesis(
            room_services(),
            replace(shown, group_context=other, raw=b""),
            group.public.tree.encode(),
            reservation(KEYS),
            uri("ann"),
        )


def test_mc_051_two_people_have_one_direct_room_at_a_hub() -> None:
    held = reservation(KEYS, TemplateName.DM)
    extensions = genesis_extensions(held, founders(held, uri("ann"), [uri("ben")]))
    begin(extensions, held=held, fixed_rooms=(frozenset({uri("ann"), uri("cal")}),))
    taken = (frozenset({uri("ben"), uri("ann")}),)
    with pytest.raises(PolicyDenied) as caught:
        begin(extensions, held=held, fixed_rooms=taken)
    assert caught.value.slug is Slug.CONSTRAINT_VIOLATED
    alone = genesis_extensions(held, founders(held, uri("ann")))
    with refuses("MIMI-122"):
        begin(alone, held=held)
