"""Rules X: joining by oneself (N08, N14, SelfRemove carried along)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sabir.crypto.secrets import Secret
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import SenderType, WireFormat
from sabir.mls.commit import Commit, ProposalOrRef, ProposalReference, UpdatePath
from sabir.mls.extensions import (
    APP_DATA_DICTIONARY,
    EXTERNAL_PUB,
    Extension,
    external_pub_of,
)
from sabir.mls.framing import (
    NEW_MEMBER_COMMIT,
    AuthenticatedContent,
    FramedContent,
    PublicMessage,
    Sender,
    decode_message,
    encode_message,
)
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import accept, stage_external_join
from sabir.mls.group_info import GroupInfoIn, sign_group_info
from sabir.mls.key_schedule import external_public
from sabir.mls.leaf_node import LeafNodeIn, sign_leaf_node
from sabir.mls.proposals import (
    Add,
    AppEphemeral,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.tags import Tag
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import NO_TAG, Forger, replace_leaf, signed_by
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import COMPONENT, GROUP_ID, REGISTRY, Odd, World
from sabir.wire.tls import opaque
from tests.unit.mls.negative.judges import VICTIMS, hub_believes, misused, refuse
from tests.unit.mls.negative.test_proposals import (
    BROKEN_LEAVES,
    key_package,
)

DAVE = 3
BLANK = 5
"""Where who joins will stand."""


def info(world: World) -> GroupInfoIn:
    return world.groups["alice"].group_info(with_tree=True)


def joined(
    world: World, name: str = "zoe", resync: int | None = None
) -> PendingExternalJoin:
    client = world.person(name).client
    return stage_external_join(
        world.env, client, info(world), resync=resync, member_of=()
    )


def parts(message: bytes) -> tuple[Commit, Tag]:
    body = decode_message(message, REGISTRY).body
    assert isinstance(body, PublicMessage)
    commit, tag = body.message.content.content, body.message.confirmation_tag
    assert isinstance(commit, Commit)
    assert tag is not None
    return commit, tag


def outside(
    world: World,
    items: Sequence[ProposalOrRef],
    path: UpdatePath | None,
    *,
    key: Secret | None = None,
    tag: Tag = NO_TAG,
    sender: Sender = NEW_MEMBER_COMMIT,
    membership: Tag | None = None,
) -> bytes:
    """Commit from outside, signed by zoe unless said."""
    context = world.hub.context
    content = FramedContent(
        context.group_id, context.epoch, sender, b"", Commit(tuple(items), path)
    )
    key = world.person("zoe").identity.private if key is None else key
    signature = signed_by(world.suite, key, content, context.raw)
    message = AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, content, signature, tag)
    return encode_message(PublicMessage(message, membership))


def honest(world: World) -> tuple[ExternalInit, UpdatePath]:
    """Return what an external commit of zoe is made of."""
    commit, _ = parts(joined(world).commit)
    (init,) = commit.proposals
    assert isinstance(init, ExternalInit)
    assert commit.path is not None
    return init, commit.path


def with_leaf(world: World, path: UpdatePath, **changes: object) -> UpdatePath:
    """Return a path with another leaf, signed by zoe for its place."""
    leaf = replace_leaf(path.leaf_node, **changes)
    return replace(path, leaf_node=sign(world, leaf), raw=b"")


def sign(world: World, leaf: LeafNodeIn, place: int = BLANK) -> LeafNodeIn:
    key = world.person("zoe").identity.private.reveal()
    return sign_leaf_node(world.suite, key, leaf, world.hub.context.group_id, place)


# ---- what is right


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_n08_who_joins_stands_at_the_leftmost_blank_leaf(own: World) -> None:
    own.commit("alice", [Remove(1)])
    pending = joined(own)
    own.deliver(pending.commit)
    own.groups["zoe"] = accept(own.person("zoe").client, pending)
    assert own.leaf("zoe") == 1
    own.works()


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_n08_who_comes_back_takes_its_own_place(own: World) -> None:
    pending = joined(own, "bob", resync=1)
    old = own.groups.pop("bob")
    own.deliver(pending.commit)
    staged = old.process(own.env, pending.commit)
    old.merge(own.env, staged)  # type: ignore[arg-type]  # a commit
    own.groups["bob"] = accept(own.person("bob").client, pending)
    assert own.leaf("bob") == 1
    own.works()


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_n14_external_pub_is_that_of_the_epoch_it_is_shown_in(own: World) -> None:
    for name in ("alice", "bob"):
        own.commit(name)
        group = own.groups[name]
        assert group.state.epoch is not None
        shown = external_pub_of(group.group_info(with_tree=False).extensions)
        assert shown == external_public(own.suite, group.state.epoch.secrets.external)
        stranger = f"guest of {name}"
        pending = stage_external_join(
            own.env,
            own.person(stranger).client,
            group.group_info(with_tree=True),
            member_of=(),
        )
        own.deliver(pending.commit)
        own.groups[stranger] = accept(own.person(stranger).client, pending)
    own.works()


def test_n14_a_pending_commit_shows_the_epoch_it_begins(own: World) -> None:
    alice = own.groups["alice"]
    pending = alice.commit(own.env, as_public=True)
    shown = pending.group_info(with_tree=True)
    alice.merge_pending(own.env)
    own.deliver(pending.commit, "alice")
    zoe = own.person("zoe").client
    join = stage_external_join(own.env, zoe, shown, member_of=())
    own.deliver(join.commit)
    own.groups["zoe"] = accept(zoe, join)
    own.works()


def test_n14_the_welcome_s_group_info_has_no_external_pub_of_another_epoch(
    own: World,
) -> None:
    """There it would be that of the old epoch in the existing package."""
    pending = own.add("alice", "zoe")
    assert pending.welcome is not None
    own.works()


# ---- rules X


def test_x01_an_external_commit_without_a_path_is_refused(world: World) -> None:
    """By F05, which asks for it before anything is signed by a path's leaf."""
    init, _ = honest(world)
    refuse(world, outside(world, [init], None), Rule.F05)


