"""The connection to an SMSC: the only I/O of this network.

Everything that SMPP is about is in `session`; here are a socket, TLS, and the clock.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from sabir.errors import ConfigInvalid, CredentialsRefused, Unavailable
from sabir.networks.sms.config import SmsConfig, Tls
from sabir.networks.sms.pdu import Message, Status
from sabir.networks.sms.session import (
    Answered,
    Arrived,
    BindAccepted,
    BindRefused,
    Ended,
    Event,
    Session,
    State,
    Unanswered,
)

CONNECT_S: Final = 15.0
"""TCP and TLS together; an operator's gateway that takes longer is not there."""
CLOSE_S: Final = 2.0
"""For the last answers to leave."""
READ_OCTETS: Final = 64 * 1024
ARRIVALS_MAX: Final = 256
"""Messages read and not yet committed; more are answered with "queue full"."""
TICK_MIN_MS: Final = 20
TICK_MAX_MS: Final = 1_000
"""A tick is cheap; timers of requests sent meanwhile are seen within a second."""

_LOGIN_REFUSED: Final = frozenset(
    {Status.BIND_FAILED, Status.INVALID_PASSWORD, Status.INVALID_SYSTEM_ID}
)


class Ticks(Protocol):
    """What we need of a `sabir.clock.Clock`."""

    def monotonic_ms(self) -> float:
        """Return milliseconds that never go back."""
        ...

    async def sleep(self, duration_ms: int) -> None:
        """Wait."""
        ...


class LoopTicks:
    """The event loop's own time: a login has no clock of the agent."""

    def monotonic_ms(self) -> float:
        """Return milliseconds that never go back."""
        return asyncio.get_running_loop().time() * 1_000

    async def sleep(self, duration_ms: int) -> None:
        """Wait."""
        await asyncio.sleep(duration_ms / 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A deliver_sm and when it was read."""

    arrived: Arrived
    at_ms: float


class Link:
    """One bound session; `opened` makes it."""

    def __init__(
        self,
        session: Session,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        clock: Ticks,
        on_late: Callable[[Answered], None],
    ) -> None:
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue(ARRIVALS_MAX)
        self._session = session
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._on_late = on_late
        self._requests: dict[int, asyncio.Future[Answered]] = {}

    @property
    def is_open(self) -> bool:
        """Tell whether something can be sent."""
        return self._session.state is State.BOUND

    def submit(self, message: Message) -> tuple[int, "asyncio.Future[Answered]"]:
        """Write a message; return its number and what will hold the answer.

        The future fails with `Unavailable` when there is no answer in time, or when
        the connection breaks.

        Raises:
            Unavailable: not connected; nothing was written.
        """
        if not self.is_open:
            raise Unavailable("the connection to the SMSC is gone; it is made again")
        sequence = self._session.submit(message, self._clock.monotonic_ms())
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._requests[sequence] = answer
        self._flush()
        return sequence, answer

    def answer(self, sequence: int, status: int) -> None:
        """Answer a deliver_sm."""
        self._session.answer(sequence, status)
        self._flush()

    async def run(self) -> None:
        """Carry octets and let time pass, until the connection ends.

        Raises:
            Unavailable: always, sooner or later.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._tick())

    async def close(self) -> None:
        """Say goodbye and close; every request that waits fails."""
        self._session.unbind(self._clock.monotonic_ms())
        self._flush()
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()
        self._fail_requests()

    # ---- inside

    async def bind(self) -> None:
        """Ask to be bound and wait for the answer.

        Raises:
            CredentialsRefused: system id or password is wrong.
            Unavailable: refused for another reason, or no answer.
        """
        self._session.start(self._clock.monotonic_ms())
        self._flush()
        async with asyncio.timeout(CONNECT_S):
            while self._session.state is State.BINDING:
                octets = await self._receive()
                now_ms = self._clock.monotonic_ms()
                for event in self._session.receive(octets, now_ms):
                    self._act(event)
                self._flush()

    async def _read(self) -> None:
        while True:
            octets = await self._receive()
            now_ms = self._clock.monotonic_ms()
            for event in self._session.receive(octets, now_ms):
                self._act(event)
            self._flush()

    async def _receive(self) -> bytes:
        try:
            octets = await self._reader.read(READ_OCTETS)
        except OSError as error:
            raise Unavailable(f"the connection to the SMSC broke: {error}") from error
        if not octets:
            raise Unavailable("the SMSC closed the connection; it is made again")
        return octets

    async def _tick(self) -> None:
        while True:
            now_ms = self._clock.monotonic_ms()
            for event in self._session.tick(now_ms):
                self._act(event)
            self._flush()
            due_ms = int(self._session.next_tick() - now_ms)
            await self._clock.sleep(min(max(due_ms, TICK_MIN_MS), TICK_MAX_MS))

    def _act(self, event: Event) -> None:
        match event:
            case Arrived():
                self._arrived(event)
            case Answered(sequence=sequence):
                request = self._requests.pop(sequence, None)
                if request is None or request.done():
                    self._on_late(event)
                else:
                    request.set_result(event)
            case Unanswered(sequence=sequence):
                request = self._requests.pop(sequence, None)
                if request is not None and not request.done():
                    request.set_exception(_unanswered())
            case BindAccepted():
                pass
            case BindRefused(status=status):
                raise _refusal(status)
            case Ended(reason=reason):
                self._flush()
                raise Unavailable(f"{reason}; the connection is made again")

    def _arrived(self, arrived: Arrived) -> None:
        arrival = Arrival(arrived=arrived, at_ms=self._clock.monotonic_ms())
        try:
            self.arrivals.put_nowait(arrival)
        except asyncio.QueueFull:
            self._session.answer(arrived.sequence, Status.QUEUE_FULL)

    def _flush(self) -> None:
        octets = self._session.output()
        if octets and not self._writer.is_closing():
            self._writer.write(octets)

    def _fail_requests(self) -> None:
        for request in self._requests.values():
            if not request.done():
                request.set_exception(_unanswered())
                request.exception()  # seen, also where nobody waits any more
        self._requests.clear()


