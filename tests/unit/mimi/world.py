"""A room for tests: members with real groups, and a hub that follows and judges."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import room_client, room_services
from sabir.mimi.components.franking_agent import FrankingAgent
from sabir.mimi.components.participants import (
    Participant,
    ParticipantList,
    ParticipantListUpdate,
)
from sabir.mimi.genesis import (
    Reservation,
    check_genesis,
    founders,
    genesis_extensions,
    new_asset_policy,
)
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.judge import judge_commit, judge_proposals
from sabir.mimi.policy.kernel import NO_FACTS, Facts
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import device_uri, group_uri, provider_uri, user_of
from sabir.mls.client import Identity, KeyPackageSecrets, MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import Extensions, ExternalSender
from sabir.mls.group.epoch import Status
from sabir.mls.group.external import propose_as_external_sender
from sabir.mls.group.group import MlsGroup, accept, stage_external_join, stage_welcome
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.process import StagedCommit
from sabir.mls.proposals import Add, AppDataUpdate, Proposal, Remove
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.staging import PublicStage
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.seeded import SeededEnv

HUB: Final = "hub.example"
ROOM: Final = f"mimi://{HUB}/r/tea"
AAD: Final = b"\x00"
"""A SafeAAD that says nothing."""


def uri(name: str) -> str:
    """Return the user of a client that tests call `ann` or `ann/2`."""
    return user_of(device(name))


def device(name: str) -> str:
    who, _, number = name.partition("/")
    host, _, who = who.rpartition(":")
    return device_uri(host or "a.example", who, number or "1")


def make_client(env: SeededEnv, name: str) -> MlsClient:
    """Make a client of a room: `ann`, her second device `ann/2`, `b.example:ben`."""
    credential = BasicCredential(device(name).encode())
    identity = Identity.generate(env, SUITES[1], credential)
    return room_client(room_services(), PskTable(), [identity])


def add(*users: tuple[str, int]) -> AppDataUpdate:
    return listed(added=tuple(Participant(uri(name), role) for name, role in users))


def listed(
    *,
    changed: Iterable[tuple[int, int]] = (),
    removed: Iterable[int] = (),
    added: Iterable[Participant] = (),
) -> AppDataUpdate:
    update = ParticipantListUpdate(tuple(changed), tuple(removed), tuple(added))
    return AppDataUpdate(0x22, update.encode())


@dataclass(frozen=True)
class Keys:
    """The hub's keys: public and private."""

    external: tuple[Secret, bytes]
    franking: tuple[Secret, bytes]

    @classmethod
    def make(cls, env: SeededEnv) -> "Keys":
        made = []
        for _ in range(2):
            seed = env.random(SUITES[1].signature.private_octets)
            private, public = signature_key_pair(SUITES[1], seed)
            made.append((Secret(private), public))
        return cls(*made)


def reservation(keys: Keys, template: TemplateName = TemplateName.GROUP) -> Reservation:
    """Reserve the room, as its hub does."""
    hub = BasicCredential(provider_uri(HUB).encode())
    return Reservation.of(
        TEMPLATES[template],
        room_uri=ROOM,
        hub=ExternalSender(keys.external[1], hub),
        franking_agent=FrankingAgent(keys.franking[1], hub),
        asset_policy=new_asset_policy(
            {HUB: [f"assets.{HUB}"], "a.example": ["assets.a.example"]}
        ),
    )


