"""The checklist of MIMI.md on handshakes, with real groups: hub and members agree."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sabir.mimi.components.asset_policy import UploadDomains
from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.metadata import RichDescription, RoomMetadata
from sabir.mimi.components.participants import Participant, ParticipantList
from sabir.mimi.policy.acts import LeafRemove, ListRemove
from sabir.mimi.policy.derive import effects_of_pending
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.judge import judge_commit
from sabir.mimi.policy.kernel import Facts
from sabir.mimi.policy.view import RoomView
from sabir.mimi.room_state import RoomState
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mls.components import (
    AppDataDictionary,
    dictionary_of,
    encode_safe_aad,
    with_dictionary,
)
from sabir.mls.proposals import (
    AppDataUpdate,
    GroupContextExtensions,
    SelfRemove,
)
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mimi.world import AAD, HUB, ROOM, World, add, listed, uri

ORDINARY, ADMIN, SUPER, ENFORCER = 2, 3, 4, 5


@contextmanager
def denied(
    slug: Slug, detail: str = ""
) -> Iterator[pytest.ExceptionInfo[PolicyDenied]]:
    with pytest.raises(PolicyDenied) as caught:
        yield caught
    assert caught.value.slug is slug
    assert detail in caught.value.detail


def of_three() -> World:
    """Ann, who may everything, Ben the admin, and Cal."""
    world = World.of("ann")
    world.commit(
        "ann",
        add(("ben", ADMIN), ("cal", ORDINARY)),
        world.package("ben"),
        world.package("cal"),
    )
    return world


def room_of(world: World) -> RoomState:
    return RoomState.of(world.hub.context)


def metadata(**changed: object) -> AppDataUpdate:
    new = replace(RoomMetadata(ROOM), **changed)  # type: ignore[arg-type]  # as given
    return AppDataUpdate(0x23, new.encode())


# ---- adding and removing


def test_mc_033_a_client_whose_user_is_not_listed_is_denied() -> None:
    world = of_three()
    with denied(Slug.POLICY_DENIED, "canAddParticipant"):
        world.stage("ann", world.package("eve"))


def test_mc_034_a_participant_comes_without_clients_and_clients_come_later() -> None:
    world = of_three()
    world.commit("cal", add(("dan", ORDINARY)))
    view = world.effective.view
    assert view.is_listed(uri("dan"))
    assert not view.is_active(uri("dan"))
    assert not view.can_send(uri("dan"))
    world.commit("ben", world.package("dan"))
    assert world.effective.view.is_active(uri("dan"))


def test_mc_034_who_is_listed_brings_further_devices() -> None:
    world = of_three()
    world.commit("cal", world.package("cal/2"))
    assert world.effective.view.leaves_of(uri("cal")) == 2
    assert set(world.groups) == {"ann", "ben", "cal", "cal/2"}


def test_mc_035_a_removal_takes_all_clients() -> None:
    world = of_three()
    world.commit("cal", world.package("cal/2"))
    remove = listed(removed=[2])
    with denied(Slug.POLICY_DENIED, "canRemoveParticipant"):
        world.stage("ann", remove, world.remove("cal"))
    with denied(Slug.POLICY_DENIED, "canBan"):
        world.stage("ann", listed(changed=[(2, 1)]), world.remove("cal/2"))
    world.commit("ann", remove, world.remove("cal"), world.remove("cal/2"))
    assert uri("cal") not in room_of(world).participants.users


def test_a_ban_keeps_the_user_listed_and_out() -> None:
    world = of_three()
    world.commit("ben", listed(changed=[(2, 1)]), world.remove("cal"))
    view = world.effective.view
    assert view.is_banned(uri("cal"))
    assert not view.can_receive(uri("cal"))
    with denied(Slug.POLICY_DENIED, "canAddParticipant"):
        world.stage("ben", world.package("cal"))
    with denied(Slug.POLICY_DENIED, "canAddParticipant"):
        world.stage("ben", listed(changed=[(2, ORDINARY)]), world.package("cal"))
    world.commit("ben", listed(changed=[(2, ORDINARY)]))
    world.commit("ben", world.package("cal"))


# ---- the list


def test_mc_038_one_user_twice_in_a_commit_is_invalid() -> None:
    world = of_three()
    twice = [
        (listed(changed=[(2, ADMIN), (2, ORDINARY)]),),
        (listed(changed=[(2, ADMIN)]), listed(removed=[2])),
        (listed(removed=[2]), add(("cal", ADMIN))),
        (add(("dan", ORDINARY)), add(("dan", ADMIN))),
        (add(("ben", ORDINARY)),),
    ]
    for proposals in twice:
        with violates(Rule.E06):
            world.stage("ann", *proposals)
        with denied(Slug.PROPOSAL_INVALID):
            world.propose("ann", *proposals)
    assert not world.hub.pending


def test_mc_038_one_user_twice_across_bundles_is_a_conflict() -> None:
    world = of_three()
    world.propose("ann", listed(changed=[(2, ADMIN)]))
    with denied(Slug.PENDING_CONFLICT) as caught:
        world.propose("ben", metadata(name="New"), listed(changed=[(2, 4)]))
    assert len(caught.value.references) == 1


def test_mc_039_indices_are_of_the_epoch_and_changes_come_before_additions() -> None:
    world = of_three()
    world.commit("ann", add(("dan", ORDINARY), ("eli", ORDINARY)))
    world.commit("ann", world.package("dan"), world.package("eli"))
    for name, place in (("cal", 2), ("dan", 3)):
        world.propose(name, SelfRemove(), listed(removed=[place]))
    world.commit("ann", add(("fay", ORDINARY)), listed(changed=[(4, ADMIN)]))
    assert [
        (participant.user, participant.role)
        for participant in room_of(world).participants.participants
    ] == [
        (uri("ann"), SUPER),
        (uri("ben"), ADMIN),
        (uri("eli"), ADMIN),
        (uri("fay"), ORDINARY),
    ]
    assert set(world.groups) == {"ann", "ben", "eli"}


def test_mc_040_roles_and_participants_do_not_change_together() -> None:
    world = World.of("ann", TemplateName.MANAGED)
    roles = AppDataUpdate(0x25, room_of(world).roles.encode())
    for beside in (add(("ben", ORDINARY)),):
        with denied(Slug.PROPOSAL_INVALID, "MIMI-115"):
            world.stage("ann", roles, beside)
    world.commit("ann", add(("ben", ORDINARY), ("cal", ORDINARY)))
    for beside in (listed(removed=[1]), listed(changed=[(1, ADMIN)])):
        with denied(Slug.PROPOSAL_INVALID, "MIMI-115"):
            world.stage("ann", roles, beside)
        with denied(Slug.PROPOSAL_INVALID, "MIMI-115"):
            world.propose("ann", roles, beside)
    world.propose("ann", roles)
    with denied(Slug.PENDING_CONFLICT, "MIMI-115"):
        world.propose("ann", listed(removed=[1]))
    world.commit("ann", metadata(name="Alone"))


def test_mc_040_preauthorisations_change_with_removals_only() -> None:
    world = of_three()
    preauth = AppDataUpdate(0x26, b"\x00")
    for beside in (add(("dan", ORDINARY)), listed(changed=[(2, ADMIN)])):
        with denied(Slug.PROPOSAL_INVALID, "MIMI-115"):
            world.stage("ann", preauth, beside)
    world.commit("ann", preauth, listed(removed=[2]), world.remove("cal"))
    found = dictionary_of(world.hub.context.extensions)
    assert found is not None
    assert found.find(0x26) == b"\x00"


# ---- what MLS says, with rooms


def test_mc_041_group_context_extensions_are_refused() -> None:
    world = of_three()
    same = GroupContextExtensions(world.hub.context.extensions)
    before = dictionary_of(world.hub.context.extensions)
    with denied(Slug.POLICY_DENIED, "GroupContextExtensions"):
        world.stage("ann", same)
    with denied(Slug.POLICY_DENIED, "GroupContextExtensions"):
        world.propose("ann", same)
    other = (before or AppDataDictionary()).with_entry(0x22, b"\x00")
    with violates(Rule.E05):
        world.stage(
            "ann",
            GroupContextExtensions(
                with_dictionary(world.hub.context.extensions, other)
            ),
        )
    world.commit("ben", metadata(name="Tea"))
    after = dictionary_of(world.hub.context.extensions)
    assert before is not None
    assert after is not None
    assert {*before.entries} ^ {*after.entries} == {
        (0x23, before.find(0x23)),
        (0x23, after.find(0x23)),
    }


def _leaf_without(number: int, data: bytes | None) -> World:
    world = of_three()
    own = world["ann"].public.tree.leaf(0)
    assert own is not None
    dictionary = dictionary_of(own.extensions)
    assert dictionary is not None
    changed = (
        dictionary.without(number)
        if data is None
        else dictionary.with_entry(number, data)
    )
    package = world.package(
        "dan", leaf_extensions=with_dictionary(own.extensions, changed)
    )
    world.stage("ann", add(("dan", ORDINARY)), package)
    return world


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (0x01, None),
        (0x01, bytes.fromhex("10 0001 0002 0003 0020 0021 0022 0023 0025")),
        (0x02, None),
        (0x02, b"\x00"),
    ],
)
def test_mc_042_a_leaf_without_a_component_or_safe_aad_is_invalid(
    number: int, data: bytes | None
) -> None:
    with violates(Rule.E13):
        _leaf_without(number, data)


@pytest.mark.parametrize("data", [None, bytes.fromhex("0b 09 746578742f68746d6c 00")])
def test_mc_042_a_leaf_without_a_media_type_is_invalid(data: bytes | None) -> None:
    with denied(Slug.PROPOSAL_INVALID) as caught:
        _leaf_without(0x03, data)
    assert caught.value.inline == (1,)
    assert caught.value.description == "proposal.invalid: inline=1"


def test_mc_042_updates_that_contradict_themselves_are_invalid() -> None:
    world = of_three()
    cases = [
        (Rule.E04, (metadata(name="A"), AppDataUpdate(0x23, None))),
        (Rule.E03, (AppDataUpdate(0x30, None),)),
        (Rule.E02, (AppDataUpdate(0xFB07, b""),)),
        (Rule.E06, (AppDataUpdate(0x01, b"\x00"),)),
        (Rule.E06, (AppDataUpdate(0x21, b"\x00"),)),
    ]
    for rule, proposals in cases:
        with violates(rule):
            world.stage("ann", *proposals)
    with violates(Rule.E02):
        world.propose("ann", AppDataUpdate(0xFB07, b""))


def test_a_component_is_never_taken_away() -> None:
    world = of_three()
    for component in (0x22, 0x23, 0x25, 0x2C):
        with denied(Slug.POLICY_DENIED, f"removal of component 0x{component:04X}"):
            world.propose("ann", AppDataUpdate(component, None))


# ---- metadata and asset domains


def test_mc_043_two_metadata_updates_are_invalid() -> None:
    world = of_three()
    two = metadata(name="A"), metadata(subject="B")
    with violates(Rule.E06):
        world.stage("ann", *two)
    with denied(Slug.PROPOSAL_INVALID, "MIMI-115") as caught:
        world.propose("ann", *two)
    assert len(caught.value.references) == 1
    world.propose("ann", two[0])
    with denied(Slug.PENDING_CONFLICT, "MIMI-115"):
        world.propose("ben", two[1])


@pytest.mark.parametrize(
    ("changed", "by", "lacks"),
    [
        ({"name": "Tea"}, "cal", ""),
        ({"avatar": "https://a.example/x.png"}, "cal", ""),
        ({"subject": "Now"}, "cal", ""),
        ({"mood": ":-)"}, "cal", ""),
        ({"descriptions": "text"}, "cal", "canChangeRoomDescription"),
        ({"descriptions": "text"}, "ben", ""),
    ],
)
def test_mc_043_each_field_needs_its_capability(
    changed: dict[str, object], by: str, lacks: str
) -> None:
    world = of_three()
    if "descriptions" in changed:
        changed = {"descriptions": (RichDescription("", "", b"text"),)}
    if lacks:
        with denied(Slug.POLICY_DENIED, lacks):
            world.stage(by, metadata(**changed))
    else:
        world.commit(by, metadata(**changed))


def test_mc_043_the_room_stays_the_room() -> None:
    world = of_three()
    other = AppDataUpdate(0x23, RoomMetadata(f"mimi://{HUB}/r/coffee").encode())
    with violates(Rule.E06):
        world.stage("ann", other)
    with denied(Slug.CONSTRAINT_VIOLATED, "identifier"):
        world.propose("ann", other)


def test_mc_043_who_adds_a_new_provider_adds_its_asset_hosts() -> None:
    world = of_three()
    old = room_of(world).asset_policy
    assert old is not None
    entry = UploadDomains("b.example", ("files.b.example",))

    def policy(**changed: object) -> AppDataUpdate:
        new = replace(old, upload_domains=(*old.upload_domains, entry))
        return AppDataUpdate(0x2C, replace(new, **changed).encode())  # type: ignore[arg-type]  # as given

    guest = add(("b.example:bo", ORDINARY))
    refused = [
        (policy(),),
        (policy(), add(("dan", ORDINARY))),
        (policy(max_image=1), guest),
        (policy(upload_domains=(entry, *old.upload_domains)), guest),
        (AppDataUpdate(0x2C, old.encode()), guest),
    ]
    for proposals in refused:
        with denied(Slug.POLICY_DENIED, "canChangeOtherPolicyAttribute"):
            world.stage("cal", *proposals)
    staged = world.stage("cal", policy(), guest)
    other = Facts(asset_domains={"b.example": ("other.b.example",)})
    with denied(Slug.POLICY_DENIED, "canChangeOtherPolicyAttribute"):
        judge_commit(world.effective, staged, other)
    known = Facts(asset_domains={"b.example": ("files.b.example",)})
    judge_commit(world.effective, staged, known)
    world.commit("cal", policy(), guest)
    now = room_of(world).asset_policy
    assert now is not None
    assert now.destinations_of("b.example") == ("files.b.example",)
    with denied(Slug.POLICY_DENIED, "canChangeOtherPolicyAttribute"):
        world.stage("ben", AppDataUpdate(0x28, b"\x00\x00"))


# ---- who is out


def test_mc_044_who_left_or_is_banned_only_takes_own_clients_away() -> None:
    world = of_three()
    world.commit("cal", world.package("cal/2"))
    world.propose("cal", SelfRemove(), world.remove("cal/2"), listed(removed=[2]))
    view = world.effective.view
    assert not view.can_send(uri("cal"))
    assert not view.can_receive(uri("cal"))
    with denied(Slug.SENDER_REMOVED):
        world.propose("cal/2", metadata(name="Bye"))
    with denied(Slug.SENDER_REMOVED):
        world.propose("cal/2", world.remove("ben"))
    world.commit("ann")
    assert set(world.groups) == {"ann", "ben"}


def test_mc_044_a_banned_user_whose_client_is_there_may_only_leave() -> None:
    world = World.of(
        "ann",
        participants=ParticipantList((Participant(uri("ann"), 1),)),
    )
    with denied(Slug.SENDER_REMOVED):
        world.stage("ann")
    with denied(Slug.SENDER_REMOVED):
        world.stage("ann", metadata(name="Mine"))
    with denied(Slug.SENDER_REMOVED):
        world.propose("ann", metadata(name="Mine"))
    assert not world.effective.view.can_send(uri("ann"))
    world.propose("ann", SelfRemove())


# ---- what waits


def test_mc_045_a_commit_covers_all_that_waits() -> None:
    world = of_three()
    references = world.propose("cal", metadata(name="Tea"))
    references += world.propose("ben", add(("dan", ORDINARY)))
    group = world["ann"]
    for given in ((), references[:1], references[1:]):
        group.clear_pending()
        made = group.commit(
            world.env, as_public=True, aad=AAD, references=given, force_path=True
        )
        staged = world.hub.process(world.env, made.commit)
        with denied(Slug.PENDING_MISSING, f"{2 - len(given)} proposals") as caught:
            judge_commit(world.effective, staged)  # type: ignore[arg-type]  # a commit
        assert set(caught.value.references) == set(references) - set(given)
    group.clear_pending()
    world.commit("ann")


def test_mc_045_but_for_an_update_of_the_committer() -> None:
    world = of_three()
    sent = world["ann"].propose_update(world.env, as_public=True, aad=AAD).message
    world.hear([sent], "ann")
    world.commit("ann", metadata(name="Tea"))
    sent = world["ben"].propose_update(world.env, as_public=True, aad=AAD).message
    (reference,) = world.hear([sent], "ben")
    made = world["ann"].commit(
        world.env, as_public=True, aad=AAD, references=(), force_path=True
    )
    staged = world.hub.process(world.env, made.commit)
    with denied(Slug.PENDING_MISSING) as caught:
        judge_commit(world.effective, staged)  # type: ignore[arg-type]  # a commit
    assert caught.value.references == (reference,)


# ---- leaving


def test_mc_046_a_bundle_of_leaving_counts_at_once_and_is_committed_by_others() -> None:
    world = of_three()
    world.commit("cal", world.package("cal/2"))
    with denied(Slug.POLICY_DENIED, "canRemoveSelf"):
        world.propose("cal", SelfRemove(), listed(removed=[2]))
    world.propose("cal", SelfRemove(), world.remove("cal/2"), listed(removed=[2]))
    assert not world.effective.view.is_listed(uri("cal"))
    assert world.effective.committed.is_listed(uri("cal"))
    world.commit("ben")
    assert not world.effective.committed.is_listed(uri("cal"))


def test_mc_047_one_self_remove_and_no_remove_beside_it() -> None:
    world = of_three()
    world.propose("cal", SelfRemove())
    public = world["cal"].public
    public.pending = public.pending.without(public.pending)
    again = world["cal"].propose(
        world.env, SelfRemove(), as_public=True, aad=encode_safe_aad({0x20: b""})
    )
    with denied(Slug.PENDING_CONFLICT, "MIMI-116"):
        world.hear([again.message], "cal")
    with denied(Slug.PENDING_CONFLICT, "MIMI-116"):
        world.propose("ann", world.remove("cal"))
    with denied(Slug.PENDING_MISSING):
        world.stage("ann", world.remove("cal"))


def test_mc_047_who_joins_covers_the_self_removes() -> None:
    world = of_three()
    world.propose("cal", SelfRemove(), listed(removed=[2]))
    staged = world.join("ben/2", cover=False)
    with denied(Slug.PENDING_MISSING) as caught:
        judge_commit(world.effective, staged)
    assert caught.value.references == tuple(world.hub.self_removes)
    judge_commit(world.effective, world.join("ben/2"))


# ---- joining


def test_who_is_listed_joins_with_a_further_client_or_in_the_place_of_an_old_one() -> (
    None
):
    world = of_three()
    judge_commit(world.effective, world.join("cal/2"))
    world.clients["cal"] = world.clients["cal"]
    judge_commit(world.effective, world.join("cal", resync=world.leaf("cal")))


def test_who_joins_a_closed_room_is_denied() -> None:
    world = of_three()
    for facts in (Facts(), Facts(join_role=ORDINARY), Facts(hub_checked_code=True)):
        with denied(Slug.POLICY_DENIED, "canUseJoinCode"):
            judge_commit(
                world.effective, world.join("eve", add(("eve", ORDINARY))), facts
            )
    with denied(Slug.POLICY_DENIED, "canAddOwnClient"):
        judge_commit(world.effective, world.join("eve"))


def test_a_join_code_lets_in_with_its_role_only() -> None:
    world = World.of("ann", TemplateName.MANAGED)
    staged = world.join("eve", add(("eve", ORDINARY)))
    judge_commit(world.effective, staged, Facts(join_role=ORDINARY))
    judge_commit(world.effective, staged, Facts(hub_checked_code=True))
    for facts in (Facts(), Facts(join_role=ADMIN)):
        with denied(Slug.POLICY_DENIED, "canUseJoinCode"):
            judge_commit(world.effective, staged, facts)


def test_who_joins_changes_nothing_else() -> None:
    world = of_three()
    for proposal in (
        metadata(name="Mine"),
        AppDataUpdate(0x27, BaseRoomPolicy().encode()),
        add(("dan", ORDINARY)),
        listed(changed=[(2, ADMIN)]),
        listed(removed=[2]),
    ):
        judge_commit(world.effective, world.stage("ann", metadata(name="Fine")))
        with denied(Slug.POLICY_DENIED, "external commit"):
            judge_commit(world.effective, world.join("ann/2", proposal))


def test_a_banned_user_cannot_come_back_by_code() -> None:
    world = World.of("ann", TemplateName.MANAGED)
    world.commit("ann", add(("eve", ORDINARY)))
    world.commit("ann", listed(changed=[(1, 1)]))
    with denied(Slug.POLICY_DENIED, "canAddOwnClient"):
        judge_commit(world.effective, world.join("eve"), Facts(join_role=ORDINARY))


def test_what_a_join_cuts_short_is_not_counted_against_who_joins() -> None:
    world = World.of("ann", TemplateName.ORGANIZATIONS)
    world.propose(
        "ann", add(("ben", 6))
    )  # who would be the first of a role that needs one
    judge_commit(world.effective, world.join("ann/2"))


# ---- who is to blame


def test_mc_050_malformed_proposals_are_named_by_their_references() -> None:
    world = of_three()
    bad = AppDataUpdate(0x22, b"\x00"), AppDataUpdate(0x23, b"\xff")
    with denied(Slug.PROPOSAL_INVALID) as caught:
        world.propose("ann", bad[0], metadata(name="Fine"), bad[1])
    assert len(caught.value.references) == 2
    assert not caught.value.inline
    assert not world.hub.pending


def test_mc_050_a_denied_proposal_is_named_by_its_place_in_the_commit() -> None:
    world = of_three()
    with denied(Slug.POLICY_DENIED, "canKick") as caught:
        world.stage("cal", metadata(name="Tea"), world.remove("ben"))
    assert caught.value.inline == (1,)
    assert caught.value.description == "policy.denied: canKick"


# ---- limits


def test_mc_051_fixed_membership_keeps_its_users_while_clients_come_and_go() -> None:
    world = World.of("ann", TemplateName.DM, ["ben"])
    world.commit("ann", world.package("ben"))
    world.commit("ben", world.package("ann/2"))
    for change in (
        add(("cal", 2)),
        listed(removed=[0]),
        listed(changed=[(0, 1)]),
    ):
        with pytest.raises(PolicyDenied):
            world.stage("ben", change)
    with denied(Slug.POLICY_DENIED, "canRemoveSelf"):
        world.propose("ben", SelfRemove(), listed(removed=[1]))
    world.propose("ben", SelfRemove())
    world.commit("ann")
    assert room_of(world).participants.users == {uri("ann"), uri("ben")}
    assert not world.effective.view.is_active(uri("ben"))


def fixed_policy(world: World, **changed: object) -> AppDataUpdate:
    policy = replace(room_of(world).base_policy, **changed)  # type: ignore[arg-type]  # as given
    return AppDataUpdate(0x27, policy.encode())


def test_mc_051_a_room_is_fixed_only_where_nobody_adds() -> None:
    world = of_three()
    with denied(Slug.CONSTRAINT_VIOLATED, "fixed membership, and role 2 adds"):
        world.stage("ann", fixed_policy(world, fixed_membership=True))
    with denied(Slug.POLICY_DENIED, "canChangeRoomMembershipStyle"):
        world.stage("ben", fixed_policy(world, multi_device=False))


def test_mc_053_limits_of_clients_and_users() -> None:
    world = of_three()
    world.commit("ann", fixed_policy(world, max_clients=4, max_users=4))
    world.commit("ann", add(("dan", ORDINARY)))
    with denied(Slug.CONSTRAINT_VIOLATED, "more than 4 users"):
        world.stage("ann", add(("eli", ORDINARY)))
    world.commit("ann", listed(changed=[(3, 1)]))  # the banned are not counted
    world.commit("ann", add(("eli", ORDINARY)))
    world.commit("ann", world.package("ann/2"))
    with denied(Slug.CONSTRAINT_VIOLATED, "more than 4 clients"):
        world.stage("ann", world.package("eli"))
    world.commit("ann", world.remove("ann/2"), world.package("eli"))


def test_mc_053_one_device_a_user() -> None:
    world = of_three()
    world.commit("ann", fixed_policy(world, multi_device=False))
    with denied(Slug.CONSTRAINT_VIOLATED, "several clients"):
        world.stage("cal", world.package("cal/2"))
    judge_commit(world.effective, world.join("cal", resync=world.leaf("cal")))
    with denied(Slug.CONSTRAINT_VIOLATED, "several clients"):
        judge_commit(world.effective, world.join("cal/2"))


def test_rooms_with_a_parent_are_refused() -> None:
    world = of_three()
    with denied(Slug.CONSTRAINT_VIOLATED, "parent"):
        world.stage("ann", fixed_policy(world, parent_room=f"mimi://{HUB}/r/parent"))


# ---- the hub


def test_mc_055_the_hub_finishes_what_a_join_cut_short() -> None:
    world = of_three()
    world.commit("cal", world.package("cal/2"))
    world.propose("cal", SelfRemove(), world.remove("cal/2"), listed(removed=[2]))
    again = effects_of_pending(world.effective)
    assert ListRemove(uri("cal")) in again
    staged = world.join("ben/2")
    judge_commit(world.effective, staged)
    world.hub.merge(staged)
    world.groups.clear()  # they would follow; only the hub does here
    view = RoomView.of_epoch(world.hub.epoch)
    assert view.is_listed(uri("cal"))
    assert view.leaves_of(uri("cal")) == 1
    rest = world.remove("cal/2"), listed(removed=[2])
    with denied(Slug.POLICY_DENIED, "hub"):
        world.propose_as_hub(*rest)
    world.propose_as_hub(*rest, facts=Facts(reissues=again))
    assert any(isinstance(effect, LeafRemove) for effect in again)


def test_mc_055_members_refuse_what_a_hub_may_not_do() -> None:
    world = of_three()
    for proposal in (
        world.remove("cal"),
        listed(removed=[2]),
        add(("eve", ORDINARY)),
        metadata(name="Hub's"),
    ):
        with denied(Slug.POLICY_DENIED, "hub"):
            world.propose_as_hub(proposal)


def test_templates_hold_what_the_tests_above_take_for_granted() -> None:
    assert TEMPLATES[TemplateName.GROUP].creator_role == SUPER
    assert TEMPLATES[TemplateName.GROUP].roles.role(ENFORCER).minimum == 0
