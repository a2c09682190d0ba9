"""passive-client-*.json: joining and following groups that another core made."""

import pytest

from sabir.mls.errors import MlsRolledBack
from sabir.mls.framing import PrivateMessage, decode_message
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.messages import open_message, who_sent
from sabir.mls.group.process import StagedCommit
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.staging import PublicStage
from sabir.testing.mls.vectors import Strict, for_each
from tests.unit.mls.vectors.passive import September2023, passive

ENV = September2023()


def follow(group: MlsGroup, epoch: Strict) -> None:
    for proposal in epoch["proposals"]:
        received = group.process(ENV, bytes.fromhex(proposal))
        assert isinstance(received, ProposalReceived)
    staged = group.process(ENV, epoch.octets("commit"))
    assert isinstance(staged, StagedCommit)
    group.merge(ENV, staged)
    assert group.epoch_authenticator.reveal() == epoch.octets("epoch_authenticator")
    assert group.public.tree.tree_hash() == group.tree_hash


@for_each("passive-client-welcome")
def test_joining_gives_the_epoch_and_two_who_joined_can_talk(vector: Strict) -> None:
    joiner = passive(vector)
    group, other = joiner.join(), joiner.join()
    authenticator = group.epoch_authenticator.reveal()
    assert authenticator == vector.octets("initial_epoch_authenticator")
    assert vector["epochs"] == []
    message = group.encrypt(ENV, b"hello", aad=b"seen").message
    body, epoch = decode_message(message).body, other.state.epoch
    assert isinstance(body, PrivateMessage)
    assert epoch is not None
    sender = who_sent(epoch, body)
    content = open_message(epoch, other.public.services, body, sender).message.content
    assert (content.content, content.authenticated_data) == (b"hello", b"seen")
    with pytest.raises(MlsRolledBack):  # the other is the same leaf and did not say it
        other.process(ENV, message)


@for_each("passive-client-handling-commit")
def test_every_commit_is_followed_and_a_commit_of_ours_could_come_next(
    vector: Strict,
) -> None:
    group = passive(vector).join()
    authenticator = group.epoch_authenticator.reveal()
    assert authenticator == vector.octets("initial_epoch_authenticator")
    for epoch in vector["epochs"]:
        follow(group, epoch)
        mine = group.commit(ENV, as_public=True)
        hub = PublicGroup(group.public.services, group.public.epoch)
        seen = hub.process(ENV, mine.commit)
        assert isinstance(seen, PublicStage)
        assert seen.after.context == mine.epoch.public.context
        group.clear_pending()


@for_each("passive-client-random")
def test_two_hundred_commits_are_followed_by_a_member_and_by_a_hub(
    vector: Strict,
) -> None:
    group = passive(vector).join()
    authenticator = group.epoch_authenticator.reveal()
    assert authenticator == vector.octets("initial_epoch_authenticator")
    hub = PublicGroup(group.public.services, group.public.epoch)
    for epoch in vector["epochs"]:
        for proposal in epoch["proposals"]:
            hub.process(ENV, bytes.fromhex(proposal))
        staged = hub.process(ENV, decode_message(epoch.octets("commit")))
        assert isinstance(staged, PublicStage)
        hub.merge(staged)
        follow(group, epoch)
        assert hub.context == group.group_context
