"""Every limit of the core, named: each client's own, and those that all must share."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this client accepts. One object per client; groups share it."""

    message_octets_max: int = 4 << 20
    """An MLSMessage: a commit for 16,384 members fits."""
    tree_octets_max: int = 16 << 20
    """A ratchet tree, Welcome or GroupInfo: 221 octets a member, with parents."""
    members_max: int = 16_384
    """Leaves of a tree; beyond it a path no longer fits a message."""
    proposals_per_commit_max: int = 4_096
    """One Add each for a quarter of the largest group."""
    pending_proposals_max: int = 4_096
    """What waits for a commit: as many as one commit may carry."""
    pending_proposals_per_sender_max: int = 512
    """Of one member or external sender, or of all newcomers together."""
    pending_octets_max: int = 8 << 20
    """Messages of all that waits: 2 KiB each; in memory it is six times that."""
    pending_octets_per_sender_max: int = 1 << 20
    """The same, for one sender: it takes eight of them to fill the room of all."""
    pending_proposal_octets_max: int = 256 << 10
    """One of them: a key package with a chain of certificates fits many times."""
    extensions_per_list_max: int = 64
    """Ten types exist, GREASE adds fifteen."""
    psks_per_commit_max: int = 32
    """Each costs two extractions; the vectors use ten."""
    certificates_max: int = 10
    """Longest chain of an x509 credential, or bindings of a multi credential."""
    authenticated_data_octets_max: int = 64 << 10
    """Sent in the clear with each message."""
    padding_block_octets: int = 256
    """Private messages are padded to a multiple of this."""
    generation_forward_max: int = 1_000
    """How far ahead of the last message of a sender we follow (15.3)."""
    skipped_keys_per_sender_max: int = 256
    """Keys kept for messages that may still come."""
    skipped_keys_per_group_max: int = 4_096
    """The same, over all senders of an epoch."""
    past_epochs_max: int = 3
    """Epochs whose late messages we still read."""
    past_epoch_age_s_max: int = 300
    """How long after its end an epoch's late messages are read."""
    resumption_psks_max: int = 16
    """Epochs whose resumption PSK is kept."""
    messages_per_epoch_max: int = 1 << 24
    """Our own messages per epoch: below the limit of AES-GCM (15.2)."""
    own_messages_known_max: int = 512
    """Own messages that we know again, of each kind and epoch: an echo comes soon."""
    lifetime_s_max: int = 92 * 86_400
    """Longest life of a key package."""
    clock_skew_s_max: int = 3_600
    """How wrong clocks may be when lifetimes are checked."""


DEFAULT_LIMITS: Final = Limits()


# ---- the same for everybody

# What stands in a GroupContext must be readable to all members, or the group falls
# apart over it; so these are no client's own choice.

DICTIONARY_OCTETS_MAX: Final = 4 << 20
"""Application data of a group: a list of 65,536 participants of 60 octets each."""
COMPONENTS_MAX: Final = 1_024
"""Entries of a dictionary or of a SafeAAD, ids in a list of components: fifty exist."""
MEDIA_TYPES_MAX: Final = 4_096
"""Media types that a group or client lists: IANA has registered some 2,600."""
MEDIA_TYPES_OCTETS_MAX: Final = 256 << 10
"""The list of them: 64 octets each."""
MEDIA_TYPE_PARAMETERS_MAX: Final = 64
"""Parameters of one media type; types with more than ten are rare."""
MEDIA_TYPE_OCTETS_MAX: Final = 4 << 10
"""Parameters of one media type, all together."""
SELF_REMOVE_OCTETS_MAX: Final = 4 << 10
"""A SelfRemove for which there is always room: 200 octets and authenticated data."""
EXTERNAL_RECEIVERS_MAX: Final = 256
"""Those who may read a SemiPrivateMessage, each of which is sealed to all of them."""
