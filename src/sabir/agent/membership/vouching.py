"""Who wrote what a member sends, and whose word that is.

The group proves which member sent a message (RFC 9420 section 6.1). Whoever links a
chat of another network sends what its people say, and names them (`sabir.author`) and
the way it came (`sabir.origin`): that is the sender's word and nobody else's. So a name
counts only as far as it could be the sender's to give, and what a room forbids to a
ghost, nobody may say in its name.
"""

from dataclasses import dataclass
from typing import Final

from sabir.content.meaning import Author
from sabir.content.model import Content
from sabir.content.reading import author_of, origin_of
from sabir.mimi.codepoints import Capability
from sabir.mimi.ghosts import ghost_uri
from sabir.mimi.policy.view import RoomView
from sabir.mimi.uris import SCHEME
from sabir.wire.errors import Malformed

GHOST_MAY_NOT: Final = "MIMI-402"
"""Rule: a ghost says nothing where its role in the room does not let it."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody of another network, by the word of a member.

    Attributes:
        network: id.
        account: of the gateway, by which it sees the network; its own name for it.
        native: the person's id on the network.
        gateway: URI of the user whose word it is.
        ghost: URI of the person as a participant; empty where there can be none.
    """

    network: str
    account: str
    native: str
    gateway: str
    ghost: str


def vouched(content: Content, sender: str) -> Vouched | None:
    """Return for whom the sender vouches; None where it speaks for itself.

    Args:
        content: of the message.
        sender: URI of the user who sent it, as the group proves.
    """
    author, origin = author_of(content), origin_of(content)
    if author is None or origin is None:
        return None
    network, mark, native = author.uri.partition(":")
    if not (mark and native) or network != origin.network:
        return None
    if author.uri.startswith(SCHEME):  # members speak for themselves
        return None
    return Vouched(network, origin.account, native, sender, _ghost(sender, author.uri))


def _ghost(gateway: str, external: str) -> str:
    """Name the ghost of an external URI; empty where it can have no name."""
    network, _, native = external.partition(":")
    try:
        return ghost_uri(gateway, network, native)
    except Malformed:
        return ""


def author_shown(content: Content, sender: str) -> Author | None:
    """Return the author that people are shown; None: the sender, without a name.

    A sender names itself, or somebody on the network that the message came from.
    Nobody speaks for another member.
    """
    author = author_of(content)
    if author is None or author.uri in {"", sender}:
        return None if author is None else Author(uri=sender, name=author.name)
    return None if vouched(content, sender) is None else author


def refusal(content: Content, sender: str, view: RoomView) -> str:
    """Say why the room takes nothing from an author; empty if it does (MIMI-402).

    A ghost is bound by its own role once it is in the list: an admin who bans or
    silences it need not put out the gateway, and everybody else whom that one brings.
    """
    found = vouched(content, sender)
    if found is None or not view.is_listed(found.ghost):
        return ""
    if view.is_banned(found.ghost):
        return "banned"
    if not view.may(found.ghost, Capability.CAN_SEND_MESSAGE):
        return "canSendMessage"
    return ""
