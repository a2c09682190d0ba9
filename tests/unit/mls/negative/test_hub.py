"""Rules H, and N15: the hub follows all that happens, and checks what it can."""

from dataclasses import replace
from random import Random

import pytest

from sabir.crypto.secrets import Secret
from sabir.mls.commit import HPKECiphertext
from sabir.mls.extensions import EXTERNAL_PUB, Extension
from sabir.mls.group.external import propose_as_external_sender, propose_to_join
from sabir.mls.group.group import accept, stage_external_join
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group_info import GroupInfoIn, sign_group_info
from sabir.mls.proposals import Add, AppDataUpdate, Proposal, Remove
from sabir.mls.public_group import PublicGroup
from sabir.mls.staging import PublicStage
from sabir.mls.tags import Tag
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import EncryptedGroupSecrets, Welcome
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import COMPONENT, World
from sabir.wire.tls import opaque
from tests.unit.mls.negative.judges import misused


def staged(
    world: World, *proposals: Proposal
) -> tuple[PublicGroup, PublicStage, PendingCommit, Secret]:
    """Let a fork of carol commit, and a fork of the hub judge it."""
    hub, carol = world.fork_hub(), world.fork("carol")
    pending = carol.commit(world.env, proposals, as_public=True, force_path=True)
    found = hub.process(world.env, pending.commit)
    assert isinstance(found, PublicStage)
    return hub, found, pending, pending.epoch.signature_key


def test_h02_a_group_info_of_the_new_epoch_is_accepted(world: World) -> None:
    hub, stage, pending, _ = staged(world)
    hub.check_group_info(stage, pending.group_info(with_tree=False))
    hub.check_group_info(stage, pending.group_info(with_tree=True))


def test_h02_any_other_group_info_is_refused(world: World) -> None:
    hub, stage, pending, key = staged(world)
    right = pending.group_info(with_tree=False)
    context = right.group_context

    def sign(info: GroupInfoIn, private: Secret = key) -> GroupInfoIn:
        return sign_group_info(world.suite, private.reveal(), replace(info, raw=b""))

    epoch = world.groups["alice"].state.epoch
    assert epoch is not None
    wrong = [
        world.groups["carol"].group_info(with_tree=False),  # the epoch before
        sign(replace(right, group_context=replace(context, epoch=9, raw=b""), raw=b"")),
        sign(replace(right, confirmation_tag=Tag(bytes(32)), raw=b"")),
        sign(replace(right, signer=0, raw=b""), epoch.signature_key),
        sign(replace(right, signer=6, raw=b"")),
        sign(right, epoch.signature_key),
        replace(right, signature=b"", raw=b""),
        replace(right, extensions=(), raw=b""),
    ]
    for info in wrong:
        with unchanged(hub), violates(Rule.H02):
            hub.check_group_info(stage, info)


@pytest.mark.parametrize("presence", TreePresence)
def test_h03_a_partial_group_info_is_completed(
    world: World, presence: TreePresence
) -> None:
    hub, stage, pending, _ = staged(world)
    built = hub.rebuild_group_info(stage, pending.partial_group_info(presence))
    assert built.raw == pending.group_info(with_tree=presence.now).raw or (
        built.encode_unsigned()
        == pending.group_info(with_tree=presence.now).encode_unsigned()
    )


def test_h03_a_partial_group_info_of_anything_else_is_refused(world: World) -> None:
    hub, stage, pending, _ = staged(world)
    right = pending.partial_group_info(TreePresence.NONE)
    carol = world.groups["carol"].partial_group_info(TreePresence.NONE)
    other = Extension(EXTERNAL_PUB, opaque(b"another key"))
    wrong = [
        carol,
        PartialGroupInfo(TreePresence.PRESENT, right.extensions, right.signature),
        PartialGroupInfo(TreePresence.NONE, (), right.signature),
        PartialGroupInfo(TreePresence.NONE, (other,), right.signature),
        PartialGroupInfo(TreePresence.NONE, right.extensions, b""),
    ]
    for partial in wrong:
        with unchanged(hub), violates(Rule.H03):
            hub.rebuild_group_info(stage, partial)


