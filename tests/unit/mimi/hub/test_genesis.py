"""How a room begins at its hub (MC-028), and D-51."""

from dataclasses import replace
from typing import Final

import pytest

from sabir.mimi.codepoints import Capability, ComponentId
from sabir.mimi.genesis import GenesisRefused, founders, genesis_extensions
from sabir.mimi.hub.genesis import (
    GenesisRequest,
    begin,
    decode_genesis,
    decode_reservation,
    encode_reservation,
)
from sabir.mimi.hub.outcome import pair_digest
from sabir.mimi.hub.refusals import PAIR_TAKEN
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.structs.update import RemoteTree, encode_group_info_option
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import group_uri
from sabir.mls.components import dictionary_of, with_dictionary
from sabir.mls.extensions import Extensions
from sabir.mls.group.group import MlsGroup
from sabir.mls.proposals import AppDataUpdate
from sabir.mls.tree_options import RatchetTreeOption, TreePresence
from sabir.testing.mimi.hub_harness import (
    ROOM,
    HubHarness,
    new_keys,
    reservation_of,
)
from sabir.testing.mimi.people import Player, user_named
from sabir.testing.mls.seeded import SeededEnv
from sabir.wire.errors import Malformed
from tests.unit.mimi.hub.scenes import ANN, BEN, denied, role_of, roles_with

ENV: Final = SeededEnv(5)
KEYS: Final = new_keys(ENV)
PLAYER: Final = Player.of(ENV, ANN)
NOW: Final = ENV.now() * 1_000


def group_of(extensions: Extensions) -> MlsGroup:
    return MlsGroup.create(ENV, PLAYER.client, group_uri(ROOM).encode(), extensions)


def request_of(group: MlsGroup) -> GenesisRequest:
    return GenesisRequest(group.group_info(with_tree=False), group.public.tree.encode())


@pytest.mark.parametrize("template", list(TemplateName))
def test_mc_028_a_room_of_each_template_begins(template: TemplateName) -> None:
    held = reservation_of(KEYS, template)
    others = [user_named(BEN)] if TEMPLATES[template].fixed_membership else []
    group = group_of(genesis_extensions(held, founders(held, PLAYER.user, others)))
    request = decode_genesis(request_of(group).encode())
    change = begin(request, held, PLAYER.user, now_ms=NOW)
    assert (change.before, change.last_at, change.closes) == (None, NOW, False)
    assert change.state is not None
    assert change.domains == frozenset(
        {"a.example", "b.example"} if others else {"a.example"}
    )
    users = frozenset({PLAYER.user, *others})
    assert change.pair == (pair_digest(users) if others else None)
    room = HubRoom.load(KEYS, change.state, change.last_at)
    assert (room.uri, room.domain, room.epoch) == (ROOM, "hub.example", 0)
    assert room.encode() == change.state == HubRoom.begin(KEYS, change).encode()


def test_mc_028_a_room_without_one_of_its_components_is_refused() -> None:
    held = reservation_of(KEYS, TemplateName.GROUP)
    extensions = genesis_extensions(held, founders(held, PLAYER.user))
    dictionary = dictionary_of(extensions)
    assert dictionary is not None
    without = with_dictionary(
        extensions, dictionary.without(ComponentId.STATUS_NOTIFICATION_POLICY)
    )
    with pytest.raises(GenesisRefused, match="MIMI-121"):
        begin(request_of(group_of(without)), held, PLAYER.user, now_ms=NOW)


def test_a_group_info_in_part_or_a_tree_elsewhere_is_refused() -> None:
    held = reservation_of(KEYS, TemplateName.GROUP)
    group = group_of(genesis_extensions(held, founders(held, PLAYER.user)))
    info = encode_group_info_option(group.group_info(with_tree=False))
    part = encode_group_info_option(group.partial_group_info(TreePresence.NONE))
    full = RatchetTreeOption(group.public.tree.encode()).encode()
    for body in (
        part + full,
        info + RatchetTreeOption(None).encode(),
        info + RemoteTree(b"signed").encode(),
    ):
        with pytest.raises(Malformed, match="MIMI-200"):
            decode_genesis(body)


def test_mc_051_these_users_have_such_a_room() -> None:
    held = reservation_of(KEYS, TemplateName.DM)
    users = frozenset({PLAYER.user, user_named(BEN)})
    group = group_of(
        genesis_extensions(held, founders(held, PLAYER.user, [user_named(BEN)]))
    )
    with pytest.raises(PolicyDenied) as wrong:
        begin(request_of(group), held, PLAYER.user, fixed_rooms=[users], now_ms=NOW)
    assert PAIR_TAKEN.description == wrong.value.description
    assert denied(PAIR_TAKEN, "constraint.violated")


def test_mc_051_a_membership_that_is_fixed_later_claims_its_users_too() -> None:
    fixed = TEMPLATES[TemplateName.DM].base_policy
    role = role_of(TemplateName.DM, 2)
    style = Capability.CAN_CHANGE_ROOM_MEMBERSHIP_STYLE
    role = replace(role, capabilities=(*role.capabilities, style))
    hub = HubHarness.of(
        ANN,
        TemplateName.DM,
        roles=roles_with(TemplateName.DM, role),
        base_policy=replace(fixed, fixed_membership=False),
    )
    update = replace(hub.room.state.base_policy, fixed_membership=True)
    fixing = AppDataUpdate(ComponentId.BASE_ROOM_POLICY, update.encode())
    outcome = hub.update("a.example", hub.committed(ANN, fixing))
    assert outcome.change is not None
    assert outcome.change.pair == pair_digest(frozenset({hub[ANN].user}))
    hub.take(outcome)
    quiet = hub.update("a.example", hub.committed(ANN))
    assert quiet.change is not None
    assert quiet.change.pair is None


def test_the_order_of_users_makes_no_other_pair() -> None:
    assert pair_digest(frozenset("ab")) == pair_digest(frozenset("ba"))
    assert pair_digest(frozenset("ab")) != pair_digest(frozenset("abc"))


@pytest.mark.parametrize("template", list(TemplateName))
def test_a_reservation_survives_its_store(template: TemplateName) -> None:
    held = reservation_of(KEYS, template)
    octets = encode_reservation(held)
    assert decode_reservation(octets) == held
    with pytest.raises(Malformed):
        decode_reservation(octets + b"?")
