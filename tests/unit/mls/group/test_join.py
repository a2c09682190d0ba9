"""Joining by a Welcome, and what a Welcome must not be."""

from dataclasses import replace

import pytest

from sabir.crypto.labels import encrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.client import KeyPackageSecrets, read_key_package_secrets
from sabir.mls.codepoints import MLS10
from sabir.mls.commit import HPKECiphertext
from sabir.mls.errors import MlsMissing, MlsMisuse, MlsUnsupported
from sabir.mls.framing import encode_message
from sabir.mls.group.commit import part_of_welcome
from sabir.mls.group.group import MlsGroup, accept, stage_external_join, stage_welcome
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.limits import Limits
from sabir.mls.proposals import Add, PreSharedKey
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import GroupSecrets, Welcome
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.wire.tls import read_whole
from tests.unit.mls.group.world import Room, client


class Invited:
    """Ben, who was added to ann's group and has not joined yet."""

    def __init__(
        self, *, tree_inside: bool = True, psks: PskTable | None = None
    ) -> None:
        self.room = Room.of("ann", make=lambda name, _: client(name, psks=psks))
        self.room.hub = None
        self.room.clients["ben"] = client("ben", psks=psks)
        package, self.secrets = self.room.key_package("ben")
        proposals = [Add(package)]
        group = self.room["ann"]
        extra = [PreSharedKey(ExternalPsk(b"id", bytes(32)))] if psks else []
        self.pending = group.commit(
            self.room.env,
            [*proposals, *extra],
            tree_in_welcome=tree_inside,
            force_path=True,
        )
        group.merge_pending(self.room.env)
        welcome = self.pending.welcome
        assert welcome is not None
        self.welcome = welcome
        self.tree = group.public.tree.encode()

    def join(
        self,
        welcome: Welcome | bytes | None = None,
        *,
        secrets: KeyPackageSecrets | None = None,
        tree: bytes | None = None,
        member_of: tuple[bytes, ...] = (),
    ) -> MlsGroup:
        ben = self.room.clients["ben"]
        staged = stage_welcome(
            ben,
            self.welcome if welcome is None else welcome,
            [self.secrets if secrets is None else secrets],
            tree=tree,
            member_of=member_of,
        )
        assert staged.sender == 0
        assert staged.group_info.group_context == self.room["ann"].group_context
        return accept(ben, staged)


def test_a_welcome_may_come_in_a_message_and_the_tree_twice() -> None:
    ben = Invited()
    whole = encode_message(ben.welcome)
    joined = ben.join(whole, tree=ben.tree)
    assert joined.epoch_authenticator.ct_equal(ben.room["ann"].epoch_authenticator)
    ben.room.groups["ben"] = joined
    ben.room.say("ben", b"hello")
    ben.room.commit("ann")


def test_a_tree_that_came_beside_is_needed_and_the_right_one() -> None:
    ben = Invited(tree_inside=False)
    with pytest.raises(MlsMissing, match="tree"):
        ben.join()
    ben.join(tree=ben.tree)
    other = Invited(tree_inside=False)
    with violates(Rule.T03):
        ben.join(tree=other.tree)
    with violates(Rule.W17):
        Invited().join(tree=other.tree)


def test_a_part_of_a_welcome_is_enough_for_those_in_it() -> None:
    ben = Invited()
    reference = ben.secrets.key_package.reference(SUITES[1])
    ben.join(part_of_welcome(ben.welcome, [reference]))
    with violates(Rule.W01):
        ben.join(part_of_welcome(ben.welcome, []))


def test_without_a_key_package_nobody_joins() -> None:
    ben = Invited()
    with violates(Rule.W01):
        stage_welcome(ben.room.clients["ben"], ben.welcome, [], member_of=())
    _, other = ben.room.key_package("ben")
    with violates(Rule.W01):
        ben.join(secrets=other)