def test_x02_no_external_init_or_two_are_refused(world: World) -> None:
    init, path = honest(world)
    refuse(world, outside(world, [], path), Rule.X02)
    refuse(world, outside(world, [init, init], path), Rule.X02)


def test_x03_what_an_external_commit_may_not_carry_is_refused(world: World) -> None:
    init, path = honest(world)
    wrong: list[Proposal] = [
        Add(key_package(world, "yan")),
        Update(path.leaf_node),
        ReInit(b"next", 1),
        GroupContextExtensions(world.hub.context.extensions),
        SelfRemove(),
        Odd(),
    ]
    for proposal in wrong:
        refuse(world, outside(world, [init, proposal], path), Rule.X03)
    two: list[Proposal] = [init, Remove(DAVE), Remove(4)]
    refuse(world, outside(world, two, path), Rule.X03)


def test_x03_psks_and_ephemeral_data_may_be_carried(own: World) -> None:
    nonce = bytes(own.suite.nh)
    for name in (*own.groups, "zoe"):
        own.person(name).psks.keys[b"id"] = b"a key that all know"
    pending = stage_external_join(
        own.env,
        own.person("zoe").client,
        info(own),
        proposals=[
            PreSharedKey(ExternalPsk(b"id", nonce)),
            AppEphemeral(COMPONENT, b"hello"),
        ],
        member_of=(),
    )
    own.deliver(pending.commit)
    own.groups["zoe"] = accept(own.person("zoe").client, pending)
    own.works()


def test_x04_references_are_refused(own: World) -> None:
    sent = own.groups["carol"].propose(own.env, Remove(DAVE), as_public=True)
    own.deliver(sent.message, "carol")
    assert sent.reference is not None
    init, path = honest(own)
    items: list[ProposalOrRef] = [init, ProposalReference(sent.reference)]
    refuse(own, outside(own, items, path), Rule.X04)


def test_x05_an_external_commit_signed_by_another_is_refused(world: World) -> None:
    init, path = honest(world)
    key = Forger(world, "carol").epoch.signature_key
    refuse(world, outside(world, [init], path, key=key), Rule.X05)


def test_x05_a_path_leaf_signed_by_another_is_refused(world: World) -> None:
    init, path = honest(world)
    key = world.person("yan").identity.private.reveal()
    group_id = world.hub.context.group_id
    leaf = sign_leaf_node(world.suite, key, path.leaf_node, group_id, BLANK)
    forged = replace(path, leaf_node=leaf, raw=b"")
    refuse(world, outside(world, [init], forged), Rule.L02)


def test_n08_an_external_commit_of_a_member_is_none(world: World) -> None:
    """A member's message has a membership tag and may carry no ExternalInit."""
    init, path = honest(world)
    carol = Forger(world, "carol")
    refuse(world, carol.commit(init, path=path), Rule.Q09)
    untagged = outside(
        world, [init], path, sender=Sender.member(2), membership=Tag(b"")
    )
    refuse(world, untagged, Rule.F06, hub=False)
    refuse(world, untagged, Rule.F07, members=False)


