"""What a member knows: an epoch with its secrets, and the state around it.

`GroupState` is replaced as a whole when a commit is merged, so that a group is either
in the old epoch or in the new one. Only four things in it change in place: the secret
tree and the exporter tree, which forget what was used, the log of what we sent, and the
proposals that wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.exporter import ExporterTree
from sabir.mls.group.sent import SentLog
from sabir.mls.group_context import GroupContext
from sabir.mls.key_schedule import EpochSecrets, NewEpoch
from sabir.mls.leaf_node import LeafNode
from sabir.mls.limits import Limits
from sabir.mls.proposals import ReInit
from sabir.mls.psk import PskStore
from sabir.mls.psk_ids import PreSharedKeyID, ResumptionPsk
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_group import PublicGroup
from sabir.mls.secret_tree import SecretTree
from sabir.mls.treekem import PrivateKeys


class Status(IntEnum):
    """What a group can be used for."""

    OPERATIONAL = 1
    SUSPENDED = 2
    """A ReInit was committed: the group is continued elsewhere (rule O06)."""
    REMOVED = 3
    """We are no member any more; late messages of kept epochs can still be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """An epoch as a member has it.

    Attributes:
        public: the public half.
        keys: our private keys in the tree, and our leaf.
        secrets: of the key schedule.
        secret_tree: keys of messages; consumed in place.
        exporter_tree: secrets of components; consumed in place.
        signature_key: private, of our leaf.
        sent: what we sent in it; grows in place.
    """

    public: PublicEpoch
    keys: PrivateKeys
    secrets: EpochSecrets
    secret_tree: SecretTree
    exporter_tree: ExporterTree
    signature_key: Secret
    sent: SentLog

    @property
    def own_leaf(self) -> int:
        """Return our leaf index."""
        return self.keys.leaf_index

    @property
    def suite(self) -> CipherSuite:
        """Return the group's algorithms."""
        return self.public.suite

    @property
    def limits(self) -> Limits:
        """Return the limits of our client."""
        return self.secret_tree.limits

    @property
    def context(self) -> GroupContext:
        """Return the GroupContext."""
        return self.public.context

    @property
    def leaves(self) -> Sequence[LeafNode | None]:
        """Return the leaves of the tree; blank ones are None."""
        return self.public.tree.leaves

    @property
    def sender_data(self) -> Secret:
        """Return the sender data secret."""
        return self.secrets.sender_data

    @classmethod
    def of(
        cls,
        public: PublicEpoch,
        keys: PrivateKeys,
        new: NewEpoch,
        signature_key: Secret,
        limits: Limits,
    ) -> "Epoch":
        """Begin an epoch; the roots of its trees are forgotten with `new`."""
        suite = public.suite
        return cls(
            public,
            keys,
            new.kept,
            SecretTree.new(suite, public.tree.leaf_count, new.encryption, limits),
            ExporterTree.new(suite, new.application_export),
            signature_key,
            SentLog(suite, limits),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PastEpoch:
    """An epoch that ended, for messages that come late.

    Attributes:
        suite: the group's algorithms.
        context: its GroupContext.
        leaves: of its tree, shared with later trees; blank ones are None.
        sender_data: the sender data secret.
        secret_tree: keys of messages.
        own_leaf: our leaf index.
        ended: when it was left, in seconds since 1970.
        sent: what we sent in it.
    """

    suite: CipherSuite
    context: GroupContext
    leaves: Sequence[LeafNode | None]
    sender_data: Secret
    secret_tree: SecretTree
    own_leaf: int
    ended: int
    sent: SentLog

    @classmethod
    def of(cls, epoch: Epoch, now: int) -> "PastEpoch":
        """Keep of an epoch what late messages need."""
        public = epoch.public
        return cls(
            public.suite,
            public.context,
            public.tree.leaves,
            epoch.secrets.sender_data,
            epoch.secret_tree,
            epoch.own_leaf,
            now,
            epoch.sent,
        )

    @property
    def number(self) -> int:
        """Return the epoch's number."""
        return self.context.epoch


@dataclass(frozen=True, slots=True, eq=False)
class OwnUpdate:
    """The private half of an Update that we proposed."""

    encryption_key: Secret
    signature_key: Secret


@dataclass(frozen=True, slots=True, eq=False)
class GroupState:
    """All that a member holds of a group.

    Attributes:
        public: the hub's view of the current epoch, with the proposals that wait.
        epoch: the current one, with its secrets; None once we were removed.
        status: what the group can be used for.
        past: epochs that ended, latest first.
        resumption: resumption PSKs by epoch, latest first.
        own_updates: private halves of Updates of ours, by reference.
    """

    public: PublicGroup
    epoch: Epoch | None
    status: Status = Status.OPERATIONAL
    past: tuple[PastEpoch, ...] = ()
    resumption: tuple[tuple[int, Secret], ...] = ()
    own_updates: dict[bytes, OwnUpdate] = field(default_factory=dict)

    @property
    def re_init(self) -> ReInit | None:
        """Return the ReInit that ended the group."""
        return self.public.re_init

    @classmethod
    def begin(cls, public: PublicGroup, epoch: Epoch) -> "GroupState":
        """Hold a group whose first epoch for us this is."""
        number = epoch.public.context.epoch
        return cls(public, epoch, resumption=((number, epoch.secrets.resumption),))

    def next(
        self, epoch: Epoch | None, re_init: ReInit | None, now: int
    ) -> "GroupState":
        """Return the state after a commit.

        Args:
            epoch: that it begins; None when it removes us.
            re_init: by which it ends the group.
            now: seconds since 1970.
        """
        services = self.public.services
        limits = services.limits
        assert self.epoch is not None
        past = (PastEpoch.of(self.epoch, now), *self.past)[: limits.past_epochs_max]
        if epoch is None:
            bare = PublicGroup(services, self.public.epoch)
            return GroupState(bare, None, Status.REMOVED, past)
        number = epoch.public.context.epoch
        resumption = ((number, epoch.secrets.resumption), *self.resumption)
        return GroupState(
            PublicGroup(services, epoch.public, re_init=re_init),
            epoch,
            Status.OPERATIONAL if re_init is None else Status.SUSPENDED,
            past,
            resumption[: limits.resumption_psks_max],
        )

    def without_expired(self, now: int) -> "GroupState":
        """Return the state without past epochs that are too old (15.3).

        With one go all before it, whatever the clock said then: they are stored as
        changes against it.
        """
        oldest = now - self.public.services.limits.past_epoch_age_s_max
        for count, past in enumerate(self.past):
            if past.ended < oldest:
                return replace(self, past=self.past[:count])
        return self


@dataclass(frozen=True, slots=True)
class GroupPsks:
    """The pre-shared keys of a client, and those that a group itself gives.

    Attributes:
        store: of the client.
        group_id: of the group.
        resumption: its resumption PSKs by epoch.
    """

    store: PskStore
    group_id: bytes
    resumption: tuple[tuple[int, Secret], ...]

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        """Return the key of this name."""
        if isinstance(psk_id, ResumptionPsk) and psk_id.psk_group_id == self.group_id:
            for epoch, secret in self.resumption:
                if epoch == psk_id.psk_epoch:
                    return secret
        return self.store.find(psk_id)
