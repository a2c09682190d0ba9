"""Rules P and Q: each is broken by a commit that breaks no other (N05, N09, N13)."""

from collections.abc import Callable

import pytest

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import LeafNodeSource, SenderType
from sabir.mls.commit import ProposalReference
from sabir.mls.credentials import X509Credential
from sabir.mls.extensions import (
    REQUIRED_CAPABILITIES,
    Extension,
    Extensions,
    RequiredCapabilities,
)
from sabir.mls.framing import Sender
from sabir.mls.group.external import propose_as_external_sender
from sabir.mls.group.group import stage_external_join
from sabir.mls.group_context import GroupContext
from sabir.mls.key_packages import KeyPackageIn, sign_key_package
from sabir.mls.leaf_node import LeafNodeIn, Lifetime, sign_leaf_node
from sabir.mls.limits import Limits
from sabir.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.psk_ids import ExternalPsk, ResumptionPsk, ResumptionUsage
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger, replace_leaf
from sabir.testing.mls.leaves import DAY_S, NOW_S
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import GROUP_ID, Odd, World
from sabir.wire.tls import opaque
from tests.unit.mls.negative.judges import VICTIMS, lacking, refuse, unsupported

CAROL, DAVE = 2, 3
NONCES = {1: 32, 2: 32, 4: 64}


def refuse_commit(
    world: World, carol: Forger, rule: Rule, *proposals: Proposal
) -> None:
    """Check that a commit of these by value is refused; its path is another's."""
    refuse(world, carol.commit(*proposals, path=carol.path()), rule)


def refuse_alone(world: World, carol: Forger, rule: Rule, proposal: Proposal) -> None:
    """Check that a proposal is refused when it comes by itself, and in a commit."""
    refuse(world, carol.proposal(proposal).message, rule)
    refuse_commit(world, carol, rule, proposal)


# ---- key packages of Adds


def key_package(
    world: World,
    name: str = "zoe",
    change: Callable[[LeafNodeIn], LeafNodeIn] = lambda leaf: leaf,
    **fields: object,
) -> KeyPackageIn:
    """Make a key package, signed by its owner, changed as wanted."""
    person = world.person(name)
    right, _ = person.key_package()
    key = person.identity.private.reveal()
    leaf = sign_leaf_node(world.suite, key, change(right.leaf_node))
    plain = {
        "cipher_suite": right.cipher_suite,
        "init_key": right.init_key,
        "extensions": right.extensions,
        "version": right.version,
    } | fields
    unsigned = KeyPackageIn(leaf_node=leaf, signature=b"", **plain)  # type: ignore[arg-type]  # fields as they are
    return sign_key_package(world.suite, key, unsigned)


def leaf_with(**changes: object) -> Callable[[LeafNodeIn], LeafNodeIn]:
    """Return a change of a leaf."""
    return lambda leaf: replace_leaf(leaf, **changes)


def less(leaf: LeafNodeIn, **changes: tuple[int, ...]) -> LeafNodeIn:
    """Return a leaf with other capabilities."""
    old = leaf.capabilities
    names = ("versions", "cipher_suites", "extensions", "proposals", "credentials")
    fields = {name: getattr(old, name) for name in names} | changes
    return replace_leaf(leaf, capabilities=Capabilities(**fields))


BROKEN_LEAVES: dict[Rule, Callable[[LeafNodeIn], LeafNodeIn]] = {
    Rule.L04: lambda leaf: replace_leaf(
        less(leaf, credentials=(2,)), credential=X509Credential((b"certificate",))
    ),
    Rule.L06: leaf_with(lifetime=Lifetime(NOW_S - DAY_S, NOW_S + 92 * DAY_S)),
    Rule.L07: leaf_with(extensions=(Extension(0xF0AB, b""),)),
    Rule.L08: lambda leaf: less(leaf, credentials=()),
    Rule.L09: leaf_with(source=LeafNodeSource.UPDATE, lifetime=None),
    Rule.L13: lambda leaf: less(leaf, cipher_suites=(7,)),
    Rule.L14: leaf_with(encryption_key=b"no key"),
}