def test_w06_joining_a_group_that_we_are_in_is_refused(world: World) -> None:
    """It would be a second leaf of one client; coming back says so, by resync."""
    dave = world.person("dave").client
    with unchanged(world.groups["dave"]), violates(Rule.W06):
        stage_external_join(world.env, dave, info(world), member_of={GROUP_ID})
    stage_external_join(world.env, dave, info(world), member_of={GROUP_ID}, resync=DAVE)


def test_x06_coming_back_as_another_is_refused(world: World) -> None:
    """A hub can tell, too: zoe would throw dave out."""
    client = world.person("zoe").client
    with unchanged(*world.person("zoe").belongings()), violates(Rule.X06):
        stage_external_join(world.env, client, info(world), resync=DAVE, member_of=())
    trust = world.person("zoe").trust
    trust.may_replace = lambda old, new: True  # type: ignore[method-assign]  # zoe lies to itself
    pending = joined(world, resync=DAVE)
    del trust.may_replace
    refuse(world, pending.commit, Rule.X06)


def test_p03_coming_back_to_nobody_s_place_is_refused(world: World) -> None:
    init, path = honest(world)
    refuse(world, outside(world, [init, Remove(6)], path), Rule.P03)


def test_x07_a_leaf_for_another_place_is_refused(world: World) -> None:
    """The place is in the leaf's signature and nowhere else."""
    init, path = honest(world)
    for place in (BLANK + 1, 1):
        leaf = sign(world, path.leaf_node, place)
        forged = replace(path, leaf_node=leaf, raw=b"")
        refuse(world, outside(world, [init], forged), Rule.L02)


def test_x08_a_kem_output_that_is_none_is_refused(world: World) -> None:
    right, path = honest(world)
    size = len(right.kem_output)
    for wrong in (b"", bytes(size), right.kem_output[:-1], right.kem_output + b"\x00"):
        forged = outside(world, [ExternalInit(wrong)], path)
        refuse(world, forged, Rule.X08, hub=False)
        hub_believes(world, forged)


def test_o03_a_kem_output_for_another_key_is_refused(world: World) -> None:
    _, path = honest(world)
    other, _ = honest(world)
    refuse(world, outside(world, [other], path), Rule.O03, hub=False)


@pytest.mark.parametrize("rule", BROKEN_LEAVES, ids=lambda rule: rule.name)
def test_a_bad_leaf_of_who_joins_is_refused(world: World, rule: Rule) -> None:
    init, path = honest(world)
    if rule is Rule.L04:
        leaf = BROKEN_LEAVES[rule](path.leaf_node)
    elif rule in {Rule.L06, Rule.L09}:
        package, _ = world.person("zoe").key_package()
        leaf = package.leaf_node
        rule = Rule.L09
    else:
        leaf = BROKEN_LEAVES[rule](path.leaf_node)
    forged = replace(path, leaf_node=sign(world, leaf), raw=b"")
    refuse(world, outside(world, [init], forged), rule)


def test_a_joiner_with_keys_of_a_member_is_refused(world: World) -> None:
    init, path = honest(world)
    taken = world.hub.tree.encryption_key(0)
    forged = with_leaf(world, path, encryption_key=taken)
    refuse(world, outside(world, [init], forged), Rule.L12)
    alice = Forger(world, "alice")
    leaf = replace_leaf(path.leaf_node, signature_key=alice.leaf.signature_key)
    key = alice.epoch.signature_key
    group_id = world.hub.context.group_id
    signed = sign_leaf_node(world.suite, key.reveal(), leaf, group_id, BLANK)
    stolen = replace(path, leaf_node=signed, raw=b"")
    refuse(world, outside(world, [init], stolen, key=key), Rule.L11)


def test_paths_of_who_joins_are_judged_as_others(world: World) -> None:
    init, path = honest(world)
    refuse(
        world,
        outside(world, [init], replace(path, nodes=path.nodes[:-1], raw=b"")),
        Rule.T09,
    )
    forged = with_leaf(world, path, parent_hash=bytes(32))
    refuse(world, outside(world, [init], forged), Rule.T11)


# ---- X09: what a joiner checks


def signed_info(world: World, shown: GroupInfoIn) -> GroupInfoIn:
    key = Forger(world, "alice").epoch.signature_key.reveal()
    return sign_group_info(world.suite, key, replace(shown, raw=b""))


