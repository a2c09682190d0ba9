"""What a hub may see of a group: it follows all handshakes and holds no secret.

The public half of the same code that members run. It cannot check membership and
confirmation tags, the ciphertexts of a path, a Welcome's content or PSKs; so a member
can send a commit that a hub accepts and other members do not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sabir.mls.codepoints import ContentType
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMisuse, ProposalsMissing
from sabir.mls.extensions import RATCHET_TREE, Extension
from sabir.mls.framing import (
    AuthenticatedContent,
    Body,
    MlsMessageIn,
    PublicMessage,
    Sender,
    VerifiedContent,
    decode_message,
)
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfo, GroupInfoIn
from sabir.mls.leaf_node import LeafNode
from sabir.mls.message_protection import open_public_without_key
from sabir.mls.misuse import seconds
from sabir.mls.opening import open_group_info
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Proposal, ReInit, SelfRemove
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.semi_private import SemiPrivateMessage
from sabir.mls.semi_private_protection import Receiver, open_as_receiver
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage, accept_proposal, stage_commit, verify
from sabir.mls.tree_options import PartialGroupInfo
from sabir.mls.validation.framing import check_epoch, check_group_id
from sabir.mls.validation.public import (
    check_group_info_fits,
    check_welcome_entries,
)
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.welcome import verify_group_info
from sabir.mls.waiting import Waiting
from sabir.mls.welcome import Welcome


@dataclass(frozen=True, slots=True)
class ProposalReceived:
    """A proposal waits for a commit.

    Attributes:
        reference: by which commits name it.
        proposal: what is proposed.
        sender: who sent it.
        authenticated_data: that came with it.
    """

    reference: bytes
    proposal: Proposal
    sender: Sender
    authenticated_data: bytes = field(default=b"", repr=False)


class PublicGroup:
    """The public half of a group: its epoch, and the proposals that wait.

    Args:
        services: the application.
        epoch: the current one.
        pending: proposals of this epoch, by reference.
        re_init: the ReInit that ended the group.
        receiver: the external receiver that we are, who can read SemiPrivateMessages.
    """

    __slots__ = ("epoch", "pending", "re_init", "receiver", "services")

    def __init__(
        self,
        services: Services,
        epoch: PublicEpoch,
        pending: Mapping[bytes, Proposed] | None = None,
        re_init: ReInit | None = None,
        receiver: Receiver | None = None,
    ) -> None:
        self.services = services
        self.epoch = epoch
        self.pending = Waiting(services.limits, pending)
        self.re_init = re_init
        self.receiver = receiver

    @classmethod
    def from_group_info(
        cls,
        services: Services,
        group_info: GroupInfoIn,
        tree: bytes | None = None,
        receiver: Receiver | None = None,
    ) -> "PublicGroup":
        """Begin to follow a group.

        Args:
            services: the application.
            group_info: as a member made it.
            tree: the ratchet tree, where the GroupInfo does not have it; octets of
                the extension's data.
            receiver: the external receiver that we are.

        Raises:
            MlsInvalid, MlsMissing, MlsUnsupported: as `open_group_info`.
        """
        epoch = open_group_info(services, group_info, tree).epoch
        return cls(services, epoch, receiver=receiver)

    # ---- questions

    @property
    def context(self) -> GroupContext:
        """Return the GroupContext."""
        return self.epoch.context

    @property
    def tree(self) -> RatchetTree:
        """Return the ratchet tree, which is never changed in place."""
        return self.epoch.tree

    @property
    def members(self) -> tuple[tuple[int, LeafNode], ...]:
        """Return the members with their leaf indices."""
        return tuple(self.tree.members())

    @property
    def self_removes(self) -> tuple[bytes, ...]:
        """Return the references of the SelfRemoves that wait, one for each member.

        Their messages go with a GroupInfo to who joins (mls-extensions 6.3). Of several
        of one member it is the first: a commit may have no second one (Q03).
        """
        found: dict[int, bytes] = {}
        for reference, item in self.pending.items():
            if isinstance(item.proposal, SelfRemove):
                found.setdefault(item.sender.index, reference)
        return tuple(found.values())

    # ---- messages

    def process(
        self, env: Env, message: bytes | MlsMessageIn
    ) -> ProposalReceived | PublicStage:
        """Judge a handshake. A commit changes nothing before `merge`.

        Raises:
            Malformed, MlsInvalid: the peer broke a rule.
            MlsUnsupported: something that we do not know.
            MlsMissing: another epoch, or no room for another proposal.
            MlsMisuse: it is no PublicMessage.
        """
        body = decoded(message, self.services).body
        self.check_not_ended()
        opened = self._open(body)
        verified = verify(self.epoch, opened, self.services)
        now = seconds(env) if self.services.judge_lifetimes else None
        if verified.content.content_type is ContentType.PROPOSAL:
            return self.receive(verified, now)
        return self.stage(verified, now)

    def _open(self, body: Body) -> AuthenticatedContent:
        if isinstance(body, PublicMessage):
            return open_public_without_key(body)
        if isinstance(body, SemiPrivateMessage) and self.receiver is not None:
            context = self.context
            check_group_id(body.group_id, context.group_id)
            check_epoch(body, context.epoch)
            return open_as_receiver(
                self.epoch.suite,
                body,
                self.receiver,
                context.raw,
                self.services.proposals,
                self.services.limits,
            )
        raise MlsMisuse("a public group follows what it can read: PublicMessages")

    def check_not_ended(self) -> None:
        """O06: nothing is sent after a ReInit."""
        if self.re_init is not None:
            raise MlsInvalid(Rule.O06)

    def receive(self, message: VerifiedContent, now: int | None) -> ProposalReceived:
        """Keep a verified proposal until a commit."""
        return self.keep(accept_proposal(self.epoch, message, self.services, now))

    def keep(self, item: Proposed) -> ProposalReceived:
        """Let an accepted proposal wait for a commit. Raises as `Waiting.keep`."""
        reference, message = item.reference, item.message
        assert reference is not None
        assert message is not None
        self.pending.keep(item)
        return ProposalReceived(
            reference, item.proposal, item.sender, message.content.authenticated_data
        )

    def stage(
        self,
        message: VerifiedContent,
        now: int | None,
        own_leaf: int | None = None,
        given: Iterable[Proposed] = (),
    ) -> PublicStage:
        """Judge a verified commit.

        Args:
            message: the commit.
            now: seconds since 1970 to judge key packages by; None lets them be.
            own_leaf: our place, None for a hub.
            given: proposals that came with it, which do not wait here.

        Raises:
            MlsInvalid: a rule; Q11 where a hub is shown a commit that names what does
                not wait there, since who orders a group decides what does.
            ProposalsMissing: of a member's group: it names what does not wait here.
        """
        known: Mapping[bytes, Proposed] = self.pending
        came = {item.reference: item for item in given if item.reference is not None}
        if came:
            known = {**known, **came}
        try:
            return stage_commit(
                self.epoch, known, message, self.services, now, own_leaf
            )
        except ProposalsMissing as missing:
            if own_leaf is not None:
                raise
            raise MlsInvalid(Rule.Q11, str(missing)) from None

    def merge(self, staged: PublicStage) -> None:
        """Enter the epoch that a commit begins.

        Raises:
            MlsMisuse: the stage is of another epoch or group.
        """
        if staged.before is not self.epoch:
            raise MlsMisuse("this commit was staged for another epoch or group")
        self.epoch = staged.after
        self.pending = Waiting(self.services.limits)
        self.re_init = staged.effects.re_init

    # ---- what goes with a commit

    def check_group_info(self, staged: PublicStage, group_info: GroupInfoIn) -> None:
        """H02: the committer's GroupInfo is that of the epoch that a commit begins."""
        check_group_info_fits(staged, group_info)

    def rebuild_group_info(
        self, staged: PublicStage, partial: PartialGroupInfo
    ) -> GroupInfo:
        """H03: build the GroupInfo of which a committer sent what we cannot know."""
        after = staged.after
        extensions = partial.extensions
        if partial.presence.now:
            extensions = (*extensions, Extension(RATCHET_TREE, after.tree.encode()))
        built = GroupInfoIn(
            after.context,
            extensions,
            after.confirmation_tag,
            staged.effects.committer_leaf,
            partial.signature,
        )
        try:
            return verify_group_info(after.suite, built, after.tree)
        except MlsInvalid as wrong:
            raise MlsInvalid(Rule.H03, wrong.detail) from None

    def check_welcome(self, staged: PublicStage, welcome: Welcome) -> None:
        """H04: a Welcome is for exactly those whom the commit adds."""
        check_welcome_entries(staged, welcome)


def decoded(message: bytes | MlsMessageIn, services: Services) -> MlsMessageIn:
    """Read an MLSMessage, unless that was done."""
    if isinstance(message, MlsMessageIn):
        return message
    return decode_message(
        message,
        services.proposals,
        services.limits,
        semi_private=services.semi_private,
    )