def test_secrets_for_another_key_do_not_open() -> None:
    ben = Invited()
    _, other = ben.room.key_package("ben")
    with violates(Rule.W03):
        ben.join(secrets=replace(ben.secrets, init_key=other.init_key))
    with violates(Rule.W03):
        damaged = ben.welcome.encrypted_group_info[:-1] + b"\x00"
        ben.join(replace(ben.welcome, encrypted_group_info=damaged, raw=b""))


def test_another_suite_is_refused() -> None:
    ben = Invited()
    with pytest.raises(MlsUnsupported):
        ben.join(replace(ben.welcome, cipher_suite=99, raw=b""))
    with violates(Rule.W02):  # suite 3 has the same hash, so the entry is found
        ben.join(replace(ben.welcome, cipher_suite=3, raw=b""))


def sealed(ben: Invited, secrets: GroupSecrets) -> Welcome:
    """Seal other secrets to ben, as the maker of the Welcome could."""
    entry = ben.welcome.secrets[0]
    ciphertext = encrypt_with_label(
        SUITES[1],
        ben.secrets.key_package.init_key,
        b"Welcome",
        ben.welcome.encrypted_group_info,
        secrets.encode(),
    )
    changed = replace(entry, encrypted_group_secrets=HPKECiphertext(*ciphertext))
    return replace(ben.welcome, secrets=(changed,), raw=b"")


def test_other_group_secrets_do_not_open_the_group_info() -> None:
    ben = Invited()
    with violates(Rule.W03):
        ben.join(sealed(ben, GroupSecrets(Secret(bytes(32)), None)))


def test_psks_are_at_hand_and_named_well() -> None:
    psks = PskTable()
    psks.learn(b"id", b"value")
    ben = Invited(psks=psks)
    ben.join()
    named = ExternalPsk(b"id", bytes(32))
    joiner = Secret(bytes(32))
    for names, rule in (
        ((named, named), Rule.Q06),
        ((ExternalPsk(b"id", b"short"),), Rule.P04),
        ((ExternalPsk(b"id", bytes(31) + b"\x01"),), Rule.W03),
    ):
        with violates(rule):
            ben.join(sealed(ben, GroupSecrets(joiner, None, names)))
    unknown = ExternalPsk(b"other", bytes(32))
    with pytest.raises(MlsMissing):
        ben.join(sealed(ben, GroupSecrets(joiner, None, (unknown,))))


def test_a_group_that_we_are_in_is_not_joined() -> None:
    ben = Invited()
    ben.join(member_of=(b"other",))
    with violates(Rule.W06):
        ben.join(member_of=(b"other", b"room"))


def test_the_key_packages_version_is_the_groups() -> None:
    ben = Invited()
    own = ben.secrets.key_package
    package = KeyPackageIn(
        own.cipher_suite,
        own.init_key,
        own.leaf_node,
        own.extensions,
        own.signature,
        MLS10 + 1,
        own.raw,
    )
    with violates(Rule.W07):
        ben.join(secrets=replace(ben.secrets, key_package=package))


def test_what_is_no_welcome_is_refused() -> None:
    ben = Invited()
    with pytest.raises(MlsMisuse):
        ben.join(encode_message(ben.room["ann"].group_info(with_tree=True)))


def test_the_groups_of_a_tight_client_are_small() -> None:
    room = Room.of(
        "ann",
        "ben",
        make=lambda name, _: client(
            name, limits=Limits(members_max=2 if name == "ben" else 99)
        ),
    )
    room.clients["cat"] = client("cat")
    adding = room["ann"].commit(room.env, [Add(room.key_package("cat")[0])]).commit
    info = room["ann"].group_info(with_tree=True)
    joining = stage_external_join(room.env, client("dan"), info, member_of=()).commit
    for commit in (adding, joining):
        with unchanged(room["ben"]), violates(Rule.Q12):
            room["ben"].process(room.env, commit)


def test_key_packages_are_stored_with_their_secrets() -> None:
    ben = Invited()
    ben.join(secrets=read_whole(ben.secrets.encode(), read_key_package_secrets))
