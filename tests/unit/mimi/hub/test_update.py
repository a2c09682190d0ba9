"""The hub's order of checks (7.3): each step, and which comes first."""

from dataclasses import replace
from typing import Final

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.errors import LocalError
from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import BANNED
from sabir.mimi.hub.outcome import EventKind
from sabir.mimi.hub.refusals import ROOM_UNKNOWN
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.hub.times import AHEAD_MS_MAX
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.update import (
    ApplicationBundle,
    CommitBundle,
    ProposalBundle,
    RemoteTree,
)
from sabir.mls.client import Identity
from sabir.mls.codepoints import SenderType, WireFormat
from sabir.mls.commit import Commit, ProposalReference
from sabir.mls.components import (
    AppDataDictionary,
    encode_components,
    encode_media_types,
    with_dictionary,
)
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import EXTERNAL_PUB, RATCHET_TREE, Extension
from sabir.mls.framing import (
    AuthenticatedContent,
    FramedContent,
    MlsMessageIn,
    PublicMessage,
    Sender,
    decode_message,
)
from sabir.mls.group.external import propose_as_external_sender, propose_to_join
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group_info import GroupInfoIn, sign_group_info
from sabir.mls.message_protection import (
    protect_public,
    sign_content,
    with_confirmation_tag,
)
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    GroupContextExtensions,
    Proposal,
    Remove,
    SelfRemove,
)
from sabir.mls.public_group import PublicGroup
from sabir.mls.tags import Tag
from sabir.mls.tree_options import PartialGroupInfo, RatchetTreeOption, TreePresence
from sabir.testing.mimi.hub_harness import (
    HUB,
    ROOM,
    HubHarness,
    listed,
    partial_of,
)
from sabir.testing.mimi.people import NO_AAD, Player
from tests.unit.mimi.hub.scenes import (
    ADMIN,
    ANN,
    BEN,
    CAL,
    DEE,
    ORDINARY,
    denied,
    invalid,
    of_four,
)

METADATA: Final = 0x23


def named(text: str) -> AppDataUpdate:
    return AppDataUpdate(METADATA, RoomMetadata(ROOM, name=text).encode())


def changed(bundle: CommitBundle | ProposalBundle, content: FramedContent) -> bytes:
    """Put another content into a message; its signature does not fit any more."""
    body = bundle.message.body
    assert isinstance(body, PublicMessage)
    inside = body.message
    forged = AuthenticatedContent(
        inside.wire_format, content, inside.signature, inside.confirmation_tag
    )
    member = content.sender.kind is SenderType.MEMBER
    message = PublicMessage(forged, Tag(bytes(32)) if member else None)
    return replace(bundle, message=MlsMessageIn(message)).encode()


def content_of(bundle: CommitBundle | ProposalBundle) -> FramedContent:
    body = bundle.message.body
    assert isinstance(body, PublicMessage)
    return body.message.content


# ---- accepted


def test_a_commit_is_accepted_and_everybody_follows() -> None:
    hub = of_four()
    hub.commit(CAL)
    hub.check_agreement()
    assert hub.room.epoch == 2


def test_a_commit_and_its_welcome_share_a_timestamp() -> None:
    hub = of_four()
    commit, welcome = hub.log[-2:]
    assert commit.kind is EventKind.HANDSHAKE
    assert welcome.kind is EventKind.WELCOME
    assert commit.accepted_at == welcome.accepted_at == hub.room.last_at


def test_mc_045_a_commit_covers_all_that_waits() -> None:
    hub = of_four()
    (reference,) = hub.propose(BEN, named("tea"))
    refused = hub.refused(CAL, references=[])
    assert denied(refused, "pending.missing")
    hub.commit(CAL)
    assert hub.room.state.metadata.name == "tea"
    assert reference not in hub.room.memory.group.pending


def test_a_member_may_leave_out_its_own_update() -> None:
    hub = of_four()
    group = hub[BEN].member
    message = group.propose_update(hub.env, as_public=True, aad=NO_AAD).message
    hub.take(hub.update("b.example", ProposalBundle(message=decode_message(message))))
    assert denied(hub.refused(CAL, references=[]), "pending.missing")
    hub.commit(BEN)
    hub.check_agreement()


