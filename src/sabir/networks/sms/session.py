"""One SMPP session of ours, without I/O: octets and time in, octets and events out.

    OPEN -- start --> BINDING -- bind_resp 0 --> BOUND -- unbind --> CLOSED
                         `---- refused ----> CLOSED <---- trouble ----'

The shell feeds `receive` and `tick`, sends what `output` returns, and acts on events.
Time is in milliseconds that never go back.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sabir.errors import PeerMisbehaved
from sabir.networks.sms.pdu import HEADER as HEADER_FIELDS
from sabir.networks.sms.pdu import (
    RESPONSE,
    Accepted,
    Bind,
    Body,
    Command,
    Empty,
    Framer,
    Message,
    Pdu,
    Status,
    decode,
    encode,
)

SEQUENCE_MAX: Final = 0x7FFFFFFF
LATE_ANSWERS_MAX: Final = 256
"""Requests given up whose answer is still understood if it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """How long we wait, in milliseconds."""

    bind_ms: int = 15_000
    """A bind asks an operator's login system; ten seconds were seen to be usual."""
    answer_ms: int = 30_000
    """submit_sm_resp; after it the message is in doubt."""
    idle_ms: int = 30_000
    """Nothing heard or said for so long: enquire_link."""
    patience_ms: int = 10_000
    """enquire_link_resp; after it the connection counts as dead."""


class State(StrEnum):
    """Where a session is."""

    OPEN = "open"
    BINDING = "binding"
    BOUND = "bound"
    CLOSED = "closed"


# ---- what the shell is told


@dataclass(frozen=True, slots=True, kw_only=True)
class BindAccepted:
    """We are bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindRefused:
    """The SMSC does not want us; the session is closed."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer to one of our requests, perhaps a late one."""

    sequence: int
    status: int
    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A request that got no answer in time; the session goes on."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A deliver_sm, whole; the shell must `answer` it."""

    sequence: int
    octets: bytes
    message: Message | None
    """None: it cannot be read (`rule`)."""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The session is over; why, without anybody's words or numbers."""

    reason: str


Event = BindAccepted | BindRefused | Answered | Unanswered | Arrived | Ended


