"""ReInit and branch: founding a group that continues another, and joining it."""

import pytest

from sabir.crypto.secrets import Secret
from sabir.mls.client import KeyPackageSecrets, MlsClient
from sabir.mls.errors import MlsMissing, MlsMisuse, MlsUnsupported
from sabir.mls.group.continuation import branch, continue_after_re_init
from sabir.mls.group.epoch import GroupPsks, Status
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.group.pending import CommitOptions
from sabir.mls.key_packages import KeyPackage
from sabir.mls.proposals import Add, PreSharedKey, ReInit
from sabir.mls.psk_ids import PreSharedKeyID, ResumptionPsk, ResumptionUsage
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import Welcome
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV, Room, client


def both_suites(name: str, suite: int) -> MlsClient:
    return client(name, suite, 4)


def ended(*names: str, re_init: ReInit) -> Room:
    room = Room.of(*names, make=both_suites)
    room.commit(names[0], re_init)
    return room


def packages(
    room: Room, suite: int, *names: str
) -> tuple[list[KeyPackage], list[KeyPackageSecrets]]:
    made = [room.clients[name].key_package(ENV, suite=suite) for name in names]
    return [package for package, _ in made], [secrets for _, secrets in made]


def welcome_of(group: MlsGroup) -> Welcome:
    welcome = group.merge_pending(ENV).welcome
    assert welcome is not None
    return welcome


def test_a_group_goes_on_with_another_suite() -> None:
    room = ended("ann", "ben", "cat", re_init=ReInit(b"next", 4))
    assert room["ben"].status is Status.SUSPENDED
    assert room["ben"].re_init == ReInit(b"next", 4)
    made, secrets = packages(room, 4, "ann", "cat")
    new = continue_after_re_init(ENV, room.clients["ben"], room["ben"], made)
    welcome = welcome_of(new)
    for name, ours in zip(("ann", "cat"), secrets, strict=True):
        staged = stage_welcome(
            room.clients[name], welcome, [ours], resume=room[name], member_of=()
        )
        joined = accept(room.clients[name], staged)
        assert joined.epoch_authenticator.ct_equal(new.epoch_authenticator)
        assert joined.group_context.cipher_suite == 4
        assert joined.group_id == b"next"


def test_nothing_is_sent_after_a_re_init_and_nothing_accepted() -> None:
    room = Room.of("ann", "ben")
    forgotten = room["ben"].propose_update(room.env, as_public=True)
    room.commit("ann", ReInit(b"next", 1))
    for name in ("ann", "ben"):
        with pytest.raises(MlsMisuse, match="O06"):
            room[name].encrypt(room.env, b"?")
        with pytest.raises(MlsMisuse, match="O06"):
            room[name].commit(room.env)
    assert forgotten.reference is not None
    room["ann"].export(b"label", b"", 16)


def test_a_missing_member_ends_the_attempt() -> None:
    room = ended("ann", "ben", "cat", re_init=ReInit(b"next", 1))
    made, _ = packages(room, 1, "ben")
    with violates(Rule.W14):
        continue_after_re_init(ENV, room.clients["ann"], room["ann"], made)


def test_a_group_that_did_not_end_is_not_continued() -> None:
    room = Room.of("ann", "ben")
    with pytest.raises(MlsMisuse):
        continue_after_re_init(ENV, room.clients["ann"], room["ann"], [])


def test_a_version_that_does_not_exist_yet_is_not_continued() -> None:
    room = ended("ann", re_init=ReInit(b"next", 1, version=2))
    with pytest.raises(MlsUnsupported):
        continue_after_re_init(ENV, room.clients["ann"], room["ann"], [])


def branched(room: Room, *names: str) -> tuple[MlsGroup, list[KeyPackageSecrets]]:
    made, secrets = packages(room, 1, *names)
    new = branch(ENV, room.clients["ann"], room["ann"], b"branch", made)
    return new, secrets


