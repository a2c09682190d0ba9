"""Which rows of a group are new: the small steps of `state`."""

from collections.abc import Iterator

from sabir.mls.group.epoch import GroupState
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.state import (
    EXPORTER,
    HEADER,
    KEYS,
    PAST_EPOCH,
    PENDING_COMMIT,
    PROPOSAL,
    RESUMPTION,
    SECRETS,
    Delta,
    Rows,
    all_rows,
    exporter_row,
    header_row,
    past_rows,
    pending_row,
    proposal_row,
    public_rows,
    resumption_row,
    row_key,
    secret_rows,
    secret_tree_key,
    secret_tree_row_keys,
    secret_tree_rows,
    secret_trees,
)
from sabir.mls.public_epoch import PublicEpoch
from sabir.wire.tls import uint64


class Saver:
    """Knows what the store has of a group, and names what is new.

    It remembers names and public things only: what a group forgets is forgotten here.

    Args:
        counter: of the last save.
        stored: the group as the store has it; None when it has nothing yet.
        pending: likewise.
    """

    __slots__ = (
        "_commit",
        "_counter",
        "_exporter",
        "_given",
        "_member",
        "_past",
        "_proposals",
        "_public",
        "_resumption",
        "_tree_rows",
        "_unsaved",
    )

    def __init__(
        self,
        counter: int = 0,
        stored: GroupState | None = None,
        pending: PendingCommit | None = None,
    ) -> None:
        self._counter = counter
        self._unsaved: dict[bytes, bytes | None] = {}
        self._public: PublicEpoch | None = None
        self._member = False
        self._past: frozenset[int] = frozenset()
        self._resumption: frozenset[int] = frozenset()
        self._proposals: frozenset[bytes] = frozenset()
        self._commit: bytes | None = None
        self._exporter = b""
        self._tree_rows: dict[int, set[bytes]] = {}
        self._given: frozenset[bytes] = frozenset()
        if stored is not None:
            self._remember(stored, pending)
            for number, tree, _ in secret_trees(stored):
                self._tree_rows[number] = secret_tree_row_keys(number, tree)

    @property
    def counter(self) -> int:
        """Return the number of saves so far."""
        return self._counter

    def _remember(self, state: GroupState, pending: PendingCommit | None) -> None:
        self._public = state.public.epoch
        self._member = state.epoch is not None
        self._past = frozenset(past.number for past in state.past)
        self._resumption = frozenset(number for number, _ in state.resumption)
        self._proposals = frozenset(state.public.pending)
        self._commit = None if pending is None else pending.commit
        self._exporter = _fingerprint(state)

    def whole(self, state: GroupState, pending: PendingCommit | None) -> Rows:
        """Return all rows.

        They may end in the store, so the next delta deletes those of them that the
        group has no more by then.
        """
        rows = all_rows(state, pending, self._counter)
        self._given |= rows.keys()
        return rows

    def delta(self, state: GroupState, pending: PendingCommit | None) -> Delta:
        """Name the rows that changed since the last `saved`.

        A delta that was never saved is contained in the next one.
        """
        if self._given:
            there = all_rows(state, pending, self._counter).keys()
            self._unsaved |= dict.fromkeys(self._given - there)
            self._given = frozenset()
        self._unsaved |= dict(self._changes(state, pending))
        self._remember(state, pending)
        if self._unsaved:
            header = header_row(state, self._counter + 1)
            self._unsaved[row_key(HEADER)] = header
        return dict(self._unsaved)

    def saved(self, delta: Delta) -> None:
        """Hear that the store has committed a delta."""
        if not delta:
            return
        self._counter += 1
        for key, value in delta.items():
            if key in self._unsaved and self._unsaved[key] == value:
                del self._unsaved[key]

    def _changes(
        self, state: GroupState, pending: PendingCommit | None
    ) -> Iterator[tuple[bytes, bytes | None]]:
        yield from self._epoch_changes(state)
        yield from self._tree_changes(state)
        yield from self._window_changes(state)
        yield from self._proposal_changes(state)
        if (None if pending is None else pending.commit) != self._commit:
            row = None if pending is None else pending_row(pending)
            yield row_key(PENDING_COMMIT), row

    def _epoch_changes(self, state: GroupState) -> Iterator[tuple[bytes, bytes | None]]:
        """Compare what a commit replaces."""
        new = state.public.epoch is not self._public
        if new:
            yield from public_rows(state.public.epoch).items()
        if state.epoch is None:
            if self._member:
                for section in (KEYS, SECRETS, EXPORTER):
                    yield row_key(section), None
            return
        if new:
            yield from secret_rows(state.epoch).items()
        if _fingerprint(state) != self._exporter:
            yield row_key(EXPORTER), exporter_row(state.epoch.exporter_tree)

    def _window_changes(
        self, state: GroupState
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Compare past epochs and resumption PSKs, which come and go whole."""
        past = dict(past_rows(state))
        for number in past.keys() - self._past:
            yield row_key(PAST_EPOCH, uint64(number)), past[number]()
        for number in self._past - past.keys():
            yield row_key(PAST_EPOCH, uint64(number)), None
        resumption = dict(state.resumption)
        for number in resumption.keys() - self._resumption:
            secret = resumption[number]
            yield row_key(RESUMPTION, uint64(number)), resumption_row(secret)
        for number in self._resumption - resumption.keys():
            yield row_key(RESUMPTION, uint64(number)), None

    def _tree_changes(self, state: GroupState) -> Iterator[tuple[bytes, bytes | None]]:
        """Compare the secret trees, which change in place."""
        stored = self._tree_rows
        self._tree_rows = {}
        for number, tree, leaf_count in secret_trees(state):
            known = stored.pop(number, None)
            changes: dict[bytes, bytes | None] = {}
            if known is None:
                known = set()
                changes |= secret_tree_rows(number, tree, leaf_count)
            else:
                for key, value in tree.changes().items():
                    changes[secret_tree_key(number, key)] = value
            tree.saved()
            for key, value in changes.items():
                if value is None:
                    known.discard(key)
                else:
                    known.add(key)
            self._tree_rows[number] = known
            yield from changes.items()
        for keys in stored.values():
            for key in keys:
                yield key, None

    def _proposal_changes(
        self, state: GroupState
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Compare the proposals that wait; within an epoch they only become more."""
        waiting = state.public.pending
        for place, (reference, item) in enumerate(waiting.items()):
            if reference not in self._proposals:
                own = state.own_updates.get(reference)
                yield row_key(PROPOSAL, reference), proposal_row(place, item, own)
        for reference in self._proposals - waiting.keys():
            yield row_key(PROPOSAL, reference), None


def _fingerprint(state: GroupState) -> bytes:
    """Return what differs when the exporter tree does; no secret of it."""
    if state.epoch is None:
        return b""
    return state.epoch.suite.hash(state.epoch.exporter_tree.encode())
