"""The keys of private messages (RFC 9420 section 9): tree, ratchets, window, deletion.

Each leaf has two ratchets, for handshakes and for application data. Messages may
arrive out of order: of a generation that was passed over, key and nonce are kept,
never the ratchet's secret, and only so many of them as `Limits` say.

Reading takes two steps. `peek` finds a key and changes nothing. `consume` deletes it
and all it came from, once the message was opened and its signature found right (rule
D03): a forged message burns no generation. Sending takes `peek_next` and `consume`:
what turns out to be too large to be sent burns none, either.

For the store, a tree is a set of small rows, of which a message changes a few:

    key  uint8 1, uint32 node                           value  secret of the edge
    key  uint8 2, uint32 leaf, uint8 kind               value  uint64 generation, secret
    key  uint8 3, uint32 leaf, uint8 kind, uint32 generation
                                                        value  uint64 age, key, nonce

Key, nonce and secrets have the lengths of the suite.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from sabir.crypto.labels import expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import ContentType
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.frontier import Descent, Frontier
from sabir.mls.limits import Limits
from sabir.mls.ratchet import GENERATION_MAX, Head, MessageKey, Step, step_to
from sabir.mls.validation.rules import Rule
from sabir.mls.window import Passed, Place, Window
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint8, uint32, uint64, vector

Row = tuple[bytes, bytes]
"""Key and value of a row."""

_NODE: Final = 1
_HEAD: Final = 2
_PASSED: Final = 3

_RowId = tuple[int, ...]
"""A row's key, as numbers: what it is, then which node, or place and generation."""


@unique
class RatchetKind(IntEnum):
    """Which of a leaf's two ratchets; the number is that of the store."""

    HANDSHAKE = 0
    APPLICATION = 1

    @classmethod
    def of(cls, content: ContentType) -> "RatchetKind":
        """Return the ratchet that a type of content is sealed with."""
        return cls.APPLICATION if content is ContentType.APPLICATION else cls.HANDSHAKE


_KINDS: Final = frozenset(int(kind) for kind in RatchetKind)


@dataclass(frozen=True, slots=True, eq=False)
class _Opening:
    """The first use of a leaf, not yet made: the way down, and its two ratchets."""

    descent: Descent
    heads: tuple[Head, Head]


class Peeked:
    """A key that `SecretTree.peek` found, for `SecretTree.consume`.

    Consuming empties it. One that is not to be consumed is just dropped.
    """

    __slots__ = ("_message_key", "opening", "place", "step")

    def __init__(
        self,
        place: Place,
        message_key: MessageKey,
        step: Step | None = None,
        opening: _Opening | None = None,
    ) -> None:
        self.place = place
        self._message_key: MessageKey | None = message_key
        self.step = step
        self.opening = opening

    @property
    def message_key(self) -> MessageKey:
        """Return generation, key and nonce.

        Raises:
            MlsMisuse: it was consumed.
        """
        if self._message_key is None:
            raise MlsMisuse("this key was consumed; peek again")
        return self._message_key

    def empty(self) -> None:
        """Forget everything."""
        self._message_key = self.step = self.opening = None