def test_accepted_proposals_count_at_once() -> None:
    hub = of_four()
    hub.propose(ANN, listed(changed=[(hub.place(CAL), BANNED)]), hub_remove(hub))
    assert hub.room.view.is_banned(hub[CAL].user)
    assert hub.room.state.role_of(hub[CAL].user).index == ORDINARY
    assert denied(hub.refused(CAL), "sender.removed")


def hub_remove(hub: HubHarness) -> Remove:
    return Remove(hub.leaf(CAL))


def test_mc_069_further_proposals_are_fanned_out_as_they_came() -> None:
    hub = of_four()
    bundle = hub.proposed(ANN, named("tea"), hub_remove(hub))
    hub.take(hub.update("a.example", bundle))
    (message,) = read_fanout_messages(hub.log[-1].octets)
    assert message.more == bundle.more
    assert message.message == bundle.message
    hub.check_agreement()


# ---- step 2: room and provider


def test_a_provider_without_anybody_in_the_room_learns_nothing() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    outcome = hub.update("e.example", bundle)
    assert outcome.response == ROOM_UNKNOWN
    application = ApplicationBundle(message=hub.message(ANN).message)
    assert hub.update("e.example", application).response == ROOM_UNKNOWN


def test_a_closed_room_says_so_to_its_people_only() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    assert denied(hub.update("b.example", bundle).response, "room.closed")
    assert hub.update("e.example", bundle).response == ROOM_UNKNOWN


# ---- steps 2 and 3: form, group, epoch


def test_mc_032_application_messages_and_private_handshakes_are_refused() -> None:
    hub = of_four()
    application = ApplicationBundle(message=hub.message(ANN).message)
    assert denied(hub.update("a.example", application).response, "wire-format.refused")
    made = hub[ANN].member.commit(hub.env, (), aad=NO_AAD, tree_in_welcome=False)
    bundle = CommitBundle(
        message=decode_message(made.commit),
        group_info=made.group_info(with_tree=False),
        tree=RatchetTreeOption(None),
    )
    assert denied(hub.update("a.example", bundle).response, "wire-format.refused")


def test_mc_029_a_handshake_of_another_epoch_gets_the_current_one() -> None:
    hub = of_four()
    late = hub.committed(BEN)
    hub[BEN].member.clear_pending()
    hub.commit(ANN)
    response = hub.update("b.example", late).response
    assert (response.code, response.description) == (
        UpdateCode.WRONG_EPOCH,
        "epoch.stale",
    )
    assert response.current_epoch == hub.room.epoch == 2


def test_a_handshake_of_an_epoch_to_come_gets_the_current_one() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    content = replace(content_of(bundle), epoch=9, raw=b"")
    response = hub.update("b.example", changed(bundle, content)).response
    assert (response.code, response.current_epoch) == (UpdateCode.WRONG_EPOCH, 1)


def test_a_handshake_of_another_group_is_about_no_room_here() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    content = replace(content_of(bundle), group_id=b"mimi://x.example/g/x", raw=b"")
    assert hub.update("b.example", changed(bundle, content)).response == ROOM_UNKNOWN


def test_mc_030_of_twenty_racing_commits_one_is_accepted() -> None:
    names = [f"b.example:p{number}" for number in range(19)]
    hub = HubHarness.of(ANN)
    hub.commit(
        ANN,
        listed(added=[(name, ORDINARY) for name in names]),
        *(hub.package(name) for name in names),
    )
    racing = {name: hub.committed(name) for name in (*names, ANN)}
    order = hub.env.dice.sample(list(racing), len(racing))
    codes = []
    for name in order:
        outcome = hub.update(hub[name].domain, racing[name])
        codes.append(outcome.response.code)
        if outcome.change is not None:
            hub.take(outcome)
        else:
            assert outcome.response.current_epoch == 2
            assert not hub[name].member.pending, "it heard the winner"
    assert codes == [UpdateCode.SUCCESS] + [UpdateCode.WRONG_EPOCH] * 19
    hub.check_agreement()


# ---- step 4: sender


def test_mc_032_a_member_of_another_provider_is_refused() -> None:
    hub = of_four()
    assert denied(
        hub.update("c.example", hub.committed(BEN)).response, "sender.unknown"
    )


def test_mc_032_a_blank_leaf_is_refused() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    content = replace(content_of(bundle), sender=Sender.member(7), raw=b"")
    response = hub.update("b.example", changed(bundle, content)).response
    assert denied(response, "sender.unknown")


