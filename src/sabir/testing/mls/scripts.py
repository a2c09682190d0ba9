"""Random life of a group whose members come from different implementations.

A script is a list of steps with small numbers in them; the table takes each number as
a choice among what is possible at that moment, so every list of steps is a script and
shrinks well. After each epoch all members must see the same; each message must be read
exactly once by everybody who was there.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from sabir.testing.mls.players import (
    Add,
    Change,
    Committed,
    Player,
    Psk,
    Remove,
    Side,
    Update,
)
from sabir.testing.mls.tsmls_trees import (
    refused_by_tsmls,
    root_is_left_out,
    unmerged_leaves,
)

MEMBERS_MAX: Final = 50

UNREAD_PER_SENDER_MAX: Final = 8
"""ts-mls keeps the keys of 10 skipped generations (TS9)."""

LATE_EPOCHS_MAX: Final = 2
"""How late messages are read: Sabir keeps 3 past epochs, ts-mls 4."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Somebody proposes something."""

    who: int
    what: int
    whom: int
    side: Side
    public: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """Somebody commits what was proposed, and more."""

    who: int
    adds: tuple[Side, ...]
    removes: tuple[int, ...]
    psk: bool
    public: bool
    path: bool
    tree_inside: bool


@dataclass(frozen=True, slots=True)
class JoinFromOutside:
    """Somebody enters by an external commit; or again, in place of their own leaf."""

    side: Side
    sponsor: int
    again: int | None


@dataclass(frozen=True, slots=True)
class Say:
    """Somebody sends messages, read at once out of order, or later."""

    who: int
    count: int
    late: bool
    order: int


@dataclass(frozen=True, slots=True)
class Read:
    """Everything that is on its way arrives, in some order."""

    order: int


Step = Propose | Commit | JoinFromOutside | Say | Read


@dataclass(frozen=True, slots=True)
class Script:
    """A life: who founds, whom the founder adds at once, what happens then."""

    suite: int
    founder: Side
    first: tuple[Side, ...]
    steps: tuple[Step, ...]


@dataclass(slots=True)
class _Letter:
    sender: str
    epoch: int
    text: bytes
    message: bytes
    readers: list[Player]


@dataclass(frozen=True, slots=True)
class _Proposed:
    """A proposal of this epoch: who joins by it, which leaf it is about."""

    change: Change
    joiner: Player | None
    leaf: int | None

    @property
    def needs_path(self) -> bool:
        return isinstance(self.change, Remove | Update)