def test_x09_a_group_info_without_external_pub_is_refused(world: World) -> None:
    right = info(world)
    rest = tuple(each for each in right.extensions if each.kind != EXTERNAL_PUB)
    forged = signed_info(world, replace(right, extensions=rest, raw=b""))
    client = world.person("zoe").client
    with unchanged(*world.person("zoe").belongings()), violates(Rule.X09):
        stage_external_join(world.env, client, forged, member_of=())


@pytest.mark.parametrize("octets", [0, 1, 31, 64])
def test_x09_an_external_pub_that_is_no_key_is_refused(
    world: World, octets: int
) -> None:
    right = info(world)
    bad = Extension(EXTERNAL_PUB, opaque(bytes(octets)))
    rest = tuple(each for each in right.extensions if each.kind != EXTERNAL_PUB)
    forged = signed_info(world, replace(right, extensions=(bad, *rest), raw=b""))
    with unchanged(*world.person("zoe").belongings()), violates(Rule.X09):
        stage_external_join(world.env, world.person("zoe").client, forged, member_of=())


def test_w12_a_joiner_supports_what_the_group_has(own: World) -> None:
    old = own.hub.context.extensions
    dictionary = Extension(APP_DATA_DICTIONARY, b"\x00")
    own.commit("alice", [GroupContextExtensions((*old, dictionary))])
    poor = own.person("zoe")
    belongings = poor.belongings()
    rich = poor.client.capabilities
    poor.client.capabilities = Capabilities(
        rich.versions, rich.cipher_suites, (), rich.proposals, rich.credentials
    )
    with unchanged(*belongings), violates(Rule.W12):
        stage_external_join(own.env, poor.client, info(own), member_of=())


def test_only_a_group_info_is_joined_by(world: World) -> None:
    package, _ = world.person("yan").key_package()
    with misused("no GroupInfo"):
        stage_external_join(
            world.env, world.person("zoe").client, encode_message(package), member_of=()
        )


# ---- SelfRemoves carried along


def self_remove(own: World) -> bytes:
    message = own.groups["dave"].propose_self_remove(own.env).message
    own.deliver(message, "dave")
    return message


def test_a_joiner_carries_self_removes_along(own: World) -> None:
    message = self_remove(own)
    client = own.person("zoe").client
    pending = stage_external_join(
        own.env, client, info(own), self_removes=[message], member_of=()
    )
    own.deliver(pending.commit)
    own.groups["zoe"] = accept(client, pending)
    assert "dave" not in own.groups
    assert own.leaf("zoe") == DAVE, "the leftmost blank leaf after the removals"
    own.works()


def test_a_joiner_removes_nobody_by_what_is_no_self_remove(own: World) -> None:
    belongings = own.person("zoe").belongings()
    client = own.person("zoe").client
    other = own.groups["carol"].propose(own.env, Remove(DAVE), as_public=True)
    with unchanged(*belongings), violates(Rule.X04):
        stage_external_join(
            own.env, client, info(own), self_removes=[other.message], member_of=()
        )
    private = own.groups["bob"].propose(own.env, Remove(DAVE))
    with unchanged(*belongings), violates(Rule.E08):
        stage_external_join(
            own.env, client, info(own), self_removes=[private.message], member_of=()
        )
    forger = Forger(own, "carol")
    framed = forger.content(SelfRemove(), sender=Sender.member(DAVE))
    forged = forger.public(forger.authenticated(framed))
    with unchanged(*belongings), violates(Rule.F07):
        stage_external_join(
            own.env, client, info(own), self_removes=[forged], member_of=()
        )


def test_e09_a_joiner_does_not_remove_who_leaves(own: World) -> None:
    message = self_remove(own)
    dave = own.person("dave").client
    with unchanged(own.hub), violates(Rule.E09):
        stage_external_join(
            own.env, dave, info(own), resync=DAVE, self_removes=[message], member_of=()
        )


def test_f05_an_external_sender_commits_nothing(world: World) -> None:
    init, path = honest(world)
    sender = Sender(SenderType.EXTERNAL, 0)
    forged = outside(world, [init], path, sender=sender, key=world.clerk.private)
    refuse(world, forged, Rule.F05)


def test_victims_are_members(world: World) -> None:
    """Guard of this file: who judges is in the group that zoe wants to join."""
    assert {world.leaf(name) for name in VICTIMS} == {1, 4}
    assert world.hub.tree.leftmost_blank() == BLANK