def test_mc_032_a_wrong_signature_is_refused() -> None:
    hub = of_four()
    bundle = hub.committed(BEN, named("tea"))
    content = replace(content_of(hub.committed(BEN, named("milk"))), raw=b"")
    response = hub.update("b.example", changed(bundle, content)).response
    assert denied(response, "signature.invalid")


def test_a_handshake_without_safe_aad_is_refused() -> None:
    hub = of_four()
    content = content_of(hub.committed(BEN, named("tea")))
    commit = signed_by(hub, BEN, replace(content, authenticated_data=b"tea", raw=b""))
    bundle = replace(hub.committed(BEN), message=commit)
    response = hub.update("b.example", bundle).response
    assert response.description == "proposal.invalid: rule E07"


def test_mc_055_nobody_else_proposes_as_the_hub_or_from_outside() -> None:
    hub = of_four()
    context = hub.room.memory.group.context
    as_hub = propose_as_external_sender(
        SUITES[1], context, 0, hub.keys.external, hub_remove(hub), NO_AAD
    )
    eve = hub.package("b.example:eve")
    key = hub["b.example:eve"].identity.private
    as_eve = propose_to_join(SUITES[1], context, key, eve, NO_AAD)
    for message in (as_hub, as_eve):
        bundle = ProposalBundle(message=decode_message(message))
        response = hub.update("b.example", bundle).response
        assert denied(response, "sender.unknown")


# ---- step 5: who is out


def test_mc_044_who_is_banned_takes_away_own_clients_and_nothing_else() -> None:
    hub = of_four()
    hub.player(f"{BEN}/2")
    hub.join(f"{BEN}/2")
    waiting = [
        listed(changed=[(hub.place(BEN), BANNED)]),
        Remove(hub.leaf(BEN)),
        Remove(hub.leaf(f"{BEN}/2")),
    ]
    hub.propose(ANN, *waiting)
    assert denied(hub.refused_proposals(BEN, named("mine")), "sender.removed")
    assert denied(hub.refused_proposals(BEN, hub_remove(hub)), "sender.removed")
    assert denied(hub.refused(BEN), "sender.removed")
    # Their own leaf goes already: no contradiction with the room's policy.
    response = hub.refused_proposals(BEN, SelfRemove())
    assert denied(response, "pending.conflict")


# ---- step 6: proposals


def test_mc_050_a_standalone_proposal_is_named_by_its_reference() -> None:
    hub = of_four()
    refused = hub.refused_proposals(BEN, listed(added=[("eve", ORDINARY)]), deaf(hub))
    assert invalid(refused)
    (reference,) = refused.invalid
    assert len(reference) == 32


def test_mc_050_a_proposal_that_breaks_a_rule_of_mls_is_named_by_its_reference() -> (
    None
):
    hub = of_four()
    content = content_of(hub.proposed(BEN, named("tea")))
    for wrong, slug in (
        (Remove(9), "proposal.invalid"),
        (AppDataUpdate(0x7777, b"?"), "component.unknown"),
    ):
        forged = signed_by(hub, BEN, replace(content, content=wrong, raw=b""))
        response = hub.update("b.example", ProposalBundle(message=forged)).response
        assert invalid(response, slug)
        assert len(response.invalid) == 1


def leaf_without_media_types() -> tuple[Extension, ...]:
    known = (1, 2, 3, 0x20, 0x21, 0x22, 0x23, 0x25, 0x27, 0x28, 0x2C, 0x30)
    entries = (
        (1, encode_components(known)),
        (2, encode_components((0x20,))),
        (3, encode_media_types([])),
    )
    return with_dictionary((), AppDataDictionary(entries))


def test_mc_050_proposals_by_value_are_named_by_their_place() -> None:
    hub = of_four()
    refused = hub.refused(BEN, named("tea"), deaf(hub))
    assert invalid(refused)
    assert refused.description == "proposal.invalid: inline=1"
    assert refused.invalid == ()


def deaf(hub: HubHarness) -> Add:
    """Return an Add of a client that lacks what the room requires."""
    eve = Player.of(hub.env, "eve", leaf_without_media_types())
    hub.players["eve"] = eve
    return hub.package("eve")


