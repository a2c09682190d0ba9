"""What IRC can express, and how a piece looks there. Pure."""

from typing import Final

from sabir.content.capabilities import Capabilities, Support, TextUnit
from sabir.content.pieces import TextPiece, TopicPiece
from sabir.content.plain import to_plain
from sabir.networks.api import Outgoing, Refused

from sabir_irc.line import KEY_TAG, Line

TEXT_OCTETS_MAX: Final = 350
"""512 octets a line (RFC 1459 section 2.3), less what the server puts before it."""

CAPABILITIES: Final = Capabilities(
    network="irc",
    text_max=TEXT_OCTETS_MAX,
    text_unit=TextUnit.OCTETS,
    reply=Support.FULL,
)
"""One account speaks for all; edits, files and reactions are told in words."""


def render(outgoing: Outgoing) -> tuple[Line, tuple[str, ...]] | Refused:
    """Return the line of one piece and what it lost; or why it cannot be sent."""
    piece, tags = outgoing.piece, {KEY_TAG: str(outgoing.key)}
    match piece:
        case TextPiece():
            command, text = "PRIVMSG", to_plain(piece.text)
            if piece.reply_to is not None:
                tags["+draft/reply"] = piece.reply_to.native_id
        case TopicPiece():
            command, text = "TOPIC", piece.topic
        case _:
            return Refused(
                key=outgoing.key, reason="IRC has only text; say it in words"
            )
    line = " / ".join(part for part in text.splitlines() if part)
    if len(line.encode()) > TEXT_OCTETS_MAX:
        reason = f"an IRC line has room for {TEXT_OCTETS_MAX} octets; shorten the text"
        return Refused(key=outgoing.key, reason=reason)
    lost = ("line breaks",) if line != text else ()
    if isinstance(piece, TextPiece) and piece.emote:
        line = f"\x01ACTION {line}\x01"
    return Line(command, (outgoing.chat, line), tags), lost
