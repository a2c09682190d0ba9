"""Rules F: who may send what, in which epoch, in which form, signed by whom.

Each function checks one rule of `rules.py`; sections are of RFC 9420. F10 and F11
are raised by `sabir.mls.message_protection` while it opens a message.
"""

from collections.abc import Container, Sequence

from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import ContentType, SenderType, WireFormat
from sabir.mls.commit import Commit
from sabir.mls.errors import MlsInvalid, MlsMissing
from sabir.mls.extensions import ExternalSender
from sabir.mls.framing import (
    TBS_LABEL,
    AuthenticatedContent,
    FramedContent,
    PrivateMessage,
    VerifiedContent,
)
from sabir.mls.leaf_node import LeafNode
from sabir.mls.proposals import Add
from sabir.mls.semi_private import SemiPrivateMessage
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule


def check_group_id(group_id: bytes, ours: bytes) -> None:
    """F01: the message is for this group (section 6)."""
    if group_id != ours:
        raise MlsInvalid(Rule.F01, f"group id of {len(group_id)} octets")


def check_epoch(
    message: FramedContent | PrivateMessage | SemiPrivateMessage,
    current: int,
    kept: Container[int] = (),
) -> None:
    """F02: handshakes are of the current epoch, application data of a kept one.

    Sections 12.1, 12.4.2 and 15.3.

    Args:
        message: what came in.
        current: the group's epoch.
        kept: past epochs whose messages we can still read.

    Raises:
        MlsInvalid: F02, a handshake of a past epoch.
        MlsMissing: an epoch that is not here yet, or that was dropped.
    """
    epoch = message.epoch
    if epoch == current:
        return
    if epoch > current:
        raise MlsMissing(f"epoch {epoch}, {epoch - current} ahead,")
    if message.content_type is not ContentType.APPLICATION:
        raise MlsInvalid(Rule.F02, f"handshake of epoch {epoch} in epoch {current}")
    if epoch not in kept:
        raise MlsMissing(f"epoch {epoch}, {current - epoch} back,")


def check_member(leaf: LeafNode | None, index: int) -> LeafNode:
    """F03: the sender's leaf is in the tree and not blank (sections 6.1, 6.3.2)."""
    if leaf is None:
        raise MlsInvalid(Rule.F03, f"no member at leaf {index}")
    return leaf


def check_not_application(message: AuthenticatedContent) -> None:
    """F04: application data never travel in the clear (section 6)."""
    if message.content.content_type is ContentType.APPLICATION:
        raise MlsInvalid(Rule.F04, "application data in a PublicMessage")


def check_parts_fit(message: AuthenticatedContent) -> None:
    """F05 and F08: sender, content, wire format and tag fit together."""
    check_sender(message)
    check_tag_place(message)


def check_sender(message: AuthenticatedContent) -> None:
    """F05: this sender may send this content in this form (sections 6.1, 12.1.8)."""
    sender = message.content.sender
    if sender.kind is SenderType.MEMBER:
        return
    kind, body = message.content.content_type, message.content.content
    if message.wire_format is not WireFormat.PUBLIC_MESSAGE:
        fits = False
    elif sender.kind is SenderType.EXTERNAL:
        fits = kind is ContentType.PROPOSAL
    elif sender.kind is SenderType.NEW_MEMBER_PROPOSAL:
        fits = isinstance(body, Add)
    else:
        fits = isinstance(body, Commit) and body.path is not None
    if not fits:
        raise MlsInvalid(
            Rule.F05,
            f"sender type {int(sender.kind)}, content type {int(kind)}, "
            f"wire format {int(message.wire_format)}",
        )


def check_tag_place(message: AuthenticatedContent) -> None:
    """F08: there is a confirmation tag exactly in commits (section 6.1)."""
    due = message.content.content_type is ContentType.COMMIT
    if due is not (message.confirmation_tag is not None):
        raise MlsInvalid(Rule.F08, "confirmation tag where none is due, or none")


def check_external_sender(
    senders: Sequence[ExternalSender], index: int
) -> ExternalSender:
    """F09: the group names an external sender of this index (section 12.1.8.1)."""
    if index >= len(senders):
        raise MlsInvalid(Rule.F09, f"external sender {index} of {len(senders)}")
    return senders[index]


def check_padding(padding: bytes) -> None:
    """F10: padding is zero (section 6.3.1)."""
    if padding.strip(b"\x00"):
        raise MlsInvalid(Rule.F10, f"{len(padding)} octets of padding are not zero")


def signer_key(
    message: AuthenticatedContent,
    leaf: LeafNode | None,
    external_senders: Sequence[ExternalSender],
) -> bytes:
    """Return the key that the sender names (section 6.1).

    Args:
        message: whose parts fit (F05).
        leaf: what the tree has at the sender's index, for members.
        external_senders: of the GroupContext.

    Raises:
        MlsInvalid: F03, F05, F09.
    """
    sender, body = message.content.sender, message.content.content
    if sender.kind is SenderType.MEMBER:
        return check_member(leaf, sender.index).signature_key
    if sender.kind is SenderType.EXTERNAL:
        return check_external_sender(external_senders, sender.index).signature_key
    if isinstance(body, Add):
        return body.key_package.leaf_node.signature_key
    if isinstance(body, Commit) and body.path is not None:
        return body.path.leaf_node.signature_key
    raise MlsInvalid(Rule.F05, f"sender type {int(sender.kind)} brings no key")


def verify_content(
    suite: CipherSuite,
    message: AuthenticatedContent,
    group_context: bytes,
    public_key: bytes,
) -> VerifiedContent:
    """F07: the signature is right, over this wire format (section 6.1).

    X05, of who joins by this commit: the key is that of the path's leaf (12.4.3.2).

    Args:
        suite: of the group.
        message: opened, its signature unchecked.
        group_context: octets of the epoch's GroupContext.
        public_key: from `signer_key`.

    Raises:
        MlsInvalid: F05, F07, F08, X05.
    """
    check_parts_fit(message)
    signed = message.content.signed(message.wire_format, group_context)
    if not verify_with_label(suite, public_key, TBS_LABEL, signed, message.signature):
        joins = message.content.sender.kind is SenderType.NEW_MEMBER_COMMIT
        raise MlsInvalid(Rule.X05 if joins else Rule.F07, "signature is wrong")
    return VerifiedContent(message, PROOF)
