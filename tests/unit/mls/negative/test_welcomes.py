"""Rules W, and trees that come in (N06, N07, N11, N17): joining by a Welcome."""

from dataclasses import dataclass, replace

import pytest

from sabir.crypto.labels import decrypt_with_label, encrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.mls.client import KeyPackageSecrets
from sabir.mls.commit import HPKECiphertext
from sabir.mls.extensions import Extension
from sabir.mls.framing import encode_message
from sabir.mls.group.group import (
    MlsGroup,
    accept,
    stage_external_join,
    stage_welcome,
)
from sabir.mls.group.join import StagedWelcome
from sabir.mls.group_info import GroupInfoIn, read_group_info, sign_group_info
from sabir.mls.key_packages import KeyPackage
from sabir.mls.key_schedule import welcome_key_and_nonce, welcome_secret, zero_secret
from sabir.mls.leaf_node import read_leaf_node
from sabir.mls.parent_node import read_parent_node
from sabir.mls.proposals import Add, PreSharedKey, Remove
from sabir.mls.psk_ids import (
    ExternalPsk,
    PreSharedKeyID,
    ResumptionPsk,
    ResumptionUsage,
)
from sabir.mls.public_group import PublicGroup
from sabir.mls.tags import Tag
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import (
    EncryptedGroupSecrets,
    GroupSecrets,
    Welcome,
    read_group_secrets,
)
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import GROUP_ID, World
from sabir.wire.tls import Reader, read_whole, vector
from tests.unit.mls.negative.judges import SUITES_TRIED, lacking, misused, unsupported

DAVE = 3


@dataclass
class Invited:
    """zoe, whom alice adds; what alice sends may be changed on the way."""

    world: World
    package: KeyPackage
    secrets: KeyPackageSecrets
    welcome: Welcome
    group_secrets: GroupSecrets
    info: GroupInfoIn
    signer: Secret

    @property
    def belongings(self) -> tuple[object, ...]:
        """Return what zoe has before she joins."""
        return self.secrets, *self.world.person("zoe").belongings()

    @property
    def tree(self) -> bytes:
        return self.world.hub.tree.encode()

    def sign(self, info: GroupInfoIn, key: Secret | None = None) -> GroupInfoIn:
        """Sign a GroupInfo, as alice unless said."""
        private = (self.signer if key is None else key).reveal()
        return sign_group_info(self.world.suite, private, replace(info, raw=b""))

    def with_context(self, **changes: object) -> GroupInfoIn:
        """Return the GroupInfo with another context, signed."""
        context = replace(self.info.group_context, raw=b"", **changes)  # type: ignore[arg-type]  # fields as they are
        return self.sign(replace(self.info, group_context=context, raw=b""))

    def seal(
        self,
        info: GroupInfoIn | bytes | None = None,
        secrets: GroupSecrets | None = None,
        package: KeyPackage | None = None,
        psk: Secret | None = None,
    ) -> Welcome:
        """Make a Welcome of these, in place of what alice made."""
        suite = self.world.suite
        package = self.package if package is None else package
        secrets = self.group_secrets if secrets is None else secrets
        info = self.info if info is None else info
        raw = info if isinstance(info, bytes) else info.raw
        psk = zero_secret(suite) if psk is None else psk
        key, nonce = welcome_key_and_nonce(
            suite, welcome_secret(suite, secrets.joiner_secret, psk)
        )
        sealed_info = suite.aead_seal(key, nonce, raw, b"")
        sealed = encrypt_with_label(
            suite, package.init_key, b"Welcome", sealed_info, secrets.encode()
        )
        entry = EncryptedGroupSecrets(package.reference(suite), HPKECiphertext(*sealed))
        return Welcome(suite.number, (entry,), sealed_info)

    def stage(
        self,
        welcome: Welcome | None = None,
        tree: bytes | None = None,
        resume: MlsGroup | None = None,
    ) -> StagedWelcome:
        """Let zoe join by a Welcome."""
        return stage_welcome(
            self.world.person("zoe").client,
            self.welcome if welcome is None else welcome,
            [self.secrets],
            tree=tree,
            resume=resume,
            member_of=(),
        )

    def refuse(self, rule: Rule, welcome: Welcome, tree: bytes | None = None) -> None:
        """Check that zoe refuses a Welcome by a rule."""
        with unchanged(*self.belongings), violates(rule):
            self.stage(welcome, tree)


