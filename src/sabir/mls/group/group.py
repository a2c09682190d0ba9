"""`MlsGroup`: a group as its member uses it. Thin: the work is in the modules beside.

States: operational; with a commit of our own pending; suspended by a ReInit; removed.
"""

from collections.abc import Container, Iterable, Mapping, Sequence

from sabir.crypto.secrets import Secret
from sabir.mls.client import Identity, KeyPackageSecrets, MlsClient
from sabir.mls.codepoints import WireFormat
from sabir.mls.commit import HPKECiphertext
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.extensions import Extensions
from sabir.mls.framing import MlsMessageIn
from sabir.mls.group.commit import NewLeaf
from sabir.mls.group.create import create_group
from sabir.mls.group.epoch import Epoch, GroupState, Status
from sabir.mls.group.export import (
    exported,
    group_info_of,
    partial_group_info_of,
)
from sabir.mls.group.external import PendingExternalJoin, join_by_commit
from sabir.mls.group.join import StagedWelcome, open_welcome
from sabir.mls.group.load import load_rows
from sabir.mls.group.messages import OpenedPrivate, Outgoing, seal, sign
from sabir.mls.group.pending import CommitOptions, PendingCommit, make_commit
from sabir.mls.group.process import (
    Processed,
    StagedCommit,
    process,
    public_content,
)
from sabir.mls.group.propose import send_proposal, send_update
from sabir.mls.group.saver import Saver
from sabir.mls.group.state import Delta, Rows
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.leaf_node import LeafNode
from sabir.mls.misuse import seconds
from sabir.mls.proposals import Proposal, ReInit, SelfRemove
from sabir.mls.psk import PskStore
from sabir.mls.public_group import PublicGroup
from sabir.mls.safe import safe_decrypt, safe_sign
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.mls.validation.components import check_framing
from sabir.mls.welcome import Welcome