@asynccontextmanager
async def opened(
    config: SmsConfig, clock: Ticks, on_late: Callable[[Answered], None]
) -> AsyncIterator[Link]:
    """Connect, bind, and close at the end.

    Raises:
        ConfigInvalid: the authority file cannot be read.
        CredentialsRefused: system id or password is wrong.
        Unavailable: no connection, no answer, or a refusal that may pass.
    """
    context = _tls_context(config)
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                config.host, config.port, ssl=context
            )
    except ssl.SSLCertVerificationError as error:
        raise Unavailable(
            f"{config.host} has a certificate that is not trusted here"
            f" ({error.verify_message}); if it is of the operator's own authority,"
            " set ca_file"
        ) from error
    except (OSError, TimeoutError) as error:
        raise Unavailable(
            f"{config.host}:{config.port} does not answer ({str(error) or 'too slow'});"
            " check host, port, tls, and whether the operator lets this machine in"
        ) from error
    link = Link(Session(config.bind, config.timers), reader, writer, clock, on_late)
    try:
        try:
            await link.bind()
        except TimeoutError as error:
            raise Unavailable("the SMSC did not answer the bind") from error
        yield link
    finally:
        await link.close()


def _tls_context(config: SmsConfig) -> ssl.SSLContext | None:
    if config.tls is Tls.PLAIN:
        return None
    try:
        return ssl.create_default_context(cafile=config.ca_file or None)
    except OSError as error:
        raise ConfigInvalid(
            f"ca_file = {config.ca_file!r} cannot be read: {error}"
        ) from error


def _unanswered() -> Unavailable:
    return Unavailable("the SMSC did not answer; whether it has the message is unclear")


def _refusal(status: int) -> CredentialsRefused | Unavailable:
    if status in _LOGIN_REFUSED:
        return CredentialsRefused(
            f"the SMSC refused the bind (status 0x{status:02x}): check system_id,"
            " password and system_type with your operator"
        )
    if status == Status.ALREADY_BOUND:
        return Unavailable(
            "the SMSC says that this account is bound already: end the other process"
            " that uses it, or ask your operator for more binds"
        )
    return Unavailable(f"the SMSC refused the bind (status 0x{status:02x}) for now")