def test_some_members_branch_off() -> None:
    room = Room.of("ann", "ben", "cat")
    new, (ours,) = branched(room, "cat")
    welcome = welcome_of(new)
    staged = stage_welcome(
        room.clients["cat"], welcome, [ours], resume=room["cat"], member_of=()
    )
    joined = accept(room.clients["cat"], staged)
    assert joined.epoch_authenticator.ct_equal(new.epoch_authenticator)
    assert room["cat"].status is Status.OPERATIONAL


def test_a_branch_has_no_new_members() -> None:
    room = Room.of("ann", "ben")
    room.clients["eve"] = client("eve")
    with violates(Rule.W15):
        branched(room, "eve")


def test_a_group_that_continues_another_is_not_joined_without_it() -> None:
    room = Room.of("ann", "ben")
    new, secrets = branched(room, "ben")
    welcome = welcome_of(new)
    with pytest.raises(MlsMissing):
        stage_welcome(room.clients["ben"], welcome, secrets, member_of=())
    other = Room.of("ben")
    with pytest.raises(MlsMissing):
        stage_welcome(
            room.clients["ben"], welcome, secrets, resume=other["ben"], member_of=()
        )


def test_a_group_without_a_link_does_not_continue_another() -> None:
    """Eve founds the group that was announced, and knows nothing of the old one."""
    room = ended("ann", "ben", re_init=ReInit(b"next", 1, ()))
    fake = MlsGroup.create(ENV, client("eve"), b"next")
    (package,), (ours,) = packages(room, 1, "ben")
    fake.commit(ENV, [Add(package)])
    welcome = welcome_of(fake)
    with violates(Rule.W14):
        stage_welcome(
            room.clients["ben"], welcome, [ours], resume=room["ben"], member_of=()
        )


def test_a_branch_of_other_members_is_refused_by_the_joiner() -> None:
    """Ann's group has eve; ben's view of the old group does not."""
    room = Room.of("ann", "ben")
    new, secrets = branched(room, "ben")
    new.clear_pending()
    old = room["ann"].group_context
    room.clients["eve"] = client("eve")
    link = PreSharedKey(
        ResumptionPsk(ResumptionUsage.BRANCH, old.group_id, old.epoch, bytes(32))
    )
    with violates(Rule.P05):
        new.commit(ENV, [Add(secrets[0].key_package), link])


class Everything:
    """A store that holds a key of every name."""

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        return Secret(psk_id.psk_nonce[:0] + b"key")


def test_the_old_group_is_the_one_that_the_welcome_names() -> None:
    room = Room.of("ann", "ben")
    new = MlsGroup.create(ENV, room.clients["ann"], b"new")
    made, secrets = packages(room, 1, "ben")
    link = PreSharedKey(
        ResumptionPsk(ResumptionUsage.BRANCH, b"elsewhere", 1, bytes(32))
    )
    options = CommitOptions(founding=True)
    new.commit_with(ENV, (Add(made[0]), link), options, Everything())
    welcome = welcome_of(new)
    for resume in (None, room["ben"]):
        with pytest.raises(MlsMissing, match="continues"):
            stage_welcome(
                room.clients["ben"],
                welcome,
                secrets,
                psks=Everything(),
                resume=resume,
                member_of=(),
            )


def test_a_re_init_is_proved_by_the_epoch_that_it_began() -> None:
    room = ended("ann", "ben", re_init=ReInit(b"next", 1))
    new = MlsGroup.create(ENV, room.clients["ann"], b"next")
    made, secrets = packages(room, 1, "ben")
    last = room["ann"].epoch
    link = PreSharedKey(
        ResumptionPsk(ResumptionUsage.REINIT, b"room", last - 1, bytes(32))
    )
    store = GroupPsks(PskTable(), b"room", room["ann"].state.resumption)
    options = CommitOptions(founding=True)
    new.commit_with(ENV, (Add(made[0]), link), options, store)
    with violates(Rule.W14):
        stage_welcome(
            room.clients["ben"],
            welcome_of(new),
            secrets,
            resume=room["ben"],
            member_of=(),
        )
