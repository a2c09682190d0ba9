"""A group in the store: sections of rows, and which of them changed.

A row is a key and a value, both octets in the presentation language. The first octet
of a key is the section; a small change touches small rows, so that a message of ours
writes some hundred octets however large the group is.

     1  header: magic, format version, suite, group id, epoch, counter, status, ReInit
     2  GroupContext
     3  ratchet tree, as in the extension
     4  our leaf index, private keys by node index, signature key
     5  epoch secrets
     6  secret tree of an epoch: a row for its size, one for each node and ratchet
     7  a proposal that waits, by reference; with our private keys if it is our Update
     8  a commit of ours that waits for its answer
     9  interim transcript hash, confirmation tag
    10  a past epoch, by number; its leaves as changes against the epoch after it
    11  resumption PSK of an epoch
    12  edge of the exporter tree
    13  digests of what we sent in an epoch, 16 messages in a row
    14  a commit of ours by which we join, and what it does; then the other rows are
        the group as it will be

All octets are secret: encryption at rest is the store's business. Rule for callers:
what `Saver.delta` names is committed before a message leaves, in one transaction with
it; then `Saver.saved` is told (`saver`). The counter in the header grows with every
save, so a store that was set back can be noticed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.mls.effects import Effects
from sabir.mls.exporter import ExporterTree
from sabir.mls.extensions import encode_extensions
from sabir.mls.group.epoch import Epoch, GroupState, OwnUpdate, PastEpoch
from sabir.mls.group.pending import PendingCommit
from sabir.mls.leaf_node import LeafNode
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_store import transcript
from sabir.mls.secret_tree import SecretTree
from sabir.wire.tls import (
    opaque,
    optional,
    uint8,
    uint16,
    uint32,
    uint64,
    vector,
)

MAGIC: Final = b"SBRM"
FORMAT_VERSION: Final = 2

HEADER: Final = 1
CONTEXT: Final = 2
TREE: Final = 3
KEYS: Final = 4
SECRETS: Final = 5
SECRET_TREE: Final = 6
PROPOSAL: Final = 7
PENDING_COMMIT: Final = 8
TRANSCRIPT: Final = 9
PAST_EPOCH: Final = 10
RESUMPTION: Final = 11
EXPORTER: Final = 12
SENT: Final = 13
JOIN: Final = 14

Rows = dict[bytes, bytes]
"""A group in the store."""

Delta = Mapping[bytes, bytes | None]
"""Rows to write, and with None those to delete."""

_SIZE: Final = b""
"""Key, behind section and epoch, of the row that says how many leaves there are."""


def row_key(section: int, rest: bytes = b"") -> bytes:
    """Return the key of a row."""
    return uint8(section) + rest


# ---- sections


def header_row(state: GroupState, counter: int) -> bytes:
    """Write section 1."""
    context = state.public.context
    re_init = None if state.re_init is None else opaque(state.re_init.raw)
    return (
        MAGIC
        + uint16(FORMAT_VERSION)
        + uint16(context.cipher_suite)
        + opaque(context.group_id)
        + uint64(context.epoch)
        + uint64(counter)
        + uint8(state.status)
        + optional(re_init)
    )


def public_rows(epoch: PublicEpoch) -> Rows:
    """Write sections 2, 3 and 9."""
    return {
        row_key(CONTEXT): epoch.context.raw,
        row_key(TREE): epoch.tree.encode(),
        row_key(TRANSCRIPT): transcript(epoch),
    }


def secret_rows(epoch: Epoch) -> Rows:
    """Write sections 4 and 5."""
    return {
        row_key(KEYS): private_keys(epoch),
        row_key(SECRETS): epoch.secrets.encode(),
    }


def private_keys(epoch: Epoch) -> bytes:
    """Write our leaf index, private keys and signature key."""
    keys = vector(
        uint32(node) + opaque(key.reveal()) for node, key in epoch.keys.items()
    )
    return uint32(epoch.own_leaf) + keys + opaque(epoch.signature_key.reveal())


def exporter_row(tree: ExporterTree) -> bytes:
    """Write section 12."""
    return tree.encode()


def secret_tree_key(epoch: int, rest: bytes) -> bytes:
    """Return the key of a row of section 6."""
    return row_key(SECRET_TREE, uint64(epoch) + rest)


def secret_tree_rows(epoch: int, tree: SecretTree, leaf_count: int) -> Rows:
    """Write section 6 for one epoch."""
    rows = {secret_tree_key(epoch, key): value for key, value in tree.rows()}
    rows[secret_tree_key(epoch, _SIZE)] = uint32(leaf_count)
    return rows


def secret_tree_row_keys(epoch: int, tree: SecretTree) -> set[bytes]:
    """Name the rows that `secret_tree_rows` writes."""
    keys = {secret_tree_key(epoch, key) for key in tree.row_keys()}
    keys.add(secret_tree_key(epoch, _SIZE))
    return keys


def sent_key(epoch: int, rest: bytes) -> bytes:
    """Return the key of a row of section 13."""
    return row_key(SENT, uint64(epoch) + rest)


def message_rows(epoch: Epoch | PastEpoch) -> Rows:
    """Write sections 6 and 13 for one epoch."""
    number = epoch.context.epoch
    rows = secret_tree_rows(number, epoch.secret_tree, len(epoch.leaves))
    for key, value in epoch.sent.rows():
        rows[sent_key(number, key)] = value
    return rows


def message_row_keys(epoch: Epoch | PastEpoch) -> set[bytes]:
    """Name the rows that `message_rows` writes."""
    number = epoch.context.epoch
    keys = secret_tree_row_keys(number, epoch.secret_tree)
    keys.update(sent_key(number, key) for key in epoch.sent.row_keys())
    return keys


def message_changes(epoch: Epoch | PastEpoch) -> dict[bytes, bytes | None]:
    """Name the rows of sections 6 and 13 that changed since this was asked last."""
    number, tree, sent = epoch.context.epoch, epoch.secret_tree, epoch.sent
    changes = {
        secret_tree_key(number, key): value for key, value in tree.changes().items()
    }
    for key, value in sent.changes().items():
        changes[sent_key(number, key)] = value
    tree.saved()
    sent.saved()
    return changes


def proposal_row(place: int, item: Proposed, own: OwnUpdate | None) -> bytes:
    """Write a row of section 7.

    Args:
        place: in the order in which proposals came.
        item: the proposal.
        own: our private keys, for an Update of ours.
    """
    assert item.message is not None
    keys = None
    if own is not None:
        keys = opaque(own.encryption_key.reveal()) + opaque(own.signature_key.reveal())
    return uint32(place) + opaque(item.message.raw) + optional(keys)


def pending_row(pending: PendingCommit) -> bytes:
    """Write section 8: the commit, and the epoch that it begins."""
    epoch, effects = pending.epoch, pending.effects
    welcome = pending.welcome_for_sequencer()
    has_path = any(
        updated.leaf_index == effects.committer_leaf for updated in effects.updated
    )
    return b"".join(
        (
            opaque(pending.commit),
            optional(None if welcome is None else opaque(welcome.raw)),
            uint8(has_path),
            _listed(effects.proposals),
            vector(uint32(added.leaf_index) for added in effects.added),
            opaque(epoch.context.raw),
            epoch.public.tree.encode(),
            opaque(transcript(epoch.public)),
            opaque(private_keys(epoch)),
            opaque(epoch.secrets.encode()),
            epoch.secret_tree.encode(),
            epoch.exporter_tree.encode(),
        )
    )


def _listed(proposals: ProposalList) -> bytes:
    return vector(
        opaque(item.proposal.raw)
        + item.sender.encode()
        + optional(None if item.reference is None else opaque(item.reference))
        for item in proposals
    )


def join_row(commit: bytes, effects: Effects) -> bytes:
    """Write section 14."""
    return b"".join(
        (
            opaque(commit),
            _listed(effects.proposals),
            vector(
                uint32(removed.leaf_index) + removed.leaf_node.raw
                for removed in effects.removed
            ),
            encode_extensions(effects.old_extensions),
        )
    )


def past_row(past: PastEpoch, newer: Sequence[LeafNode | None]) -> bytes:
    """Write a row of section 10.

    Args:
        past: the epoch.
        newer: the leaves of the epoch after it.
    """
    return b"".join(
        (
            opaque(past.context.raw),
            opaque(past.sender_data.reveal()),
            uint32(past.own_leaf),
            uint64(past.ended),
            uint32(len(past.leaves)),
            vector(
                uint32(index) + optional(None if leaf is None else leaf.raw)
                for index, leaf in _changed_leaves(past.leaves, newer)
            ),
        )
    )


def _changed_leaves(
    leaves: Sequence[LeafNode | None], newer: Sequence[LeafNode | None]
) -> Iterator[tuple[int, LeafNode | None]]:
    """Find the leaves that differ from those of the epoch after."""
    for index, leaf in enumerate(leaves):
        other = newer[index] if index < len(newer) else None
        if other is not leaf and other != leaf:
            yield index, leaf


def past_rows(state: GroupState) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """Return the past epochs, latest first, with what writes their rows."""
    newer: Sequence[LeafNode | None] = state.public.tree.leaves
    for past in state.past:
        yield past.number, partial(past_row, past, newer)
        newer = past.leaves


def kept_epochs(state: GroupState) -> Sequence[Epoch | PastEpoch]:
    """Return all epochs that have keys of messages."""
    return state.past if state.epoch is None else (state.epoch, *state.past)


def all_rows(state: GroupState, pending: PendingCommit | None, counter: int) -> Rows:
    """Write a whole group."""
    rows = {row_key(HEADER): header_row(state, counter)}
    rows |= public_rows(state.public.epoch)
    if state.epoch is not None:
        rows |= secret_rows(state.epoch)
        rows[row_key(EXPORTER)] = exporter_row(state.epoch.exporter_tree)
    for epoch in kept_epochs(state):
        rows |= message_rows(epoch)
    for place, (reference, item) in enumerate(state.public.pending.items()):
        own = state.own_updates.get(reference)
        rows[row_key(PROPOSAL, reference)] = proposal_row(place, item, own)
    if pending is not None:
        rows[row_key(PENDING_COMMIT)] = pending_row(pending)
    for number, write in past_rows(state):
        rows[row_key(PAST_EPOCH, uint64(number))] = write()
    for number, secret in state.resumption:
        rows[row_key(RESUMPTION, uint64(number))] = resumption_row(secret)
    return rows


def resumption_row(secret: Secret) -> bytes:
    """Write a row of section 11."""
    return opaque(secret.reveal())
