"""A hub for MLS groups in tests: it puts handshakes in order and keeps what is true.

It follows the group with a `PublicGroup`, as a provider does, and writes down what the
committer says about each epoch. Members must see exactly that.
"""

from dataclasses import dataclass, field
from typing import Final

from sabir.mls.credentials import BasicCredential
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMissing
from sabir.mls.framing import (
    PrivateMessage,
    PublicMessage,
    decode_message,
    encode_message,
)
from sabir.mls.group.epoch import Epoch
from sabir.mls.group.export import exported
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.leaf_node import LeafNode
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage
from sabir.mls.tree_options import TreePresence
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import Believing

_EXPORT_OCTETS: Final = 40


def name_of(leaf: LeafNode) -> str:
    """Return the name in a leaf's basic credential."""
    credential = leaf.credential
    assert isinstance(credential, BasicCredential)
    return credential.identity.decode()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of an epoch; all its members must see the same."""

    context: bytes
    authenticator: bytes
    exported: bytes
    names: tuple[tuple[int, str], ...]
    """Leaf index and name of each member."""

    @classmethod
    def of(cls, epoch: Epoch) -> "Facts":
        """Write down an epoch as a member sees it."""
        public = epoch.public
        return cls(
            public.context.raw,
            epoch.secrets.epoch_authenticator.reveal(),
            exported(epoch, b"sabir test", b"every epoch", _EXPORT_OCTETS).reveal(),
            tuple((index, name_of(leaf)) for index, leaf in public.tree.members()),
        )

    def leaf_of(self, name: str) -> int | None:
        """Return where somebody sits."""
        return next((leaf for leaf, found in self.names if found == name), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """A handshake in the group's order.

    Attributes:
        message: the MLSMessage.
        epoch: in which it was sent.
        reference: of a proposal; None for commits.
        covers: references of the proposals that a commit covers.
        psks: ids of the external PSKs that a commit mixes in.
    """

    message: bytes
    epoch: int
    reference: bytes | None = None
    covers: frozenset[bytes] = frozenset()
    psks: frozenset[bytes] = frozenset()


Made = PendingCommit | PendingExternalJoin
"""A commit with all that goes with it."""


def epoch_of(made: Made) -> Epoch:
    """Return the epoch that a commit begins."""
    return made.epoch


def entry_of(made: Made) -> Entry:
    """Write down what a commit needs from who is to follow it."""
    effects = made.effects
    return Entry(
        made.commit,
        effects.epoch - 1,
        covers=frozenset(
            item.reference for item in effects.proposals if item.reference
        ),
        psks=frozenset(
            psk.psk_id for psk in effects.psks if isinstance(psk, ExternalPsk)
        ),
    )


@dataclass(slots=True)
class Hub:
    """Orders one group's handshakes.

    Attributes:
        env: clock and randomness.
        public: the group as the hub sees it.
        log: accepted handshakes, in order.
        facts: by epoch, as the committers say.
        group_info: of the current epoch, with the tree; an MLSMessage.
        waiting: messages of the proposals that wait, by reference.
    """

    env: Env
    public: PublicGroup
    log: list[Entry] = field(default_factory=list)
    facts: dict[int, Facts] = field(default_factory=dict)
    group_info: bytes = b""
    waiting: dict[bytes, bytes] = field(default_factory=dict)
    numbers: dict[int, list[int]] = field(default_factory=dict)
    """Places in the log by epoch; the last is the commit that ended it."""

    @classmethod
    def follow(cls, env: Env, founder: Epoch, group_info: bytes) -> "Hub":
        """Begin with the first epoch of a group."""
        public = PublicGroup.from_group_info(_services(), _read_info(group_info))
        hub = cls(env, public, group_info=group_info)
        hub.facts[hub.epoch] = Facts.of(founder)
        return hub

    @property
    def epoch(self) -> int:
        """Return the current epoch."""
        return self.public.context.epoch

    @property
    def now_true(self) -> Facts:
        """Return what is true of the current epoch."""
        return self.facts[self.epoch]

    @property
    def tree(self) -> bytes:
        """Return the ratchet tree, for who gets it beside a Welcome."""
        return self.public.tree.encode()

    def propose(self, message: bytes, reference: bytes) -> bool:
        """Put a proposal in the order, unless it is of another epoch."""
        body = decode_message(message).body
        if isinstance(body, PublicMessage):
            if body.message.content.epoch != self.epoch:
                assert _is_late(self.public, self.env, message)
                return False
            received = self.public.process(self.env, message)
            assert isinstance(received, ProposalReceived)
            assert received.reference == reference
        else:
            assert isinstance(body, PrivateMessage)
            if body.epoch != self.epoch:
                return False
        self.waiting[reference] = message
        self._append(Entry(message, self.epoch, reference))
        return True

    def commit(self, made: Made) -> bool:
        """Put a commit in the order, unless another was first."""
        entry = entry_of(made)
        body = decode_message(made.commit).body
        if entry.epoch != self.epoch:
            if isinstance(body, PublicMessage):
                assert _is_late(self.public, self.env, made.commit)
            return False
        info = made.group_info(with_tree=True)
        if isinstance(body, PublicMessage):
            self._follow(made)
        else:
            self.public = PublicGroup.from_group_info(_services(), info)
        self.group_info = encode_message(info)
        self.waiting.clear()
        self._append(entry)
        self.facts[self.epoch] = Facts.of(epoch_of(made))
        return True

    def _append(self, entry: Entry) -> None:
        self.numbers.setdefault(entry.epoch, []).append(len(self.log))
        self.log.append(entry)

    def _follow(self, made: Made) -> None:
        """Judge a commit that can be read, and all that came with it."""
        staged = self.public.process(self.env, made.commit)
        assert isinstance(staged, PublicStage)
        self.public.check_group_info(staged, made.group_info(with_tree=False))
        partial = made.partial_group_info(TreePresence.PRESENT)
        whole = self.public.rebuild_group_info(staged, partial)
        assert whole.raw == made.group_info(with_tree=True).raw
        if isinstance(made, PendingCommit):
            welcome = made.welcome_for_sequencer()
            if welcome is not None:
                self.public.check_welcome(staged, welcome)
        self.public.merge(staged)


def _services() -> Services:
    return Services(authentication=Believing())


def _read_info(group_info: bytes) -> GroupInfoIn:
    body = decode_message(group_info).body
    assert isinstance(body, GroupInfoIn)
    return body


def _is_late(public: PublicGroup, env: Env, message: bytes) -> bool:
    """Tell whether the public group, too, says that a message is of another epoch."""
    try:
        public.process(env, message)
    except MlsInvalid as wrong:
        return wrong.rule == Rule.F02.name
    except MlsMissing:
        return True
    return False
