"""Every limit of the core: named, with a default, configurable."""

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
    lifetime_s_max: int = 92 * 86_400
    """Longest life of a key package."""
    clock_skew_s_max: int = 3_600
    """How wrong clocks may be when lifetimes are checked."""


DEFAULT_LIMITS: Final = Limits()
