"""The session: what it answers, when it gives up, what it tells."""

import pytest

from sabir.networks.sms.pdu import (
    Accepted,
    Address,
    Bind,
    Body,
    Bound,
    Command,
    Empty,
    Framer,
    Message,
    Other,
    Pdu,
    decode,
    encode,
)
from sabir.networks.sms.session import (
    Answered,
    Arrived,
    BindAccepted,
    BindRefused,
    Ended,
    Session,
    State,
    Timers,
    Unanswered,
)

ADA = Address(ton=1, npi=1, digits="123")
HELLO = Message(source=ADA, destination=ADA, octets=b"hello")


def octets(command: int, body: Body, sequence: int = 1, status: int = 0) -> bytes:
    return encode(Pdu(command=command, sequence=sequence, status=status, body=body))


def said(session: Session) -> list[Pdu]:
    return [decode(whole) for whole in Framer().feed(session.output())]


@pytest.fixture
def session() -> Session:
    made = Session(Bind(system_id="gw", password=b"pw"), Timers())
    made.start(0.0)
    (bind,) = said(made)
    assert bind.command == Command.BIND_TRANSCEIVER
    accepted = octets(Command.BIND_TRANSCEIVER_RESP, Bound(system_id="lab"))
    assert made.receive(accepted, 10.0) == [BindAccepted()]
    return made


@pytest.mark.parametrize(
    "command", [Command.BIND_TRANSCEIVER_RESP, Command.GENERIC_NACK]
)
def test_a_refused_bind_closes(command: Command) -> None:
    made = Session(Bind(system_id="gw", password=b"pw"), Timers())
    made.start(0.0)
    refused = octets(command, Empty(), status=0x0D)
    assert made.receive(refused, 1.0) == [BindRefused(status=0x0D)]
    assert made.state is State.CLOSED


def test_a_bind_without_an_answer_ends() -> None:
    made = Session(Bind(system_id="gw", password=b"pw"), Timers())
    made.start(0.0)
    assert made.next_tick() == 15_000
    assert made.tick(14_999) == []
    assert isinstance(made.tick(15_000)[0], Ended)


def test_answers_find_their_requests(session: Session) -> None:
    numbers = [session.submit(HELLO, 20.0) for _ in range(2)]
    second = octets(Command.SUBMIT_SM_RESP, Accepted(message_id="a"), numbers[1])
    first = octets(Command.SUBMIT_SM_RESP, Empty(), numbers[0], status=0x58)
    assert session.receive(second + first, 30.0) == [
        Answered(sequence=numbers[1], status=0, message_id="a"),
        Answered(sequence=numbers[0], status=0x58),
    ]
    assert session.receive(second, 31.0) == []


def test_an_answer_whose_id_cannot_be_read_has_none(session: Session) -> None:
    number = session.submit(HELLO, 20.0)
    broken = bytearray(octets(Command.SUBMIT_SM_RESP, Accepted(message_id="a"), number))
    broken[-1:] = b"b"
    assert session.receive(bytes(broken), 30.0) == [
        Answered(sequence=number, status=0, message_id="")
    ]


def test_no_answer_is_told_and_a_late_one_still_understood(session: Session) -> None:
    number = session.submit(HELLO, 20.0)
    assert session.tick(30_019) == []
    assert Unanswered(sequence=number) in session.tick(30_020)
    late = octets(Command.SUBMIT_SM_RESP, Accepted(message_id="a"), number)
    assert session.receive(late, 40_000) == [
        Answered(sequence=number, status=0, message_id="a")
    ]


def test_an_idle_link_is_asked_after_and_ends_without_an_answer(
    session: Session,
) -> None:
    assert session.tick(30_009) == []
    assert session.output() == b""
    assert session.tick(30_010) == []
    (enquiry,) = said(session)
    assert enquiry.command == Command.ENQUIRE_LINK
    assert session.next_tick() == 40_010
    assert isinstance(session.tick(40_010)[0], Ended)


def test_any_octet_is_a_sign_of_life(session: Session) -> None:
    session.tick(30_010)
    session.receive(octets(Command.ENQUIRE_LINK_RESP, Empty(), 2), 30_020)
    assert session.tick(40_010) == []


def test_a_delivery_waits_for_its_answer(session: Session) -> None:
    delivery = octets(Command.DELIVER_SM, HELLO, 77)
    (arrived,) = session.receive(delivery, 20.0)
    assert arrived == Arrived(sequence=77, octets=delivery, message=HELLO)
    assert session.output() == b""
    session.answer(77, 0)
    (answer,) = said(session)
    assert (answer.command, answer.sequence) == (Command.DELIVER_SM_RESP, 77)


def test_a_delivery_that_cannot_be_read_is_handed_on(session: Session) -> None:
    delivery = octets(Command.DELIVER_SM, HELLO, 77)
    broken = (len(delivery) - 2).to_bytes(4) + delivery[4:-2]
    (arrived,) = session.receive(broken, 20.0)
    assert arrived == Arrived(sequence=77, octets=broken, message=None, rule="SMPP-002")


def test_enquiries_are_answered(session: Session) -> None:
    session.receive(octets(Command.ENQUIRE_LINK, Empty(), 5), 20.0)
    assert [(p.command, p.sequence) for p in said(session)] == [
        (Command.ENQUIRE_LINK_RESP, 5)
    ]


def test_what_we_do_not_know_is_refused(session: Session) -> None:
    session.receive(octets(0x00000103, Other(), 5), 20.0)
    (nack,) = said(session)
    assert (nack.command, nack.status, nack.sequence) == (
        Command.GENERIC_NACK,
        0x03,
        5,
    )


def test_the_smsc_may_say_goodbye(session: Session) -> None:
    (ended,) = session.receive(octets(Command.UNBIND, Empty(), 5), 20.0)
    assert isinstance(ended, Ended)
    assert [pdu.command for pdu in said(session)] == [Command.UNBIND_RESP]
    assert session.state is State.CLOSED


def test_what_is_no_smpp_ends_the_session(session: Session) -> None:
    (ended,) = session.receive(b"HTTP/1.1 400 Bad Request\r\n", 20.0)
    assert isinstance(ended, Ended)
    assert "SMPP-001" in ended.reason


def test_nothing_is_delivered_before_the_bind() -> None:
    made = Session(Bind(system_id="gw", password=b"pw"), Timers())
    made.start(0.0)
    assert made.receive(octets(Command.DELIVER_SM, HELLO, 1), 1.0) == []


def test_a_goodbye_of_ours_is_said_once(session: Session) -> None:
    session.unbind(20.0)
    session.unbind(21.0)
    assert [pdu.command for pdu in said(session)] == [Command.UNBIND]
    session.answer(1, 0)
    assert session.output() == b""