class SecretTree:
    """The secret tree of one epoch, with its ratchets.

    Args:
        frontier: secrets of leaves that were not used yet.
        limits: how far ahead to follow, how much to keep.
    """

    __slots__ = ("_changed", "_frontier", "_heads", "_limits", "_suite", "_window")

    def __init__(self, frontier: Frontier, limits: Limits) -> None:
        self._suite = frontier.suite
        self._frontier = frontier
        self._limits = limits
        self._heads: dict[Place, Head] = {}
        self._window = Window(limits)
        self._changed: dict[_RowId, bool] = {}
        """Rows that differ from the store; True: the store never had this one."""

    @classmethod
    def new(
        cls, suite: CipherSuite, leaf_count: int, encryption: Secret, limits: Limits
    ) -> "SecretTree":
        """Begin an epoch; the caller forgets the secret.

        Args:
            suite: of the group.
            leaf_count: leaves of the ratchet tree, blank ones too: a power of two.
            encryption: `encryption_secret` of the epoch.
            limits: how far ahead to follow, how much to keep.
        """
        tree = cls(Frontier.whole(suite, leaf_count, encryption), limits)
        for node in tree._frontier.nodes:
            tree._changed[_NODE, node] = True
        return tree

    @classmethod
    def from_rows(
        cls, suite: CipherSuite, leaf_count: int, rows: Iterable[Row], limits: Limits
    ) -> "SecretTree":
        """Make a tree of what `rows` gave, in any order.

        Raises:
            Malformed: a row is nothing that `rows` gives (C07: of no known kind).
        """
        tree = cls(Frontier(suite, leaf_count, {}), limits)
        window: list[tuple[Place, Passed]] = []
        for key, value in rows:
            row = read_whole(key, _read_row_key)
            reader = Reader(value)
            if row[0] == _PASSED:
                window.append((row[1], tree._read_passed(reader, row[2])))
            else:
                tree._load(row, reader)
            reader.finish()
        for place, passed in sorted(window, key=lambda each: each[1].age):
            tree._window.restore(place, passed)
        return tree

    # ---- keys

    @property
    def limits(self) -> Limits:
        """Return those of the client whose epoch this is."""
        return self._limits

    def peek_next(self, leaf: int, kind: RatchetKind) -> Peeked:
        """Find our own next key; consume it before what it sealed leaves.

        Args:
            leaf: our own.
            kind: of the content to seal.

        Raises:
            MlsMisuse: as many messages were sent in this epoch as is safe (D04), or
                as there are generations (D05).
        """
        sent = [self._generation(2 * leaf + each) for each in RatchetKind]
        if sum(sent) >= self._limits.messages_per_epoch_max:
            raise MlsMisuse(
                f"rule D04: {sum(sent)} messages in this epoch; commit before the next"
            )
        if sent[kind] > GENERATION_MAX:
            raise MlsMisuse("rule D05: no generation is left; commit first")
        return self.peek(leaf, kind, sent[kind])

    def peek(self, leaf: int, kind: RatchetKind, generation: int) -> Peeked:
        """Find the key of a message; this changes nothing.

        Args:
            leaf: of the sender.
            kind: of the content.
            generation: as the message says.

        Raises:
            MlsInvalid: D01 too far ahead, D02 used or dropped before, F03 there is
                no such leaf.
        """
        return self._peek(2 * leaf + kind, generation)

    def _peek(self, place: Place, generation: int) -> Peeked:
        ahead = generation - self._generation(place)
        if ahead < 0:
            return Peeked(place, self._window.find(place, generation))
        limit = self._limits.generation_forward_max
        if ahead > limit:
            raise MlsInvalid(Rule.D01, f"{ahead} generations ahead, limit {limit}")
        opening = None
        head = self._heads.get(place)
        if head is None:
            opening = self._open(place >> 1)
            head = opening.heads[place & 1]
        keep = self._limits.skipped_keys_per_sender_max
        step = step_to(self._suite, head, generation, keep)
        return Peeked(place, step.message_key, step, opening)

    def consume(self, peeked: Peeked) -> None:
        """Delete a key and everything it came from.

        Args:
            peeked: from this tree; other keys may have been consumed since.

        Raises:
            MlsInvalid: D02, another message used the same key since, or it was
                dropped.
            MlsMisuse: it was consumed before.
        """
        generation = peeked.message_key.generation
        place, step = peeked.place, peeked.step
        if step is None or generation < self._generation(place):
            self._window.find(place, generation)
            self._drop(place, generation)
        elif self._go(place, step, peeked.opening):
            self._keep(place, step)
        else:  # the tree has moved since
            self.consume(self._peek(place, generation))
        peeked.empty()

    def generation(self, leaf: int, kind: RatchetKind) -> int:
        """Return the next generation of a ratchet; for our own, how many we sent."""
        return self._generation(2 * leaf + kind)

    def _generation(self, place: Place) -> int:
        head = self._heads.get(place)
        return 0 if head is None else head.generation

    def _open(self, leaf: int) -> _Opening:
        """Find the two ratchets of a leaf that was not used yet."""
        descent = self._frontier.descend(leaf)
        if descent is None:
            raise MlsInvalid(
                Rule.F03, f"leaf {leaf}, of {self._frontier.leaf_count} leaves"
            )
        handshake, application = (
            Head(
                0,
                expand_with_label(
                    self._suite, descent.secret, label, b"", self._suite.nh
                ),
            )
            for label in (b"handshake", b"application")
        )
        return _Opening(descent, (handshake, application))

    def _go(self, place: Place, step: Step, opening: _Opening | None) -> bool:
        """Move a ratchet; False, with nothing done, when it is no longer there."""
        if opening is not None and not self._take(place, opening):
            return False
        if self._heads[place] is not step.before:
            return False
        self._heads[place] = step.after
        self._changed.setdefault((_HEAD, place), False)
        return True

    def _take(self, place: Place, opening: _Opening) -> bool:
        descent = opening.descent
        if not self._frontier.take(descent):
            return False
        self._note_deleted((_NODE, descent.start))
        for node, _ in descent.kept:
            self._changed[_NODE, node] = True
        first = place & ~1
        for each, head in enumerate(opening.heads, first):
            self._heads[each] = head
            self._changed[_HEAD, each] = True
        return True

    def _keep(self, place: Place, step: Step) -> None:
        """Keep what was passed over, and drop the oldest beyond the limits."""
        for message_key in step.passed:
            self._window.keep(place, message_key)
            self._changed[_PASSED, place, message_key.generation] = True
        if step.passed:
            for oldest in self._window.excess(place):
                self._drop(*oldest)

    def _drop(self, place: Place, generation: int) -> None:
        self._window.drop(place, generation)
        self._note_deleted((_PASSED, place, generation))

    # ---- the store

    def _note_deleted(self, row: _RowId) -> None:
        if self._changed.get(row):
            del self._changed[row]  # the store never saw it
        else:
            self._changed[row] = False

    def rows(self) -> Iterator[Row]:
        """Give every row."""
        for row in self._row_ids():
            value = self._value(row)
            assert value is not None, "only rows that exist are listed"
            yield _row_key(row), value

    def row_keys(self) -> Iterator[bytes]:
        """Give the key of every row."""
        return map(_row_key, self._row_ids())

    def _row_ids(self) -> Iterator[_RowId]:
        for node in self._frontier.nodes:
            yield _NODE, node
        for place in self._heads:
            yield _HEAD, place
        for place, generation in self._window:
            yield _PASSED, place, generation

    def changes(self) -> dict[bytes, bytes | None]:
        """Return the rows to write, and with None those to delete, since `saved`."""
        return {_row_key(row): self._value(row) for row in self._changed}

    def saved(self) -> None:
        """Hear that the store has all changes."""
        self._changed.clear()

    def encode(self) -> bytes:
        """Write the whole tree at once."""
        return uint32(self._frontier.leaf_count) + vector(
            opaque(key) + opaque(value) for key, value in self.rows()
        )

    def _value(self, row: _RowId) -> bytes | None:
        """Write what is in a row; None when there is no such row."""
        if row[0] == _NODE:
            return self._frontier.nodes.get(row[1])
        if row[0] == _HEAD:
            head = self._heads[row[1]]
            return uint64(head.generation) + head.secret
        passed = self._window.get(row[1], row[2])
        if passed is None:
            return None
        return uint64(passed.age) + passed.message_key.key + passed.message_key.nonce

    def _load(self, row: _RowId, reader: Reader) -> None:
        """Take over a node or a ratchet."""
        if row[0] == _NODE:
            self._frontier.nodes[row[1]] = reader.fixed(self._suite.nh)
        else:
            generation = reader.uint64()
            self._heads[row[1]] = Head(generation, reader.fixed(self._suite.nh))

    def _read_passed(self, reader: Reader, generation: int) -> Passed:
        age = reader.uint64()
        key = reader.fixed(self._suite.nk)
        return Passed(age, MessageKey(generation, key, reader.fixed(self._suite.nn)))


