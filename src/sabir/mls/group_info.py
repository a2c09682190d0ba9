"""GroupInfo: an epoch as a member shows it to a joiner (RFC 9420 section 12.4.3)."""

from dataclasses import dataclass, field, replace
from typing import Final, final

from sabir.crypto.labels import sign_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mls.extensions import Extensions, encode_extensions, read_extensions
from sabir.mls.group_context import GroupContext, read_group_context
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.struct import Struct, unsigned
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import Proof
from sabir.wire.tls import Reader, opaque, uint32

TBS_LABEL: Final = b"GroupInfoTBS"


@dataclass(frozen=True, slots=True, eq=False)
class GroupInfoIn(Struct):
    """A GroupInfo that nobody has checked.

    Attributes:
        group_context: of the epoch.
        extensions: e.g. `ratchet_tree`, `external_pub`.
        confirmation_tag: of the commit that began the epoch.
        signer: leaf index of the member that signed.
        signature: over `signed()`.
        raw: the octets it came from.
    """

    group_context: GroupContext
    extensions: Extensions
    confirmation_tag: Tag
    signer: int
    signature: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `GroupInfo`."""
        return self.encode_unsigned() + opaque(self.signature)

    def encode_unsigned(self) -> bytes:
        """Write the fields up to the signature, the `GroupInfoTBS`."""
        return (
            self.group_context.raw
            + encode_extensions(self.extensions)
            + opaque(self.confirmation_tag.octets)
            + uint32(self.signer)
        )

    def signed(self) -> bytes:
        """Return the `GroupInfoTBS`: what came in up to the signature."""
        return unsigned(self.raw, self.signature)


def sign_group_info(
    suite: CipherSuite, private_key: bytes, group_info: GroupInfoIn
) -> GroupInfoIn:
    """Return a GroupInfo of our own with its signature instead of the one it has."""
    content = group_info.signed()
    signature = sign_with_label(suite, private_key, TBS_LABEL, content)
    return replace(group_info, signature=signature, raw=b"")


@final
class GroupInfo(GroupInfoIn):
    """A GroupInfo whose signature by the leaf `signer` was checked."""

    __slots__ = ()

    def __init__(self, checked: GroupInfoIn, proof: Proof) -> None:
        del proof
        super().__init__(
            checked.group_context,
            checked.extensions,
            checked.confirmation_tag,
            checked.signer,
            checked.signature,
            checked.raw,
        )


def read_group_info(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> GroupInfoIn:
    """Take a `GroupInfo`.

    Raises:
        Malformed: C10, and as `Reader`.
    """
    start = reader.position
    context = read_group_context(reader, limits)
    extensions = read_extensions(reader, limits)
    tag = Tag(reader.opaque())
    signer = reader.uint32()
    signature = reader.opaque()
    return GroupInfoIn(context, extensions, tag, signer, signature, reader.since(start))