class Session:
    """A transceiver's session, from our side."""

    def __init__(self, bind: Bind, timers: Timers) -> None:
        self.state = State.OPEN
        self._bind = bind
        self._timers = timers
        self._framer = Framer()
        self._sequence = 0
        self._output = bytearray()
        self._waiting: OrderedDict[int, float] = OrderedDict()
        self._late: OrderedDict[int, None] = OrderedDict()
        self._last_ms = 0.0
        self._bind_until = 0.0
        self._enquiry: tuple[int, float] | None = None

    # ---- for the shell

    def output(self) -> bytes:
        """Return what is to be sent now, once."""
        octets = bytes(self._output)
        self._output.clear()
        return octets

    def start(self, now_ms: float) -> None:
        """Ask to be bound."""
        self.state = State.BINDING
        self._bind_until = now_ms + self._timers.bind_ms
        self._request(Command.BIND_TRANSCEIVER, self._bind, now_ms)

    def submit(self, message: Message, now_ms: float) -> int:
        """Send a message; return the number its answer will have."""
        sequence = self._request(Command.SUBMIT_SM, message, now_ms)
        self._waiting[sequence] = now_ms + self._timers.answer_ms
        return sequence

    def answer(self, sequence: int, status: int) -> None:
        """Answer a deliver_sm."""
        if self.state is State.BOUND:
            self._respond(Command.DELIVER_SM_RESP, sequence, Accepted(), status)

    def unbind(self, now_ms: float) -> None:
        """Say goodbye; nobody waits for the answer."""
        if self.state is State.BOUND:
            self._request(Command.UNBIND, Empty(), now_ms)
        self.state = State.CLOSED

    def receive(self, octets: bytes, now_ms: float) -> list[Event]:
        """Take octets of the peer."""
        events: list[Event] = []
        self._last_ms = now_ms
        self._enquiry = None
        try:
            for whole in self._framer.feed(octets):
                if self.state is State.CLOSED:
                    break
                events += self._take(whole)
        except PeerMisbehaved as wrong:
            self._nack(whole_sequence=0, status=0x02)
            events.append(
                self._end(f"the SMSC sent something that is no SMPP: {wrong}")
            )
        return events

    def tick(self, now_ms: float) -> list[Event]:
        """Let time pass."""
        events: list[Event] = []
        if self.state is State.BINDING and now_ms >= self._bind_until:
            return [self._end("the SMSC did not answer the bind")]
        if self.state is not State.BOUND:
            return events
        while self._waiting and next(iter(self._waiting.values())) <= now_ms:
            sequence, _ = self._waiting.popitem(last=False)
            self._give_up(sequence)
            events.append(Unanswered(sequence=sequence))
        if self._enquiry is not None:
            if now_ms >= self._enquiry[1]:
                return [*events, self._end("the SMSC does not answer enquire_link")]
        elif now_ms >= self._last_ms + self._timers.idle_ms:
            sequence = self._request(Command.ENQUIRE_LINK, Empty(), now_ms)
            self._enquiry = (sequence, now_ms + self._timers.patience_ms)
        return events

    def next_tick(self) -> float:
        """Return when `tick` has something to do, at the earliest."""
        if self.state is State.BINDING:
            return self._bind_until
        due = [self._last_ms + self._timers.idle_ms]
        if self._enquiry is not None:
            due = [self._enquiry[1]]
        due += list(self._waiting.values())[:1]
        return min(due)

    # ---- inside

    def _take(self, octets: bytes) -> list[Event]:
        _, command, status, sequence = HEADER_FIELDS.unpack_from(octets)
        try:
            pdu = decode(octets)
        except PeerMisbehaved as wrong:
            if command == Command.DELIVER_SM and self.state is State.BOUND:
                return [
                    Arrived(
                        sequence=sequence, octets=octets, message=None, rule=wrong.rule
                    )
                ]
            if command & RESPONSE:
                # Its id is lost, its status is not: 0 without an id is in doubt.
                return self._answered(sequence, status, "")
            self._nack(whole_sequence=sequence, status=Status.SYSTEM_ERROR)
            return []
        if pdu.is_response:
            return self._take_response(pdu)
        return self._take_request(pdu, octets)

    def _take_response(self, pdu: Pdu) -> list[Event]:
        if pdu.command == Command.BIND_TRANSCEIVER_RESP or (
            self.state is State.BINDING and pdu.command == Command.GENERIC_NACK
        ):
            return self._bound(pdu)
        if pdu.command not in {Command.SUBMIT_SM_RESP, Command.GENERIC_NACK}:
            return []
        message_id = pdu.body.message_id if isinstance(pdu.body, Accepted) else ""
        return self._answered(pdu.sequence, pdu.status, message_id)

    def _answered(self, sequence: int, status: int, message_id: str) -> list[Event]:
        known = self._waiting.pop(sequence, None) is not None
        if not known and sequence not in self._late:
            return []
        self._late.pop(sequence, None)
        return [Answered(sequence=sequence, status=status, message_id=message_id)]

    def _bound(self, pdu: Pdu) -> list[Event]:
        if self.state is not State.BINDING:
            return []
        if pdu.status != Status.OK:
            self.state = State.CLOSED
            return [BindRefused(status=pdu.status)]
        self.state = State.BOUND
        return [BindAccepted()]

    def _take_request(self, pdu: Pdu, octets: bytes) -> list[Event]:
        match pdu.command:
            case Command.ENQUIRE_LINK:
                self._respond(Command.ENQUIRE_LINK_RESP, pdu.sequence, Empty())
            case Command.UNBIND:
                self._respond(Command.UNBIND_RESP, pdu.sequence, Empty())
                return [self._end("the SMSC ended the session")]
            case Command.DELIVER_SM if self.state is State.BOUND:
                assert isinstance(pdu.body, Message)
                return [Arrived(sequence=pdu.sequence, octets=octets, message=pdu.body)]
            case _:
                self._nack(whole_sequence=pdu.sequence, status=Status.INVALID_COMMAND)
        return []

    def _end(self, reason: str) -> Ended:
        self.state = State.CLOSED
        return Ended(reason=reason)

    def _give_up(self, sequence: int) -> None:
        self._late[sequence] = None
        while len(self._late) > LATE_ANSWERS_MAX:
            self._late.popitem(last=False)

    def _request(self, command: Command, body: Body, now_ms: float) -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        self._last_ms = max(self._last_ms, now_ms)
        pdu = Pdu(command=command, sequence=self._sequence, body=body)
        self._output += encode(pdu)
        return self._sequence

    def _respond(
        self, command: Command, sequence: int, body: Body, status: int = Status.OK
    ) -> None:
        pdu = Pdu(command=command, sequence=sequence, status=status, body=body)
        self._output += encode(pdu)

    def _nack(self, *, whole_sequence: int, status: int) -> None:
        self._respond(Command.GENERIC_NACK, whole_sequence, Empty(), status)
