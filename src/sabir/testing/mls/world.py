"""A group of several clients of our core, and the hub that follows it."""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.client import KNOWN_EXTENSIONS, Identity, KeyPackageSecrets, MlsClient
from sabir.mls.codepoints import SenderType
from sabir.mls.components import CommitContext, ComponentRefused
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import (
    EXTERNAL_SENDERS,
    Extension,
    Extensions,
    ExternalSender,
    encode_external_senders,
)
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.process import Processed, StagedCommit
from sabir.mls.key_packages import KeyPackage
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    Add,
    Proposal,
    ProposalRegistry,
    ProposalType,
)
from sabir.mls.psk_ids import ExternalPsk, PreSharedKeyID
from sabir.mls.public_group import PublicGroup
from sabir.mls.semi_private import EXTERNAL_RECEIVERS
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage
from sabir.testing.mls.leaves import NOW_S, TrustAll
from sabir.wire.tls import Reader, opaque

NAMES: Final = ("alice", "bob", "carol", "dave", "erin")
"""Five members: three levels of the tree, with blanks."""

GROUP_ID: Final = b"the group"
COMPONENT: Final = 0x8001
"""A component that our clients know."""
PROPOSAL: Final = 0xF001
"""A type of proposal that all but dave know."""


class Odd(Proposal):
    """A proposal of type `PROPOSAL`, of which nothing but dave is ignorant."""

    __slots__ = ("raw",)

    kind = PROPOSAL

    def __init__(self) -> None:
        self.raw = self.encode()

    def body(self) -> bytes:
        """Write some octets."""
        return opaque(b"odd")


def _read_odd(reader: Reader, limits: Limits) -> Odd:
    del limits
    reader.opaque()
    return Odd()


REGISTRY: Final = STANDARD_PROPOSALS.with_types(
    ProposalType(PROPOSAL, _read_odd, frozenset({SenderType.MEMBER}))
)


class Register:
    """A component whose data are the last update; it refuses `REFUSED`."""

    REFUSED: Final = b"refuse me"

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        """Take the last update."""
        del old
        for update in updates:
            self.ephemeral(update, commit)
        return updates[-1]

    def ephemeral(self, data: bytes, commit: CommitContext) -> None:
        """Accept all but one string."""
        del commit
        if data == self.REFUSED:
            raise ComponentRefused("told to")


class Clock:
    """An `Env` that stands still until it is moved, with dice that repeat.

    Attributes:
        time: seconds since 1970.
    """

    def __init__(self, seed: int = 0, time: int = NOW_S) -> None:
        self.time = time
        self._random = Random(seed)

    def now(self) -> int:
        """Return the time."""
        return self.time

    def random(self, size: int) -> bytes:
        """Throw the dice."""
        return self._random.randbytes(size)


class Psks:
    """The external PSKs that a client holds, by id."""

    def __init__(self) -> None:
        self.keys: dict[bytes, bytes] = {}

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        """Return a key."""
        key = self.keys.get(psk_id.psk_id) if isinstance(psk_id, ExternalPsk) else None
        return None if key is None else Secret(key)


class Person:
    """A client, with its PSKs and whom it believes.

    Args:
        env: clock and dice, shared by all.
        name: its identity.
        suite: of its keys.
        registry: the proposals it knows.
        limits: of what it accepts.
        judge_lifetimes: on receipt, too.
        leaf_extensions: of its leaves.
        semi_private: it understands SemiPrivateMessages.
    """

    def __init__(
        self,
        env: Clock,
        name: str,
        suite: int = 1,
        *,
        registry: ProposalRegistry = REGISTRY,
        limits: Limits = DEFAULT_LIMITS,
        judge_lifetimes: bool = False,
        leaf_extensions: Extensions = (),
        semi_private: bool = False,
    ) -> None:
        self.name = name
        self.suite = suite
        self.env = env
        self.psks = Psks()
        self.trust = TrustAll()
        credential = BasicCredential(identity=name.encode())
        self.identity = Identity.generate(env, SUITES[suite], credential)
        self.client = MlsClient(
            Services(
                authentication=self.trust,
                components={COMPONENT: Register()},
                proposals=registry,
                limits=limits,
                judge_lifetimes=judge_lifetimes,
                semi_private=semi_private,
            ),
            self.psks,
            [self.identity],
            extensions=(*KNOWN_EXTENSIONS, EXTERNAL_RECEIVERS)
            if semi_private
            else KNOWN_EXTENSIONS,
            leaf_extensions=leaf_extensions,
        )

    def key_package(
        self, *, last_resort: bool = False
    ) -> tuple[KeyPackage, KeyPackageSecrets]:
        """Make a key package and keep nothing."""
        return self.client.key_package(
            self.env, suite=self.suite, last_resort=last_resort
        )

    def belongings(self) -> tuple[Psks, KeyPackageSecrets, MlsGroup]:
        """Return what a client has that has not joined yet.

        That are its PSKs, the secrets of a key package, and a group of its own.
        """
        group = MlsGroup.create(self.env, self.client, b"elsewhere", suite=self.suite)
        return self.psks, self.key_package()[1], group