@pytest.mark.parametrize("rule", BROKEN_LEAVES, ids=lambda rule: rule.name)
def test_p01_an_add_of_a_bad_leaf_is_refused(
    world: World, carol: Forger, rule: Rule
) -> None:
    add = Add(key_package(world, "zoe", BROKEN_LEAVES[rule]))
    if rule is Rule.L04:  # whether all support a type is asked with the commit
        refuse_commit(world, carol, rule, add)
    else:
        refuse_alone(world, carol, rule, add)


def test_p01_an_add_of_a_bad_key_package_is_refused(
    world: World, carol: Forger
) -> None:
    right = key_package(world)
    wrong = {
        Rule.K01: key_package(world, cipher_suite=3),
        Rule.K04: key_package(world, init_key=right.leaf_node.encryption_key),
        Rule.K06: key_package(world, extensions=(Extension(0xF0AB, b""),)),
        Rule.L14: key_package(world, init_key=b"no key"),
    }
    same = key_package(world, "zoe", lambda leaf: right.leaf_node)
    wrong[Rule.K04] = sign_key_package(
        world.suite,
        world.person("zoe").identity.private.reveal(),
        KeyPackageIn(
            same.cipher_suite,
            same.leaf_node.encryption_key,
            same.leaf_node,
            (),
            b"",
        ),
    )
    for rule, package in wrong.items():
        refuse_alone(world, carol, rule, Add(package))


def test_p01_an_add_signed_by_another_is_refused(world: World, carol: Forger) -> None:
    right = key_package(world)
    key = carol.epoch.signature_key.reveal()
    forged = sign_key_package(world.suite, key, right)
    refuse_alone(world, carol, Rule.K03, Add(forged))
    leaf = sign_leaf_node(world.suite, key, right.leaf_node)
    package = KeyPackageIn(right.cipher_suite, right.init_key, leaf, (), b"")
    owner = world.person("zoe").identity.private.reveal()
    forged = sign_key_package(world.suite, owner, package)
    refuse_alone(world, carol, Rule.L02, Add(forged))


def test_k07_two_adds_with_one_init_key_are_refused(
    world: World, carol: Forger
) -> None:
    first = key_package(world, "zoe")
    second = key_package(world, "yan", init_key=first.init_key)
    refuse_commit(world, carol, Rule.K07, Add(first), Add(second))


# ---- N13: who is here already


def test_n13_adding_a_present_client_is_refused(world: World, carol: Forger) -> None:
    """Its name or its keys are here: the client is, or a key is."""
    bob = world.person("bob")
    refuse_commit(world, carol, Rule.Q05, Add(key_package(world, "bob")))
    thief = key_package(
        world,
        "zoe",
        leaf_with(signature_key=bob.identity.public),
    )
    stolen = sign_key_package(
        world.suite,
        bob.identity.private.reveal(),
        KeyPackageIn(
            thief.cipher_suite,
            thief.init_key,
            sign_leaf_node(world.suite, bob.identity.private.reveal(), thief.leaf_node),
            (),
            b"",
        ),
    )
    refuse_commit(world, carol, Rule.L11, Add(stolen))
    tree = world.hub.tree
    for node in (0, 1, 2, 3):
        key = tree.encryption_key(node)
        if key is not None:
            package = key_package(world, "zoe", leaf_with(encryption_key=key))
            refuse_commit(world, carol, Rule.L12, Add(package))


def test_n13_the_same_client_twice_is_refused(world: World, carol: Forger) -> None:
    package = key_package(world)
    refuse_commit(world, carol, Rule.Q04, Add(package), Add(package))
    refuse_commit(world, carol, Rule.Q04, Add(package), Add(key_package(world, "zoe")))
    key = package.leaf_node.encryption_key
    other = key_package(world, "yan", leaf_with(encryption_key=key))
    refuse_commit(world, carol, Rule.L12, Add(package), Add(other))