def invite(world: World, *, tree_inside: bool = True) -> Invited:
    """Let alice add zoe, and open what she sends as zoe does."""
    package, secrets = world.person("zoe").key_package()
    alice = world.groups["alice"]
    pending = alice.commit(
        world.env,
        [Add(package)],
        as_public=True,
        force_path=True,
        tree_in_welcome=tree_inside,
    )
    alice.merge_pending(world.env)
    world.deliver(pending.commit, "alice")
    welcome = pending.welcome
    assert welcome is not None
    suite = world.suite
    sealed = welcome.secrets[0].encrypted_group_secrets
    opened = read_whole(
        decrypt_with_label(
            suite,
            secrets.init_key.reveal(),
            b"Welcome",
            welcome.encrypted_group_info,
            sealed.kem_output,
            sealed.ciphertext,
        ),
        read_group_secrets,
    )
    key, nonce = welcome_key_and_nonce(
        suite, welcome_secret(suite, opened.joiner_secret, zero_secret(suite))
    )
    info = read_whole(
        suite.aead_open(key, nonce, welcome.encrypted_group_info, b""),
        read_group_info,
    )
    signer = pending.epoch.signature_key
    return Invited(world, package, secrets, welcome, opened, info, signer)


@pytest.fixture(scope="module", params=SUITES_TRIED, ids="suite{}".format)
def invited(request: pytest.FixtureRequest) -> Invited:
    return invite(World(request.param))


@pytest.fixture(scope="module", params=SUITES_TRIED, ids="suite{}".format)
def beside(request: pytest.FixtureRequest) -> Invited:
    """Return an invitation whose tree goes beside the Welcome."""
    return invite(World(request.param), tree_inside=False)


def test_what_nobody_changed_is_accepted(invited: Invited) -> None:
    """Guard of this file."""
    invited.stage()
    invited.stage(invited.seal())
    message = encode_message(invited.welcome)
    client = invited.world.person("zoe").client
    stage_welcome(client, message, [invited.secrets], member_of=())


# ---- the Welcome


def test_w01_a_welcome_for_another_is_refused(invited: Invited) -> None:
    other, _ = invited.world.person("yan").key_package()
    invited.refuse(Rule.W01, invited.seal(package=other))
    empty = Welcome(invited.world.suite.number, (), b"")
    invited.refuse(Rule.W01, empty)


def test_n11_nobody_joins_without_the_key_package(invited: Invited) -> None:
    client = invited.world.person("zoe").client
    with unchanged(*invited.belongings), violates(Rule.W01):
        stage_welcome(client, invited.welcome, [], member_of=())
    _, other = invited.world.person("zoe").key_package()
    with unchanged(*invited.belongings, other), violates(Rule.W01):
        stage_welcome(client, invited.welcome, [other], member_of=())


def test_w02_a_welcome_of_another_suite_is_refused(invited: Invited) -> None:
    same_hash = {1: 3, 2: 1, 4: 6}[invited.world.suite.number]
    forged = replace(invited.welcome, cipher_suite=same_hash, raw=b"")
    invited.refuse(Rule.W02, forged)
    unknown = replace(invited.welcome, cipher_suite=0x0F0F, raw=b"")
    with unsupported("cipher suite", 0x0F0F, *invited.belongings):
        invited.stage(unknown)


def test_w03_what_does_not_open_is_refused(invited: Invited) -> None:
    entry = invited.welcome.secrets[0]
    box = entry.encrypted_group_secrets
    wrong = [
        HPKECiphertext(b"", b""),
        HPKECiphertext(box.kem_output, box.ciphertext[:-1]),
        HPKECiphertext(bytes(len(box.kem_output)), box.ciphertext),
        HPKECiphertext(box.kem_output[:-1], box.ciphertext),
    ]
    for sealed in wrong:
        forged = replace(entry, encrypted_group_secrets=sealed)
        invited.refuse(Rule.W03, replace(invited.welcome, secrets=(forged,), raw=b""))
    info = invited.welcome.encrypted_group_info
    invited.refuse(  # the sealed secrets name the GroupInfo that they belong to
        Rule.W03,
        replace(invited.welcome, encrypted_group_info=info + b"\x00", raw=b""),
    )


def test_w03_a_group_info_under_another_key_is_refused(invited: Invited) -> None:
    other = invited.seal(psk=Secret(b"not zero"))
    invited.refuse(Rule.W03, other)