class MlsGroup:
    """A group of which we are a member.

    Args:
        client: ours.
        state: of the group.
        pending: a commit of ours that waits for its answer.
        saver: knows what the store has.
    """

    __slots__ = ("_client", "_pending", "_saver", "_state")

    def __init__(
        self,
        client: MlsClient,
        state: GroupState,
        pending: PendingCommit | None = None,
        saver: Saver | None = None,
    ) -> None:
        self._client = client
        self._state = state
        self._pending = pending
        self._saver = Saver() if saver is None else saver

    @classmethod
    def create(
        cls,
        env: Env,
        client: MlsClient,
        group_id: bytes,
        extensions: Extensions = (),
        *,
        suite: int = 1,
    ) -> "MlsGroup":
        """Make a group with us as its only member. Raises as `create_group`."""
        return cls(client, create_group(env, client, group_id, suite, extensions))

    @classmethod
    def load(cls, client: MlsClient, rows: Mapping[bytes, bytes]) -> "MlsGroup":
        """Take a group from the store. Raises as `load_rows`."""
        loaded = load_rows(client, rows)
        saver = Saver(loaded.counter, loaded.state, loaded.pending)
        return cls(client, loaded.state, loaded.pending, saver)

    # ---- storing

    def save(self) -> Rows:
        """Return the whole group as rows, instead of all that the store has of it."""
        return self._saver.whole(self._state, self._pending)

    def delta(self) -> Delta:
        """Name the rows that changed since the last `saved`.

        Commit them before a message leaves, in one transaction with it.
        """
        return self._saver.delta(self._state, self._pending)

    def saved(self, delta: Delta) -> None:
        """Hear that the store has committed a delta."""
        self._saver.saved(delta)

    @property
    def saves(self) -> int:
        """Return the counter of the header: a store that was set back has less."""
        return self._saver.counter

    # ---- questions

    @property
    def public(self) -> PublicGroup:
        """Return the public half, with the proposals that wait."""
        return self._state.public

    @property
    def status(self) -> Status:
        """Return what the group can be used for."""
        return self._state.status

    @property
    def pending(self) -> PendingCommit | None:
        """Return the commit of ours that waits for its answer."""
        return self._pending

    @property
    def re_init(self) -> ReInit | None:
        """Return the parameters of the group that is to continue this one."""
        return self._state.re_init

    @property
    def state(self) -> GroupState:
        """Return the state, to be stored or to be continued by another group."""
        return self._state

    @property
    def members(self) -> tuple[tuple[int, LeafNode], ...]:
        """Return the members with their leaf indices."""
        return self.public.members

    @property
    def group_id(self) -> bytes:
        """Return the group id."""
        return self.group_context.group_id

    @property
    def epoch(self) -> int:
        """Return the number of the current epoch."""
        return self.group_context.epoch

    @property
    def group_context(self) -> GroupContext:
        """Return the GroupContext."""
        return self.public.context

    @property
    def tree_hash(self) -> bytes:
        """Return the hash of the ratchet tree."""
        return self.group_context.tree_hash

    @property
    def own_leaf(self) -> int:
        """Return our leaf index."""
        return self._member().own_leaf

    @property
    def epoch_authenticator(self) -> Secret:
        """Return what is equal for all who are in the same epoch (section 8.7)."""
        return self._member().secrets.epoch_authenticator

    # ---- sending

    def encrypt(self, env: Env, data: bytes, *, aad: bytes = b"") -> Outgoing:
        """Seal application data.

        Raises:
            MlsMisuse: O06, O07, D04, D05, we were removed, or it is too large.
            MlsInvalid: E07, E12, the group wants them framed.
        """
        epoch = self._sender()
        current = self._state.without_expired(seconds(env))
        if self.public.pending:
            raise MlsMisuse("rule O07: proposals wait; commit before sending data")
        check_framing(self.group_context, data)
        services = self._client.services
        message = sign(epoch, services, data, aad, WireFormat.PRIVATE_MESSAGE)
        sealed = Outgoing(seal(env, epoch, services, message))
        self._state = current
        return sealed

    def propose(
        self,
        env: Env,
        proposal: Proposal,
        *,
        as_public: bool = False,
        aad: bytes = b"",
    ) -> Outgoing:
        """Propose something. Raises as `send_proposal`; MlsMisuse by O06."""
        return send_proposal(
            env, self._state, self._sender(), proposal, as_public=as_public, aad=aad
        )

    def propose_update(
        self,
        env: Env,
        *,
        identity: Identity | None = None,
        as_public: bool = False,
        aad: bytes = b"",
    ) -> Outgoing:
        """Propose a new leaf of ours, with fresh keys or another identity, too."""
        return send_update(
            env,
            self._state,
            self._sender(),
            self.new_leaf(identity),
            as_public=as_public,
            aad=aad,
        )

    def propose_self_remove(self, env: Env, *, aad: bytes = b"") -> Outgoing:
        """Leave, as soon as somebody commits it (mls-extensions 6.3)."""
        return self.propose(env, SelfRemove(), as_public=True, aad=aad)

    def new_leaf(self, identity: Identity | None = None) -> NewLeaf:
        """Describe our next leaf: as the client says, with this or our old identity."""
        epoch = self._member()
        own = self.public.tree.leaf(epoch.own_leaf)
        assert own is not None
        leaf = NewLeaf(
            own.signature_key,
            epoch.signature_key,
            own.credential,
            self._client.capabilities,
            self._client.leaf_extensions,
        )
        return leaf if identity is None else leaf.with_identity(identity)

    def commit(
        self,
        env: Env,
        proposals: Iterable[Proposal] = (),
        *,
        as_public: bool = False,
        force_path: bool = False,
        aad: bytes = b"",
        references: Sequence[bytes] | None = None,
        leaf: NewLeaf | None = None,
        tree_in_welcome: bool = True,
        psks: PskStore | None = None,
    ) -> PendingCommit:
        """Commit waiting proposals and these; nothing changes before `merge_pending`.

        Args:
            env: clock and randomness.
            proposals: by value.
            as_public: send a PublicMessage.
            force_path: have a path even where none is needed.
            aad: authenticated data.
            references: which waiting proposals to cover; None chooses all that can be.
            leaf: what our leaf says from now on, from `new_leaf`.
            tree_in_welcome: put the ratchet tree into the Welcome.
            psks: where keys are found, in place of the client's.

        Raises:
            MlsMisuse: O06, O08, or we were removed; or more than one of our limits.
            Malformed, MlsInvalid: others would refuse it, by this rule.
            MlsMissing: a PSK is not at hand.
        """
        options = CommitOptions(
            as_public=as_public,
            force_path=force_path,
            aad=aad,
            references=None if references is None else tuple(references),
            leaf=leaf,
            tree_in_welcome=tree_in_welcome,
        )
        return self.commit_with(env, tuple(proposals), options, psks)

    def commit_with(
        self,
        env: Env,
        proposals: tuple[Proposal, ...],
        options: CommitOptions,
        psks: PskStore | None = None,
    ) -> PendingCommit:
        """Commit as `commit` does, with options made before."""
        epoch = self._sender()
        if self._pending is not None:
            raise MlsMisuse(
                "rule O08: a commit of ours waits; merge_pending() or clear_pending()"
            )
        store = self._client.psks if psks is None else psks
        self._pending = make_commit(env, self._state, epoch, store, proposals, options)
        return self._pending

    def merge_pending(self, env: Env) -> PendingCommit:
        """Enter the epoch of our own commit, which was accepted.

        Returns:
            The commit, whose Welcome may be handed out now.

        Raises:
            MlsMisuse: no commit of ours waits.
        """
        pending = self._pending
        if pending is None:
            raise MlsMisuse("no commit of ours waits")
        state = self._state.next(pending.epoch, pending.re_init, seconds(env))
        pending.accepted = True
        self._state, self._pending = state, None
        return pending

    def clear_pending(self) -> None:
        """Forget our own commit, which was refused or overtaken."""
        pending, self._pending = self._pending, None
        if pending is not None:
            content = public_content(self._client.services, pending.commit)
            if content is not None:
                self._member().sent.note_public(pending.commit, content)

    # ---- receiving

    def process(
        self,
        env: Env,
        message: bytes | MlsMessageIn,
        proposals: Iterable[bytes | MlsMessageIn] = (),
    ) -> Processed:
        """Judge a message. A commit changes nothing before `merge`.

        Arguments and errors as `sabir.mls.group.process.process`: `proposals` are
        those that a commit names and that `ProposalsMissing` asked for.
        """
        own = None if self._pending is None else self._pending.commit
        current = self._state.without_expired(seconds(env))
        found = process(env, self._client, current, own, message, proposals)
        self._state = current
        return found

    def expire(self, env: Env) -> None:
        """Forget past epochs whose late messages are read no more (section 14).

        Sending and receiving do it, too: call this after a load, and where nothing
        was said for as long as `Limits.past_epoch_age_s_max`.
        """
        self._state = self._state.without_expired(seconds(env))

    def merge(self, env: Env, staged: StagedCommit) -> None:
        """Enter the epoch that a commit of another begins; a commit of ours is void.

        Raises:
            MlsMisuse: it was staged for another epoch or group.
        """
        if staged.public.before is not self.public.epoch:
            raise MlsMisuse("this commit was staged for another epoch or group")
        state = self._state.next(staged.epoch, staged.effects.re_init, seconds(env))
        for opened in staged.opened:
            _consume(opened)
        self._state, self._pending = state, None

    # ---- exporting

    def export(self, label: bytes, context: bytes, length: int) -> Secret:
        """MLS-Exporter (section 8.5)."""
        return exported(self._member(), label, context, length)

    def safe_export(self, component_id: int) -> Secret:
        """Hand out a component's secret, once in an epoch (mls-extensions 4.4)."""
        return self._member().exporter_tree.take(component_id)

    def safe_sign(self, component_id: int, label: bytes, content: bytes) -> bytes:
        """Sign as a component with our leaf's key (mls-extensions 4.3)."""
        epoch = self._member()
        return safe_sign(epoch.suite, epoch.signature_key, component_id, label, content)

    def safe_decrypt(
        self, component_id: int, label: bytes, context: bytes, sealed: HPKECiphertext
    ) -> bytes:
        """Open what was sealed to our leaf's key for a component (4.2)."""
        epoch = self._member()
        key = epoch.keys.of(2 * epoch.own_leaf)
        assert key is not None
        return safe_decrypt(epoch.suite, key, component_id, label, context, sealed)

    def group_info(
        self, *, with_tree: bool, extensions: Extensions = ()
    ) -> GroupInfoIn:
        """Show the current epoch to who may join."""
        return group_info_of(self._sender(), with_tree=with_tree, extensions=extensions)

    def partial_group_info(
        self, presence: TreePresence, extensions: Extensions = ()
    ) -> PartialGroupInfo:
        """Show the current epoch to a hub that knows the rest."""
        return partial_group_info_of(self._sender(), presence, extensions)

    # ---- states

    def _member(self) -> Epoch:
        epoch = self._state.epoch
        if epoch is None:
            raise MlsMisuse("we were removed from this group; join it again")
        return epoch

    def _sender(self) -> Epoch:
        epoch = self._member()
        if self._state.status is Status.SUSPENDED:
            raise MlsMisuse("rule O06: a ReInit ended this group; use the next one")
        return epoch


def _consume(opened: OpenedPrivate) -> None:
    """Delete the key of a PrivateMessage that a commit came in or with (rule D03)."""
    try:
        opened.consume()
    except MlsInvalid:
        # Another message of its sender used the same key since: it is gone already.
        return


def stage_welcome(
    client: MlsClient,
    message: bytes | MlsMessageIn | Welcome,
    key_packages: Iterable[KeyPackageSecrets],
    *,
    member_of: Container[bytes],
    tree: bytes | None = None,
    psks: PskStore | None = None,
    resume: MlsGroup | None = None,
) -> StagedWelcome:
    """Check a Welcome; `accept` joins. Arguments and errors as `open_welcome`."""
    return open_welcome(
        client,
        message,
        key_packages,
        member_of=member_of,
        tree=tree,
        psks=psks,
        resume=None if resume is None else resume.state,
    )


def accept(client: MlsClient, staged: StagedWelcome | PendingExternalJoin) -> MlsGroup:
    """Join: by a Welcome, or by a commit of ours that was accepted."""
    saver = staged.saver if isinstance(staged, PendingExternalJoin) else None
    return MlsGroup(client, staged.state, saver=saver)


stage_external_join = join_by_commit
"""Make a commit by which we join; `accept` it after the group's order did."""
