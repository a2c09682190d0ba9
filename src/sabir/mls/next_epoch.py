"""The public half of the epoch that a commit begins (RFC 9420 12.4.1 and 12.4.2)."""

from dataclasses import replace

from sabir.mls.effects import Effects, Updated
from sabir.mls.framing import VerifiedContent
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNode
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.tags import Tag
from sabir.mls.transcript import confirmed_hash, interim_hash
from sabir.mls.transition import Applied
from sabir.mls.validation.commit import next_epoch


def provisional_context(applied: Applied) -> GroupContext:
    """Return the context under which path secrets are sealed (section 12.4.1).

    It has the new epoch, the tree after the path, the new extensions, and the old
    confirmed transcript hash.
    """
    old = applied.before.context
    return replace(
        old,
        epoch=next_epoch(old.epoch),
        tree_hash=applied.tree.tree_hash(),
        extensions=applied.extensions,
        raw=b"",
    )


def new_context(
    applied: Applied, provisional: GroupContext, commit: VerifiedContent
) -> GroupContext:
    """Return the GroupContext of the epoch that a commit begins."""
    before = applied.before
    confirmed = confirmed_hash(
        before.suite, before.interim_hash, commit.confirmed_transcript_input()
    )
    return replace(provisional, confirmed_transcript_hash=confirmed, raw=b"")


def new_public_epoch(applied: Applied, context: GroupContext, tag: Tag) -> PublicEpoch:
    """Put the public half of the new epoch together."""
    suite = applied.before.suite
    interim = interim_hash(suite, context.confirmed_transcript_hash, tag)
    return PublicEpoch(suite, context, applied.tree, tag, interim)


def effects_of(
    applied: Applied, path_leaf: LeafNode | None, own_leaf: int | None = None
) -> Effects:
    """Say what a commit does.

    Args:
        applied: its proposals.
        path_leaf: the committer's new leaf, where there is a path.
        own_leaf: our place in the old tree; None for hubs and joiners.
    """
    updated = applied.updated
    old = applied.before.tree.leaf(applied.committer_leaf)
    if path_leaf is not None and old is not None and not applied.joins:
        updated = (*updated, Updated(applied.committer_leaf, old, path_leaf))
    context = applied.before.context
    return Effects(
        epoch=next_epoch(context.epoch),
        committer=applied.committer,
        committer_leaf=applied.committer_leaf,
        proposals=applied.proposals,
        added=applied.added,
        removed=applied.removed,
        updated=updated,
        joiner=path_leaf if applied.joins else None,
        old_extensions=context.extensions,
        new_extensions=applied.extensions,
        psks=tuple(proposal.psk for proposal in applied.proposals.psks),
        re_init=applied.proposals.re_init,
        self_removed=any(gone.leaf_index == own_leaf for gone in applied.removed),
    )
