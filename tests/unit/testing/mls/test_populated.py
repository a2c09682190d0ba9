"""A group made without its members is one that our own rules take."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.framing import encode_message
from sabir.mls.group.group import MlsGroup, accept, stage_external_join
from sabir.mls.group.process import StagedCommit
from sabir.testing.mls.clients import SystemEnv, make_client
from sabir.testing.mls.populated import populated_group_info


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("members", [1, 2, 7])
def test_two_join_and_follow_each_other(suite: int, members: int) -> None:
    env = SystemEnv()
    groups: list[MlsGroup] = []
    shown = populated_group_info(SUITES[suite], members)
    for name in ("ada", "bob"):
        client = make_client(env, name, suite)
        pending = stage_external_join(env, client, shown, member_of=())
        for group in groups:
            staged = group.process(env, pending.commit)
            assert isinstance(staged, StagedCommit)
            group.merge(env, staged)
        groups.append(accept(client, pending))
        shown = encode_message(groups[-1].group_info(with_tree=True))
    ada, bob = groups
    assert len(ada.members) == members + 2
    assert ada.epoch_authenticator.ct_equal(bob.epoch_authenticator)


def test_every_parent_is_there() -> None:
    env = SystemEnv()
    shown = populated_group_info(SUITES[1], 8)
    joined = accept(
        ada := make_client(env, "ada"),
        stage_external_join(env, ada, shown, member_of=()),
    )
    tree = joined.public.tree
    assert [tree.parent(node) is not None for node in range(1, 15, 2)] == [True] * 7
