"""What everybody may know of an epoch: members and hubs share it."""

from dataclasses import dataclass

from sabir.crypto.suites import CipherSuite
from sabir.mls.group_context import GroupContext
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.tags import Tag


@dataclass(frozen=True, slots=True)
class PublicEpoch:
    """The public half of an epoch. Nothing in it ever changes.

    Attributes:
        suite: the group's algorithms.
        context: the GroupContext.
        tree: the ratchet tree, shared and never changed in place.
        confirmation_tag: of the commit that began the epoch.
        interim_hash: the interim transcript hash (section 8.2).
    """

    suite: CipherSuite
    context: GroupContext
    tree: RatchetTree
    confirmation_tag: Tag
    interim_hash: bytes
