"""A hub with a room and its people: every request as octets, every answer checked.

What a hub refuses must leave no trace; what it accepts must survive its store.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import GroupInfoCode, SubmitCode, UpdateCode
from sabir.mimi.components.framing import MIMI_CONTENT
from sabir.mimi.components.franking_agent import FrankingAgent
from sabir.mimi.components.participants import (
    Participant,
    ParticipantList,
    ParticipantListUpdate,
)
from sabir.mimi.franking import franking_aad, franking_tag
from sabir.mimi.genesis import (
    Reservation,
    founders,
    genesis_extensions,
    new_asset_policy,
)
from sabir.mimi.hub.genesis import GenesisRequest, begin, decode_genesis
from sabir.mimi.hub.join_codes import JoinCode
from sabir.mimi.hub.keys import HubKeys, MacKeys
from sabir.mimi.hub.memory import HUB_SERVICES, RoomMemory
from sabir.mimi.hub.outcome import FanoutEvent, HubFacts, Outcome
from sabir.mimi.hub.room import HubRoom, refs_wanted
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.group_info import (
    GroupInfoAndTree,
    GroupInfoRequest,
    GroupInfoResponse,
    SealedGroupInfo,
    decode_group_info_request,
    open_group_info,
    sign_request,
)
from sabir.mimi.structs.submit import (
    SubmitMessageRequest,
    SubmitMessageResponse,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mimi.structs.update import (
    CommitBundle,
    HandshakeBundle,
    ProposalBundle,
    UpdateRoomResponse,
    decode_handshake_bundle,
    decode_update_response,
)
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import group_uri, provider_uri
from sabir.mls.components import ApplicationFraming
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import ExternalSender
from sabir.mls.framing import MlsMessageIn, PublicMessage, decode_message
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import MlsGroup, stage_external_join
from sabir.mls.group.pending import PendingCommit
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    Proposal,
    Remove,
    SelfRemove,
)
from sabir.mls.public_group import PublicGroup
from sabir.mls.tree_options import RatchetTreeOption, TreePresence
from sabir.testing.mimi.people import HOME, NO_AAD, Player, domain_named, user_named
from sabir.testing.mls.seeded import SeededEnv

HUB: Final = "hub.example"
ROOM: Final = f"mimi://{HUB}/r/tea"
SALT: Final = bytes(16)
"""Of contents that tests send; their tags are right."""

Response = TypeVar("Response")
Bundling = Callable[[CommitBundle], CommitBundle]
"""Changes what goes with a commit."""


def unchanged(bundle: CommitBundle) -> CommitBundle:
    """Send what goes with a commit as it is."""
    return bundle


def new_keys(env: SeededEnv) -> HubKeys:
    """Make the keys of a hub."""
    octets = SUITES[SUITE].signature.private_octets
    external, franking = (
        Secret(signature_key_pair(SUITES[SUITE], env.random(octets))[0])
        for _ in range(2)
    )
    mac = MacKeys({}).rotated(env.now() * 1_000, env.random)
    return HubKeys(external=external, franking=franking, mac=mac)


def _public_of(private: Secret) -> bytes:
    return signature_key_pair(SUITES[SUITE], private.reveal())[1]


def reservation_of(keys: HubKeys, template: TemplateName) -> Reservation:
    """Reserve the room of a test."""
    hub = BasicCredential(provider_uri(HUB).encode())
    return Reservation.of(
        TEMPLATES[template],
        room_uri=ROOM,
        hub=ExternalSender(_public_of(keys.external), hub),
        franking_agent=FrankingAgent(_public_of(keys.franking), hub),
        asset_policy=new_asset_policy(
            {HUB: [f"assets.{HUB}"], HOME: [f"assets.{HOME}"]}
        ),
    )


def listed(
    *,
    changed: Iterable[tuple[int, int]] = (),
    removed: Iterable[int] = (),
    added: Iterable[tuple[str, int]] = (),
) -> AppDataUpdate:
    """Propose a change of the participant list; who comes is named as in tests."""
    update = ParticipantListUpdate(
        tuple(changed),
        tuple(removed),
        tuple(Participant(user_named(name), role) for name, role in added),
    )
    return AppDataUpdate(0x22, update.encode())


@dataclass(eq=False)
class HubHarness:
    """A room at its hub, and everybody who has to do with it.

    Attributes:
        env: clock and dice.
        keys: of the hub.
        room: the machine under test.
        players: everybody, by name.
        refs: where KeyPackages that came through the hub belong.
        log: everything that was fanned out.
    """

    env: SeededEnv
    keys: HubKeys
    room: HubRoom
    players: dict[str, Player] = field(default_factory=dict)
    refs: dict[bytes, str] = field(default_factory=dict)
    log: list[FanoutEvent] = field(default_factory=list)
    asset_domains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ahead_ms: int = 0
    """Milliseconds of the hub's clock beyond the whole seconds of `env`."""

    @classmethod
    def of(
        cls,
        creator: str = "ann",
        template: TemplateName = TemplateName.GROUP,
        others: Iterable[str] = (),
        *,
        seed: int = 7,
        participants: Iterable[tuple[str, int]] | None = None,
        **changed: Any,
    ) -> "HubHarness":
        """Let somebody make a room, which its hub checks.

        Args:
            creator: its first member.
            template: of the room.
            others: listed from the beginning, in a room of fixed membership.
            seed: of the dice.
            participants: instead of the template's, whom no hub checks then.
            changed: attributes of the reservation.
        """
        env = SeededEnv(seed)
        keys = new_keys(env)
        held = replace(reservation_of(keys, template), **changed)
        player = Player.of(env, creator)
        first = founders(held, player.user, map(user_named, others))
        if participants is not None:
            first = ParticipantList(
                tuple(
                    Participant(user_named(name), role) for name, role in participants
                )
            )
        extensions = genesis_extensions(held, first)
        group = MlsGroup.create(
            env, player.client, group_uri(ROOM).encode(), extensions
        )
        player.group = group
        shown, tree = group.group_info(with_tree=False), group.public.tree.encode()
        now_ms = env.now() * 1_000
        if participants is None:
            request = decode_genesis(GenesisRequest(shown, tree).encode())
            change = begin(request, held, player.user, now_ms=now_ms)
            room = HubRoom.begin(keys, change)
        else:
            public = PublicGroup.from_group_info(HUB_SERVICES, shown, tree)
            memory = RoomMemory(group=public, group_info=shown, epoch_at=now_ms)
            room = HubRoom(keys, memory, now_ms)
        return cls(env, keys, room, {creator: player})

    def __getitem__(self, name: str) -> Player:
        return self.players[name]

    # ---- people

    @property
    def now_ms(self) -> int:
        """Return the hub's time."""
        return self.env.now() * 1_000 + self.ahead_ms

    def player(self, name: str) -> Player:
        """Return somebody, who may be new."""
        if name not in self.players:
            self.players[name] = Player.of(self.env, name)
        return self.players[name]

    def package(self, name: str) -> Add:
        """Let the hub hand out a KeyPackage; return the proposal to add its client."""
        add = self.player(name).key_package(self.env)
        reference = add.key_package.reference(SUITES[SUITE])
        self.refs[reference] = domain_named(name)
        return add

    def leaf(self, name: str) -> int:
        """Return the place of a client."""
        wanted = self.player(name).device
        for index, client in self.room.memory.effective.leaves.items():
            if client.identity == wanted:
                return index
        raise AssertionError(f"{name} has no leaf")

    def place(self, name: str) -> int:
        """Return the place of a user in the participant list."""
        found = self.room.state.participants.index_of(user_named(name))
        assert found is not None
        return found

    @property
    def members(self) -> list[Player]:
        """Return everybody who is in the group, as far as they know."""
        return [player for player in self.players.values() if player.is_member]

    @property
    def facts(self) -> HubFacts:
        """Return what the provider of the hub knows."""
        return HubFacts(key_package_domains=self.refs, asset_domains=self.asset_domains)

    # ---- asking

    def ask(self, question: Callable[[], Outcome[Response]]) -> Outcome[Response]:
        """Ask the hub; it may not change by that."""
        before, last_at = self.room.encode(), self.room.last_at
        outcome = question()
        assert (self.room.encode(), self.room.last_at) == (before, last_at)
        if outcome.change is None:
            assert outcome.fanout == ()
        return outcome

    def take(self, outcome: Outcome[Any]) -> None:
        """Write down what was accepted, restart the hub from it, and send."""
        change = outcome.change
        assert change is not None, outcome.response
        before = self.room.encode()
        self.room.apply(change)
        state = before if change.state is None else change.state
        assert self.room.encode() == state
        self.room = HubRoom.load(self.keys, state, change.last_at)
        assert self.room.encode() == state, "a room survives its store"
        self.log.extend(outcome.fanout)
        for event in outcome.fanout:
            self.deliver(event)

    def deliver(self, event: FanoutEvent) -> None:
        """Bring an event to everybody who is to have it."""
        (message,) = read_fanout_messages(event.octets)
        assert message.digest == event.digest
        for player in self.players.values():
            if self.gets(player, event):
                player.hear(self.env, message)

    def gets(self, player: Player, event: FanoutEvent) -> bool:
        """Whether an event reaches a client."""
        if event.welcome_refs is not None:
            return any(ref in player.stock for ref in event.welcome_refs)
        if player.domain == HUB:
            return player.user not in event.withheld_users
        return player.domain in event.domains

    # ---- handshakes

    def update(
        self, source: str, bundle: HandshakeBundle | bytes
    ) -> Outcome[UpdateRoomResponse]:
        """Send a handshake to the hub, as octets; nothing is written down yet."""
        octets = bundle if isinstance(bundle, bytes) else bundle.encode()
        decoded = decode_handshake_bundle(octets)
        assert decoded.encode() == octets
        facts = HubFacts(
            key_package_domains={
                ref: self.refs[ref] for ref in refs_wanted(decoded) if ref in self.refs
            },
            asset_domains=self.asset_domains,
        )
        outcome = self.ask(
            lambda: self.room.update(self.now_ms, source, decoded, facts)
        )
        encoded = outcome.response.encode()
        assert decode_update_response(encoded) == outcome.response
        accepted = outcome.response.code == UpdateCode.SUCCESS
        assert accepted is (outcome.change is not None)
        return outcome

    def committed(
        self,
        by: str,
        *proposals: Proposal,
        references: list[bytes] | None = None,
        force_path: bool = False,
        bundling: Bundling = unchanged,
    ) -> CommitBundle:
        """Let a member make a commit, with all that goes with it."""
        group = self[by].member
        group.clear_pending()
        made = group.commit(
            self.env,
            proposals,
            as_public=True,
            aad=NO_AAD,
            references=references,
            force_path=force_path,
            tree_in_welcome=False,
        )
        return bundling(bundle_of(made))

    def commit(self, by: str, *proposals: Proposal, **how: Any) -> CommitBundle:
        """Let a member commit, the hub accept, and everybody follow."""
        bundle = self.committed(by, *proposals, **how)
        self.take(self.update(self[by].domain, bundle))
        return bundle

    def refused(self, by: str, *proposals: Proposal, **how: Any) -> UpdateRoomResponse:
        """Let a member make a commit that the hub refuses."""
        bundle = self.committed(by, *proposals, **how)
        outcome = self.update(self[by].domain, bundle)
        assert outcome.change is None, "it was accepted"
        self[by].member.clear_pending()
        return outcome.response

    def proposed(self, by: str, *proposals: Proposal) -> ProposalBundle:
        """Let a member make proposals; they wait with it at once."""
        group = self[by].member
        messages = [
            decode_message(
                group.propose(self.env, each, as_public=True, aad=NO_AAD).message
            )
            for each in proposals
        ]
        return ProposalBundle(message=messages[0], more=tuple(messages[1:]))

    def propose(self, by: str, *proposals: Proposal) -> tuple[bytes, ...]:
        """Let a member propose a bundle, the hub accept it, and everybody hear it.

        Returns:
            The references.
        """
        bundle = self.proposed(by, *proposals)
        self.take(self.update(self[by].domain, bundle))
        newest = self.room.memory.bundles[-1:]
        return tuple(item.reference for each in newest for item in each.items)

    def refused_proposals(self, by: str, *proposals: Proposal) -> UpdateRoomResponse:
        """Let a member propose a bundle that the hub refuses."""
        waiting = self[by].member.public.pending.copy()
        bundle = self.proposed(by, *proposals)
        outcome = self.update(self[by].domain, bundle)
        assert outcome.change is None, "it was accepted"
        self[by].forget(waiting)
        return outcome.response

    def leaving(self, name: str) -> tuple[Proposal, ...]:
        """Return what a user proposes who leaves, by this client (D-54)."""
        user = self[name].user
        others = [
            Remove(index)
            for index, client in self.room.memory.effective.leaves.items()
            if client.user == user and client.identity != self[name].device
        ]
        return SelfRemove(), *others, listed(removed=[self.place(name)])

    def leave(self, name: str) -> tuple[bytes, ...]:
        """Let a user leave; somebody has to commit it."""
        return self.propose(name, *self.leaving(name))

    # ---- messages

    def message(self, by: str, text: bytes = b"hello") -> SubmitMessageRequest:
        """Let a member seal a message, its franking tag in the clear."""
        framed = ApplicationFraming(MIMI_CONTENT, text).encode()
        aad = franking_aad(franking_tag(SALT, framed))
        sealed = self[by].member.encrypt(self.env, framed, aad=aad)
        message = decode_message(sealed.message)
        return SubmitMessageRequest(message, self[by].user)

    def message_of_an_unaware(self, by: str) -> SubmitMessageRequest:
        """Let a member seal a message who has not heard yet what waits."""
        public = self[by].member.public
        waiting = public.pending
        public.pending = waiting.without(waiting)
        request = self.message(by)
        public.pending = waiting
        return request

    def submit(
        self, source: str, request: SubmitMessageRequest
    ) -> Outcome[SubmitMessageResponse]:
        """Send a message to the hub, as octets; nothing is written down yet."""
        decoded = decode_submit_request(request.encode())
        outcome = self.ask(lambda: self.room.submit(self.now_ms, source, decoded))
        encoded = outcome.response.encode()
        assert decode_submit_response(encoded) == outcome.response
        accepted = outcome.response.code == SubmitCode.ACCEPTED
        assert accepted is (outcome.change is not None)
        return outcome

    def send(self, by: str, text: bytes = b"hello") -> SubmitMessageResponse:
        """Let a member send a message, and everybody get it who may."""
        outcome = self.submit(self[by].domain, self.message(by, text))
        self.take(outcome)
        return outcome.response

    # ---- joining from outside

    def group_info_request(
        self, name: str, code: bytes = b""
    ) -> tuple[GroupInfoRequest, Secret]:
        """Let a client ask for the GroupInfo; return the request and its HPKE key."""
        suite = SUITES[SUITE]
        private, public = hpke.derive_key_pair(
            suite, self.env.random(suite.kem.private_octets)
        )
        identity = self.player(name).identity
        request = GroupInfoRequest(
            suite=SUITE,
            signature_key=identity.public,
            credential=identity.credential,
            public_key=public,
            join_code=code,
        )
        return sign_request(request, suite, identity.private.reveal()), Secret(private)

    def ask_group_info(
        self, source: str, request: GroupInfoRequest, code: JoinCode | None = None
    ) -> Outcome[GroupInfoResponse]:
        """Send a request for the GroupInfo, as octets."""
        decoded = decode_group_info_request(request.encode())
        outcome = self.ask(
            lambda: self.room.group_info(self.now_ms, source, decoded, code)
        )
        shown = isinstance(outcome.response, SealedGroupInfo)
        assert shown is (outcome.change is not None)
        return outcome

    def see(
        self, name: str, shown: bytes = b"", code: JoinCode | None = None
    ) -> GroupInfoAndTree | None:
        """Let a client see the group; None: the hub does not let it.

        Args:
            name: whose client.
            shown: a join code.
            code: what the hub's store knows of it.
        """
        request, private = self.group_info_request(name, shown)
        outcome = self.ask_group_info(self[name].domain, request, code)
        response = outcome.response
        if not isinstance(response, SealedGroupInfo):
            assert response.code == GroupInfoCode.NOT_AUTHORIZED
            return None
        self.take(outcome)
        return open_group_info(
            response,
            room=ROOM,
            suite=SUITES[SUITE],
            private_key=private.reveal(),
        )

    def joining(
        self,
        name: str,
        seen: GroupInfoAndTree,
        *proposals: Proposal,
        resync: int | None = None,
        cover: bool = True,
        bundling: Bundling = unchanged,
    ) -> CommitBundle:
        """Let a client make a commit by which it joins."""
        player = self[name]
        leaving = [
            each.message.raw for each in seen.pending if _is_self_remove(each.message)
        ]
        player.joining = stage_external_join(
            self.env,
            player.client,
            seen.group_info,
            tree=seen.tree.tree,
            member_of=(),
            resync=resync,
            self_removes=leaving if cover else (),
            proposals=proposals,
            aad=NO_AAD,
        )
        return bundling(bundle_of(player.joining))

    def join(self, name: str, *proposals: Proposal, resync: int | None = None) -> None:
        """Let a client join from outside, and everybody follow."""
        seen = self.see(name)
        assert seen is not None
        bundle = self.joining(name, seen, *proposals, resync=resync)
        self.take(self.update(self[name].domain, bundle))

    # ---- what must be true

    def check_agreement(self) -> None:
        """Check that hub and members are in one epoch, and see the same."""
        context = self.room.memory.group.context
        waiting = set(self.room.memory.group.pending)
        for player in self.members:
            group = player.member
            assert group.group_context.raw == context.raw, player.name
            assert group.tree_hash == context.tree_hash
            assert (
                group.group_context.confirmed_transcript_hash
                == context.confirmed_transcript_hash
            )
            assert set(group.public.pending) == waiting, player.name
        identities = {
            client.identity for client in self.room.memory.effective.leaves.values()
        }
        assert identities == {player.device for player in self.members}


def bundle_of(made: PendingCommit | PendingExternalJoin) -> CommitBundle:
    """Return a commit with all that goes with it, as our agents send it."""
    welcome = made.welcome_for_sequencer() if isinstance(made, PendingCommit) else None
    return CommitBundle(
        message=decode_message(made.commit),
        welcome=welcome,
        group_info=made.group_info(with_tree=False),
        tree=RatchetTreeOption(None),
    )


def partial_of(made: PendingCommit | PendingExternalJoin) -> CommitBundle:
    """Return a commit with a partial GroupInfo."""
    return replace(
        bundle_of(made), group_info=made.partial_group_info(TreePresence.NONE)
    )


def _is_self_remove(message: MlsMessageIn) -> bool:
    body = message.body
    return isinstance(body, PublicMessage) and isinstance(
        body.message.content.content, SelfRemove
    )