def test_mc_041_group_context_extensions_are_refused() -> None:
    hub = of_four()
    extensions = hub.room.memory.group.context.extensions
    refused = hub.refused(ANN, GroupContextExtensions(extensions))
    assert denied(refused, "policy.denied")
    refused = hub.refused_proposals(ANN, GroupContextExtensions(extensions))
    assert denied(refused, "policy.denied")


def test_mc_042_an_unknown_component_is_named() -> None:
    hub = of_four()
    bundle = forged_commit(hub, AppDataUpdate(0x7777, b"?"))
    response = hub.update("a.example", bundle).response
    assert invalid(response, "component.unknown")


def signed_by(
    hub: HubHarness, name: str, content: FramedContent, key: Secret | None = None
) -> MlsMessageIn:
    """Let a member sign what our own core would not send."""
    context = hub.room.memory.group.context.raw
    signed = sign_content(
        SUITES[1],
        (key or hub[name].identity.private).reveal(),
        content,
        WireFormat.PUBLIC_MESSAGE,
        context,
    )
    if isinstance(content.content, Commit):
        signed = with_confirmation_tag(signed, Tag(bytes(32)))
    epoch = hub[name].member.state.epoch
    assert epoch is not None
    return MlsMessageIn(
        protect_public(SUITES[1], signed, context, epoch.secrets.membership)
    )


def forged_commit(
    hub: HubHarness, *proposals: Proposal | ProposalReference
) -> CommitBundle:
    """Let Ann sign a commit of these, with a path that is made for none."""
    bundle = hub.committed(ANN, force_path=True)
    content = content_of(bundle)
    assert isinstance(content.content, Commit)
    commit = Commit(proposals, content.content.path)
    forged = replace(content, content=commit, raw=b"")
    return replace(bundle, message=signed_by(hub, ANN, forged))


def test_a_proposal_that_waits_nowhere_is_named_by_its_reference() -> None:
    hub = of_four()
    bundle = forged_commit(hub, ProposalReference(bytes(32)))
    response = hub.update("a.example", bundle).response
    assert invalid(response)
    assert response.invalid == (bytes(32),)


def test_a_fault_of_nobody_alone_names_the_rule() -> None:
    hub = of_four()
    twice = hub_remove(hub)
    response = hub.update("a.example", forged_commit(hub, twice, twice)).response
    assert invalid(response)
    assert response.description == "proposal.invalid: rule Q03"


def test_a_wrong_path_names_the_rule() -> None:
    hub = of_four()
    response = hub.update("a.example", forged_commit(hub, hub_remove(hub))).response
    assert invalid(response)
    assert "rule" in response.description


def test_an_expired_key_package_is_refused() -> None:
    hub = of_four()
    add = hub.package("b.example:eve")
    bundle = hub.committed(ANN, listed(added=[("b.example:eve", ORDINARY)]), add)
    hub.env.time += 29 * 86_400
    response = hub.update("a.example", bundle).response
    assert invalid(response)
    assert response.description == "proposal.invalid: inline=1"


def test_only_so_many_proposals_wait() -> None:
    hub = of_four()
    group = hub.room.memory.group
    few = replace(group.services.limits, pending_proposals_max=1)
    services = replace(group.services, limits=few)
    memory = replace(
        hub.room.memory, group=PublicGroup(services, group.epoch, group.pending)
    )
    hub.room = HubRoom(hub.keys, memory, hub.room.last_at)
    refused = hub.refused_proposals(ANN, named("tea"), hub_remove(hub))
    assert denied(refused, "limit.exceeded")


# ---- step 7: policy


def test_policy_says_what_is_missing() -> None:
    hub = of_four()
    refused = hub.refused(CAL, hub_kick(hub))
    assert refused.description == "policy.denied: canKick"
    assert denied(refused, "policy.denied")


def hub_kick(hub: HubHarness) -> Remove:
    return Remove(hub.leaf(BEN))


def test_mc_035_a_removal_that_leaves_a_client_behind_is_denied() -> None:
    hub = of_four()
    hub.player(f"{CAL}/2")
    hub.join(f"{CAL}/2")
    gone = listed(removed=[hub.place(CAL)])
    assert denied(hub.refused(ANN, gone, hub_remove(hub)), "policy.denied")
    hub.commit(ANN, gone, hub_remove(hub), Remove(hub.leaf(f"{CAL}/2")))
    hub.check_agreement()


