"""Ways to hand over a ratchet tree, and the part of a GroupInfo a hub cannot build.

draft-mahy-mls-ratchet-tree-options-03. The draft writes `Node ratchet_tree<V>` for
the full form; trees have blanks, so this is `optional<Node>` here. The forms with a
`tree_signature` are refused: the draft does not say what it signs.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sabir.mls.errors import MlsUnsupported
from sabir.mls.extensions import Extension, encode_extensions, read_extensions
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

SIGNATURE_OCTETS_MAX: Final = 8 << 10
"""8 KiB: the longest signature of any registered scheme is below 5 KB (ML-DSA-87)."""


class TreeRepresentation(IntEnum):
    """How a ratchet tree reaches a joiner."""

    FULL = 1
    HTTPS_URI = 2
    OUT_OF_BAND = 3
    DISTRIBUTION_SERVICE = 4


class TreePresence(IntEnum):
    """Whether GroupInfos had a `ratchet_tree` extension before and have one now."""

    NONE = 0
    PRESENT = 1
    REMOVED = 2
    ADDED = 3

    @property
    def now(self) -> bool:
        """Whether this epoch's GroupInfo has the extension."""
        return self in {TreePresence.PRESENT, TreePresence.ADDED}


@dataclass(frozen=True, slots=True)
class RatchetTreeOption:
    """A ratchet tree, or the word that the distribution service has it.

    Attributes:
        tree: the octets of the `ratchet_tree` vector's content with its length, as in
            the extension; None for the representation distributionService.
    """

    tree: bytes | None

    def encode(self) -> bytes:
        """Write the `RatchetTreeOption`."""
        if self.tree is None:
            return tls.uint8(TreeRepresentation.DISTRIBUTION_SERVICE)
        return tls.uint8(TreeRepresentation.FULL) + self.tree


def read_tree_option(reader: Reader, tree_octets_max: int) -> RatchetTreeOption:
    """Read a `RatchetTreeOption`.

    Raises:
        Malformed: C07, an unknown representation.
        MlsUnsupported: httpsUri and outOfBand.
    """
    number = reader.uint8()
    if number == TreeRepresentation.DISTRIBUTION_SERVICE:
        return RatchetTreeOption(None)
    if number == TreeRepresentation.FULL:
        start = reader.position
        reader.opaque(tree_octets_max)
        return RatchetTreeOption(reader.since(start))
    if number in {TreeRepresentation.HTTPS_URI, TreeRepresentation.OUT_OF_BAND}:
        raise MlsUnsupported("ratchet tree representation", number)
    raise Malformed("C07", f"ratchet tree representation {number}")


@dataclass(frozen=True, slots=True)
class PartialGroupInfo:
    """What a committer tells a hub that follows the group by itself.

    Attributes:
        presence: about the `ratchet_tree` extension.
        extensions: those of the GroupInfo, without `ratchet_tree`.
        signature: of the whole GroupInfo; where it has a `ratchet_tree`, this is its
            last extension.
    """

    presence: TreePresence
    extensions: tuple[Extension, ...]
    signature: bytes

    def encode(self) -> bytes:
        """Write the `PartialGroupInfo`."""
        return (
            tls.uint8(self.presence)
            + encode_extensions(self.extensions)
            + tls.opaque(self.signature)
        )


def read_partial_group_info(reader: Reader) -> PartialGroupInfo:
    """Read a `PartialGroupInfo`.

    Raises:
        Malformed: C07, an unknown presence; C10, an extension twice.
    """
    number = reader.uint8()
    try:
        presence = TreePresence(number)
    except ValueError:
        raise Malformed("C07", f"ratchet tree presence {number}") from None
    return PartialGroupInfo(
        presence, read_extensions(reader), reader.opaque(SIGNATURE_OCTETS_MAX)
    )
