"""Groups for tests: members with stores, and the order of their messages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, KeyPackageSecrets, MlsClient
from sabir.mls.components import Components
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import Extensions
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.process import ApplicationMessage, Processed, StagedCommit
from sabir.mls.key_packages import KeyPackage
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import STANDARD_PROPOSALS, Add, Proposal, ProposalRegistry
from sabir.mls.public_group import PublicGroup
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage
from sabir.testing.mls.clients import Believing, PskTable, SystemEnv


class Clock(SystemEnv):
    """The machine's dice, and a clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_800_000_000

    def now(self) -> int:
        """Return the seconds since 1970."""
        return self.time


ENV = Clock()
"""For tests that do not move it."""


def client(
    name: str,
    *suites: int,
    psks: PskTable | None = None,
    components: Components | None = None,
    limits: Limits = DEFAULT_LIMITS,
    proposals: ProposalRegistry = STANDARD_PROPOSALS,
    leaf_extensions: Extensions = (),
) -> MlsClient:
    """Make a client with an identity for each suite, 1 without any."""
    credential = BasicCredential(identity=name.encode())
    return MlsClient(
        Services(
            authentication=Believing(),
            limits=limits,
            components=components or {},
            proposals=proposals,
        ),
        PskTable() if psks is None else psks,
        [Identity.generate(ENV, SUITES[suite], credential) for suite in suites or (1,)],
        leaf_extensions=leaf_extensions,
    )


@dataclass
class Room:
    """Members of one group, all in the same epoch, and a hub that follows.

    After each step the members' stores are brought up to date by deltas, compared
    with whole saves, and the epochs of all are compared.
    """

    groups: dict[str, MlsGroup] = field(default_factory=dict)
    clients: dict[str, MlsClient] = field(default_factory=dict)
    stores: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    hub: PublicGroup | None = None
    env: Clock = field(default_factory=Clock)

    @classmethod
    def of(
        cls,
        *names: str,
        suite: int = 1,
        extensions: Extensions = (),
        make: Callable[[str, int], MlsClient] = client,
    ) -> "Room":
        """Make a group of these members; the first one creates it."""
        room = cls()
        first, *others = names
        room.clients[first] = make(first, suite)
        room.groups[first] = MlsGroup.create(
            room.env, room.clients[first], b"room", extensions, suite=suite
        )
        room.follow()
        if others:
            for name in others:
                room.clients[name] = make(name, suite)
            room.add(first, *others)
        room.check()
        return room

    def follow(self) -> None:
        """Let a hub begin to follow, by a GroupInfo with the tree."""
        group = next(iter(self.groups.values()))
        services = group.public.services
        self.hub = PublicGroup.from_group_info(
            services, group.group_info(with_tree=True)
        )

    def __getitem__(self, name: str) -> MlsGroup:
        return self.groups[name]

    def key_package(self, name: str) -> tuple[KeyPackage, KeyPackageSecrets]:
        """Make a key package of a client for this group's suite."""
        suite = next(iter(self.groups.values())).group_context.cipher_suite
        return self.clients[name].key_package(self.env, suite=suite)

    def add(self, by: str, *names: str, as_public: bool = True) -> None:
        """Add clients, who join."""
        made = {name: self.key_package(name) for name in names}
        pending = self.commit(
            by, *(Add(package) for package, _ in made.values()), as_public=as_public
        )
        welcome = pending.welcome
        assert welcome is not None
        for name, (_, secrets) in made.items():
            staged = stage_welcome(self.clients[name], welcome, [secrets], member_of=())
            self.groups[name] = accept(self.clients[name], staged)
        self.check()

    def commit(
        self,
        by: str,
        *proposals: Proposal,
        as_public: bool = True,
        force_path: bool = False,
    ) -> PendingCommit:
        """Let a member commit, and all others follow."""
        self.groups[by].commit(
            self.env, proposals, as_public=as_public, force_path=force_path
        )
        return self.deliver(by)

    def deliver(self, by: str) -> PendingCommit:
        """Let the commit that a member has pending be accepted."""
        pending = self.groups[by].pending
        assert pending is not None
        self.hear(pending.commit, by)
        self.groups[by].merge_pending(self.env)
        self.check()
        return pending

    def hear(self, message: bytes, by: str | None = None) -> list[Processed]:
        """Let all but the sender, and the hub, process and merge a message."""
        heard = []
        for name, group in self.groups.items():
            if name != by:
                found = group.process(self.env, message)
                if isinstance(found, StagedCommit):
                    group.merge(self.env, found)
                heard.append(found)
        if self.hub is not None:
            if message[2:4] == b"\x00\x01":
                seen = self.hub.process(self.env, message)
                if isinstance(seen, PublicStage):
                    self.hub.merge(seen)
            else:
                self.hub = None  # it cannot follow what it cannot read
        return heard

    def say(self, by: str, data: bytes) -> None:
        """Let a member say something that all others read."""
        message = self.groups[by].encrypt(self.env, data).message
        for name, group in self.groups.items():
            if name != by and group.state.epoch is not None:
                found = group.process(self.env, message)
                assert isinstance(found, ApplicationMessage), found
                assert found.data == data
        self.check()

    def members(self) -> Iterable[MlsGroup]:
        """Return the groups of those who are members."""
        return [group for group in self.groups.values() if group.state.epoch]

    def check(self) -> None:
        """Compare the epochs of all members, and all stores with what they store."""
        first, *others = self.members()
        for group in others:
            assert group.group_context == first.group_context
            assert group.epoch_authenticator.ct_equal(first.epoch_authenticator)
        assert first.public.tree.tree_hash() == first.tree_hash
        if self.hub is not None:
            assert self.hub.context == first.group_context
        for name, group in self.groups.items():
            self.store(name, group)

    def store(self, name: str, group: MlsGroup) -> dict[bytes, bytes | None]:
        """Bring a member's store up to date."""
        delta = dict(group.delta())
        rows = self.stores.setdefault(name, {})
        write(rows, delta)
        group.saved(delta)
        whole = group.save()
        assert rows.keys() == whole.keys(), name
        assert {key for key in rows if rows[key] != whole[key]} <= set(), name
        return delta

    def restart(self, name: str) -> MlsGroup:
        """Load a member's group from its store."""
        self.groups[name] = MlsGroup.load(self.clients[name], self.stores[name])
        return self.groups[name]


def write(rows: dict[bytes, bytes], delta: dict[bytes, bytes | None]) -> None:
    """Do what a store does with a delta."""
    for key, value in delta.items():
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value


def octets_of(group: MlsGroup) -> bytes:
    """Return the whole stored state in one string, to compare or to search."""
    rows = sorted(group.save().items())
    return b"".join(key + value for key, value in rows)
