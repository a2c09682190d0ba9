"""What we make keeps our own limits, or nothing is used up for it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, MlsClient
from sabir.mls.codepoints import CredentialKind
from sabir.mls.credentials import X509Credential
from sabir.mls.errors import MlsMisuse
from sabir.mls.extensions import Extension, Extensions
from sabir.mls.framing import encode_message
from sabir.mls.group.external import propose_as_external_sender, propose_to_join
from sabir.mls.group.group import MlsGroup, accept, stage_external_join, stage_welcome
from sabir.mls.group.process import ApplicationMessage
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import (
    Add,
    AppEphemeral,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
)
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.tree_options import TreePresence
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import ENV, Room, client

MANY: Extensions = tuple(Extension(0xF000 + kind, b"") for kind in range(65))
"""One more than a list may have."""


def room_of(*names: str, limits: Limits, psks: PskTable | None = None) -> Room:
    return Room.of(
        *names,
        make=lambda name, suite: client(name, suite, limits=limits, psks=psks),
    )


def refused(room: Room, name: str, make: Callable[[], object], what: str) -> None:
    """Check that something is not made, and that no key was used up for it."""
    group = room[name]
    epoch = group.state.epoch
    assert epoch is not None

    def sent() -> list[int]:
        tree, leaf = epoch.secret_tree, epoch.own_leaf
        return [tree.generation(leaf, kind) for kind in RatchetKind]

    before = sent()
    with unchanged(group), pytest.raises(MlsMisuse, match=what):
        make()
    assert sent() == before
    assert group.pending is None


# ---- messages


def test_application_data_fill_a_message_and_no_more() -> None:
    room = room_of("ann", "ben", limits=Limits(message_octets_max=5_000))
    ann, ben = room["ann"], room["ben"]
    refused(room, "ann", lambda: ann.encrypt(room.env, bytes(5_000)), "limit 5000")
    sent = b""
    for octets in range(5_000, 0, -1):  # the largest that fits is read
        with suppress(MlsMisuse):
            sent = ann.encrypt(room.env, bytes(octets)).message
            break
    assert 5_000 - 256 <= len(sent) <= 5_000
    found = ben.process(room.env, sent)
    assert isinstance(found, ApplicationMessage)
    assert (len(found.data), found.generation) == (octets, 0)


@pytest.mark.parametrize("as_public", [False, True])
def test_a_handshake_fills_a_message_and_no_more(as_public: bool) -> None:
    room = room_of("ann", "ben", limits=Limits(message_octets_max=5_000))
    ann = room["ann"]
    large = GroupContextExtensions((Extension(1, bytes(5_000)),))
    refused(
        room,
        "ann",
        lambda: ann.propose(room.env, large, as_public=as_public),
        "message of .* limit 5000",
    )
    refused(
        room,
        "ann",
        lambda: ann.commit(room.env, [large], as_public=as_public),
        "message of .* limit 5000",
    )


@pytest.mark.parametrize("as_public", [False, True])
def test_authenticated_data_are_limited_in_all_that_has_some(as_public: bool) -> None:
    room = room_of("ann", "ben", limits=Limits(authenticated_data_octets_max=9))
    ann, aad = room["ann"], bytes(10)
    package, secrets = room.key_package("ben")
    context, suite = ann.group_context, ann.public.epoch.suite
    info = ann.group_info(with_tree=True)
    cat = client("cat", limits=Limits(authenticated_data_octets_max=9))
    ways: list[Callable[[], object]] = [
        lambda: ann.encrypt(room.env, b"", aad=aad),
        lambda: ann.propose(room.env, Remove(1), aad=aad, as_public=as_public),
        lambda: ann.propose_update(room.env, aad=aad, as_public=as_public),
        lambda: ann.propose_self_remove(room.env, aad=aad),
        lambda: ann.commit(room.env, aad=aad, as_public=as_public),
        lambda: stage_external_join(room.env, cat, info, member_of=(), aad=aad),
        lambda: propose_to_join(
            suite,
            context,
            secrets.signature_key,
            Add(package),
            bytes(DEFAULT_LIMITS.authenticated_data_octets_max + 1),
        ),
    ]
    for make in ways:
        refused(room, "ann", make, "authenticated data of")


# ---- lists


@pytest.mark.parametrize(
    "proposal", [GroupContextExtensions(MANY), ReInit(b"next", 1, MANY)]
)
def test_more_extensions_than_a_list_may_have_are_not_sent(proposal: Proposal) -> None:
    room = Room.of("ann", "ben")
    ann = room["ann"]
    refused(room, "ann", lambda: ann.propose(room.env, proposal), "more than 64")
    every = replace(
        ann.new_leaf(), capabilities=client_for(MANY).capabilities, extensions=MANY
    )
    refused(room, "ann", lambda: ann.commit(room.env, leaf=every), "more than 64")


def test_a_commit_by_value_has_no_more_extensions_either() -> None:
    kinds = tuple(extension.kind for extension in MANY)
    services = client("ann").services
    ann = MlsClient(
        services, PskTable(), client("ann").identities.values(), extensions=kinds
    )
    room = Room()
    room.clients["ann"] = ann
    room.groups["ann"] = MlsGroup.create(room.env, ann, b"room")
    for proposal in (GroupContextExtensions(MANY), ReInit(b"next", 1, MANY)):
        made = proposal
        refused(
            room,
            "ann",
            lambda: room["ann"].commit(room.env, [made]),  # noqa: B023  called at once
            "more than 64",
        )


def client_for(extensions: Extensions) -> MlsClient:
    """Make a client that understands these extensions, and has them in its leaf."""
    plain = client("zoe")
    return MlsClient(
        plain.services,
        PskTable(),
        plain.identities.values(),
        extensions=[extension.kind for extension in extensions],
        leaf_extensions=extensions,
    )


def test_a_leaf_that_nobody_would_read_is_not_made() -> None:
    chain = X509Credential(tuple(b"certificate" for _ in range(11)))
    plain = client("zoe")
    identity = Identity.generate(ENV, SUITES[1], chain)
    x509 = MlsClient(
        plain.services, PskTable(), [identity], credentials=[CredentialKind.X509]
    )
    for zoe, why in ((client_for(MANY), "more than 64"), (x509, "more than 10")):
        with pytest.raises(MlsMisuse, match=why):
            zoe.key_package(ENV, suite=1)
        with pytest.raises(MlsMisuse, match=why):
            MlsGroup.create(ENV, zoe, b"room")
    room = Room.of("ann")
    info = room["ann"].group_info(with_tree=True)
    with unchanged(room["ann"]), pytest.raises(MlsMisuse, match="more than 64"):
        stage_external_join(room.env, client_for(MANY), info, member_of=())


def test_a_key_package_fills_a_message_and_no_more() -> None:
    zoe = client(
        "zoe",
        limits=Limits(message_octets_max=1_000),
        leaf_extensions=(Extension(1, bytes(800)),),
    )
    with pytest.raises(MlsMisuse, match=r"key package of .* limit 1000"):
        zoe.key_package(ENV, suite=1)


def test_a_group_whose_context_nobody_would_read_is_not_founded() -> None:
    zoe = client_for(())
    kinds = [extension.kind for extension in MANY]
    zoe = MlsClient(zoe.services, PskTable(), zoe.identities.values(), extensions=kinds)
    with pytest.raises(MlsMisuse, match="more than 64"):
        MlsGroup.create(ENV, zoe, b"room", MANY)


def test_a_group_info_keeps_the_limits() -> None:
    room = room_of("ann", "ben", limits=Limits(tree_octets_max=1_500))
    ann = room["ann"]
    large = (Extension(0xF0F0, bytes(1_500)),)
    for make in (
        lambda: ann.group_info(with_tree=True, extensions=large),
        lambda: ann.partial_group_info(TreePresence.NONE, large),
    ):
        refused(room, "ann", make, "GroupInfo of .* limit 1500")
    refused(room, "ann", lambda: ann.group_info(with_tree=False, extensions=MANY), "64")


def test_a_welcome_fills_its_message_and_no_more() -> None:
    room = room_of("ann", limits=Limits(tree_octets_max=800))
    packages = [client(name).key_package(room.env, suite=1)[0] for name in "bcdefg"]
    adds = [Add(package) for package in packages]
    refused(
        room,
        "ann",
        lambda: room["ann"].commit(room.env, adds, tree_in_welcome=False),
        "Welcome of .* limit 800",
    )


# ---- commits


def test_a_commit_by_value_does_no_more_than_one_commit_may() -> None:
    psks = PskTable()
    for number in range(3):
        psks.learn(b"%d" % number, bytes(32))
    room = room_of(
        "ann",
        "ben",
        limits=Limits(psks_per_commit_max=2, proposals_per_commit_max=4, members_max=3),
        psks=psks,
    )
    ann = room["ann"]
    mixed = [PreSharedKey(ExternalPsk(b"%d" % n, bytes(32))) for n in range(3)]
    adds = [
        Add(client(name).key_package(room.env, suite=1)[0]) for name in ("cat", "dan")
    ]
    five = [AppEphemeral(1, b"") for _ in range(5)]
    for listed, why in (
        (mixed, "3 PSKs in one commit, limit 2"),
        (adds, "4 members, limit 3"),
        (five, "5 proposals in one commit, limit 4"),
    ):
        made: list[Proposal] = [*listed]
        refused(room, "ann", lambda: ann.commit(room.env, made), why)  # noqa: B023  called at once
    info = ann.group_info(with_tree=True)
    zoe = client("zoe", psks=psks, limits=Limits(psks_per_commit_max=2))
    with unchanged(ann), pytest.raises(MlsMisuse, match="3 PSKs"):
        stage_external_join(room.env, zoe, info, member_of=(), proposals=mixed)
    effects = ann.commit(room.env, [*mixed[:2], Remove(1), *adds[:1]]).effects
    assert len(effects.proposals) == 4


def test_whoever_is_added_with_as_many_psks_as_may_be_can_join() -> None:
    psks = PskTable()
    for number in range(33):
        psks.learn(b"%d" % number, bytes(32))
    room = room_of("ann", "ben", limits=DEFAULT_LIMITS, psks=psks)
    ann = room["ann"]
    zoe = client("zoe", psks=psks)
    package, secrets = zoe.key_package(room.env, suite=1)
    mixed = [PreSharedKey(ExternalPsk(b"%d" % n, bytes(32))) for n in range(33)]
    add = Add(package)
    refused(room, "ann", lambda: ann.commit(room.env, [add, *mixed]), "33 PSKs")
    pending = room.commit("ann", add, *mixed[:32])
    assert pending.welcome is not None
    staged = stage_welcome(zoe, pending.welcome, [secrets], member_of=())
    assert accept(zoe, staged).epoch == ann.epoch


def test_of_what_waits_a_commit_covers_no_more_than_it_may() -> None:
    psks = PskTable()
    room = room_of(
        "ann",
        "ben",
        "cat",
        limits=Limits(psks_per_commit_max=2, proposals_per_commit_max=4),
        psks=psks,
    )
    for number in range(4):
        psks.learn(b"%d" % number, bytes(32))
        psk = PreSharedKey(ExternalPsk(b"%d" % number, bytes(32)))
        room.hear(room["ben"].propose(room.env, psk, as_public=True).message, "ben")
    room.hear(room["ben"].propose_update(room.env, as_public=True).message, "ben")
    room.hear(room["cat"].propose_self_remove(room.env).message, "cat")
    package, _ = client("dan").key_package(room.env, suite=1)
    effects = room["ann"].commit(room.env, [Add(package)]).effects
    assert len(effects.proposals) <= 4
    assert [gone.leaf_index for gone in effects.removed] == [2]
    assert len(effects.psks) == 2


def test_nobody_joins_a_group_that_is_full() -> None:
    room = Room.of("ann", "ben")
    info = room["ann"].group_info(with_tree=True)
    zoe = client("zoe", limits=Limits(members_max=2))
    with unchanged(room["ann"]), violates(Rule.Q12):
        stage_external_join(room.env, zoe, info, member_of=())
    ben = client("ben", limits=Limits(members_max=2))
    again = stage_external_join(room.env, ben, info, member_of=[b"room"], resync=1)
    assert again.effects.committer_leaf == 1


# ---- from outside


def test_an_outsider_sends_no_more_than_members_let_wait() -> None:
    room = Room.of("ann")
    ann = room["ann"]
    context, suite = ann.group_context, ann.public.epoch.suite
    eve = client("eve", leaf_extensions=(Extension(1, bytes(300_000)),))
    package, secrets = eve.key_package(room.env, suite=1)
    with pytest.raises(MlsMisuse, match=r"a proposal of .* limit 262144"):
        propose_to_join(suite, context, secrets.signature_key, Add(package))
    with pytest.raises(MlsMisuse, match="more than 64"):
        propose_as_external_sender(
            suite, context, 0, secrets.signature_key, GroupContextExtensions(MANY)
        )
    assert len(encode_message(package)) < DEFAULT_LIMITS.message_octets_max
    commit = room["ann"].commit(room.env, [Add(package)])  # by value it may be larger
    assert len(commit.effects.added) == 1
