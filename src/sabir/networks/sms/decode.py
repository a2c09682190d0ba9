"""What a stored SMS event means. Pure."""

from dataclasses import dataclass
from typing import Final

from sabir.clock import Instant
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    Person,
    PersonId,
    Posted,
    ReactionAdded,
    ReactionsReplaced,
)
from sabir.networks.sms.envelope import Envelope, Role, unpack
from sabir.networks.sms.forms import Answer, Correction, Reaction, form_of
from sabir.networks.sms.gsm import Alphabet
from sabir.networks.sms.numbers import NAME_PREFIX, chat_of
from sabir.networks.sms.pdu import Message, decode
from sabir.networks.sms.text import Words, words_of

NOBODY: Final = Person(id=PersonId("carrier"), name="SMS")
"""Speaks for the carrier."""
UNKNOWN: Final = Instant(0)
"""SMPP does not say when a message was written."""

_FAILURES: Final = {
    "EXPIRED": "the phone could not be reached in time",
    "DELETED": "the carrier deleted it",
    "UNDELIV": "it cannot be delivered to this number",
    "REJECTD": "the carrier or the number rejected it",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the account's settings say about reading."""

    alphabet: Alphabet = Alphabet.GSM7
    country: str = ""
    """Code of numbers that come without one."""


def decode_event(event: NativeEvent, reading: Reading) -> Incoming:
    """Say what a stored event means.

    Raises:
        PeerMisbehaved: SMPP-001 to SMPP-007.
    """
    envelope = unpack(event.payload)
    if envelope.role is Role.FAILED:
        return Incoming(sender=NOBODY, action=_failure(envelope), sent_at=UNKNOWN)
    parts = [None if pdu is None else _message(pdu) for pdu in envelope.pdus]
    first = next((part for part in parts if part is not None), None)
    if first is None:
        raise PeerMisbehaved("SMPP-007", "an event without a message")
    words = words_of(parts, reading.alphabet)
    return Incoming(
        sender=_person(first, reading.country),
        action=_action(envelope, words),
        sent_at=UNKNOWN,
        lost=words.lost,
    )


def _message(octets: bytes) -> Message:
    pdu = decode(octets)
    if not isinstance(pdu.body, Message):
        raise PeerMisbehaved("SMPP-007", "a stored PDU that is no message")
    return pdu.body


def _person(message: Message, country: str) -> Person:
    chat = chat_of(message.source, country)
    name = chat.removeprefix(NAME_PREFIX)
    shown = name if name == chat else f"{name} (unverified)"
    return Person(id=PersonId(chat), name=shown)


def _action(envelope: Envelope, words: Words) -> Action:
    target, text = NativeId(envelope.target), words.text
    if text is None:
        return Posted()
    form = form_of(text) if target else None
    match envelope.role, form:
        case Role.COMPLETED, _ if target:
            return Corrected(target=target, text=Rich.plain(text))
        case Role.REACTION, Reaction(removed=True):
            return ReactionsReplaced(target=target, emoji=())
        case Role.REACTION, Reaction(alone=True, emoji=emoji):
            return ReactionsReplaced(target=target, emoji=(emoji,))
        case Role.REACTION, Reaction(emoji=emoji):
            return ReactionAdded(target=target, emoji=emoji)
        case Role.ANSWER, Answer(text=answer) | Correction(text=answer):
            return Posted(text=Rich.plain(answer), reply_to=target)
        case Role.CORRECTION, Correction(text=corrected):
            return Corrected(target=target, text=Rich.plain(corrected))
        case _:
            return Posted(text=Rich.plain(text))


def _failure(envelope: Envelope) -> Posted:
    reason = _FAILURES.get(envelope.word, "the carrier does not say why")
    code = f", error {envelope.error}" if envelope.error.strip("0") else ""
    text = f"Not delivered by SMS: {reason} ({envelope.word or 'UNKNOWN'}{code})."
    return Posted(text=Rich.plain(text), reply_to=NativeId(envelope.target) or None)