def test_n13_a_client_whose_leaf_is_removed_may_come_back(own: World) -> None:
    package, _ = own.person("bob").key_package()
    leaf = own.leaf("bob")
    own.commit("carol", [Remove(leaf), Add(package)])
    own.check()
    found = own.hub.tree.leaf_of_signature_key(own.person("bob").identity.public)
    assert found == leaf


# ---- Updates


def test_p02_a_bad_update_is_refused(world: World, carol: Forger) -> None:
    def update(**changes: object) -> Update:
        change = leaf_with(**changes)
        return Update(carol.signed_leaf(change, source=LeafNodeSource.UPDATE))

    stolen = Forger(world, "alice").epoch.signature_key
    fresh = carol.signed_leaf(source=LeafNodeSource.UPDATE)
    wrong = [
        (Rule.L09, Update(carol.signed_leaf(parent_hash=b"hash"))),
        (Rule.L14, update(encryption_key=b"no key")),
        (Rule.L07, update(extensions=(Extension(0xF0AB, b""),))),
        (Rule.L02, Update(carol.sign_leaf(fresh, key=stolen))),
        (Rule.L02, Update(carol.sign_leaf(fresh, leaf_index=1))),
        (Rule.L01, update(credential=world.person("zoe").identity.credential)),
    ]
    for rule, proposal in wrong:
        refuse(world, carol.proposal(proposal).message, rule)


def test_p02_an_update_to_a_key_in_use_is_refused_with_the_commit(own: World) -> None:
    """Whose keys are unique is known when all of a list is."""
    carol, erin = Forger(own, "carol"), Forger(own, "erin")
    tree = own.hub.tree
    taken = {tree.encryption_key(node): Rule.L12 for node in (0, 2)}
    taken[carol.leaf.encryption_key] = Rule.L10
    for key, rule in taken.items():
        leaf = carol.signed_leaf(
            leaf_with(encryption_key=key), source=LeafNodeSource.UPDATE
        )
        sent = carol.proposal(Update(leaf))
        own.deliver(sent.message, "carol")
        forged = erin.commit(ProposalReference(sent.reference), path=erin.path())
        for victim in ("bob", "dave"):
            group = own.groups[victim]
            with unchanged(group), violates(rule):
                group.process(own.env, forged)
        refuse(own, forged, rule, members=False)


# ---- single proposals


@pytest.mark.parametrize("leaf", [5, 8, 0xFFFF_FFFF])
def test_p03_the_removal_of_nobody_is_refused(
    world: World, carol: Forger, leaf: int
) -> None:
    refuse_alone(world, carol, Rule.P03, Remove(leaf))


@pytest.mark.parametrize("octets", [0, 31, 33, 63])
def test_p04_a_nonce_of_another_length_is_refused(
    world: World, carol: Forger, octets: int
) -> None:
    proposal = PreSharedKey(ExternalPsk(b"id", bytes(octets)))
    refuse_alone(world, carol, Rule.P04, proposal)


@pytest.mark.parametrize("usage", [ResumptionUsage.REINIT, ResumptionUsage.BRANCH])
def test_p05_psks_that_link_groups_are_refused(
    world: World, carol: Forger, usage: ResumptionUsage
) -> None:
    nonce = bytes(world.suite.nh)
    psk = ResumptionPsk(usage, GROUP_ID, carol.context.epoch, nonce)
    refuse_alone(world, carol, Rule.P05, PreSharedKey(psk))


def test_p06_a_re_init_to_a_lower_version_is_refused(
    world: World, carol: Forger
) -> None:
    refuse_alone(world, carol, Rule.P06, ReInit(b"next", 1, version=0))


def required(**what: tuple[int, ...]) -> Extension:
    return Extension(REQUIRED_CAPABILITIES, RequiredCapabilities(**what).encode())


