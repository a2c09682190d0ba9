"""A commit of our own, until the group's order has accepted or refused it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sabir.mls.effects import Effects
from sabir.mls.env import Env
from sabir.mls.errors import MlsMisuse
from sabir.mls.extensions import Extensions
from sabir.mls.framing import Sender
from sabir.mls.group.commit import Draft, NewLeaf, draft_commit
from sabir.mls.group.covering import Covering, as_items, at_most, choose, fitting
from sabir.mls.group.epoch import Epoch, GroupPsks, GroupState
from sabir.mls.group.export import group_info_of, partial_group_info_of
from sabir.mls.group.messages import check_own_aad, handshake_form, seal
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.misuse import seconds
from sabir.mls.own_limits import check_own_list
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import Proposal, ReInit
from sabir.mls.psk import PskStore, find_psks
from sabir.mls.transition import Applied, apply_list
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.mls.validation.leaf_node import check_lifetime
from sabir.mls.welcome import Welcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CommitOptions:
    """How a commit is to be made.

    Attributes:
        as_public: send it as PublicMessage.
        force_path: have a path even where none is needed.
        aad: authenticated data.
        references: which waiting proposals to cover; None chooses all that can be.
        leaf: what our leaf says from now on; None keeps what it says.
        tree_in_welcome: put the ratchet tree into the Welcome.
        founding: this is the first commit of a group that continues another.
    """

    as_public: bool = False
    force_path: bool = False
    aad: bytes = b""
    references: tuple[bytes, ...] | None = None
    leaf: NewLeaf | None = None
    tree_in_welcome: bool = True
    founding: bool = False


class PendingCommit:
    """A commit of ours. Generating it has changed nothing.

    Attributes:
        commit: the MLSMessage to send.
        effects: what it does.
        epoch: the epoch that it begins.
        accepted: it was merged.
    """

    __slots__ = ("_welcome", "accepted", "commit", "effects", "epoch")

    def __init__(
        self,
        commit: bytes,
        effects: Effects,
        epoch: Epoch,
        welcome: Welcome | None,
    ) -> None:
        self.commit = commit
        self.effects = effects
        self.epoch = epoch
        self._welcome = welcome
        self.accepted = False

    @property
    def re_init(self) -> ReInit | None:
        """Return the ReInit by which the commit ends the group."""
        return self.effects.re_init

    @property
    def welcome(self) -> Welcome | None:
        """Return the Welcome for those whom the commit adds.

        Raises:
            MlsMisuse: O09, the commit was not accepted yet.
        """
        if not self.accepted:
            raise MlsMisuse("rule O09: no Welcome before the commit was accepted")
        return self._welcome

    def welcome_for_sequencer(self) -> Welcome | None:
        """Return the Welcome for who orders commits and hands it out after that.

        It goes in the same request as the commit, and reaches the joiners only if
        the commit is accepted (rule O09).
        """
        return self._welcome

    def group_info(
        self, *, with_tree: bool, extensions: Extensions = ()
    ) -> GroupInfoIn:
        """Make the GroupInfo of the epoch that the commit begins."""
        return group_info_of(self.epoch, with_tree=with_tree, extensions=extensions)

    def partial_group_info(
        self, presence: TreePresence, extensions: Extensions = ()
    ) -> PartialGroupInfo:
        """Make the part of that GroupInfo that a hub cannot."""
        return partial_group_info_of(self.epoch, presence, extensions)


def make_commit(
    env: Env,
    state: GroupState,
    epoch: Epoch,
    store: PskStore,
    new: tuple[Proposal, ...],
    options: CommitOptions,
) -> PendingCommit:
    """Make a commit of ours.

    Args:
        env: clock and randomness.
        state: of the group.
        epoch: the current one.
        store: where PSKs are found.
        new: proposals by value.
        options: how.

    Raises:
        MlsInvalid: others would refuse it, by this rule; L05 without their
            tolerance for wrong clocks.
        MlsMissing: a PSK is not at hand.
        MlsMisuse: a proposal that is to be covered does not wait here, or more than
            one of our limits, which others have, too.
    """
    services = state.public.services
    public = epoch.public
    check_own_aad(public.context, options.aad, services.limits)
    check_own_list(new, public.tree, services.limits)
    psks = GroupPsks(store, public.context.group_id, state.resumption)
    covering = _cover(env, state, epoch, psks, new, options)
    own = public.tree.leaf(epoch.own_leaf)
    assert own is not None
    drafted = draft_commit(
        env,
        services,
        Draft(
            applied=covering.applied,
            items=as_items(covering.covered, new),
            leaf=options.leaf or NewLeaf.like(own, epoch.signature_key),
            signer=epoch.signature_key,
            init=epoch.secrets.init,
            psks=psks,
            form=handshake_form(public.context, services, as_public=options.as_public),
            aad=options.aad,
            force_path=options.force_path or options.leaf is not None,
            keys=epoch.keys,
            tree_in_welcome=options.tree_in_welcome,
        ),
    )
    message = seal(env, epoch, services, drafted.message)
    return PendingCommit(message, drafted.effects, drafted.epoch, drafted.welcome)


def _cover(
    env: Env,
    state: GroupState,
    epoch: Epoch,
    store: PskStore,
    new: tuple[Proposal, ...],
    options: CommitOptions,
) -> Covering:
    """Decide what the commit covers, and apply it."""
    committer = Sender.member(epoch.own_leaf)
    by_value = [Proposed(item, committer) for item in new]

    def attempt(covered: Sequence[Proposed]) -> Applied:
        applied = apply_list(
            epoch.public,
            ProposalList([*covered, *by_value]),
            committer,
            state.public.services,
            seconds(env),
            founding=options.founding,
        )
        for added in applied.added:
            check_lifetime(added.key_package.leaf_node, seconds(env))
        find_psks(store, [proposal.psk for proposal in applied.proposals.psks])
        return applied

    if options.founding:
        return Covering((), attempt(()))
    pending = state.public.pending
    if options.references is None:
        chosen = choose(pending, epoch.own_leaf, new)
        room = state.public.services.limits.proposals_per_commit_max - len(new)
        return fitting(at_most(room, chosen), attempt)
    named = []
    for reference in options.references:
        item = pending.get(reference)
        if item is None:
            raise MlsMisuse("a proposal that is to be covered does not wait here")
        named.append(item)
    return Covering(named, attempt(named))
