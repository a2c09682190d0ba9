"""One member in a model test: its group, its store, and what it is owed.

A seat is one membership. Who comes back by an external commit gets a new one; the old
one stays, as a device would that does not know yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sabir.errors import PeerMisbehaved
from sabir.mls.client import KeyPackageSecrets, MlsClient
from sabir.mls.env import Env
from sabir.mls.errors import MlsMissing
from sabir.mls.framing import PrivateMessage, decode_message
from sabir.mls.group.epoch import Status
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.messages import open_message, who_sent
from sabir.mls.group.process import ApplicationMessage, OwnEcho, StagedCommit
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.proposals import STANDARD_PROPOSALS
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.services import Services
from sabir.testing.mls.clients import Believing, PskTable
from sabir.testing.mls.hub import Facts, Hub

MISSING: Final = "missing"
"""What a refusal is called that blames nobody: something is not here (yet)."""

OWN_ECHO: Final = OwnEcho.__name__
STAGED: Final = StagedCommit.__name__
NO_FAULT: Final = frozenset({OWN_ECHO, STAGED})


@dataclass(frozen=True, slots=True)
class Person:
    """A client with its name and the pre-shared keys that it knows."""

    name: str
    client: MlsClient
    psks: PskTable


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who is in no group yet, with a key package."""

    person: Person
    secrets: KeyPackageSecrets


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """Application data on their way."""

    number: int
    sender: "Seat"
    leaf: int
    epoch: int
    text: bytes
    message: bytes


@dataclass(slots=True, eq=False)
class Seat:
    """A membership.

    Attributes:
        person: whose it is.
        group: the membership.
        joined: its first epoch.
        left: epochs that it left, with the time.
        taken: numbers of the log's handshakes that it took in this epoch.
        proposed: references of its own proposals.
        read: numbers of the letters that it has read.
        rows: the group in its store, kept up by deltas alone.
    """

    person: Person
    group: MlsGroup
    joined: int
    left: list[tuple[int, int]] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    proposed: set[bytes] = field(default_factory=set)
    read: set[int] = field(default_factory=set)
    rows: dict[bytes, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.name} since epoch {self.joined}>"

    @property
    def name(self) -> str:
        """Return whose it is."""
        return self.person.name

    @property
    def psks(self) -> PskTable:
        """Return the pre-shared keys that the person knows."""
        return self.person.psks

    @property
    def is_out(self) -> bool:
        """Tell whether a commit has removed this member."""
        return self.group.status is Status.REMOVED

    @property
    def epoch(self) -> int:
        """Return the epoch that it is in, or was in last."""
        return self.group.epoch

    def facts(self) -> Facts:
        """Return the epoch as this member sees it."""
        epoch = self.group.state.epoch
        assert epoch is not None
        return Facts.of(epoch)

    # ---- the store

    def store(self) -> None:
        """Commit what changed."""
        delta = self.group.delta()
        for key, value in delta.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.group.saved(delta)

    def restart(self) -> None:
        """Die and come back with what the store has."""
        assert self.rows == self.group.save(), "the deltas add up to the whole"
        self.group = self.loaded()
        assert self.rows == self.group.save(), "a group survives its store"

    def loaded(self) -> MlsGroup:
        """Return the group as the store has it."""
        return MlsGroup.load(self.person.client, self.rows)

    # ---- refusals

    def refuse(self, env: Env, message: bytes, names: Iterable[str]) -> None:
        """Let this member refuse a message, by one of these rules, without a trace.

        Some messages are no fault and change nothing, either: `OwnEcho`, and a commit
        that is staged and dropped. By these a group notices that past epochs are old.
        """
        before = self.group.save()
        found = refusal(self.group, env, message)
        assert found in set(names), f"{self}: {found}, not {names}"
        if found in NO_FAULT:
            self.store()
            before = self.group.save()
            assert refusal(self.group, env, message) == found
        assert self.group.save() == before, f"{self}: {found} left a trace"

    # ---- letters

    def may_read(self, letter: Letter, now: int) -> bool:
        """Say whether a letter can be opened here, the first time that it comes."""
        limits = DEFAULT_LIMITS
        if letter.epoch < self.joined:
            return False
        if letter.epoch == self.epoch and not self.is_out:
            return True
        return any(
            epoch == letter.epoch and now - ended <= limits.past_epoch_age_s_max
            for epoch, ended in self.left[-limits.past_epochs_max :]
        )

    def open(self, env: Env, letter: Letter) -> None:
        """Read a letter, once; a key that was used is gone, from the store, too."""
        key = self._key_of(letter)
        found = self.group.process(env, letter.message)
        self.store()
        if letter.sender is self:
            assert isinstance(found, OwnEcho)
            return
        assert isinstance(found, ApplicationMessage)
        assert (found.data, found.epoch) == (letter.text, letter.epoch)
        assert found.sender == letter.leaf
        self.read.add(letter.number)
        assert not any(key in value for value in self.rows.values())

    def _key_of(self, letter: Letter) -> bytes:
        """Return the key that a letter is sealed with, or of a message of ours."""
        body = decode_message(letter.message).body
        assert isinstance(body, PrivateMessage)
        state = self.group.state
        for epoch in (state.epoch, *state.past):
            if epoch is not None and epoch.context.epoch == letter.epoch:
                data = who_sent(epoch, body)
                if letter.sender is self:
                    return b""
                kind = RatchetKind.APPLICATION
                peeked = epoch.secret_tree.peek(data.leaf_index, kind, data.generation)
                return peeked.message_key.key
        raise AssertionError(f"{self} holds no epoch {letter.epoch}")

    def cannot_open_by_force(self, letter: Letter) -> None:
        """Try a letter of an epoch that we do not have with all epochs that we have."""
        body = decode_message(letter.message).body
        assert isinstance(body, PrivateMessage)
        services = Services(authentication=Believing(), proposals=STANDARD_PROPOSALS)
        state = self.group.state
        for epoch in (state.epoch, *state.past):
            if epoch is None or epoch.context.epoch == letter.epoch:
                continue
            try:
                open_message(epoch, services, body, who_sent(epoch, body))
            except PeerMisbehaved:
                continue
            raise AssertionError(f"{self} opened a letter of epoch {letter.epoch}")


def refusal(group: MlsGroup, env: Env, message: bytes) -> str:
    """Return the rule by which a group refuses a message, `MISSING`, or what it is."""
    try:
        found = group.process(env, message)
    except PeerMisbehaved as wrong:
        return wrong.rule
    except MlsMissing:
        return MISSING
    return type(found).__name__


def behind(seats: Iterable[Seat], hub: Hub) -> list[Seat]:
    """Return the members that have not reached the current epoch."""
    return [seat for seat in seats if not seat.is_out and seat.epoch < hub.epoch]