@pytest.mark.parametrize(
    "what", [{"extensions": (0xF0AB,)}, {"proposals": (0xF0AB,)}, {"credentials": (2,)}]
)
def test_p07_demands_that_not_all_meet_are_refused(
    world: World, carol: Forger, what: dict[str, tuple[int, ...]]
) -> None:
    extensions = (*carol.context.extensions, required(**what))
    refuse_commit(world, carol, Rule.P07, GroupContextExtensions(extensions))


def test_p08_extensions_that_not_all_support_are_refused(
    world: World, carol: Forger
) -> None:
    extensions = (*carol.context.extensions, Extension(0xF0AB, b""))
    refuse_commit(world, carol, Rule.P08, GroupContextExtensions(extensions))


def test_l03_l15_an_add_that_does_not_meet_new_demands_is_refused(
    world: World, carol: Forger
) -> None:
    def without(leaf: LeafNodeIn) -> LeafNodeIn:
        return less(leaf, proposals=(), extensions=())

    add = Add(key_package(world, "zoe", without))
    old: Extensions = carol.context.extensions
    demand = GroupContextExtensions((*old, required(proposals=(8,))))
    refuse_commit(world, carol, Rule.L03, add, demand)
    more = GroupContextExtensions((*old, Extension(6, opaque(b""))))
    refuse_commit(world, carol, Rule.L15, add, more)


def test_p10_what_the_application_forbids_is_refused(own: World) -> None:
    class NoRemoves:
        def allows(
            self, proposal: Proposal, sender: Sender, context: GroupContext
        ) -> bool:
            del context
            return not (
                isinstance(proposal, Remove)
                and sender.kind in {SenderType.MEMBER, SenderType.EXTERNAL}
            )

    for name in (*VICTIMS, "hub"):
        services = own.person(name).client.services
        object.__setattr__(services, "policy", NoRemoves())
    carol = Forger(own, "carol")
    refuse(own, carol.proposal(Remove(DAVE)).message, Rule.P10)
    refuse(own, carol.commit(Remove(DAVE), path=carol.path()), Rule.P10)
    message = propose_as_external_sender(
        own.suite, own.hub.context, 0, own.clerk.private, Remove(DAVE)
    )
    refuse(own, message, Rule.P10)


# ---- lists


def test_q01_an_update_of_the_committer_is_refused(own: World) -> None:
    carol = Forger(own, "carol")
    update = Update(carol.signed_leaf(source=LeafNodeSource.UPDATE))
    sent = carol.proposal(update)
    own.deliver(sent.message, "carol")
    by_reference = carol.commit(ProposalReference(sent.reference), path=carol.path())
    refuse(own, by_reference, Rule.Q01)
    refuse_commit(own, carol, Rule.Q01, update)


def test_q02_a_removal_of_the_committer_is_refused(own: World) -> None:
    carol = Forger(own, "carol")
    refuse_commit(own, carol, Rule.Q02, Remove(CAROL))
    sent = carol.proposal(SelfRemove())
    own.deliver(sent.message, "carol")
    refuse(
        own,
        carol.commit(ProposalReference(sent.reference), path=carol.path()),
        Rule.Q02,
    )


def test_q03_two_changes_of_one_leaf_are_refused(own: World) -> None:
    carol, dave = Forger(own, "carol"), Forger(own, "dave")
    refuse_commit(own, carol, Rule.Q03, Remove(DAVE), Remove(DAVE))
    sent = [
        dave.proposal(Update(dave.signed_leaf(source=LeafNodeSource.UPDATE)))
        for _ in range(2)
    ]
    for each in sent:
        own.deliver(each.message, "dave")
    first, second = (ProposalReference(each.reference) for each in sent)
    path = carol.path()
    refuse(own, carol.commit(first, second, path=path), Rule.Q03)
    refuse(own, carol.commit(first, Remove(DAVE), path=path), Rule.Q03)


def psk(world: World, psk_id: bytes = b"id", nonce: int = 0) -> PreSharedKey:
    return PreSharedKey(ExternalPsk(psk_id, bytes([nonce]) * world.suite.nh))