@dataclass
class World:
    """Members, all in one epoch, and the hub."""

    env: SeededEnv
    hub: PublicGroup
    groups: dict[str, MlsGroup]
    clients: dict[str, MlsClient]
    keys: Keys
    packages: dict[str, KeyPackageSecrets] = field(default_factory=dict)
    messages: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        creator: str = "ann",
        template: TemplateName = TemplateName.GROUP,
        others: Iterable[str] = (),
        *,
        participants: ParticipantList | None = None,
        **changed: Any,
    ) -> "World":
        """Let somebody make a room; the hub checks it.

        Args:
            creator: its first member.
            template: of the room.
            others: listed from the beginning, in a room of fixed membership.
            participants: in place of the template's, which the hub does not check
                then, as if people had been added before.
            changed: attributes of the reservation.
        """
        env = SeededEnv(7)
        keys = Keys.make(env)
        held = replace(reservation(keys, template), **changed)
        made = make_client(env, creator)
        first = founders(held, uri(creator), map(uri, others))
        extensions = genesis_extensions(held, participants or first)
        group = MlsGroup.create(env, made, group_uri(ROOM).encode(), extensions)
        shown = group.group_info(with_tree=False)
        tree = group.public.tree.encode()
        services = room_services(judge_lifetimes=True)
        if participants is None and not changed:
            hub = check_genesis(services, shown, tree, held, uri(creator))
        else:
            hub = PublicGroup.from_group_info(services, shown, tree)
        return cls(env, hub, {creator: group}, {creator: made}, keys)

    def __getitem__(self, name: str) -> MlsGroup:
        return self.groups[name]

    @property
    def effective(self) -> EffectiveState:
        return EffectiveState.of(self.hub)

    def leaf(self, name: str) -> int:
        """Return the place of a client."""
        wanted = device(name).encode()
        for index, leaf in self.hub.members:
            credential = leaf.credential
            assert isinstance(credential, BasicCredential)
            if credential.identity == wanted:
                return index
        raise AssertionError(name)

    def remove(self, name: str) -> Remove:
        return Remove(self.leaf(name))

    def package(self, name: str, *, leaf_extensions: Extensions = ()) -> Add:
        """Make a client and a proposal to add it."""
        made = make_client(self.env, name)
        if leaf_extensions:
            made.leaf_extensions = leaf_extensions
        self.clients[name] = made
        package, self.packages[name] = made.key_package(self.env, suite=1)
        return Add(package)

    # ---- commits

    def stage(self, by: str, *proposals: Proposal) -> PublicStage:
        """Let a member make a commit, and the hub judge it."""
        group = self.groups[by]
        group.clear_pending()
        made = group.commit(self.env, proposals, as_public=True, aad=AAD)
        staged = self.hub.process(self.env, made.commit)
        assert isinstance(staged, PublicStage)
        try:
            judge_commit(self.effective, staged)
        except PolicyDenied:
            self.packages.clear()
            raise
        return staged

    def commit(self, by: str, *proposals: Proposal) -> PendingCommit:
        """Let a member commit, the hub accept it, and all others follow."""
        staged = self.stage(by, *proposals)
        made = self.groups[by].pending
        assert made is not None
        for name, group in self.groups.items():
            if name != by:
                heard = group.process(self.env, made.commit)
                assert isinstance(heard, StagedCommit)
                judge_commit(EffectiveState.of(group.public), heard.public)
                group.merge(self.env, heard)
        self.hub.merge(staged)
        self.groups[by].merge_pending(self.env)
        for name, group in list(self.groups.items()):
            if group.status is Status.REMOVED:
                del self.groups[name]
        self._welcome(made)
        return made

    def _welcome(self, made: PendingCommit) -> None:
        tree = self.hub.tree.encode()
        for name, secrets in self.packages.items():
            assert made.welcome is not None
            client = self.clients[name]
            staged = stage_welcome(
                client, made.welcome, [secrets], member_of=(), tree=tree
            )
            self.groups[name] = accept(client, staged)
        self.packages.clear()

    def join(
        self,
        name: str,
        *proposals: Proposal,
        resync: int | None = None,
        cover: bool = True,
    ) -> PublicStage:
        """Let somebody make a commit by which they join; the hub stages it."""
        client = self.clients.setdefault(name, make_client(self.env, name))
        shown = next(iter(self.groups.values())).group_info(with_tree=False)
        leaving = [self.messages[reference] for reference in self.hub.self_removes]
        made = stage_external_join(
            self.env,
            client,
            shown,
            tree=self.hub.tree.encode(),
            member_of=(),
            resync=resync,
            self_removes=leaving if cover else (),
            proposals=proposals,
            aad=AAD,
        )
        staged = self.hub.process(self.env, made.commit)
        assert isinstance(staged, PublicStage)
        return staged

    # ---- proposals

    def propose(
        self, by: str, *proposals: Proposal, facts: Facts = NO_FACTS
    ) -> list[bytes]:
        """Let a member propose a bundle, and all judge it; returns its references."""
        group = self.groups[by]
        waiting = group.public.pending.copy()
        sent = [
            group.propose(self.env, each, as_public=True, aad=AAD).message
            for each in proposals
        ]
        try:
            return self.hear(sent, by, facts)
        except (PolicyDenied, MlsInvalid):
            group.public.pending = waiting
            raise

    def propose_as_hub(
        self, *proposals: Proposal, facts: Facts = NO_FACTS
    ) -> list[bytes]:
        """Let the hub propose a bundle, and all judge it; returns its references."""
        sent = [
            propose_as_external_sender(
                SUITES[1], self.hub.context, 0, self.keys.external[0], each, AAD
            )
            for each in proposals
        ]
        return self.hear(sent, None, facts)

    def hear(
        self, sent: list[bytes], by: str | None, facts: Facts = NO_FACTS
    ) -> list[bytes]:
        """Let the hub judge standalone proposals, and all members after it."""
        before, waiting = self.effective, self.hub.pending.copy()
        try:
            references = [self._take(self.hub, message) for message in sent]
            items = [self.hub.pending[reference] for reference in references]
            after = judge_proposals(before, items, facts)
        except (PolicyDenied, MlsInvalid):
            self.hub.pending = waiting
            raise
        assert after.view == self.effective.view
        self.messages.update(zip(references, sent, strict=True))
        for name, group in self.groups.items():
            for message in sent if name != by else ():
                self._take(group, message)
        return references

    def _take(self, group: PublicGroup | MlsGroup, message: bytes) -> bytes:
        heard = group.process(self.env, message)
        assert isinstance(heard, ProposalReceived)
        return heard.reference
