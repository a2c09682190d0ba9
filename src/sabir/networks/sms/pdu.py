"""SMPP 3.4 as octets and back. Pure; every length is checked before it is believed.

Source: SMPP Protocol Specification v3.4 issue 1.2, sections 3.2, 4 and 5. Operations
that a transceiver on our side never meets (data_sm, submit_multi, ...) are read as
`Other` and answered with "invalid command".
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from sabir.errors import PeerMisbehaved

HEADER: Final = struct.Struct(">IIII")
PDU_OCTETS_MAX: Final = 64 * 1024 + 1024
"""A `message_payload` has at most 64 KiB; the fields around it are far below 1 KiB."""
SHORT_MESSAGE_OCTETS_MAX: Final = 254
SYSTEM_ID_OCTETS_MAX: Final = 15
PASSWORD_OCTETS_MAX: Final = 8
ADDRESS_OCTETS_MAX: Final = 20
MESSAGE_ID_OCTETS_MAX: Final = 64
VERSION: Final = 0x34
RESPONSE: Final = 0x80000000
"""Set in the command id of every response."""


class Command(IntEnum):
    """Command ids (section 5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015


class Status(IntEnum):
    """Command statuses that we act upon (section 5.1.3)."""

    OK = 0x00
    INVALID_COMMAND = 0x03
    ALREADY_BOUND = 0x05
    SYSTEM_ERROR = 0x08
    BIND_FAILED = 0x0D
    INVALID_PASSWORD = 0x0E
    INVALID_SYSTEM_ID = 0x0F
    QUEUE_FULL = 0x14
    THROTTLED = 0x58
    TEMPORARY = 0x64


class Tag(IntEnum):
    """Optional parameters that we read or write (section 5.3.2)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """bind_transceiver (4.1.5)."""

    system_id: str
    password: bytes = field(repr=False)
    system_type: str = ""
    address_range: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """bind_transceiver_resp (4.1.6); a refusal may have no body."""

    system_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A number or a name, as it stands in a PDU (5.2.5 to 5.2.9)."""

    ton: int
    npi: int
    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """submit_sm or deliver_sm (4.4.1, 4.6.1): the same fields."""

    source: Address
    destination: Address
    octets: bytes = field(repr=False)
    """`short_message`; when it is over 254 octets, or so read, `message_payload`."""
    service_type: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    registered_delivery: int = 0
    replace_if_present: int = 0
    data_coding: int = 0
    default_message: int = 0
    options: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    """Optional parameters, without `message_payload`."""

    def option(self, tag: Tag) -> int | None:
        """Return an optional parameter as a number."""
        value = self.options.get(tag)
        return None if value is None else int.from_bytes(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """submit_sm_resp or deliver_sm_resp (4.4.2, 4.6.2); empty on errors."""

    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """enquire_link, unbind, generic_nack and their responses: no body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """An operation that we do not know, unread."""


Body = Bind | Bound | Message | Accepted | Empty | Other


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdu:
    """One protocol data unit."""

    command: int
    sequence: int
    body: Body
    status: int = Status.OK

    @property
    def is_response(self) -> bool:
        """Tell whether it answers something."""
        return bool(self.command & RESPONSE)


# ---- writing


def encode(pdu: Pdu) -> bytes:
    """Return a PDU as octets.

    Raises:
        PeerMisbehaved: SMPP-003 or SMPP-005, a field of ours is too long.
    """
    body = _encode_body(pdu.body)
    length = HEADER.size + len(body)
    return HEADER.pack(length, pdu.command, pdu.status, pdu.sequence) + body


def _encode_body(body: Body) -> bytes:
    match body:
        case Bind():
            return (
                _text(body.system_id, SYSTEM_ID_OCTETS_MAX)
                + _string(body.password, PASSWORD_OCTETS_MAX)
                + _text(body.system_type, 12)
                + bytes([VERSION, 0, 0])
                + _text(body.address_range, 40)
            )
        case Bound():
            return _text(body.system_id, SYSTEM_ID_OCTETS_MAX)
        case Message():
            return _encode_message(body)
        case Accepted():
            return _text(body.message_id, MESSAGE_ID_OCTETS_MAX)
        case Empty() | Other():
            return b""


def _encode_message(message: Message) -> bytes:
    octets, options = message.octets, dict(message.options)
    if len(octets) > SHORT_MESSAGE_OCTETS_MAX:
        options[Tag.MESSAGE_PAYLOAD], octets = octets, b""
    return b"".join(
        (
            _text(message.service_type, 5),
            _address(message.source),
            _address(message.destination),
            bytes([message.esm_class, message.protocol_id, message.priority]),
            _text(message.schedule, 16),
            _text(message.validity, 16),
            bytes(
                [
                    message.registered_delivery,
                    message.replace_if_present,
                    message.data_coding,
                    message.default_message,
                    len(octets),
                ]
            ),
            octets,
            *(_option(tag, value) for tag, value in options.items()),
        )
    )


def _option(tag: int, value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        raise PeerMisbehaved("SMPP-005", f"an option of {len(value)} octets")
    return struct.pack(">HH", tag, len(value)) + value


def _address(address: Address) -> bytes:
    return bytes([address.ton, address.npi]) + _text(address.digits, ADDRESS_OCTETS_MAX)


def _text(text: str, octets_max: int) -> bytes:
    return _string(text.encode("latin-1", errors="replace"), octets_max)


def _string(octets: bytes, octets_max: int) -> bytes:
    if len(octets) > octets_max or 0 in octets:
        raise PeerMisbehaved("SMPP-003", f"{len(octets)} octets, {octets_max} allowed")
    return octets + b"\0"


# ---- reading


class Framer:
    """Cuts a stream of octets into PDUs; keeps no more than one of them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """Yield whole PDUs.

        Raises:
            PeerMisbehaved: SMPP-001, a length that no PDU has; the stream is lost.
        """
        self._buffer += octets
        while len(self._buffer) >= HEADER.size:
            length = int.from_bytes(self._buffer[:4])
            if not HEADER.size <= length <= PDU_OCTETS_MAX:
                raise PeerMisbehaved("SMPP-001", f"a PDU of {length} octets")
            if len(self._buffer) < length:
                return
            whole = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield whole


def decode(octets: bytes) -> Pdu:
    """Read one whole PDU.

    Raises:
        PeerMisbehaved: SMPP-001 to SMPP-005.
    """
    if not HEADER.size <= len(octets) <= PDU_OCTETS_MAX:
        raise PeerMisbehaved("SMPP-001", f"a PDU of {len(octets)} octets")
    length, command, status, sequence = HEADER.unpack_from(octets)
    if length != len(octets):
        raise PeerMisbehaved("SMPP-001", f"{length} claimed, {len(octets)} there")
    body = _decode_body(command, status, _Reader(octets, HEADER.size))
    return Pdu(command=command, status=status, sequence=sequence, body=body)


def sender_of(octets: bytes) -> Address | None:
    """Return who a deliver_sm is from if that much of it can be read."""
    reader = _Reader(octets, HEADER.size)
    try:
        reader.text(5)
        return reader.address()
    except PeerMisbehaved:
        return None


def _decode_body(command: int, status: int, reader: "_Reader") -> Body:
    match command:
        case Command.SUBMIT_SM | Command.DELIVER_SM:
            return _decode_message(reader)
        case Command.SUBMIT_SM_RESP | Command.DELIVER_SM_RESP:
            if status and not reader.left:
                return Accepted()
            accepted = Accepted(message_id=reader.text(MESSAGE_ID_OCTETS_MAX))
            reader.options()
            return accepted
        case Command.BIND_TRANSCEIVER_RESP:
            if not reader.left:
                return Bound()
            bound = Bound(system_id=reader.text(SYSTEM_ID_OCTETS_MAX))
            reader.options()
            return bound
        case Command.BIND_TRANSCEIVER:
            return _decode_bind(reader)
        case (
            Command.ENQUIRE_LINK
            | Command.ENQUIRE_LINK_RESP
            | Command.UNBIND
            | Command.UNBIND_RESP
            | Command.GENERIC_NACK
        ):
            return Empty()
        case _:
            return Other()


def _decode_bind(reader: "_Reader") -> Bind:
    system_id = reader.text(SYSTEM_ID_OCTETS_MAX)
    password = reader.string(PASSWORD_OCTETS_MAX)
    system_type = reader.text(12)
    reader.take(3)
    return Bind(
        system_id=system_id,
        password=password,
        system_type=system_type,
        address_range=reader.text(40),
    )


def _decode_message(reader: "_Reader") -> Message:
    service_type = reader.text(5)
    source, destination = reader.address(), reader.address()
    esm_class, protocol_id, priority = reader.take(3)
    schedule, validity = reader.text(16), reader.text(16)
    registered, replace, coding, default, length = reader.take(5)
    if length > SHORT_MESSAGE_OCTETS_MAX:
        raise PeerMisbehaved("SMPP-005", f"a short message of {length} octets")
    octets = reader.take(length)
    options = reader.options()
    payload = options.pop(Tag.MESSAGE_PAYLOAD, b"")
    return Message(
        service_type=service_type,
        source=source,
        destination=destination,
        esm_class=esm_class,
        protocol_id=protocol_id,
        priority=priority,
        schedule=schedule,
        validity=validity,
        registered_delivery=registered,
        replace_if_present=replace,
        data_coding=coding,
        default_message=default,
        octets=octets or payload,
        options=options,
    )


class _Reader:
    """Takes fields off the front of a PDU's body."""

    def __init__(self, octets: bytes, at: int) -> None:
        self._octets = octets
        self._at = at

    @property
    def left(self) -> int:
        return len(self._octets) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise PeerMisbehaved("SMPP-002", f"{count} octets wanted, {self.left} left")
        taken = self._octets[self._at : self._at + count]
        self._at += count
        return taken

    def string(self, octets_max: int) -> bytes:
        """Take a C-octet string; the limit does not count its zero."""
        end = self._octets.find(b"\0", self._at, self._at + octets_max + 1)
        if end < 0:
            raise PeerMisbehaved("SMPP-003", f"no end within {octets_max} octets")
        taken = self._octets[self._at : end]
        self._at = end + 1
        return taken

    def text(self, octets_max: int) -> str:
        return self.string(octets_max).decode("latin-1")

    def address(self) -> Address:
        ton, npi = self.take(2)
        return Address(ton=ton, npi=npi, digits=self.text(ADDRESS_OCTETS_MAX))

    def options(self) -> dict[int, bytes]:
        """Take everything that is left; the first of two equal tags counts."""
        found: dict[int, bytes] = {}
        while self.left:
            if self.left < 4:
                raise PeerMisbehaved("SMPP-004", f"{self.left} octets behind the end")
            tag, length = struct.unpack(">HH", self.take(4))
            if length > self.left:
                raise PeerMisbehaved("SMPP-004", f"an option of {length} octets")
            value = self.take(length)
            found.setdefault(tag, value)
        return found