class World:
    """Some members of one group, and its hub.

    Args:
        suite: of the group.
        names: the members; the first founds the group. dave knows no `PROPOSAL`.
        extensions: of the GroupContext, behind the external sender.
        limits: of all.
        judge_lifetimes: of all.
        leaf_extensions: of all.
        semi_private: all understand SemiPrivateMessages.

    Attributes:
        env: everybody's clock.
        people: by name; anybody who is asked for comes into being.
        groups: the members' groups.
        hub: follows.
        clerk: key pair of the one external sender.
    """

    def __init__(
        self,
        suite: int = 1,
        *,
        names: Sequence[str] = NAMES,
        extensions: Extensions = (),
        limits: Limits = DEFAULT_LIMITS,
        judge_lifetimes: bool = False,
        leaf_extensions: Extensions = (),
        semi_private: bool = False,
    ) -> None:
        self.env = Clock(suite)
        self.suite = SUITES[suite]
        self._options = (limits, judge_lifetimes, leaf_extensions, semi_private)
        self.people: dict[str, Person] = {}
        self.groups: dict[str, MlsGroup] = {}
        self.clerk = self.person("clerk").identity
        senders = encode_external_senders(
            [ExternalSender(self.clerk.public, self.clerk.credential)]
        )
        founder = names[0]
        group = MlsGroup.create(
            self.env,
            self.person(founder).client,
            GROUP_ID,
            (Extension(EXTERNAL_SENDERS, senders), *extensions),
            suite=suite,
        )
        self.groups[founder] = group
        self.hub = self.new_hub(group)
        if len(names) > 1:
            self.add(founder, *names[1:])
            for name in names[-1:0:-1]:
                self.commit(name)

    # ---- who there is

    def person(self, name: str) -> Person:
        """Return a client, member or not."""
        found = self.people.get(name)
        if found is None:
            limits, judge_lifetimes, leaf_extensions, semi_private = self._options
            found = self.people[name] = Person(
                self.env,
                name,
                self.suite.number,
                registry=STANDARD_PROPOSALS if name == "dave" else REGISTRY,
                limits=limits,
                judge_lifetimes=judge_lifetimes,
                leaf_extensions=leaf_extensions,
                semi_private=semi_private,
            )
        return found

    def leaf(self, name: str) -> int:
        """Return a member's leaf index."""
        return self.groups[name].own_leaf

    def new_hub(self, group: MlsGroup) -> PublicGroup:
        """Begin to follow a group from what a member shows of it."""
        return PublicGroup.from_group_info(
            self.person("hub").client.services, group.group_info(with_tree=True)
        )

    def fork(self, name: str) -> MlsGroup:
        """Return a member's group that goes its own way from here."""
        return fork(self.person(name).client, self.groups[name])

    def fork_hub(self) -> PublicGroup:
        """Return a hub that goes its own way from here."""
        return PublicGroup(self.hub.services, self.hub.epoch, self.hub.pending)

    # ---- what happens

    def deliver(
        self, message: bytes, sender: str | None = None
    ) -> Mapping[str, Processed]:
        """Let all but the sender process a message and merge what it commits."""
        heard = {}
        for name, group in self.groups.items():
            if name != sender:
                heard[name] = process_and_merge(self.env, group, message)
        if message[2:4] == b"\x00\x01":
            staged = self.hub.process(self.env, message)
            if isinstance(staged, PublicStage):
                self.hub.merge(staged)
        for name in [name for name in heard if self.groups[name].state.epoch is None]:
            del self.groups[name]
        return heard

    def commit(
        self,
        name: str,
        proposals: Iterable[Proposal] = (),
        *,
        force_path: bool = False,
        references: Sequence[bytes] | None = None,
    ) -> PendingCommit:
        """Let a member commit, and all follow."""
        group = self.groups[name]
        pending = group.commit(
            self.env,
            proposals,
            as_public=True,
            force_path=force_path,
            references=references,
        )
        group.merge_pending(self.env)
        self.deliver(pending.commit, name)
        return pending

    def add(self, by: str, *names: str) -> PendingCommit:
        """Let a member add others, who join."""
        made = {name: self.person(name).key_package() for name in names}
        pending = self.commit(
            by, [Add(package) for package, _ in made.values()], force_path=True
        )
        assert pending.welcome is not None
        for name, (_, secrets) in made.items():
            client = self.person(name).client
            staged = stage_welcome(client, pending.welcome, [secrets], member_of=())
            self.groups[name] = accept(client, staged)
        return pending

    def check(self) -> None:
        """Check that all are in one epoch, and that the hub sees the same."""
        contexts = {group.group_context.raw for group in self.groups.values()}
        assert contexts == {self.hub.context.raw}
        first, *others = self.groups.values()
        for other in others:
            assert other.epoch_authenticator.ct_equal(first.epoch_authenticator)
            assert other.members == first.members == self.hub.members

    def works(self) -> None:
        """Check that everybody can still send, receive, commit and follow."""
        self.check()
        for name, group in self.groups.items():
            if not group.public.pending:
                self.deliver(group.encrypt(self.env, name.encode()).message, name)
        for name in list(self.groups):
            self.commit(name)
        self.check()


def process_and_merge(env: Clock, group: MlsGroup, message: bytes) -> Processed:
    """Process a message, and merge what it commits."""
    found = group.process(env, message)
    if isinstance(found, StagedCommit):
        group.merge(env, found)
    return found


def fork(client: MlsClient, group: MlsGroup) -> MlsGroup:
    """Return a copy of a group, by way of its stored state: nothing is shared."""
    return MlsGroup.load(client, group.save())
