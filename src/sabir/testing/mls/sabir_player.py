"""A member played by Sabir's own core."""

from collections.abc import Collection

from sabir.crypto.suites import SUITES
from sabir.errors import PeerMisbehaved, Unavailable
from sabir.mls import proposals
from sabir.mls.client import KeyPackageSecrets
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsMisuse
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.group.epoch import Status
from sabir.mls.group.group import (
    MlsGroup,
    accept,
    stage_external_join,
    stage_welcome,
)
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.proposals import Proposal
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.public_group import ProposalReceived
from sabir.testing.mls.clients import PskTable, SystemEnv, make_client
from sabir.testing.mls.players import (
    EXPORT_CONTEXT,
    EXPORT_LABEL,
    EXPORT_OCTETS,
    Add,
    Change,
    Committed,
    Player,
    Psk,
    Remove,
    Side,
    Update,
    View,
)


class SabirPlayer(Player):
    """A member played by our core.

    Args:
        name: the identity.
        suite: cipher suite.
    """

    side = Side.OURS
    refusals = (PeerMisbehaved, Unavailable, MlsMisuse)

    def __init__(self, name: str, suite: int) -> None:
        super().__init__(name, suite)
        self._env = SystemEnv()
        self._psks = PskTable()
        self._client = make_client(self._env, name, suite, self._psks)
        self._key_packages: list[KeyPackageSecrets] = []
        self._group: MlsGroup | None = None

    @property
    def group(self) -> MlsGroup:
        """Return the group that this member is in."""
        assert self._group is not None
        return self._group

    def _member_of(self) -> Collection[bytes]:
        """Return the ids of the groups that this member is in."""
        if self._group is None or self._group.status is Status.REMOVED:
            return ()
        return (self._group.group_id,)

    def key_package(self) -> bytes:
        """Make a key package."""
        package, secrets = self._client.key_package(self._env, suite=self.suite)
        self._key_packages.append(secrets)
        return encode_message(package)

    def create(self, group_id: bytes) -> None:
        """Begin a group."""
        self._group = MlsGroup.create(
            self._env, self._client, group_id, suite=self.suite
        )

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        """Enter by a Welcome."""
        staged = stage_welcome(
            self._client,
            welcome,
            self._key_packages,
            member_of=self._member_of(),
            tree=tree,
        )
        self._group = accept(self._client, staged)

    def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes:
        """Enter by an external commit."""
        former = self.leaf if resync else None
        staged = stage_external_join(
            self._env,
            self._client,
            group_info,
            member_of=self._member_of(),
            resync=former,
        )
        self._group = accept(self._client, staged)
        return staged.commit

    def process(self, message: bytes) -> bytes | None:
        """Take a message; a commit is merged at once."""
        found = self.group.process(self._env, message)
        if isinstance(found, StagedCommit):
            self.group.merge(self._env, found)
        if isinstance(found, ApplicationMessage):
            return found.data
        assert isinstance(found, StagedCommit | ProposalReceived), found
        return None

    def propose(self, change: Change, *, public: bool) -> bytes:
        """Propose a change."""
        if isinstance(change, Update):
            return self.group.propose_update(self._env, as_public=public).message
        proposal = self._proposal(change)
        return self.group.propose(self._env, proposal, as_public=public).message

    def commit(
        self,
        changes: tuple[Change, ...],
        *,
        public: bool,
        path: bool,
        tree_inside: bool,
    ) -> Committed:
        """Commit, and merge as if the commit had been accepted."""
        made = self.group.commit(
            self._env,
            [self._proposal(change) for change in changes],
            as_public=public,
            force_path=path,
            tree_in_welcome=tree_inside,
        )
        self.group.merge_pending(self._env)
        return Committed(
            made.commit,
            None if made.welcome is None else encode_message(made.welcome),
            None if tree_inside else self.tree(),
        )

    def encrypt(self, text: bytes) -> bytes:
        """Say something."""
        return self.group.encrypt(self._env, text).message

    def learn(self, psk_id: bytes, key: bytes) -> None:
        """Come to know a PSK."""
        self._psks.learn(psk_id, key)

    def group_info(self) -> bytes:
        """Show the epoch."""
        return encode_message(self.group.group_info(with_tree=True))

    def tree(self) -> bytes:
        """Return the bare tree."""
        return self.group.public.tree.encode()

    def view(self) -> View:
        """Return what must be the same for all."""
        exported = self.group.export(
            EXPORT_LABEL.encode(), EXPORT_CONTEXT, EXPORT_OCTETS
        )
        context = self.group.group_context
        return View(
            epoch=context.epoch,
            epoch_authenticator=self.group.epoch_authenticator.reveal(),
            tree_hash=context.tree_hash,
            transcript_hash=context.confirmed_transcript_hash,
            exported=exported.reveal(),
            members=tuple(
                (index, leaf.credential.identity)
                for index, leaf in self.group.members
                if isinstance(leaf.credential, BasicCredential)
            ),
        )

    @property
    def leaf(self) -> int:
        """Return the own leaf index."""
        return self.group.own_leaf

    @property
    def is_out(self) -> bool:
        """Tell whether a commit has removed this member."""
        return self.group.status is Status.REMOVED

    def leave(self) -> None:
        """Forget the group."""
        self._group = None

    def _proposal(self, change: Change) -> Proposal:
        match change:
            case Add(key_package):
                body = decode_message(key_package).body
                assert isinstance(body, KeyPackageIn)
                return proposals.Add(body)
            case Remove(leaf):
                return proposals.Remove(leaf)
            case Psk(psk_id):
                nonce = self._env.random(SUITES[self.suite].nh)
                return proposals.PreSharedKey(ExternalPsk(psk_id, nonce))
            case Update():
                raise AssertionError("an Update goes by reference only")
