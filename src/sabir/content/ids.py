"""Message ids (draft-ietf-mimi-content-09, section "Message ID")."""

import hashlib

from sabir.content.model import MessageId


def message_id(sender_uri: str, room_uri: str, raw: bytes, salt: bytes) -> MessageId:
    """Name a message by its content, its sender and its room.

    Args:
        sender_uri: the sender's user URI exactly as in extension 1.
        room_uri: the room's URI exactly as in extension 2.
        raw: the container's octets as sent; never a re-encoding.
        salt: the container's own 16 octets.

    Returns:
        32 octets: 0x01, then the first 31 of a SHA-256, whatever the group's suite.
    """
    sender, room = sender_uri.encode(), room_uri.encode()
    state = hashlib.sha256(len(sender).to_bytes(2, "big") + sender)
    state.update(len(room).to_bytes(2, "big") + room)
    state.update(raw)
    state.update(salt)
    return MessageId(b"\x01" + state.digest()[:31])
