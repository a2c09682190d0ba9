"""A commit by which we join, from the store: the reverse of `state.join_row`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sabir.mls.client import MlsClient
from sabir.mls.effects import Effects
from sabir.mls.errors import MlsMisuse
from sabir.mls.extensions import read_extensions
from sabir.mls.framing import NEW_MEMBER_COMMIT
from sabir.mls.group.epoch import Epoch, GroupState
from sabir.mls.group.load import (
    Loaded,
    damage_named,
    migrated,
    read_listed,
    read_removed,
)
from sabir.mls.group.state import JOIN, row_key
from sabir.mls.services import Services
from sabir.wire.tls import Reader


@dataclass(frozen=True, slots=True, eq=False)
class LoadedJoin:
    """A join that waits, as it was read from rows.

    Attributes:
        commit: the MLSMessage.
        effects: what it does.
        state: that the group will have for us.
    """

    commit: bytes = field(repr=False)
    effects: Effects
    state: GroupState


def load_join(client: MlsClient, rows: Mapping[bytes, bytes]) -> LoadedJoin:
    """Read a join that waits for its answer.

    Raises:
        MlsMisuse: the rows are damaged, of a version that we cannot read, or of a
            group.
        MlsUnsupported: the client lacks a suite or a proposal type.
    """
    with damage_named():
        rows = dict(migrated(rows))
        join = rows.pop(row_key(JOIN), None)
        if join is None:
            raise MlsMisuse("no join waits in these rows, but a group: MlsGroup.load()")
        loaded = Loaded(client, rows)
        epoch = loaded.state.epoch
        if epoch is None or loaded.pending is not None:
            raise MlsMisuse("the stored group is damaged: a join into no epoch")
        return _read_join(Reader(join), client.services, loaded.state, epoch)


def _read_join(
    reader: Reader, services: Services, state: GroupState, epoch: Epoch
) -> LoadedJoin:
    commit = reader.opaque()
    proposals = read_listed(reader, services)
    removed = tuple(reader.vector(read_removed))
    effects = Effects(
        epoch=epoch.context.epoch,
        committer=NEW_MEMBER_COMMIT,
        committer_leaf=epoch.own_leaf,
        proposals=proposals,
        added=(),
        removed=removed,
        updated=(),
        joiner=epoch.public.tree.leaf(epoch.own_leaf),
        old_extensions=read_extensions(reader, services.limits),
        new_extensions=epoch.context.extensions,
        psks=tuple(proposal.psk for proposal in proposals.psks),
        re_init=None,
    )
    reader.finish()
    return LoadedJoin(commit, effects, state)