def test_mc_039_two_who_leave_in_one_epoch_do_not_shift_each_other() -> None:
    hub = of_four()
    hub.leave(CAL)
    hub.leave(BEN)
    hub.commit(ANN)
    users = hub.room.state.participants.users
    assert users == {hub[ANN].user, hub[DEE].user}
    hub.check_agreement()


def test_a_proposal_that_contradicts_what_waits_is_refused() -> None:
    hub = of_four()
    hub.propose(ANN, listed(changed=[(hub.place(CAL), ADMIN)]))
    refused = hub.refused_proposals(BEN, listed(changed=[(hub.place(CAL), ADMIN)]))
    assert denied(refused, "pending.conflict")


# ---- step 8: GroupInfo and tree


def test_mc_048_a_partial_group_info_is_rebuilt() -> None:
    hub = of_four()
    group = hub[BEN].member
    made = group.commit(hub.env, (), as_public=True, aad=NO_AAD, tree_in_welcome=False)
    whole = made.group_info(with_tree=False)
    hub.take(hub.update("b.example", partial_of(made)))
    assert hub.room.memory.group_info.raw == whole.raw
    hub.check_agreement()


def altered_infos(hub: HubHarness, made: PendingCommit) -> list[object]:
    info = made.group_info(with_tree=False)
    key = hub[BEN].identity.private.reveal()

    def again(**change: object) -> GroupInfoIn:
        return sign_group_info(
            SUITES[1],
            key,
            replace(info, raw=b"", **change),  # type: ignore[arg-type]  # as given
        )

    context = info.group_context
    old = hub.room.memory.group.context
    tree = Extension(RATCHET_TREE, hub.room.memory.group.tree.encode())
    partial = made.partial_group_info(TreePresence.NONE)
    return [
        again(group_context=old),
        again(group_context=replace(context, epoch=9, raw=b"")),
        again(confirmation_tag=Tag(bytes(32))),
        again(signer=0),
        again(extensions=()),
        again(extensions=(*info.extensions, tree)),
        replace(info, signature=bytes(64), raw=b""),
        replace(partial, signature=bytes(64)),
        replace(partial, presence=TreePresence.PRESENT),
        replace(partial, presence=TreePresence.REMOVED),
        replace(partial, extensions=()),
        replace(partial, extensions=(Extension(EXTERNAL_PUB, b"\x01?"),)),
        PartialGroupInfo(TreePresence.NONE, partial.extensions, b""),
    ]


@pytest.mark.parametrize("index", range(13))
def test_mc_048_an_altered_group_info_is_refused(index: int) -> None:
    hub = of_four()
    group = hub[BEN].member
    made = group.commit(hub.env, (), as_public=True, aad=NO_AAD, tree_in_welcome=False)
    infos = altered_infos(hub, made)
    assert len(infos) == 13
    bundle = CommitBundle(
        message=decode_message(made.commit),
        group_info=infos[index],  # type: ignore[arg-type]  # as made
        tree=RatchetTreeOption(None),
    )
    response = hub.update("b.example", bundle).response
    assert denied(response, "groupinfo.mismatch")


def test_mc_049_a_full_tree_must_be_ours() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    old = RatchetTreeOption(hub.room.memory.group.tree.encode())
    assert denied(
        hub.update("b.example", replace(bundle, tree=old)).response, "tree.mismatch"
    )
    pending = hub[BEN].member.pending
    assert pending is not None
    tree = pending.epoch.public.tree.encode()
    hub.take(hub.update("b.example", replace(bundle, tree=RatchetTreeOption(tree))))
    hub.check_agreement()


@pytest.mark.parametrize(
    "tree", [RemoteTree(b"signed", b"https://a.example/tree"), RemoteTree(b"signed")]
)
def test_mc_049_a_tree_that_is_elsewhere_is_refused(tree: RemoteTree) -> None:
    hub = of_four()
    bundle = replace(hub.committed(BEN), tree=tree)
    assert denied(hub.update("b.example", bundle).response, "tree.mismatch")


# ---- step 9: the Welcome


