"""Which rows of a group are new: the small steps of `state`."""

import hashlib
from collections.abc import Iterable, Iterator

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
    kept_epochs,
    message_changes,
    message_row_keys,
    message_rows,
    past_rows,
    pending_row,
    proposal_row,
    public_rows,
    resumption_row,
    row_key,
    secret_rows,
)
from sabir.mls.public_epoch import PublicEpoch
from sabir.wire.tls import uint64


class Saver:
    """Knows what the store has of a group, and names what is new.

    It remembers names, hashes and public things only: what a group forgets is forgotten
    here, and nothing that was to be stored is kept for when it fails.

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
        "_message_rows",
        "_past",
        "_proposals",
        "_public",
        "_resumption",
        "_unsaved",
    )

    def __init__(
        self,
        counter: int = 0,
        stored: GroupState | None = None,
        pending: PendingCommit | None = None,
    ) -> None:
        self._counter = counter
        self._unsaved: dict[bytes, bytes] = {}
        """Hashes of what deltas named and the store is not known to have, by row."""
        self._public: PublicEpoch | None = None
        self._member = False
        self._past: frozenset[int] = frozenset()
        self._resumption: frozenset[int] = frozenset()
        self._proposals: frozenset[bytes] = frozenset()
        self._commit: bytes | None = None
        self._exporter = b""
        self._message_rows: dict[int, set[bytes]] = {}
        self._given: frozenset[bytes] = frozenset()
        if stored is not None:
            self._remember(stored, pending)
            for epoch in kept_epochs(stored):
                self._message_rows[epoch.context.epoch] = message_row_keys(epoch)

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
        self.gave(rows)
        return rows

    def gave(self, keys: Iterable[bytes]) -> None:
        """Hear which rows may be in the store, too."""
        self._given |= frozenset(keys)

    def delta(self, state: GroupState, pending: PendingCommit | None) -> Delta:
        """Name the rows that changed since the last `saved`.

        The rows of a delta that was never saved are in the next one, as they are then.
        """
        changes = dict(self._changes(state, pending))
        if self._unsaved or self._given:
            rows = all_rows(state, pending, self._counter)
            changes |= {key: rows.get(key) for key in self._unsaved}
            changes |= dict.fromkeys(self._given - rows.keys())
            self._given = frozenset()
        self._remember(state, pending)
        if changes:
            changes[row_key(HEADER)] = header_row(state, self._counter + 1)
        self._unsaved = {key: _hashed(value) for key, value in changes.items()}
        return changes

    def saved(self, delta: Delta) -> None:
        """Hear that the store has committed a delta."""
        if not delta:
            return
        self._counter += 1
        for key, value in delta.items():
            if self._unsaved.get(key) == _hashed(value):
                del self._unsaved[key]

    def _changes(
        self, state: GroupState, pending: PendingCommit | None
    ) -> Iterator[tuple[bytes, bytes | None]]:
        yield from self._epoch_changes(state)
        yield from self._message_changes(state)
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

    def _message_changes(
        self, state: GroupState
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Compare secret trees and what we sent, which change in place."""
        stored = self._message_rows
        self._message_rows = {}
        for epoch in kept_epochs(state):
            number = epoch.context.epoch
            known = stored.pop(number, None)
            changes = message_changes(epoch)
            if known is None:
                known = set()
                changes = dict(message_rows(epoch))
            for key, value in changes.items():
                if value is None:
                    known.discard(key)
                else:
                    known.add(key)
            self._message_rows[number] = known
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


def _hashed(value: bytes | None) -> bytes:
    """Return what tells two values of a row apart; no secret of it."""
    return b"" if value is None else hashlib.sha256(value).digest()


def _fingerprint(state: GroupState) -> bytes:
    """Return what differs when the exporter tree does; no secret of it."""
    if state.epoch is None:
        return b""
    return state.epoch.suite.hash(state.epoch.exporter_tree.encode())