def test_w06_a_welcome_to_a_group_we_are_in_is_refused(invited: Invited) -> None:
    client = invited.world.person("zoe").client
    with unchanged(*invited.belongings), violates(Rule.W06):
        stage_welcome(client, invited.welcome, [invited.secrets], member_of=[GROUP_ID])


def test_w07_a_group_of_another_suite_is_refused(invited: Invited) -> None:
    other = invited.with_context(cipher_suite=3)
    invited.refuse(Rule.W07, invited.seal(other))
    invited.refuse(Rule.W07, invited.seal(invited.with_context(version=2)))


def test_w09_a_tree_without_our_leaf_is_refused(invited: Invited) -> None:
    """zoe has two key packages; the tree has the leaf of one, the Welcome the other."""
    package, secrets = invited.world.person("zoe").key_package()
    client = invited.world.person("zoe").client
    with unchanged(*invited.belongings, secrets), violates(Rule.W09):
        stage_welcome(client, invited.seal(package=package), [secrets], member_of=())
    other, hers = invited.world.person("yan").key_package()
    with unchanged(*invited.belongings, hers), violates(Rule.W09):
        stage_welcome(client, invited.seal(package=other), [hers], member_of=())


def test_w10_t14_a_path_secret_that_does_not_fit_is_refused(invited: Invited) -> None:
    right = invited.group_secrets
    assert right.path_secret is not None
    octets = right.path_secret.reveal()
    for wrong in (b"", octets[:-1], bytes(len(octets)), octets + b"\x00"):
        changed = replace(right, path_secret=Secret(wrong))
        invited.refuse(Rule.T14, invited.seal(secrets=changed))


def test_w10_t14_a_path_secret_that_is_missing_is_refused(invited: Invited) -> None:
    changed = replace(invited.group_secrets, path_secret=None)
    invited.refuse(Rule.T14, invited.seal(secrets=changed))


def test_w11_a_confirmation_tag_of_another_epoch_is_refused(invited: Invited) -> None:
    right = invited.info.confirmation_tag.octets
    for wrong in (b"", bytes(len(right)), right[:-1]):
        info = replace(invited.info, confirmation_tag=Tag(wrong), raw=b"")
        invited.refuse(Rule.W11, invited.seal(invited.sign(info)))


def test_n11_a_changed_group_context_is_refused(invited: Invited) -> None:
    """Signed again, by a member who lies; unsigned it is W05."""
    context = invited.info.group_context
    changes: list[tuple[Rule, dict[str, object]]] = [
        (Rule.W11, {"epoch": context.epoch + 1}),
        (Rule.W11, {"confirmed_transcript_hash": bytes(32)}),
        (Rule.W11, {"extensions": ()}),
        (Rule.T03, {"tree_hash": bytes(32)}),
        (Rule.L02, {"group_id": b"another"}),
    ]
    for rule, change in changes:
        forged = invited.with_context(**change)
        invited.refuse(rule, invited.seal(forged))
        unsigned = replace(forged, signature=invited.info.signature, raw=b"")
        first = rule if rule in {Rule.T03, Rule.L02} else Rule.W05
        invited.refuse(first, invited.seal(unsigned))


def test_w12_an_extension_that_we_do_not_support_is_refused(invited: Invited) -> None:
    old = invited.info.group_context.extensions
    more = (*old, Extension(0xF0AB, b""))
    invited.refuse(Rule.W12, invited.seal(invited.with_context(extensions=more)))


def test_joiner_secrets_of_another_epoch_are_refused(invited: Invited) -> None:
    other = Secret(bytes(invited.world.suite.nh))
    changed = replace(invited.group_secrets, joiner_secret=other)
    invited.refuse(Rule.W11, invited.seal(secrets=changed))


def test_only_a_welcome_is_joined_by(invited: Invited) -> None:
    client = invited.world.person("zoe").client
    with misused("no Welcome", *invited.belongings):
        stage_welcome(
            client, encode_message(invited.info), [invited.secrets], member_of=()
        )


# ---- N07: who signed the GroupInfo


