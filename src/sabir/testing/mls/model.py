"""A group under bad conditions: messages get lost, come late, twice, and contradict.

A life is a list of steps with small numbers; the model takes each number as a choice
among what is possible then, so every list of steps is a life and shrinks well. After
each step the model knows what every member must see and which letters it can open,
and asks. Whatever is refused must leave no trace, in memory and in the store.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

import pytest

from sabir.mls.codepoints import ContentType
from sabir.mls.errors import MlsMissing, MlsMisuse
from sabir.mls.framing import encode_message
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import (
    MlsGroup,
    accept,
    stage_external_join,
    stage_welcome,
)
from sabir.mls.group.messages import Outgoing
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.process import OwnEcho, StagedCommit
from sabir.mls.proposals import Add, PreSharedKey, Proposal, Remove
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.public_group import ProposalReceived
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import PskTable, make_client
from sabir.testing.mls.hub import Entry, Facts, Hub, Made, entry_of, name_of
from sabir.testing.mls.letters import Letters
from sabir.testing.mls.model_steps import (
    Attempt,
    CatchUp,
    Comeback,
    Deliver,
    Enter,
    Life,
    Propose,
    Race,
    Read,
    Restart,
    Say,
    Step,
    Wait,
)
from sabir.testing.mls.rules import violates
from sabir.testing.mls.seat import (
    MISSING,
    OWN_ECHO,
    STAGED,
    Newcomer,
    Person,
    Seat,
    behind,
)
from sabir.testing.mls.seeded import SeededEnv

GROUP_ID: Final = b"a group under bad conditions"
GONE_MAX: Final = 6
"""So many former members go on listening."""
CROSSED_MAX: Final = 5
"""So many members see a commit that came too late."""


# ---- what is on its way


@dataclass(frozen=True, slots=True)
class _Proposed:
    joins: Newcomer | None = None
    leaves: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A commit that was made, and what its author meant by it."""

    made: Made
    seat: Seat | None
    """The membership that it was made in; none of those who join by it."""
    by_value: tuple[Newcomer, ...] = ()
    leaves: frozenset[str] = frozenset()
    tree_inside: bool = True
    joiner: Person | None = None
    """Who joins by it, in an external commit."""


@dataclass(frozen=True, slots=True)
class _Invited:
    newcomer: Newcomer
    welcome: bytes
    tree: bytes | None
    epoch: int


