"""Random people act in a room and the hub judges: all who follow agree with it."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sabir.mimi.codepoints import SubmitCode, UpdateCode
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import BANNED
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.invariants import check_invariants
from sabir.mimi.policy.view import RoomView
from sabir.mimi.structs.update import CommitBundle
from sabir.mimi.uris import user_of
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.proposals import AppDataUpdate, Proposal, Remove, SelfRemove
from sabir.testing.mimi.hub_harness import ROOM, HubHarness, listed
from sabir.testing.mimi.people import user_named

USERS: Final = (
    "ann",
    "amy",
    "b.example:ben",
    "b.example:bob",
    "hub.example:cal",
    "c.example:dee",
)
NAMES: Final = tuple(f"{user}{device}" for user in USERS for device in ("", "/2"))

WHO = st.sampled_from(NAMES)
ROLE = st.integers(0, 5)
NUMBER = st.integers(0, 7)


class Room(RuleBasedStateMachine):
    """A room that Ann makes, with some of the others."""

    @initialize(
        seed=st.integers(0, 1_000),
        others=st.lists(
            st.sampled_from(USERS[1:]), min_size=2, max_size=5, unique=True
        ),
        roles=st.lists(st.sampled_from([2, 3, 3, 4]), min_size=5, max_size=5),
    )
    def begin(self, seed: int, others: list[str], roles: list[int]) -> None:
        hub = self.hub = HubHarness.of("ann", seed=seed)
        for name in NAMES:
            hub.player(name)
        added = list(zip(others, roles, strict=False))
        hub.commit("ann", listed(added=added), *(hub.package(each) for each in others))
        self.epochs = 1
        self.times = [hub.room.last_at]

    # ---- what people want

    def intent(self, kind: int, name: str, role: int, number: int) -> list[Proposal]:
        """Return what somebody proposes, allowed or not."""
        hub = self.hub
        state = hub.room.state.participants
        place = state.index_of(user_named(name))
        leaves = [
            Remove(index)
            for index, client in hub.room.memory.effective.leaves.items()
            if client.user == user_named(name)
        ]
        match kind:
            case 0:
                return [listed(added=[(name, role or 2)]), hub.package(name)]
            case 1 if place is not None:
                return [listed(removed=[place]), *leaves]
            case 2 if place is not None:
                return [listed(changed=[(place, BANNED)]), *leaves]
            case 3 if place is not None:
                return [listed(changed=[(place, role or 2)])]
            case 4:
                text = RoomMetadata(ROOM, name=f"tea {number}").encode()
                return [AppDataUpdate(0x23, text)]
            case 5:
                return [hub.package(name)]
            case 6:
                return [*leaves[:1]]
            case _:
                return []

    def member(self, number: int) -> str:
        members = [player.name for player in self.hub.members]
        return members[number % len(members)]

    # ---- steps

    @rule(
        by=NUMBER,
        kind=st.integers(0, 7),
        name=WHO,
        role=ROLE,
        number=NUMBER,
        racer=st.none() | NUMBER,
    )
    @precondition(lambda self: self.alive)
    def commit(
        self, by: int, kind: int, name: str, role: int, number: int, racer: int | None
    ) -> None:
        hub, committer = self.hub, self.member(by)
        wanted = self.intent(kind, name, role, number)
        try:
            bundle = hub.committed(committer, *wanted)
        except (MlsInvalid, MlsMisuse):
            return  # our own core does not make such a commit
        late = self.racing(committer, racer)
        outcome = hub.update(hub[committer].domain, bundle)
        if outcome.change is None:
            assert outcome.response.code != UpdateCode.WRONG_EPOCH
            hub[committer].member.clear_pending()
            return
        hub.take(outcome)
        self.epochs += 1
        self.note(len(outcome.fanout))
        if late is not None:
            who, other = late
            lost = hub.update(hub[who].domain, other)
            assert lost.change is None
            assert lost.response.code in {
                UpdateCode.WRONG_EPOCH,
                UpdateCode.NOT_ALLOWED,  # nobody of that provider is left
            }

    def racing(self, first: str, racer: int | None) -> tuple[str, CommitBundle] | None:
        """Let another member make a commit of the same epoch."""
        if racer is None or self.member(racer) == first:
            return None
        who = self.member(racer)
        try:
            return who, self.hub.committed(who)
        except (MlsInvalid, MlsMisuse):
            return None

    @rule(by=NUMBER, kind=st.integers(0, 8), name=WHO, role=ROLE, number=NUMBER)
    @precondition(lambda self: self.alive)
    def propose(self, by: int, kind: int, name: str, role: int, number: int) -> None:
        hub, sender = self.hub, self.member(by)
        wanted = (
            list(self.leaving(sender))
            if kind == 8
            else self.intent(kind, name, role, number)
        )
        if not wanted:
            return
        group = hub[sender].member
        waiting = group.public.pending.copy()
        try:
            bundle = hub.proposed(sender, *wanted)
        except (MlsInvalid, MlsMisuse):
            group.public.pending = waiting
            return
        outcome = hub.update(hub[sender].domain, bundle)
        if outcome.change is None:
            group.public.pending = waiting
            return
        hub.take(outcome)
        self.note(1)

    def leaving(self, sender: str) -> tuple[Proposal, ...]:
        if self.hub.room.state.participants.index_of(user_named(sender)) is None:
            return (SelfRemove(),)
        return self.hub.leaving(sender)

    @rule(name=WHO, listed_before=st.booleans())
    @precondition(lambda self: self.alive)
    def join(self, name: str, listed_before: bool) -> None:
        hub = self.hub
        seen = hub.see(name)
        view = hub.room.view
        user = user_named(name)
        if seen is None:
            return
        assert view.is_listed(user)
        assert not view.is_banned(user)
        old = hub.leaf(name) if hub[name].is_member else None
        extra = () if listed_before else (listed(added=[(name, 2)]),)
        try:
            bundle = hub.joining(name, seen, *extra, resync=old)
        except MlsInvalid:
            return  # who is listed does not enter the list again
        outcome = hub.update(hub[name].domain, bundle)
        if outcome.change is None:
            hub[name].joining = None
            return
        hub.take(outcome)
        self.epochs += 1
        self.note(1)

    @rule(by=NUMBER)
    @precondition(lambda self: self.alive)
    def send(self, by: int) -> None:
        hub, sender = self.hub, self.member(by)
        outcome = hub.submit(hub[sender].domain, hub.message_of_an_unaware(sender))
        allowed = hub.room.view.can_send(hub[sender].user)
        assert (outcome.response.code == SubmitCode.ACCEPTED) is allowed
        if outcome.change is None:
            return
        hub.take(outcome)
        self.note(1)
        for player in hub.members:
            heard = player.name != sender and player.read != []
            if player.heard and player.heard[-1].accepted_at == hub.room.last_at:
                assert heard or player.name == sender

    @rule(name=st.sampled_from(["hub.example:cal", "ann"]))
    @precondition(lambda self: self.alive)
    def delete_account(self, name: str) -> None:
        hub = self.hub
        outcome = hub.ask(lambda: hub.room.remove_user(hub.now_ms, user_named(name)))
        if outcome.change is None:
            return
        assert name == "hub.example:cal"
        hub.take(outcome)
        self.note(1)

    @rule(seconds=st.integers(-30, 4_000))
    def wait(self, seconds: int) -> None:
        """Let time pass, or set the clock back as far as a hub bears it."""
        earliest = self.hub.room.last_at // 1_000 - 50
        self.hub.env.time = max(self.hub.env.time + seconds, earliest)

    # ---- what holds

    @property
    def alive(self) -> bool:
        return not self.hub.room.is_closed

    def note(self, events: int) -> None:
        """Write down the timestamps of what was sent."""
        times = {event.accepted_at for event in self.hub.log[-events:]}
        assert len(times) == 1, "one event, one timestamp"
        self.times += times

    @invariant()
    def all_agree(self) -> None:
        self.hub.check_agreement()
        assert self.hub.room.epoch == self.epochs
        assert self.times == sorted(set(self.times))

    @invariant()
    def the_room_is_in_order(self) -> None:
        memory = self.hub.room.memory
        committed = RoomView.of_epoch(memory.group.epoch)
        try:
            check_invariants(None, committed)
        except PolicyDenied as wrong:
            raise AssertionError(f"epoch {memory.epoch}: {wrong}") from wrong
        for client in committed.clients:
            assert user_of(client.identity) in committed.room.participants.users


TestRoom = Room.TestCase
TestRoom.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
