"""ntfy's JSON to actions and back. Pure."""

import json
from typing import Any, Final

from sabir.clock import Instant
from sabir.content.capabilities import Capabilities, TextUnit
from sabir.content.pieces import TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import Incoming, NativeEvent, Outgoing, Person, PersonId, Posted

CAPABILITIES: Final = Capabilities(
    network="ntfy", text_max=4_096, text_unit=TextUnit.OCTETS
)
"""Plain text from one account; the server's default limit (its docs, "Limitations")."""
KEY_TAG: Final = "sabir-"
"""Marks our own messages, so that we know them again: `sabir-<idempotency key>`."""


def decode(event: NativeEvent) -> Incoming:
    """Say what a message means; PeerMisbehaved (NTFY-001) if it is none."""
    try:
        message = json.loads(event.payload.decode(errors="replace"))
        text, seconds = clean(message["message"]), int(message["time"])
        name = clean(message.get("title") or "ntfy")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise PeerMisbehaved("NTFY-001", "a message without text or time") from None
    return Incoming(
        sender=Person(id=PersonId(name), name=name),
        action=Posted(text=Rich.plain(text)),
        sent_at=Instant(seconds * 1000),
        lost=("a file, which stays behind",) if "attachment" in message else (),
    )


def clean(text: str) -> str:
    """Return the text without half surrogates, which JSON can hold."""
    return text.encode(errors="replace").decode()


def render(outgoing: Outgoing) -> dict[str, Any] | None:
    """Return what to publish, None for pieces that ntfy has no form for."""
    if not isinstance(outgoing.piece, TextPiece):
        return None
    text = to_plain(outgoing.piece.text)
    return {"topic": outgoing.chat, "message": text, "tags": [KEY_TAG + outgoing.key]}


def key_of(message: dict[str, Any]) -> str:
    """Return the idempotency key of one of our own messages, empty for others'."""
    ours = [str(t) for t in message.get("tags") or () if str(t).startswith(KEY_TAG)]
    return ours[0].removeprefix(KEY_TAG) if ours else ""