@dataclass(slots=True)
class Table:
    """The members of one group, and what is on its way between them."""

    suite: int
    make: Callable[[Side, str, int], Player]
    """Makes a client: whose, its name, the suite."""
    members: list[Player] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """What happened how often: a script may ask for what is not possible."""
    _proposed: list[_Proposed] = field(default_factory=list)
    _letters: list[_Letter] = field(default_factory=list)
    _psks: dict[bytes, bytes] = field(default_factory=dict)
    _names: int = 0
    _said: int = 0
    _epoch: int = 0
    _sides: frozenset[Side] = frozenset()

    # ---- the script

    def play(self, script: Script) -> None:
        """Play a script to its end; every disagreement is an AssertionError."""
        founder = self._client(script.founder)
        founder.create(b"table")
        self.members = [founder]
        self._epoch = 0
        self._sides = frozenset({script.founder, *script.first})
        self._commit(founder, adds=script.first)
        for step in script.steps:
            self._step(step)
        self._read(range(len(self._letters)), random.Random(0))
        for member in self.members:
            member.leave()

    def _step(self, step: Step) -> None:
        match step:
            case Propose():
                self._propose(step)
            case Commit():
                self._commit_step(step)
            case JoinFromOutside():
                self._join_from_outside(step)
            case Say():
                self._say(step)
            case Read():
                self._read(range(len(self._letters)), random.Random(step.order))
            case _:
                assert_never(step)

    # ---- clients

    def _client(self, side: Side) -> Player:
        self._names += 1
        return self.make(side, f"{side} {self._names}", self.suite)

    def _teach(self, newcomer: Player) -> None:
        for psk_id, key in self._psks.items():
            newcomer.learn(psk_id, key)

    def _pick(self, number: int, among: Sequence[Player]) -> Player:
        return among[number % len(among)]

    def _new_psk(self) -> Psk:
        psk_id = b"psk %d" % len(self._psks)
        key = random.Random(len(self._psks)).randbytes(32)
        self._psks[psk_id] = key
        for member in self.members:
            member.learn(psk_id, key)
        return Psk(psk_id)

    # ---- proposals

    def _propose(self, step: Propose) -> None:
        sender = self._pick(step.who, self.members)
        found = self._proposal(step, sender)
        if found is None:
            return
        message = sender.propose(found.change, public=step.public)
        for member in self._others(sender):
            assert member.process(message) is None
        self._proposed.append(found)
        self.done[f"propose {type(found.change).__name__} {sender.side}"] += 1

    def _proposal(self, step: Propose, sender: Player) -> _Proposed | None:
        busy = {proposed.leaf for proposed in self._proposed}
        theirs_join = self._they_join()
        match step.what % 4:
            case 0:
                if self._is_full(1) or not self._may_join(step.side):
                    return None
                joiner = self._client(step.side)
                return _Proposed(Add(joiner.key_package()), joiner, None)
            case 1:
                leaf = self._pick(step.whom, self.members).leaf
                alone = len(self.members) - len(busy) < 3
                if theirs_join or alone or leaf in busy or leaf == sender.leaf:
                    return None
                if not self._may_go(leaf, self._going()):
                    return None
                return _Proposed(Remove(leaf), None, leaf)
            case 2:
                alone = len(self.members) - len(busy) < 3
                if theirs_join or alone or sender.leaf in busy:
                    return None
                return _Proposed(Update(), None, sender.leaf)
            case _:
                return _Proposed(self._new_psk(), None, None)

    def _they_join(self) -> bool:
        return any(
            proposed.joiner is not None and proposed.joiner.side is Side.THEIRS
            for proposed in self._proposed
        )

    def _is_full(self, more: int) -> bool:
        waiting = sum(1 for proposed in self._proposed if proposed.joiner)
        return len(self.members) + waiting + more > MEMBERS_MAX

    def _may_join(self, side: Side, by_value: Sequence[Side] = ()) -> bool:
        """Whether ts-mls would take the tree of a commit with one more Add (TS8).

        Args:
            side: whose the new one is.
            by_value: those whom the commit adds besides the proposed ones.
        """
        joining = [*by_value, side]
        if Side.THEIRS not in joining and not self._they_join():
            return True
        if any(proposed.needs_path for proposed in self._proposed):
            return False
        waiting = sum(1 for proposed in self._proposed if proposed.joiner)
        adds = waiting + len(joining)
        if not refused_by_tsmls(self._tree(), adds):
            return True
        if self._proposed:
            return False
        self._merge_all()
        return not refused_by_tsmls(self._tree(), adds)

    def _merge_all(self) -> None:
        """Let members commit until no node lists one as unmerged."""
        while unmerged := unmerged_leaves(self._tree()):
            committer = next(one for one in self.members if one.leaf in unmerged)
            self._commit(committer, path=True)

    def _tree(self) -> bytes:
        return self.members[0].tree()

    # ---- commits

    def _commit_step(self, step: Commit) -> None:
        busy = {proposed.leaf for proposed in self._proposed}
        free = [member for member in self.members if member.leaf not in busy]
        if not free:
            return
        committer = self._pick(step.who, free)
        removes = self._removed(step.removes, committer, busy)
        adds: list[Side] = []
        for side in step.adds:
            if not self._is_full(len(adds) + 1) and self._may_join(side, adds):
                adds.append(side)
        if Side.THEIRS in adds or self._they_join():
            removes = []
        self._commit(
            committer,
            adds=adds,
            removes=removes,
            psks=(self._new_psk(),) if step.psk else (),
            public=step.public,
            path=step.path,
            tree_inside=step.tree_inside,
        )

    def _removed(
        self, picks: Sequence[int], committer: Player, busy: set[int | None]
    ) -> list[int]:
        leaves = [
            member.leaf
            for member in self.members
            if member is not committer and member.leaf not in busy
        ]
        removes: list[int] = []
        for pick in picks:
            left = [leaf for leaf in leaves if leaf not in removes]
            leaf = left[pick % len(left)] if len(left) > 1 else None
            if leaf is not None and self._may_go(leaf, {*self._going(), *removes}):
                removes.append(leaf)
        return removes

    def _going(self) -> set[int]:
        """Return the leaves that the next commit removes."""
        return {
            proposed.change.leaf
            for proposed in self._proposed
            if isinstance(proposed.change, Remove)
        }

    def _may_go(self, leaf: int, going: Collection[int]) -> bool:
        """Whether this leaf may go, too.

        Somebody of each side stays, and in the left half of the tree (TS13).
        """
        gone = {leaf, *going}
        staying = [member for member in self.members if member.leaf not in gone]
        if not self._sides <= {member.side for member in staying}:
            return False
        return not root_is_left_out([member.leaf for member in staying])

    def _commit(
        self,
        committer: Player,
        *,
        adds: Sequence[Side] = (),
        removes: Sequence[int] = (),
        psks: Sequence[Psk] = (),
        public: bool = True,
        path: bool = False,
        tree_inside: bool = True,
    ) -> None:
        by_value = [self._client(side) for side in adds]
        joiners = [proposed.joiner for proposed in self._proposed if proposed.joiner]
        joiners += by_value
        theirs_join = any(joiner.side is Side.THEIRS for joiner in joiners)
        changes: tuple[Change, ...] = (
            *(Remove(leaf) for leaf in removes),
            *(Add(joiner.key_package()) for joiner in by_value),
            *psks,
        )
        made = committer.commit(
            changes,
            public=public,
            path=path and not theirs_join,
            tree_inside=tree_inside,
        )
        self._note_commit(committer, changes)
        gone = {*removes, *self._going()}
        self._tell_commit(committer, made.commit, gone, refilled=bool(joiners))
        for joiner in joiners:
            self._let_in(joiner, made)
        self._agree()

    def _note_commit(self, committer: Player, changes: Sequence[Change]) -> None:
        self.done[f"commit {committer.side}"] += 1
        for change in changes:
            self.done[f"commit {type(change).__name__} {committer.side}"] += 1
        for proposed in self._proposed:
            kind = type(proposed.change).__name__
            self.done[f"commit {kind} by reference {committer.side}"] += 1

    def _let_in(self, joiner: Player, made: Committed) -> None:
        assert made.welcome is not None
        self._teach(joiner)
        joiner.join(made.welcome, made.tree)
        self.members.append(joiner)
        self.done[f"join {joiner.side}"] += 1

    def _tell_commit(
        self,
        committer: Player,
        commit: bytes,
        gone: Collection[int] = (),
        *,
        refilled: bool = False,
    ) -> None:
        """Let everybody follow; those whom it removes notice, and go.

        Args:
            committer: who knows already.
            commit: what they sent.
            gone: leaves that it removes.
            refilled: it adds somebody, too: ts-mls may fail to notice then (TS11).
        """
        for member in self._others(committer):
            if member.leaf not in gone:
                assert member.process(commit) is None
                assert not member.is_out
                continue
            if refilled and member.side is Side.THEIRS:
                _is_refused(member, commit)
            else:
                assert member.process(commit) is None
                assert member.is_out
            self._forget(member)
        self._proposed.clear()
        self._epoch += 1
        late = [
            number
            for number, letter in enumerate(self._letters)
            if self._epoch - letter.epoch >= LATE_EPOCHS_MAX
        ]
        self._read(late, random.Random(self._epoch))

    def _forget(self, gone: Player) -> None:
        self.members.remove(gone)
        gone.leave()
        for letter in self._letters:
            letter.readers = [other for other in letter.readers if other is not gone]
        self.done[f"removed {gone.side}"] += 1

    def _others(self, sender: Player) -> list[Player]:
        return [member for member in self.members if member is not sender]

    # ---- from outside

    def _join_from_outside(self, step: JoinFromOutside) -> None:
        again = None
        if step.again is not None and len(self.members) > 1:
            again = self._pick(step.again, self.members)
        side = step.side if again is None else again.side
        if self._is_full(1) and again is None:
            return
        if side is Side.THEIRS and refused_by_tsmls(self._tree(), 0):
            if self._proposed:
                return
            self._merge_all()
        if again is not None:
            self._read(range(len(self._letters)), random.Random(0))
        joiner = self._client(side) if again is None else again
        sponsor = self._pick(step.sponsor, self._others(joiner))
        commit = joiner.join_from_outside(
            sponsor.group_info(), resync=again is not None
        )
        self._tell_commit(joiner, commit)
        if again is None:
            self._teach(joiner)
            self.members.append(joiner)
        kind = "resync" if again else "join from outside"
        self.done[f"{kind} {joiner.side}, sponsor {sponsor.side}"] += 1
        self._agree()

    # ---- messages

    def _say(self, step: Say) -> None:
        if self._proposed:  # nobody may send now (12.4)
            return
        sender = self._pick(step.who, self.members)
        unread = sum(
            letter.sender == sender.name and letter.epoch == self._epoch
            for letter in self._letters
        )
        for _ in range(min(step.count, UNREAD_PER_SENDER_MAX - unread)):
            self._said += 1
            text = b"message %d" % self._said
            self._letters.append(
                _Letter(
                    sender=sender.name,
                    epoch=self._epoch,
                    text=text,
                    message=sender.encrypt(text),
                    readers=self._others(sender),
                )
            )
        if not step.late:
            self._read(range(len(self._letters)), random.Random(step.order))

    def _read(self, numbers: Sequence[int], dice: random.Random) -> None:
        """Let these letters arrive, each reader in an order of their own, twice."""
        chosen = [self._letters[number] for number in numbers]
        pairs = [(letter, reader) for letter in chosen for reader in letter.readers]
        dice.shuffle(pairs)
        for letter, reader in pairs:
            assert reader.process(letter.message) == letter.text, f"{reader} misread"
            self.done[f"read {reader.side}"] += 1
            if letter.epoch < self._epoch:
                self.done[f"read late {reader.side}"] += 1
            assert _is_refused(reader, letter.message), "read twice"
        self._letters = [letter for letter in self._letters if letter not in chosen]

    # ---- agreement

    def _agree(self) -> None:
        views = {member.name: member.view() for member in self.members}
        first = next(iter(views.values()))
        for name, view in views.items():
            assert view == first, name
        assert first.epoch == self._epoch
        assert self._sides <= {member.side for member in self.members}
        assert dict(first.members) == {
            member.leaf: member.name.encode() for member in self.members
        }
        self.done["epochs"] += 1
        self.done["members"] = max(self.done["members"], len(self.members))


def _is_refused(reader: Player, message: bytes) -> bool:
    try:
        reader.process(message)
    except reader.refusals:
        return True
    return False