def test_mc_066_a_welcome_goes_to_the_providers_of_its_key_packages() -> None:
    hub = of_four()
    eve, fay = "e.example:eve", f"{HUB}:fay"
    hub.commit(
        ANN,
        listed(added=[(eve, ORDINARY), (fay, ORDINARY)]),
        hub.package(eve),
        hub.package(fay),
    )
    welcome = hub.log[-1]
    assert welcome.domains == {"e.example"}
    assert welcome.welcome_refs is not None
    assert len(welcome.welcome_refs) == 2
    assert hub[fay].is_member
    hub.check_agreement()


def test_mc_066_an_unknown_reference_is_refused() -> None:
    hub = of_four()
    eve = "e.example:eve"
    add = hub.package(eve)
    hub.refs.clear()
    refused = hub.refused(ANN, listed(added=[(eve, ORDINARY)]), add)
    assert refused.description == "limit.exceeded: unknown KeyPackageRef"
    assert denied(refused, "limit.exceeded")


def test_mc_066_a_key_package_of_another_provider_than_its_clients_is_refused() -> None:
    hub = of_four()
    eve = "e.example:eve"
    add = hub.package(eve)
    (reference,) = hub[eve].stock
    hub.refs[reference] = "c.example"
    refused = hub.refused(ANN, listed(added=[(eve, ORDINARY)]), add)
    assert denied(refused, "limit.exceeded")


def test_a_welcome_is_due_exactly_with_adds() -> None:
    hub = of_four()
    eve = "e.example:eve"
    adding = (listed(added=[(eve, ORDINARY)]), hub.package(eve))
    bundle = hub.committed(ANN, *adding)
    without = replace(bundle, welcome=None)
    response = hub.update("a.example", without).response
    assert response.description == "proposal.invalid: rule H04"
    other = replace(hub.committed(BEN), welcome=bundle.welcome)
    response = hub.update("b.example", other).response
    assert response.description == "proposal.invalid: rule H04"


# ---- step 10: what is handed over


def test_mc_054_timestamps_grow_when_the_clock_stands_or_is_set_back() -> None:
    hub = of_four()
    times = [hub.room.last_at]
    for step in (0, 0, -20, 5):
        hub.env.time += step
        hub.send(ANN)
        hub.commit(BEN)
        times.extend(event.accepted_at for event in hub.log[-2:])
    assert times == sorted(set(times))
    assert times[-1] > hub.now_ms


def test_mc_054_a_clock_far_behind_is_an_error_of_ours() -> None:
    hub = of_four()
    bundle = hub.committed(BEN)
    hub.ahead_ms = -AHEAD_MS_MAX
    with pytest.raises(Problem) as wrong:
        hub.update("b.example", bundle)
    assert wrong.value.problem is ProblemCode.UNAVAILABLE
    assert wrong.value.retry_after_s
    hub.ahead_ms = -AHEAD_MS_MAX + 2
    hub.take(hub.update("b.example", bundle))


def test_a_change_is_applied_once_and_in_order() -> None:
    hub = of_four()
    outcome = hub.submit("a.example", hub.message(ANN))
    second = hub.submit("a.example", hub.message(ANN))
    assert outcome.change is not None
    assert second.change is not None
    assert outcome.change.state is None, "messages leave the room as it is"
    hub.room.apply(outcome.change)
    for change in (outcome.change, second.change):
        with pytest.raises(LocalError, match="another state"):
            hub.room.apply(change)


def test_changes_say_who_is_there_and_who_is_out() -> None:
    hub = of_four()
    bundle = hub.committed(ANN, listed(removed=[hub.place(CAL)]), hub_remove(hub))
    change = hub.update("a.example", bundle).change
    assert change is not None
    assert change.domains == frozenset({"a.example", "b.example", "c.example"})
    assert change.detached_users == {hub[CAL].user}
    assert not change.closes
    quiet = hub.update("b.example", hub.committed(BEN)).change
    assert quiet is not None
    assert quiet.domains is None
    assert quiet.detached_users == frozenset()


def test_mc_032_who_signs_with_another_key_is_refused() -> None:
    hub = of_four()
    other = Identity.generate(
        hub.env, SUITES[1], BasicCredential(hub[BEN].device.encode())
    )
    content = content_of(hub.committed(BEN, named("tea")))
    message = signed_by(hub, BEN, content, other.private)
    bundle = replace(hub.committed(BEN), message=message)
    assert denied(hub.update("b.example", bundle).response, "signature.invalid")
