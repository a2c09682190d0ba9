"""The GroupContext: what all members agree on in an epoch (RFC 9420 section 8.1)."""

from dataclasses import dataclass, field

from sabir.mls.codepoints import MLS10
from sabir.mls.extensions import Extensions, encode_extensions, read_extensions
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.struct import Struct
from sabir.wire.tls import Reader, opaque, uint16, uint64


@dataclass(frozen=True, slots=True, eq=False)
class GroupContext(Struct):
    """State of the group that is public and signed with every message."""

    cipher_suite: int
    group_id: bytes
    epoch: int
    tree_hash: bytes
    confirmed_transcript_hash: bytes
    extensions: Extensions = ()
    version: int = MLS10
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `GroupContext`."""
        return (
            uint16(self.version)
            + uint16(self.cipher_suite)
            + opaque(self.group_id)
            + uint64(self.epoch)
            + opaque(self.tree_hash)
            + opaque(self.confirmed_transcript_hash)
            + encode_extensions(self.extensions)
        )


def read_group_context(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> GroupContext:
    """Take a `GroupContext`, of whatever version and suite."""
    start = reader.position
    version = reader.uint16()
    suite = reader.uint16()
    group_id = reader.opaque()
    epoch = reader.uint64()
    tree_hash = reader.opaque()
    transcript_hash = reader.opaque()
    extensions = read_extensions(reader, limits)
    return GroupContext(
        suite,
        group_id,
        epoch,
        tree_hash,
        transcript_hash,
        extensions,
        version,
        reader.since(start),
    )