def test_h04_a_welcome_for_others_than_the_added_is_refused(world: World) -> None:
    people = ("yan", "zoe")
    adds = [Add(world.person(name).key_package()[0]) for name in people]
    hub, stage, pending, _ = staged(world, *adds)
    right = pending.welcome_for_sequencer()
    assert right is not None
    hub.check_welcome(stage, right)
    one, two = right.secrets
    stranger = EncryptedGroupSecrets(b"reference", HPKECiphertext(b"", b""))
    wrong = [
        replace(right, secrets=entries, raw=b"")
        for entries in ((), (one,), (one, two, stranger), (one, stranger), (one, one))
    ]
    wrong.append(replace(right, cipher_suite=9, raw=b""))
    for welcome in wrong:
        with unchanged(hub), violates(Rule.H04):
            hub.check_welcome(stage, welcome)


def test_h04_a_commit_that_adds_nobody_has_no_welcome(world: World) -> None:
    hub, stage, _, _ = staged(world)
    entry = EncryptedGroupSecrets(b"reference", HPKECiphertext(b"", b""))
    with unchanged(hub), violates(Rule.H04):
        hub.check_welcome(stage, Welcome(world.suite.number, (entry,), b""))


def test_a_hub_reads_no_private_message(world: World) -> None:
    sealed = world.fork("carol").encrypt(world.env, b"hello").message
    with misused("PublicMessages", world.hub):
        world.hub.process(world.env, sealed)


# ---- N15


class Life:
    """What goes on in a group of up to twenty members."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        names = tuple(f"member {index}" for index in range(20))
        self.own = World(names=names)
        self.born = 0

    def member(self, but: str = "") -> str:
        return self.dice.choice([name for name in self.own.groups if name != but])

    def act(self) -> None:
        """Do one thing."""
        grown = len(self.own.groups) >= 20
        acts = [self.update, self.propose, self.change_data, self.from_outside]
        if len(self.own.groups) > 2:
            acts += [self.remove, self.come_back] if not grown else [self.remove] * 3
        if not grown:
            acts += [self.add, self.join]
        self.dice.choice(acts)()

    def new_name(self) -> str:
        self.born += 1
        return f"guest {self.born}"

    def update(self) -> None:
        self.own.commit(self.member())

    def add(self) -> None:
        self.own.add(self.member(), self.new_name())

    def remove(self) -> None:
        by = self.member()
        leaf = self.own.leaf(self.member(by))
        self.own.commit(by, [Remove(leaf)])

    def change_data(self) -> None:
        update = AppDataUpdate(COMPONENT, self.own.env.random(8))
        self.own.commit(self.member(), [update])

    def propose(self) -> None:
        name = self.member()
        group = self.own.groups[name]
        sent = group.propose_update(self.own.env, as_public=True)
        self.own.deliver(sent.message, name)

    def from_outside(self) -> None:
        own = self.own
        if self.dice.random() < 0.5:
            leaf = own.leaf(self.member())
            message = propose_as_external_sender(
                own.suite, own.hub.context, 0, own.clerk.private, Remove(leaf)
            )
        else:
            person = own.person(self.new_name())
            add = Add(person.key_package()[0])
            key = person.identity.private
            message = propose_to_join(own.suite, own.hub.context, key, add)
            # who is added this way throws the Welcome away, and is removed one day
        if len(own.groups) > 3:
            own.deliver(message)

    def join(self) -> None:
        own, name = self.own, self.new_name()
        shown = own.groups[self.member()].group_info(with_tree=True)
        pending = stage_external_join(
            own.env, own.person(name).client, shown, member_of=()
        )
        own.deliver(pending.commit)
        own.groups[name] = accept(own.person(name).client, pending)

    def come_back(self) -> None:
        own, name = self.own, self.member()
        shown = own.groups[self.member(name)].group_info(with_tree=True)
        leaf = own.leaf(name)
        client = own.person(name).client
        pending = stage_external_join(own.env, client, shown, resync=leaf, member_of=())
        del own.groups[name]
        own.deliver(pending.commit)
        own.groups[name] = accept(client, pending)


def test_n15_the_hub_sees_what_twenty_members_see() -> None:
    """500 random operations; after each, tree, context and members are equal."""
    life = Life(seed=9420)
    for _ in range(500):
        life.act()
        hub = life.own.hub
        for group in life.own.groups.values():
            assert hub.context == group.group_context
            assert hub.tree.tree_hash() == group.tree_hash
        first = next(iter(life.own.groups.values()))
        assert hub.members == first.members
        assert hub.pending.keys() == first.public.pending.keys()
    life.own.check()
