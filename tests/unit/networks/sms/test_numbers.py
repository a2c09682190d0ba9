"""Addresses and chats."""

import pytest

from sabir.errors import PolicyRefused
from sabir.networks.sms.numbers import address_of, chat_of, is_chat, own_address
from sabir.networks.sms.pdu import Address


@pytest.mark.parametrize(
    ("ton", "digits", "country", "chat"),
    [
        (1, "491512345678", "", "+491512345678"),
        (1, "+491512345678", "", "+491512345678"),
        (0, "491512345678", "", "+491512345678"),
        (0, "00491512345678", "49", "+491512345678"),
        (0, "01512345678", "49", "+491512345678"),
        (2, "1512345678", "49", "+491512345678"),
        (0, "(151) 234-5678", "49", "+1512345678"),
        (0, "72404", "", "72404"),
        (6, "7240412", "", "7240412"),
        (5, "BANK", "", "name:BANK"),
        (0, "BANK", "", "name:BANK"),
        (5, "", "", "name:unknown"),
        (5, "B\u00e4nk\n", "", "name:Bnk"),
        (1, "\u0661\u0662", "", "name:unknown"),
    ],
)
def test_who_wrote(ton: int, digits: str, country: str, chat: str) -> None:
    assert chat_of(Address(ton=ton, npi=1, digits=digits), country) == chat


@pytest.mark.parametrize("chat", ["+491512345678", "72404"])
def test_an_answer_goes_where_the_message_came_from(chat: str) -> None:
    assert chat_of(address_of(chat), "") == chat
    assert is_chat(chat)


@pytest.mark.parametrize("chat", ["name:BANK", "bob", "+0", "", "+49 151 1", "99"])
def test_what_cannot_be_answered_is_refused_without_repeating_it(chat: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        address_of(chat)
    assert not chat or chat not in str(refused.value)


def test_a_name_can_be_linked_to_be_read() -> None:
    assert is_chat("name:BANK")
    assert not is_chat("BANK")


def test_our_own_number_code_or_name() -> None:
    assert own_address("+4915") == Address(ton=1, npi=1, digits="4915")
    assert own_address("72404") == Address(ton=0, npi=0, digits="72404")
    assert own_address("Sabir") == Address(ton=5, npi=0, digits="Sabir")
