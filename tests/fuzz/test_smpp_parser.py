"""Any octets, at the SMPP codec and at what is made of a message: a value, or
`PeerMisbehaved`; nothing else. What is read from octets of ours is written back.

A run prints its seed; `SABIR_FUZZ_SEED=<seed>` repeats it.
"""

import os
import random
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from sabir.errors import PeerMisbehaved
from sabir.networks.api import ChatId, NativeEvent, NativeId
from sabir.networks.sms.decode import Reading, decode_event
from sabir.networks.sms.envelope import Envelope, pack
from sabir.networks.sms.pdu import (
    Accepted,
    Address,
    Bind,
    Bound,
    Command,
    Empty,
    Message,
    Pdu,
    Tag,
    decode,
    encode,
    sender_of,
)
from sabir.networks.sms.receipts import is_receipt, read
from sabir.networks.sms.session import Session, Timers
from sabir.networks.sms.text import words_of

SHORT: Final = 20_000
"""Inputs in `make test`."""
LONG: Final = 1_000_000
"""Inputs in `make soak`."""
GROWTH_MAX: Final = 8
SLACK_OCTETS: Final = 64 << 10

ADA: Final = Address(ton=1, npi=1, digits="15550001111")
BOB: Final = Address(ton=5, npi=0, digits="BANK")
BIND: Final = Bind(system_id="gw", password=b"pw")
TEXT: Final = "id:00A1 sub:001 submit date:2601010000 stat:DELIVRD err:0 text:hi"
RULES: Final = {f"SMPP-00{number}" for number in range(1, 6)}
BODIES: Final = (
    (Command.BIND_TRANSCEIVER, BIND),
    (Command.BIND_TRANSCEIVER_RESP, Bound(system_id="lab")),
    (Command.SUBMIT_SM_RESP, Accepted(message_id="00a1")),
    (Command.DELIVER_SM_RESP, Accepted()),
    (Command.ENQUIRE_LINK, Empty()),
    (Command.UNBIND, Empty()),
    (Command.GENERIC_NACK, Empty()),
    (Command.DELIVER_SM, Message(source=ADA, destination=ADA, octets=b"hello")),
    (
        Command.DELIVER_SM,
        Message(
            source=BOB,
            destination=ADA,
            octets=b"\x05\x00\x03\x07\x02\x01" + "é✓".encode("utf-16-be"),
            esm_class=0x40,
            data_coding=8,
        ),
    ),
    (
        Command.DELIVER_SM,
        Message(
            source=ADA,
            destination=ADA,
            octets=b"part",
            options={
                Tag.SAR_MSG_REF_NUM: b"\0\7",
                Tag.SAR_TOTAL_SEGMENTS: b"\2",
                Tag.SAR_SEGMENT_SEQNUM: b"\1",
            },
        ),
    ),
    (
        Command.DELIVER_SM,
        Message(
            source=ADA,
            destination=ADA,
            octets=TEXT.encode(),
            esm_class=4,
            options={Tag.RECEIPTED_MESSAGE_ID: b"00a1\0", Tag.MESSAGE_STATE: b"\2"},
        ),
    ),
    (Command.SUBMIT_SM, Message(source=ADA, destination=BOB, octets=b"x" * 300)),
)
SEEDS: Final = tuple(
    encode(Pdu(command=command, sequence=7, body=body)) for command, body in BODIES
)
LENGTHS: Final = (b"\0\0\0\0", b"\0\0\0\x10", b"\0\1\0\0", b"\xff\xff\xff\xff", b"\xff")


def test_examples_are_read_and_written_back() -> None:
    for octets, (_, body) in zip(SEEDS, BODIES, strict=True):
        pdu = decode(octets)
        assert pdu.body == body
        assert encode(pdu) == octets


def test_every_beginning_is_refused_and_takes_no_memory() -> None:
    for octets in SEEDS:
        for length in range(16, len(octets)):
            cut = length.to_bytes(4) + octets[4:length]
            _try(cut)
            with pytest.raises(PeerMisbehaved) as refused:
                decode(octets[:length])
            assert refused.value.rule == "SMPP-001"