def test_q06_a_psk_twice_is_refused(world: World, carol: Forger) -> None:
    refuse_commit(world, carol, Rule.Q06, psk(world), psk(world))
    refuse_commit(world, carol, Rule.Q06, psk(world), psk(world, b"x"), psk(world))


def test_q07_two_changes_of_the_extensions_are_refused(
    world: World, carol: Forger
) -> None:
    same = GroupContextExtensions(carol.context.extensions)
    refuse_commit(world, carol, Rule.Q07, same, same)


def test_q08_a_re_init_with_company_is_refused(world: World, carol: Forger) -> None:
    re_init = ReInit(b"next", 1)
    refuse_commit(world, carol, Rule.Q08, re_init, Remove(DAVE))
    refuse_commit(world, carol, Rule.Q08, re_init, ReInit(b"other", 1))


def test_q09_an_external_init_of_a_member_is_refused(
    world: World, carol: Forger
) -> None:
    refuse_alone(world, carol, Rule.Q09, ExternalInit(b"kem output"))


# ---- N09: types


def test_n09_types_that_not_all_support_are_refused(
    world: World, carol: Forger
) -> None:
    """dave does not list it."""
    refuse_commit(world, carol, Rule.Q10, Odd())


def test_n09_a_removed_member_need_not_support_a_type(own: World) -> None:
    del own.groups["dave"]  # who cannot even read it
    own.commit("carol", [Odd(), Remove(DAVE)])
    own.check()


@pytest.mark.parametrize("kind", [0xF00D, 0x0A0A, 0xFAFA, 0])
def test_n09_a_type_that_is_not_registered_is_unsupported(
    world: World, carol: Forger, kind: int
) -> None:
    class Unknown(Odd):
        __slots__ = ()

    Unknown.kind = kind
    for message in (
        carol.proposal(Unknown()).message,
        carol.commit(Unknown(), path=carol.path()),
    ):
        for name in VICTIMS:
            group = world.groups[name]
            with unsupported("proposal type", kind, group):
                group.process(world.env, message)
        with unsupported("proposal type", kind, world.hub):
            world.hub.process(world.env, message)


# ---- references


def test_q11_a_reference_to_nothing_is_refused(world: World, carol: Forger) -> None:
    path = carol.path()
    for reference in (bytes(world.suite.nh), b"", b"\x01"):
        forged = carol.commit(ProposalReference(reference), path=path)
        refuse(world, forged, Rule.Q11, members=False)
        for name in VICTIMS:  # it may be one that did not reach them
            group = world.groups[name]
            with lacking("1 proposals", group):
                group.process(world.env, forged)


def test_q11_a_proposal_of_another_epoch_cannot_be_referred_to(own: World) -> None:
    group = own.groups["carol"]
    sent = group.propose(own.env, Remove(DAVE), as_public=True)
    own.deliver(sent.message, "carol")
    own.commit("alice", references=())
    assert sent.reference is not None
    carol = Forger(own, "carol")
    forged = carol.commit(ProposalReference(sent.reference), path=carol.path())
    refuse(own, forged, Rule.Q11, members=False)
    bob = own.groups["bob"]
    with lacking("1 proposals", bob):
        bob.process(own.env, forged)
    with unchanged(bob), violates(Rule.F02):  # what it names is of another epoch
        bob.process(own.env, forged, [sent.message])


def test_q11_one_proposal_twice_is_refused(own: World) -> None:
    carol = Forger(own, "carol")
    sent = carol.proposal(Remove(DAVE))
    own.deliver(sent.message, "carol")
    item = ProposalReference(sent.reference)
    refuse(own, carol.commit(item, item, path=carol.path()), Rule.Q11)


def test_p11_more_than_a_member_may_let_wait_is_refused() -> None:
    world = World(limits=Limits(pending_proposals_per_sender_max=2))
    carol = Forger(world, "carol")
    for leaf in (0, 1):
        world.deliver(carol.proposal(Remove(leaf)).message, "carol")
    refuse(world, carol.proposal(Remove(DAVE)).message, Rule.P11)