def read_secret_tree(reader: Reader, suite: CipherSuite, limits: Limits) -> SecretTree:
    """Take what `SecretTree.encode` wrote. Raises `Malformed`."""
    leaf_count = reader.uint32()
    rows = reader.vector(_read_row)
    return SecretTree.from_rows(suite, leaf_count, rows, limits)


def _read_row(reader: Reader) -> Row:
    return reader.opaque(), reader.opaque()


def _row_key(row: _RowId) -> bytes:
    if row[0] == _NODE:
        return uint8(_NODE) + uint32(row[1])
    leaf, kind = divmod(row[1], 2)
    ratchet = uint8(row[0]) + uint32(leaf) + uint8(kind)
    return ratchet if row[0] == _HEAD else ratchet + uint32(row[2])


def _read_row_key(reader: Reader) -> _RowId:
    what = reader.uint8()
    if what == _NODE:
        return _NODE, reader.uint32()
    if what not in (_HEAD, _PASSED):
        raise Malformed("C07", f"row of kind {what}")
    leaf, kind = reader.uint32(), reader.uint8()
    if kind not in _KINDS:
        raise Malformed("C07", f"ratchet of kind {kind}")
    place = 2 * leaf + kind
    return (_HEAD, place) if what == _HEAD else (_PASSED, place, reader.uint32())