def other_keys(invited: Invited) -> dict[str, Secret]:
    world = invited.world
    suite = world.suite
    epoch = world.groups["bob"].state.epoch
    assert epoch is not None
    seed = epoch.secrets.external.reveal()
    octets = suite.signature.private_octets
    # in place of `external_pub`'s key, which signs in no suite: one from its secret
    external, _ = signature_key_pair(suite, (b"\x00" + seed * 3)[:octets])
    return {
        "another leaf": epoch.signature_key,
        "an outsider": world.person("mallory").identity.private,
        "external_pub": Secret(external),
    }


@pytest.mark.parametrize("who", ["another leaf", "an outsider", "external_pub"])
def test_n07_a_group_info_signed_by_another_is_refused(
    invited: Invited, who: str
) -> None:
    forged = invited.sign(invited.info, other_keys(invited)[who])
    refuse_info(invited, forged, Rule.W05)


def test_n07_a_group_info_of_a_signer_who_is_nobody_is_refused(
    invited: Invited,
) -> None:
    for signer in (6, 8, 0xFFFF_FFFF):
        info = replace(invited.info, signer=signer, raw=b"")
        refuse_info(invited, invited.sign(info), Rule.W05)
    named = replace(invited.info, signer=1, raw=b"")
    refuse_info(invited, invited.sign(named), Rule.W05)


def test_n07_a_group_info_signed_by_who_was_removed_is_refused(own: World) -> None:
    dave = own.person("dave").identity.private
    own.commit("carol", [Remove(DAVE)])
    alice = own.groups["alice"]
    info = replace(alice.group_info(with_tree=True), signer=DAVE, raw=b"")
    forged = sign_group_info(own.suite, dave.reveal(), info)
    with unchanged(own.hub), violates(Rule.W05):
        PublicGroup.from_group_info(own.hub.services, forged)
    with unchanged(*own.person("zoe").belongings()), violates(Rule.W05):
        stage_external_join(own.env, own.person("zoe").client, forged, member_of=())


def refuse_info(invited: Invited, info: GroupInfoIn, rule: Rule) -> None:
    """Check that joiners of both kinds and a hub refuse a GroupInfo."""
    invited.refuse(rule, invited.seal(info))
    world = invited.world
    with unchanged(world.hub), violates(rule):
        PublicGroup.from_group_info(world.hub.services, info)
    with unchanged(*world.person("yan").belongings()), violates(rule):
        stage_external_join(world.env, world.person("yan").client, info, member_of=())


# ---- N17: the tree beside the Welcome


def test_n17_the_right_tree_beside_is_accepted(beside: Invited) -> None:
    beside.stage(tree=beside.tree)


def test_n17_no_tree_is_missing(beside: Invited) -> None:
    with lacking("ratchet tree", *beside.belongings):
        beside.stage()


def test_n17_a_tree_of_another_epoch_is_refused(beside: Invited) -> None:
    old = World(beside.world.suite.number).hub.tree.encode()
    beside.refuse(Rule.T03, beside.welcome, old)


def test_t02_a_tree_with_a_blank_end_is_refused(beside: Invited) -> None:
    nodes = nodes_of(beside.tree)
    beside.refuse(Rule.T02, beside.welcome, vector_of([*nodes, b"\x00"]))
    beside.refuse(Rule.T02, beside.welcome, vector_of([]))


def test_t01_a_tree_with_leaf_and_parent_swapped_is_refused(beside: Invited) -> None:
    nodes = nodes_of(beside.tree)
    nodes[2], nodes[3] = nodes[3], nodes[2]
    beside.refuse(Rule.T01, beside.welcome, vector_of(nodes))
    nodes[0], nodes[1] = nodes[1], nodes[0]
    beside.refuse(Rule.T01, beside.welcome, vector_of(nodes))


def test_w17_two_trees_must_be_one(invited: Invited) -> None:
    invited.stage(tree=invited.tree)
    other = World(invited.world.suite.number).hub.tree.encode()
    invited.refuse(Rule.W17, invited.welcome, other)
    invited.refuse(Rule.W17, invited.welcome, b"")


def nodes_of(tree: bytes) -> list[bytes]:
    """Return the nodes of an encoded tree, each encoded."""
    outer = Reader(tree)
    inner = Reader(outer.opaque())
    found = []
    while inner.position < inner.end:
        start = inner.position
        if inner.presence():
            (read_leaf_node if inner.uint8() == 1 else read_parent_node)(inner)
        found.append(inner.since(start))
    return found


def vector_of(nodes: list[bytes]) -> bytes:
    return vector(nodes)