def test_any_octets_are_read_or_refused() -> None:
    _run(SHORT)


def test_a_stream_of_any_octets_ends_or_goes_on() -> None:
    """The session survives what the codec does: it answers, or says it is over."""
    seed = _seed()
    dice = random.Random(seed)
    for _ in range(SHORT // 40):
        session = Session(BIND, Timers())
        session.start(0.0)
        bound = encode(
            Pdu(command=Command.BIND_TRANSCEIVER_RESP, sequence=1, body=Bound())
        )
        session.receive(bound, 1.0)
        session.submit(Message(source=ADA, destination=ADA, octets=b"hi"), 2.0)
        for at in range(20):
            octets = _mutated(dice.choice(SEEDS), dice)
            try:
                session.receive(octets, 3.0 + at)
                session.tick(4.0 + at)
                session.output()
            except Exception as error:
                error.add_note(f"seed {seed}: {octets.hex()}")
                raise


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_million_octets_are_read_or_refused() -> None:
    _run(LONG)


def test_claimed_lengths_take_no_memory() -> None:
    tracemalloc.start()
    try:
        for octets in SEEDS:
            for at in range(len(octets)):
                bad = octets[:at] + b"\xff\xff\xff\xff" + octets[at + 4 :]
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                _try(bad)
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak < GROWTH_MAX * len(bad) + SLACK_OCTETS, bad.hex()
    finally:
        tracemalloc.stop()


def _seed() -> int:
    seed = int(os.environ.get("SABIR_FUZZ_SEED", time.time_ns()))
    print(f"seed {seed}")
    return seed


def _run(count: int) -> None:
    seed = _seed()
    found = {True: 0, False: 0}
    for octets in _inputs(count, random.Random(seed)):
        try:
            found[_try(octets)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}: {octets.hex()}")
            raise
    assert found[True] > count // 10
    assert found[False] > count // 10


def _try(octets: bytes) -> bool:
    """Read octets as far as the connector does; tell whether they were a PDU."""
    sender_of(octets)
    event = NativeEvent(
        chat=ChatId("+15550001111"),
        native_id=NativeId("n"),
        payload=pack(Envelope(pdus=(octets,))),
    )
    refusals: list[str] = []
    with _noting(refusals):
        decode_event(event, Reading())
    refusals.clear()
    with _noting(refusals):
        pdu = decode(octets)
        if isinstance(pdu.body, Message) and is_receipt(pdu.body):
            content = _words(pdu.body)
            read(pdu.body, content)
    assert set(refusals) <= RULES
    return not refusals


def _words(message: Message) -> str:
    """Return a receipt's text as the connector does: empty if it has none."""
    try:
        return words_of([message], Reading().alphabet).text or ""
    except PeerMisbehaved:
        return ""


@contextmanager
def _noting(rules: list[str]) -> Iterator[None]:
    try:
        yield
    except PeerMisbehaved as refused:
        rules.append(refused.rule)


def _inputs(count: int, dice: random.Random) -> Iterator[bytes]:
    for number in range(count):
        if number % 10 == 0:
            yield dice.randbytes(dice.randint(0, 120))
        else:
            octets = _mutated(dice.choice(SEEDS), dice)
            if number % 3:  # beyond the first check: the length is true
                octets = len(octets).to_bytes(4) + octets[4:]
            yield octets


def _mutated(seed: bytes, dice: random.Random) -> bytes:
    octets = bytearray(seed)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(octets)) if octets else 0
        match dice.randrange(5):
            case 0:
                octets[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                octets[at:at] = dice.randbytes(dice.randint(1, 9))
            case 2:
                del octets[at : at + dice.randint(1, 9)]
            case 3:
                octets[at : at + 1] = dice.choice(LENGTHS)
            case _:
                octets += octets[at : at + dice.randint(1, 40)]
    return bytes(octets)