def test_q13_more_psks_than_a_welcome_may_name_are_refused() -> None:
    """Who is added by such a commit could not join."""
    world = World(limits=Limits(psks_per_commit_max=2))
    carol = Forger(world, "carol")
    ids = (ExternalPsk(b"%d" % number, bytes(32)) for number in range(3))
    refuse_commit(world, carol, Rule.Q13, *map(PreSharedKey, ids))


def test_q12_a_tree_larger_than_the_limit_is_refused() -> None:
    world = World(limits=Limits(members_max=8))
    carol = Forger(world, "carol")
    adds = [Add(key_package(world, name)) for name in ("f", "g", "h", "i")]
    refuse_commit(world, carol, Rule.Q12, *adds)


# ---- lifetimes


def test_l05_lifetimes_are_judged_where_that_is_the_policy() -> None:
    world = World(judge_lifetimes=True)
    carol = Forger(world, "carol")
    skew = 3_600
    fine = [(NOW_S + skew, NOW_S + DAY_S), (NOW_S - DAY_S, NOW_S - skew)]
    wrong = [(NOW_S + skew + 1, NOW_S + DAY_S), (NOW_S - DAY_S, NOW_S - skew - 1)]

    def add(times: tuple[int, int]) -> Add:
        lifetime = Lifetime(*times)
        return Add(key_package(world, "zoe", leaf_with(lifetime=lifetime)))

    for times in wrong:
        refuse_alone(world, carol, Rule.L05, add(times))
    for times in fine:
        world.fork("bob").process(world.env, carol.proposal(add(times)).message)
        world.fork_hub().process(world.env, carol.proposal(add(times)).message)
    group = world.fork("alice")  # who sends has no skew to be excused by
    for times in (*wrong, *fine):
        with unchanged(group), violates(Rule.L05):
            group.commit(world.env, [add(times)])


def test_l05_a_key_package_that_expired_while_it_waited_is_refused() -> None:
    world = World(judge_lifetimes=True)
    carol = Forger(world, "carol")
    sent = carol.proposal(Add(key_package(world, "zoe")))
    world.deliver(sent.message, "carol")
    world.env.time += 29 * DAY_S
    forged = carol.commit(ProposalReference(sent.reference))
    refuse(world, forged, Rule.L05)


def test_l05_receivers_may_tolerate_what_senders_may_not(own: World) -> None:
    carol = Forger(own, "carol")
    lifetime = Lifetime(NOW_S - 2 * DAY_S, NOW_S - DAY_S)
    add = Add(key_package(own, "zoe", leaf_with(lifetime=lifetime)))
    own.fork("bob").process(own.env, carol.proposal(add).message)
    group = own.fork("bob")
    with unchanged(group), violates(Rule.L05):
        group.commit(own.env, [add])


def test_keys_of_tests_are_keys(own: World) -> None:
    """Guard of this file: what is called fresh is accepted."""
    carol = Forger(own, "carol")
    assert hpke.check_public(own.suite, carol.fresh_key())
    assert isinstance(carol.epoch.signature_key, Secret)
    right = Update(carol.signed_leaf(source=LeafNodeSource.UPDATE))
    own.fork("bob").process(own.env, carol.proposal(right).message)
    own.fork_hub().process(own.env, carol.proposal(Add(key_package(own))).message)


def test_l16_a_client_that_lists_default_types_makes_no_leaf(own: World) -> None:
    client = own.person("zoe").client
    belongings = own.person("zoe").belongings()
    right = client.capabilities
    for extensions, proposals in (((1,), ()), ((), (3,))):
        client.capabilities = Capabilities(
            right.versions,
            right.cipher_suites,
            (*right.extensions, *extensions),
            (*right.proposals, *proposals),
            right.credentials,
        )
        with unchanged(*belongings), violates(Rule.L16):
            client.key_package(own.env, suite=own.suite.number)
        with unchanged(*belongings), violates(Rule.L16):
            stage_external_join(
                own.env,
                client,
                own.groups["alice"].group_info(with_tree=True),
                member_of=(),
            )