# ---- PSKs of a Welcome (N06)


def with_psks(own: World, *ids: PreSharedKeyID) -> tuple[Invited, Welcome]:
    """Let alice add zoe with PSKs; return the Welcome, too."""
    package, secrets = own.person("zoe").key_package()
    alice = own.groups["alice"]
    pending = alice.commit(
        own.env, [Add(package), *map(PreSharedKey, ids)], as_public=True
    )
    alice.merge_pending(own.env)
    own.deliver(pending.commit, "alice")
    assert pending.welcome is not None
    sealed = pending.welcome.secrets[0].encrypted_group_secrets
    opened = read_whole(
        decrypt_with_label(
            own.suite,
            secrets.init_key.reveal(),
            b"Welcome",
            pending.welcome.encrypted_group_info,
            sealed.kem_output,
            sealed.ciphertext,
        ),
        read_group_secrets,
    )
    invited = Invited(
        own,
        package,
        secrets,
        pending.welcome,
        opened,
        alice.group_info(with_tree=True),
        pending.epoch.signature_key,
    )
    return invited, pending.welcome


def external(own: World, psk_id: bytes) -> ExternalPsk:
    return ExternalPsk(psk_id, own.env.random(own.suite.nh))


def reseal(invited: Invited, secrets: GroupSecrets) -> Welcome:
    """Say other PSKs to zoe, and leave the GroupInfo as it is."""
    sealed = encrypt_with_label(
        invited.world.suite,
        invited.package.init_key,
        b"Welcome",
        invited.welcome.encrypted_group_info,
        secrets.encode(),
    )
    entry = replace(
        invited.welcome.secrets[0], encrypted_group_secrets=HPKECiphertext(*sealed)
    )
    return replace(invited.welcome, secrets=(entry,), raw=b"")


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_n06_a_welcome_s_psks_must_be_at_hand_and_right(own: World) -> None:
    for name in own.groups:
        own.person(name).psks.keys |= {b"one": b"first", b"two": b"second"}
    one, two = external(own, b"one"), external(own, b"two")
    invited, welcome = with_psks(own, one, two)
    zoe = own.person("zoe")
    with lacking("PSK 0 of 2", *invited.belongings):
        invited.stage(welcome)
    zoe.psks.keys |= {b"one": b"first"}
    with lacking("PSK 1 of 2", *invited.belongings):
        invited.stage(welcome)
    zoe.psks.keys |= {b"two": b"wrong"}
    invited.refuse(Rule.W03, welcome)
    zoe.psks.keys |= {b"two": b"second"}
    swapped = replace(invited.group_secrets, psks=(two, one))
    invited.refuse(Rule.W03, reseal(invited, swapped))
    fewer = replace(invited.group_secrets, psks=(one,))
    invited.refuse(Rule.W03, reseal(invited, fewer))
    other = replace(one, psk_nonce=own.env.random(own.suite.nh), raw=b"")
    renonced = replace(invited.group_secrets, psks=(other, two))
    invited.refuse(Rule.W03, reseal(invited, renonced))
    short = replace(one, psk_nonce=b"", raw=b"")
    shortened = replace(invited.group_secrets, psks=(short, two))
    invited.refuse(Rule.P04, reseal(invited, shortened))
    twice = replace(invited.group_secrets, psks=(one, two, one))
    invited.refuse(Rule.Q06, reseal(invited, twice))
    own.groups["zoe"] = accept(zoe.client, invited.stage(welcome))
    own.works()


def test_w04_two_links_to_older_groups_are_refused(invited: Invited) -> None:
    nonce = bytes(invited.world.suite.nh)
    links = tuple(
        ResumptionPsk(usage, b"old", 1, nonce)
        for usage in (ResumptionUsage.REINIT, ResumptionUsage.BRANCH)
    )
    invited.refuse(
        Rule.W04, reseal(invited, replace(invited.group_secrets, psks=links))
    )


def test_w04_a_link_to_a_group_that_we_are_not_shown_is_missing(
    invited: Invited,
) -> None:
    psk = ResumptionPsk(
        ResumptionUsage.BRANCH, b"old", 1, bytes(invited.world.suite.nh)
    )
    secrets = replace(invited.group_secrets, psks=(psk,))
    with lacking("PSK 0 of 1", *invited.belongings):
        invited.stage(reseal(invited, secrets))
