"""Founding a group that continues another: ReInit and branch (11.2 and 11.3)."""

from collections.abc import Iterable

from sabir.mls.client import MlsClient
from sabir.mls.codepoints import MLS10
from sabir.mls.env import Env
from sabir.mls.errors import MlsUnsupported
from sabir.mls.extensions import Extensions
from sabir.mls.group.epoch import GroupPsks
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.pending import CommitOptions
from sabir.mls.group.resumption import (
    check_continuation,
    linking_proposal,
    re_init_of,
)
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.proposals import Add
from sabir.mls.psk_ids import ResumptionUsage


def continue_after_re_init(
    env: Env,
    client: MlsClient,
    old: MlsGroup,
    key_packages: Iterable[KeyPackageIn],
    *,
    tree_in_welcome: bool = True,
) -> MlsGroup:
    """Found the group that a ReInit announced.

    Args:
        env: clock and randomness.
        client: ours.
        old: the group that the ReInit ended.
        key_packages: of all other members, for the new suite.
        tree_in_welcome: put the ratchet tree into the Welcome.

    Returns:
        The new group, with the commit pending whose Welcome the others join by.

    Raises:
        MlsMisuse: no ReInit ended the old group.
        MlsInvalid: W14, somebody is missing; or a rule of the key packages.
    """
    re_init = re_init_of(old.state)
    if re_init.version != MLS10:
        raise MlsUnsupported("protocol version", re_init.version)
    new = MlsGroup.create(
        env, client, re_init.group_id, re_init.extensions, suite=re_init.cipher_suite
    )
    _found(
        env,
        client,
        old,
        new,
        ResumptionUsage.REINIT,
        key_packages,
        tree_in_welcome=tree_in_welcome,
    )
    return new


def branch(
    env: Env,
    client: MlsClient,
    old: MlsGroup,
    group_id: bytes,
    key_packages: Iterable[KeyPackageIn],
    extensions: Extensions = (),
    *,
    tree_in_welcome: bool = True,
) -> MlsGroup:
    """Found a group of some members of another.

    Args:
        env: clock and randomness.
        client: ours.
        old: the group whose members these are.
        group_id: of the new group.
        key_packages: of its other members.
        extensions: of its GroupContext.
        tree_in_welcome: put the ratchet tree into the Welcome.

    Returns:
        The new group, with the commit pending whose Welcome the others join by.

    Raises:
        MlsInvalid: W15, somebody is no member; or a rule of the key packages.
    """
    suite = old.group_context.cipher_suite
    new = MlsGroup.create(env, client, group_id, extensions, suite=suite)
    _found(
        env,
        client,
        old,
        new,
        ResumptionUsage.BRANCH,
        key_packages,
        tree_in_welcome=tree_in_welcome,
    )
    return new


def _found(
    env: Env,
    client: MlsClient,
    old: MlsGroup,
    new: MlsGroup,
    usage: ResumptionUsage,
    key_packages: Iterable[KeyPackageIn],
    *,
    tree_in_welcome: bool,
) -> None:
    """Make the first commit of a group, and check it as its joiners will."""
    link = linking_proposal(env, old.state, usage, new.public.epoch.suite.nh)
    adds = [Add(key_package) for key_package in key_packages]
    store = GroupPsks(client.psks, old.group_id, old.state.resumption)
    options = CommitOptions(founding=True, tree_in_welcome=tree_in_welcome)
    pending = new.commit_with(env, (*adds, link), options, store)
    check_continuation(
        client.services, pending.epoch.public, pending.effects.psks, old.state
    )
