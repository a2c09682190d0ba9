"""notify: what a hub tells its followers (3.5, D-25)."""

import hashlib
from dataclasses import dataclass
from typing import Final

from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.submit import Frank, read_frank
from sabir.mimi.structs.update import (
    MORE_MAX,
    content_type_of,
    read_proposal_message,
)
from sabir.mls.codepoints import ContentType
from sabir.mls.framing import (
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    read_message,
)
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.tree_options import RatchetTreeOption, read_tree_option
from sabir.mls.welcome import Welcome
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, optional, uint64, vector

MESSAGES_MAX: Final = 1_024
"""FanoutMessages in one body; we send 256 (D-26)."""

_NO_TREE: Final = RatchetTreeOption(None)
_HANDSHAKES: Final = frozenset({ContentType.PROPOSAL, ContentType.COMMIT})


@dataclass(frozen=True, slots=True)
class FanoutMessage:
    """One accepted event.

    Attributes:
        accepted_at: ms, of the hub; strictly increasing in a room but for a commit and
            its Welcome.
        message: as it was sent.
        frank: of an application message.
        tree: beside a Welcome.
        more: proposals beside a proposal, or those the hub issues after a commit.
        raw: all of it, as received.
    """

    accepted_at: int
    message: MlsMessageIn
    frank: Frank | None = None
    tree: RatchetTreeOption | None = None
    more: tuple[MlsMessageIn, ...] = ()
    raw: bytes = b""

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the MLSMessage."""
        return hashlib.sha256(self.message.raw).digest()

    def encode(self) -> bytes:
        """Write the `FanoutMessage`."""
        head = uint64(self.accepted_at) + self.message.raw
        match self.message.body:
            case PrivateMessage():
                frank = None if self.frank is None else self.frank.encode()
                return head + optional(frank)
            case Welcome():
                return head + (self.tree or _NO_TREE).encode()
            case _:
                return head + vector(each.raw for each in self.more)


def read_fanout_message(reader: Reader) -> FanoutMessage:
    """Take a `FanoutMessage`.

    Raises:
        Malformed: MIMI-353 a message that is not fanned out; MIMI-012 no proposal
            among further proposals; as `read_message`.
        MlsUnsupported: as `read_message`, `read_tree_option`.
    """
    start = reader.position
    accepted_at = reader.uint64()
    message = read_message(reader, ROOM_PROPOSALS)
    frank, tree = None, None
    more: tuple[MlsMessageIn, ...] = ()
    match message.body:
        case PrivateMessage(content_type=ContentType.APPLICATION):
            frank = reader.optional(read_frank)
        case Welcome():
            tree = read_tree_option(reader, DEFAULT_LIMITS.tree_octets_max)
        case PublicMessage() if content_type_of(message) in _HANDSHAKES:
            more = reader.vector(read_proposal_message, count_max=MORE_MAX)
        case _:
            raise Malformed("MIMI-353", f"wire format {message.wire_format}")
    return FanoutMessage(accepted_at, message, frank, tree, more, reader.since(start))


def read_fanout_messages(body: bytes) -> tuple[FanoutMessage, ...]:
    """Read a body of notify: one or more.

    Raises:
        Malformed: C03 none or too many; as `read_fanout_message`, `decode_whole`.
    """
    return decode_whole(body, _read_all)


def _read_all(reader: Reader) -> tuple[FanoutMessage, ...]:
    found: list[FanoutMessage] = []
    while reader.position < reader.end or not found:
        if len(found) == MESSAGES_MAX:
            raise Malformed("C03", f"more than {MESSAGES_MAX} messages")
        found.append(read_fanout_message(reader))
    return tuple(found)
