"""What leaves as SMS: pieces as texts, texts as submit_sm. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sabir.content.pieces import TextPiece
from sabir.content.plain import to_plain
from sabir.networks.api import Outgoing
from sabir.networks.sms.forms import ACT, Reaction, act_of, form_of
from sabir.networks.sms.gsm import PARTS_MAX, Alphabet, Encoded, encode
from sabir.networks.sms.pdu import Address, Message, Tag
from sabir.networks.sms.text import UDHI
from sabir.networks.sms.udh import Concatenation, header

RECEIPT_WANTED: Final = 1

ASK_FIRST: Final = (
    f'not sent: SMS goes only by an act of the sender. Begin the message with "{ACT}",'
    ' or set consent = "portal" for this account if everybody in the room knows that'
    " this chat is SMS"
)
NO_REACTIONS: Final = (
    "not sent: a reaction costs as much as a message. Set reactions = true for this"
    ' account (with consent = "portal") to send them as texts'
)
TOO_LONG: Final = (
    f"not sent: it would take more than {PARTS_MAX} text messages; send it in"
    " several shorter ones"
)
NO_FORM: Final = "SMS has only text; this cannot be said in it"


class Consent(StrEnum):
    """Whose act lets a message leave as SMS."""

    EACH_MESSAGE = "each-message"
    """The sender's, for that one message: it begins with `/sms`."""
    PORTAL = "portal"
    """The owner's, who linked the chat and vouches that the room knows."""


class Joining(StrEnum):
    """How parts of a long text say that they belong together."""

    UDH = "udh"
    SAR = "sar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What the account's settings say about writing."""

    source: Address
    alphabet: Alphabet = Alphabet.GSM7
    consent: Consent = Consent.EACH_MESSAGE
    reactions: bool = False
    joining: Joining = Joining.UDH
    validity_hours: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A piece that can go."""

    text: str
    encoded: Encoded


def render(outgoing: Outgoing, writing: Writing) -> Rendered | str:
    """Return a piece as SMS, or the reason for a person why it cannot go."""
    piece = outgoing.piece
    if not isinstance(piece, TextPiece):
        return NO_FORM
    text = to_plain(piece.text)
    if piece.emote:
        text = f"* {outgoing.speaker.name} {text}"
    if isinstance(form_of(text), Reaction):
        if not writing.reactions or writing.consent is not Consent.PORTAL:
            return NO_REACTIONS
    elif writing.consent is Consent.EACH_MESSAGE:
        asked = act_of(text)
        if asked is None:
            return ASK_FIRST
        text = asked
    return render_text(text, writing)


def render_text(text: str, writing: Writing) -> Rendered | str:
    """Return a text as SMS, or the reason why it cannot go."""
    if not text.strip():
        return "not sent: there is no text in it"
    encoded = encode(text, writing.alphabet)
    return TOO_LONG if encoded is None else Rendered(text=text, encoded=encoded)


def messages(
    encoded: Encoded,
    to: Address,
    writing: Writing,
    *,
    reference: int,
    numbers: Sequence[int],
) -> tuple[Message, ...]:
    """Return the submit_sm of each part.

    Args:
        encoded: the text.
        to: the other side.
        writing: our side.
        reference: of the parts, the same for all and for each repetition.
        numbers: our own number of each part, which some SMSCs give back in receipts.
    """
    total = len(encoded.parts)
    made: list[Message] = []
    for at, (octets, own) in enumerate(zip(encoded.parts, numbers, strict=True), 1):
        options = {int(Tag.USER_MESSAGE_REFERENCE): own.to_bytes(2)}
        esm_class = 0
        if total > 1 and writing.joining is Joining.UDH:
            part = Concatenation(reference=reference, total=total, number=at)
            octets = header(part) + octets
            esm_class = UDHI
        elif total > 1:
            options[Tag.SAR_MSG_REF_NUM] = reference.to_bytes(2)
            options[Tag.SAR_TOTAL_SEGMENTS] = bytes([total])
            options[Tag.SAR_SEGMENT_SEQNUM] = bytes([at])
        made.append(
            Message(
                source=writing.source,
                destination=to,
                octets=octets,
                esm_class=esm_class,
                validity=validity(writing.validity_hours),
                registered_delivery=RECEIPT_WANTED,
                data_coding=encoded.coding,
                options=options,
            )
        )
    return tuple(made)


def validity(hours: int) -> str:
    """Return a relative time (SMPP 3.4 section 7.1.1), from one hour to a month."""
    days, rest = divmod(hours, 24)
    return f"0000{days:02}{rest:02}0000000R"