@dataclass(slots=True)
class Model:
    """One group, its members, and the bad conditions between them."""

    life: Life
    members_max: int = 200
    env: SeededEnv = field(init=False)
    hub: Hub = field(init=False)
    letters: Letters = field(init=False)
    seats: list[Seat] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """What happened how often."""
    _proposed: dict[bytes, _Proposed] = field(default_factory=dict)
    _invited: list[_Invited] = field(default_factory=list)
    _late: list[tuple[Entry, Seat | None]] = field(default_factory=list)
    _psks: dict[bytes, bytes] = field(default_factory=dict)
    _names: int = 0

    def __post_init__(self) -> None:
        self.env = SeededEnv(self.life.seed)
        self.letters = Letters(self.env, self.done)

    # ---- the life

    def play(self) -> None:
        """Play the life to its end; whatever is wrong is an AssertionError."""
        founder = self._newcomer()
        suite = self.life.suite
        group = MlsGroup.create(self.env, founder.person.client, GROUP_ID, suite=suite)
        epoch = group.state.epoch
        assert epoch is not None
        info = encode_message(group.group_info(with_tree=True))
        self.hub = Hub.follow(self.env, epoch, info)
        self._sit_down(founder.person, group)
        self._race(Race((Attempt(0, adds=self.life.first),)))
        for step in self.life.steps:
            self._step(step)
        self._end()

    def _step(self, step: Step) -> None:
        match step:
            case Race():
                self._race(step)
            case Propose():
                self._propose(step)
            case Deliver():
                for number in range(step.spread):
                    seat = self._pick(step.who + number)
                    self._deliver(seat, step.count, step.dice + number)
            case CatchUp():
                self._catch_up_some(step.who)
            case Say():
                self.letters.say(self._pick(step.who), step.count)
            case Read():
                self.letters.read(self.seats, random.Random(step.dice))
            case Wait():
                self.env.time += step.seconds
            case Restart():
                self._pick(step.who).restart()
                self.done["restart"] += 1
            case Enter():
                if self._invited:
                    self._enter(self._invited.pop(step.which % len(self._invited)))
                    self.done["enter late"] += 1
            case _:
                assert_never(step)

    def _end(self) -> None:
        """Bring everybody home, and look whether all is right."""
        self._let_them_know()
        while self._invited:
            self._enter(self._invited.pop())
        present = self._all_catch_up()
        self._race(Race((Attempt(self.seats.index(present[0])),)))
        present = self._all_catch_up()
        speakers = present[:3]
        for seat in speakers:
            self.letters.say(seat, 1)
        self.letters.read(self.seats, random.Random(0))
        for letter in self.letters.sent[-len(speakers) :]:
            readers = [seat for seat in self.seats if letter.number in seat.read]
            assert len(readers) == len(present) - 1
        for seat in self.seats[:GONE_MAX]:
            seat.restart()

    def _all_catch_up(self) -> list[Seat]:
        """Let everybody take all that they lack; return the members."""
        for seat in self.seats:
            self._catch_up(seat)
        present = [seat for seat in self.seats if not seat.is_out]
        names = sorted(name for _, name in self.hub.now_true.names)
        assert sorted(seat.name for seat in present) == names
        assert all(seat.epoch == self.hub.epoch for seat in present)
        return present

    def _let_them_know(self) -> None:
        """Show a letter of the newest epoch to all who are not there."""
        there = next((seat for seat in self.seats if self._is_there(seat)), None)
        if there is None or there.group.public.pending:
            return
        self.letters.say(there, 1)
        for seat in behind(self.seats, self.hub):
            self.letters.show(seat, self.letters.sent[-1])
            self.done["knows that it is behind"] += 1

    def _is_there(self, seat: Seat) -> bool:
        return not seat.is_out and seat.epoch == self.hub.epoch

    # ---- people

    def _newcomer(self) -> Newcomer:
        self._names += 1
        name, psks = f"client {self._names}", PskTable()
        for psk_id, key in self._psks.items():
            psks.learn(psk_id, key)
        client = make_client(self.env, name, self.life.suite, psks)
        _, secrets = client.key_package(self.env, suite=self.life.suite)
        return Newcomer(Person(name, client, psks), secrets)

    def _sit_down(self, who: Person, group: MlsGroup) -> None:
        seat = Seat(who, group, group.epoch)
        seat.store()
        self.seats.append(seat)
        self._agree(seat)
        gone = [seat for seat in self.seats if seat.is_out]
        for old in gone[: max(0, len(gone) - GONE_MAX)]:
            self.seats.remove(old)

    def _pick(self, number: int) -> Seat:
        return self.seats[number % len(self.seats)]

    def _agree(self, seat: Seat) -> None:
        """Compare what a member sees with what is true."""
        if not seat.is_out:
            assert seat.facts() == self.hub.facts[seat.epoch], seat
            self.done["agreed"] += 1

    # ---- commits

    def _race(self, race: Race) -> None:
        runs = []
        for runner in race.runners:
            run = (
                self._attempt(runner)
                if isinstance(runner, Attempt)
                else self._come_back(runner)
            )
            if run is not None:
                runs.append(run)
        random.Random(race.order).shuffle(runs)
        before = self.hub.now_true
        for run in runs:
            if self.hub.commit(run.made):
                self._won(run, race, before)
            else:
                self._lost(run, race)
        for run in runs if race.crossed else ():
            if run.made.commit != self.hub.log[-1].message:
                for seat in self.seats[:CROSSED_MAX]:
                    self._show_loser(seat, entry_of(run.made), run.seat)

    def _attempt(self, attempt: Attempt) -> _Run | None:
        seat = self._pick(attempt.who)
        if seat.is_out or seat.group.pending is not None:
            with pytest.raises(MlsMisuse):
                seat.group.commit(self.env)
            self.done["no second commit"] += 1
            return None
        room = (
            self.members_max - len(seat.group.members) - len(seat.group.public.pending)
        )
        adds = tuple(self._newcomer() for _ in range(min(attempt.adds, max(0, room))))
        leaves = self._to_remove(seat, attempt.removes)
        proposals: list[Proposal] = [Remove(leaf) for leaf in leaves]
        proposals += [Add(newcomer.secrets.key_package) for newcomer in adds]
        if attempt.psk:
            proposals.append(self._new_psk(seat))
        before = seat.group.save()
        made = seat.group.commit(
            self.env,
            proposals,
            as_public=not self.life.private,
            force_path=attempt.path,
            tree_in_welcome=attempt.tree_inside,
        )
        if not self.life.private:
            pending = seat.group.save().keys() - before.keys()
            assert len(pending) == 1, "a commit changes nothing but that it waits"
        with pytest.raises(MlsMisuse):
            _ = made.welcome
        seat.store()
        names = frozenset(leaves.values())
        return _Run(made, seat, adds, names, attempt.tree_inside)

    def _to_remove(self, seat: Seat, picks: Sequence[int]) -> dict[int, str]:
        """Choose leaves to remove, so that somebody is left."""
        others = [
            (leaf, name_of(node))
            for leaf, node in seat.group.members
            if leaf != seat.group.own_leaf
        ]
        return dict(others[pick % len(others)] for pick in picks if len(others) > 1)

    def _new_psk(self, seat: Seat) -> PreSharedKey:
        """Make a key; every third member learns of it only when it is missing."""
        psk_id = b"key %d" % len(self._psks)
        self._psks[psk_id] = self.env.random(32)
        for number, other in enumerate(self.seats):
            if other is seat or number % 3:
                other.psks.learn(psk_id, self._psks[psk_id])
        nonce = self.env.random(seat.group.public.epoch.suite.nh)
        return PreSharedKey(ExternalPsk(psk_id, nonce))

    def _come_back(self, comeback: Comeback) -> _Run | None:
        seat = None if comeback.who is None else self._pick(comeback.who)
        if len(self.hub.now_true.names) >= self.members_max:
            return None
        joiner = self._newcomer().person if seat is None else seat.person
        own = self.hub.now_true.leaf_of(joiner.name)
        made = stage_external_join(
            self.env,
            joiner.client,
            self.hub.group_info,
            member_of=() if own is None else (GROUP_ID,),
            resync=own,
            self_removes=[
                self.hub.waiting[reference]
                for reference in self.hub.public.self_removes
                if self.hub.public.pending[reference].target != own
            ],
        )
        return _Run(made, None, joiner=joiner)

    def _won(self, run: _Run, race: Race, before: Facts) -> None:
        """Judge what an accepted commit did, and let those who made it go on."""
        covered = [self._proposed[each] for each in entry_of(run.made).covers]
        self._proposed.clear()
        joined = [*run.by_value, *(each.joins for each in covered if each.joins)]
        names = {name for _, name in before.names}
        names -= run.leaves | {each.leaves for each in covered if each.leaves}
        names |= {each.person.name for each in joined}
        if isinstance(run.made, PendingExternalJoin):
            assert run.joiner is not None
            names.add(run.joiner.name)
            self._sit_down(run.joiner, accept(run.joiner.client, run.made))
            back = run.joiner.name in {name for _, name in before.names}
            self.done["resync" if back else "external join"] += 1
        elif not race.silent:
            assert run.seat is not None
            self._merge_own(run.seat)
        assert {name for _, name in self.hub.now_true.names} == names
        self.done["epoch"] += 1
        self.done["covered"] += len(covered)
        self._welcome(run, joined, slow=race.slow)

    def _merge_own(self, seat: Seat) -> None:
        self._leave_epoch(seat)
        seat.group.merge_pending(self.env)
        seat.store()
        self._agree(seat)

    def _leave_epoch(self, seat: Seat) -> None:
        seat.left.append((seat.epoch, self.env.time))
        seat.taken.clear()

    def _lost(self, run: _Run, race: Race) -> None:
        """Somebody was too late."""
        self._late.append((entry_of(run.made), run.seat))
        self.done["too late"] += 1
        if isinstance(run.made, PendingCommit) and not race.silent:
            assert run.seat is not None
            run.seat.group.clear_pending()
            run.seat.store()

    def _welcome(self, run: _Run, joined: Iterable[Newcomer], *, slow: bool) -> None:
        invited = []
        for newcomer in joined:
            assert isinstance(run.made, PendingCommit)
            welcome = run.made.welcome_for_sequencer()
            assert welcome is not None
            tree = None if run.tree_inside else self.hub.tree
            octets = encode_message(welcome)
            invited.append(_Invited(newcomer, octets, tree, self.hub.epoch))
        if slow:
            self._invited += invited
            return
        for each in invited:
            self._enter(each)

    def _enter(self, invited: _Invited) -> None:
        newcomer = invited.newcomer

        def stage(tree: bytes | None, *groups: bytes) -> MlsGroup:
            staged = stage_welcome(
                newcomer.person.client,
                invited.welcome,
                [newcomer.secrets],
                tree=tree,
                member_of=groups,
            )
            return accept(newcomer.person.client, staged)

        try:
            group = stage(invited.tree)
        except MlsMissing:  # a key that was made after we were
            self._learn_all(newcomer.person.psks)
            self.done["learned a key to join"] += 1
            group = stage(invited.tree)
        if invited.tree is not None:
            with pytest.raises(MlsMissing):
                stage(None)
        with violates(Rule.W06):
            stage(invited.tree, GROUP_ID)
        assert group.epoch == invited.epoch
        self._sit_down(newcomer.person, group)
        self.done["joined"] += 1

    def _learn_all(self, psks: PskTable) -> None:
        for psk_id, key in self._psks.items():
            psks.learn(psk_id, key)

    # ---- proposals

    def _propose(self, step: Propose) -> None:
        seat = self._pick(step.who)
        public = not self.life.private
        if seat.is_out:
            with pytest.raises(MlsMisuse):
                seat.group.propose_update(self.env)
            return
        kind = step.what % (4 if public else 3)
        if kind == 0:
            newcomer = self._newcomer()
            meaning = _Proposed(joins=newcomer)
            proposal: Proposal = Add(newcomer.secrets.key_package)
            sent = seat.group.propose(self.env, proposal, as_public=public)
        elif kind == 1:
            removed = self._to_remove(seat, [step.whom])
            if not removed:
                return
            ((leaf, name),) = removed.items()
            meaning = _Proposed(leaves=name)
            sent = seat.group.propose(self.env, Remove(leaf), as_public=public)
        elif kind == 2:
            meaning = _Proposed()
            sent = seat.group.propose_update(self.env, as_public=public)
        else:
            meaning = _Proposed(leaves=seat.name)
            leaving = self._propose_to_leave(seat)
            if leaving is None:
                return
            sent = leaving
        seat.store()
        assert sent.reference is not None
        seat.proposed.add(sent.reference)
        if self.hub.propose(sent.message, sent.reference):
            self._proposed[sent.reference] = meaning
            self.done["proposed"] += 1
        else:
            self.done["proposed too late"] += 1

    def _propose_to_leave(self, seat: Seat) -> Outgoing | None:
        if len(self.hub.now_true.names) < 3:
            return None
        waiting = seat.group.public
        if any(
            waiting.pending[reference].sender.index == seat.group.own_leaf
            for reference in waiting.self_removes
        ):
            with pytest.raises(MlsMisuse):
                seat.group.propose_self_remove(self.env)
            return None
        self.done["self-remove"] += 1
        return seat.group.propose_self_remove(self.env)

    # ---- delivering handshakes

    def _catch_up_some(self, who: int | None) -> None:
        if who is not None:
            self._catch_up(self._pick(who))
            return
        for number, seat in enumerate(list(self.seats)):
            if number % 5 != self.hub.epoch % 5:
                self._catch_up(seat)

    def _catch_up(self, seat: Seat) -> None:
        while not seat.is_out:
            number = self._next(seat)
            if number is None:
                break
            self._take(seat, number)

    def _numbers(self, seat: Seat) -> list[int]:
        """Return what belongs to a member's epoch and did not reach it."""
        known = self.hub.numbers.get(seat.epoch, [])
        return [number for number in known if number not in seat.taken]

    def _next(self, seat: Seat) -> int | None:
        return next(iter(self._numbers(seat)), None)

    def _deliver(self, seat: Seat, count: int, dice: int) -> None:
        """Let handshakes reach a member: the next, any, an old one, one too early."""
        choose = random.Random(dice)
        for _ in range(count):
            ours = self._numbers(seat)
            chance = choose.random()
            if chance < 0.5 and ours:
                self._take(seat, ours[0])
            elif chance < 0.65 and ours:
                self._take(seat, choose.choice(ours))
            elif chance < 0.75:
                self._take(seat, choose.randrange(len(self.hub.log)))
            elif chance < 0.85:
                self._take(seat, len(self.hub.log) - 1)
            elif self._late:
                self._show_loser(seat, *choose.choice(self._late))

    def _take(self, seat: Seat, number: int) -> None:
        """Give a member a handshake, which it takes or refuses as it must."""
        entry = self.hub.log[number]
        if seat.is_out:
            self._refuse_outside(seat, entry)
        elif entry.epoch > seat.epoch:
            seat.refuse(self.env, entry.message, {MISSING})
            self.done["too early"] += 1
        elif entry.epoch < seat.epoch:
            seat.refuse(self.env, entry.message, {Rule.F02.name})
            self.done["too old"] += 1
        elif entry.reference is not None:
            self._take_proposal(seat, number, entry)
        else:
            self._take_commit(seat, number, entry)

    def _refuse_outside(self, seat: Seat, entry: Entry) -> None:
        """A former member can make nothing of what comes after it."""
        names = {MISSING, Rule.F02.name, Rule.D02.name, OWN_ECHO}
        seat.refuse(self.env, entry.message, names)
        self.done["outside"] += 1

    def _take_proposal(self, seat: Seat, number: int, entry: Entry) -> None:
        again = number in seat.taken
        if again and self.life.private:
            seat.refuse(self.env, entry.message, {Rule.D02.name, OWN_ECHO})
            self.done["twice"] += 1
            return
        found = seat.group.process(self.env, entry.message)
        seat.store()
        if isinstance(found, OwnEcho):
            assert found.content_type is ContentType.PROPOSAL
            assert entry.reference in seat.proposed
        else:
            assert entry.reference not in seat.proposed
            assert isinstance(found, ProposalReceived)
            assert found.reference == entry.reference
        self.done["twice"] += again
        seat.taken.add(number)

    def _take_commit(self, seat: Seat, number: int, entry: Entry) -> None:
        pending = seat.group.pending
        if pending is not None and pending.commit == entry.message:
            found = seat.group.process(self.env, entry.message)
            assert isinstance(found, OwnEcho)
            self._merge_own(seat)
            self.done["own echo"] += 1
            return
        missing = entry.covers - seat.group.public.pending.keys()
        if missing:
            seat.refuse(self.env, entry.message, {MISSING})
            self.done["a proposal is missing"] += 1
            if number % 2:
                return
            self.done["followed with what was missing"] += 1
        given = [each.message for each in self.hub.log if each.reference in missing]
        if self._lacks_key(seat, entry):
            seat.refuse(self.env, entry.message, {MISSING})
            self._learn_all(seat.psks)
            self.done["learned a key to follow"] += 1
        found = seat.group.process(self.env, entry.message, given)
        assert isinstance(found, StagedCommit)
        assert seat.epoch == entry.epoch, "nothing changes before merge"
        self._leave_epoch(seat)
        seat.group.merge(self.env, found)
        seat.store()
        self._agree(seat)
        if seat.is_out:
            self.done["removed"] += 1

    def _lacks_key(self, seat: Seat, entry: Entry) -> bool:
        """Say whether a commit uses a key that a member does not know.

        Who is removed by the commit does not need the key.
        """
        after = self.hub.facts[entry.epoch + 1]
        own = seat.group.own_leaf
        if dict(after.names).get(own) != seat.name:
            return False
        return any(
            seat.psks.find(ExternalPsk(psk_id, b"")) is None for psk_id in entry.psks
        )

    def _show_loser(self, seat: Seat, entry: Entry, author: Seat | None) -> None:
        """Show a member a commit that the hub did not take."""
        if seat.is_out:
            self._refuse_outside(seat, entry)
            return
        if author is seat or entry.epoch != seat.epoch:
            seat.refuse(self.env, entry.message, {MISSING, Rule.F02.name, OWN_ECHO})
            self.done["loser refused"] += 1
        else:
            staged = {STAGED, MISSING}
            seat.refuse(self.env, entry.message, staged)
            self.done["loser staged"] += 1
