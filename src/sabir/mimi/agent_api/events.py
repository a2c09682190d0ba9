"""The stream of events of a device, as JSON (8.3)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sabir.mimi.agent_api.forms import Form, Octets, decode_form
from sabir.wire.errors import Malformed

IN_FLIGHT_MAX: Final = 1_024
"""Events that are sent and not acknowledged."""
PAGE_OCTETS_MAX: Final = 4 << 20
"""Octets of data in the answer to one poll; a larger event goes alone."""
WAIT_S_MAX: Final = 25
"""Seconds a poll waits for the first event."""
PING_S: Final = 25.0
"""Seconds between two pings of the provider on a WebSocket."""
DEAD_S: Final = 60.0
"""Seconds without a word from the agent after which the connection is dead."""
CURSOR_MAX: Final = (1 << 63) - 1


class EventType(StrEnum):
    """What an event tells."""

    MESSAGE = "room.message"
    HANDSHAKE = "room.handshake"
    WELCOME = "room.welcome"
    OWN = "room.own"
    ROOM_STATE = "room.state"
    CONSENT = "consent"
    KEY_PACKAGES_LOW = "keypackages.low"
    DEVICE_ADDED = "device.added"
    DEVICE_REMOVED = "device.removed"
    DEVICE_MESSAGE = "device.message"
    """Ours: from another device of the user (`device_messages`)."""
    REPORT_STATUS = "report.status"
    """Reserved."""
    RESET = "stream.reset"


class Event(Form, frozen=True, kw_only=True, omit_defaults=True):
    """One event. Later versions may know more types.

    Attributes:
        cursor: its place, decimal; strictly increasing, with gaps.
        type: an `EventType`, or another text, to be passed over and acknowledged.
        room: URI, with `room.*`.
        accepted_ms: the hub's time, with `room.*` but `room.state`.
        data: FanoutMessage (MESSAGE, HANDSHAKE, WELCOME), ConsentEntry (CONSENT) or
            what the other device wrote (DEVICE_MESSAGE).
        sha256: of the MLSMessage that this device sent (OWN).
        frank: `Frank` of that message, if it got one (OWN).
        state: open, closed, unreachable, stale (ROOM_STATE).
        stock: KeyPackages left (KEY_PACKAGES_LOW).
        device_uri: of which device (DEVICE_ADDED, DEVICE_REMOVED).
    """

    cursor: str
    type: str
    room: str = ""
    accepted_ms: int = 0
    data: Octets | None = None
    sha256: Octets | None = None
    frank: Octets | None = None
    state: str = ""
    stock: int | None = None
    device_uri: str = ""

    @property
    def place(self) -> int:
        """Return the cursor as a number."""
        return int(self.cursor)


class EventPage(Form, frozen=True, kw_only=True):
    """`GET /events?after=<cursor>&wait=<seconds>`.

    Attributes:
        events: in order; empty when nothing came in time.
        next: what to ask after next time.
    """

    events: tuple[Event, ...]
    next: str


class Ack(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent writes on a WebSocket: everything up to there is durable."""

    ack: str

    @property
    def place(self) -> int:
        """Return the cursor as a number.

        Raises:
            Malformed: as `read_cursor`.
        """
        return read_cursor(self.ack)


class AckRequest(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /events/ack`: everything up to there is durable."""

    cursor: str

    @property
    def place(self) -> int:
        """Return the cursor as a number.

        Raises:
            Malformed: as `read_cursor`.
        """
        return read_cursor(self.cursor)


_DUE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        EventType.MESSAGE: ("room", "data"),
        EventType.HANDSHAKE: ("room", "data"),
        EventType.WELCOME: ("room", "data"),
        EventType.OWN: ("room", "sha256"),
        EventType.ROOM_STATE: ("room", "state"),
        EventType.CONSENT: ("data",),
        EventType.KEY_PACKAGES_LOW: ("stock",),
        EventType.DEVICE_ADDED: ("device_uri",),
        EventType.DEVICE_REMOVED: ("device_uri",),
        EventType.DEVICE_MESSAGE: ("data",),
    }
)


def read_cursor(text: str) -> int:
    """Read a cursor.

    Raises:
        Malformed: MIMI-372, it is no decimal number of 64 bits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(CURSOR_MAX))):
        raise Malformed("MIMI-372", "a cursor that is no number")
    number = int(text)
    if number > CURSOR_MAX:
        raise Malformed("MIMI-372", "a cursor that is too large")
    return number


def decode_event(body: bytes | str) -> Event:
    """Read one event.

    Raises:
        Malformed: MIMI-373, a member is missing that its type has; as `decode_form`,
            `read_cursor`.
    """
    return _checked(decode_form(body, Event))


def decode_event_page(body: bytes) -> EventPage:
    """Read the answer to a poll.

    Raises:
        Malformed: as `decode_event`.
    """
    page = decode_form(body, EventPage)
    read_cursor(page.next)
    for event in page.events:
        _checked(event)
    return page


def _checked(event: Event) -> Event:
    read_cursor(event.cursor)
    for name in _DUE.get(event.type, ()):
        value: Any = getattr(event, name)
        if value is None or value == "":
            raise Malformed("MIMI-373", f"no {name}")
    return event
