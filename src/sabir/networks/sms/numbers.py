"""Phone numbers as chats and persons.

A chat is the other side's number: `+491512345678`; a short code is its digits alone,
`72404`; a sender that is a name is `name:BANK`. Names cannot be answered, and neither
names nor numbers prove who sent a message.
"""

import re
from typing import Final

from sabir.errors import PolicyRefused
from sabir.networks.api import ChatId
from sabir.networks.sms.pdu import ADDRESS_OCTETS_MAX, Address

INTERNATIONAL: Final = 1
NATIONAL: Final = 2
ALPHANUMERIC: Final = 5
ABBREVIATED: Final = 6
UNKNOWN: Final = 0
E164: Final = 1
SHORT_DIGITS_MAX: Final = 6
"""Short codes have 3 to 6 digits; numbers have more, and their country's code."""
NAME_PREFIX: Final = "name:"

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT: Final = re.compile(r"[0-9]{3,6}")
_NAME: Final = re.compile(r"[\x20-\x7e]{1,20}")


def chat_of(address: Address, country: str) -> ChatId:
    """Return whose chat a message from this address belongs to.

    Args:
        address: as it stands in the PDU.
        country: code of numbers that come without one, e.g. `49`; empty: none does.
    """
    text = address.digits.strip()
    digits = re.sub(r"[\s().-]", "", text)
    plain = digits.removeprefix("+")
    if address.ton == ALPHANUMERIC or not plain.isdecimal() or not plain.isascii():
        shown = "".join(char for char in text if " " <= char <= "~")
        return ChatId(NAME_PREFIX + (shown or "unknown"))
    if digits.startswith("+") or address.ton == INTERNATIONAL:
        return ChatId("+" + plain)
    if len(plain) <= SHORT_DIGITS_MAX or address.ton == ABBREVIATED:
        return ChatId(plain)
    if plain.startswith("00"):
        return ChatId("+" + plain[2:])
    if country and (address.ton == NATIONAL or plain.startswith("0")):
        return ChatId(f"+{country}{plain.removeprefix('0')}")
    return ChatId("+" + plain)


def address_of(chat: str) -> Address:
    """Return where messages of a chat go.

    Raises:
        PolicyRefused: it is no number. The text does not repeat it.
    """
    if _E164.fullmatch(chat):
        return Address(ton=INTERNATIONAL, npi=E164, digits=chat[1:])
    if _SHORT.fullmatch(chat):
        return Address(ton=UNKNOWN, npi=UNKNOWN, digits=chat)
    if chat.startswith(NAME_PREFIX):
        raise PolicyRefused("a sender that is a name cannot be answered by SMS")
    raise PolicyRefused(
        "this is no number that a chat can have: write it with its country's code,"
        " like +491512345678"
    )


def is_chat(chat: str) -> bool:
    """Tell whether a text names a chat."""
    name = chat.removeprefix(NAME_PREFIX)
    return bool(
        _E164.fullmatch(chat)
        or _SHORT.fullmatch(chat)
        or (name != chat and _NAME.fullmatch(name))
    )


def own_address(number: str) -> Address:
    """Return the address that our messages come from: a number, code or name."""
    if number.startswith("+"):
        return Address(ton=INTERNATIONAL, npi=E164, digits=number[1:])
    if number.isdecimal():
        return Address(ton=UNKNOWN, npi=UNKNOWN, digits=number)
    return Address(ton=ALPHANUMERIC, npi=UNKNOWN, digits=number[:ADDRESS_OCTETS_MAX])
