"""One JSON-RPC connection to the daemon: an object per line, both ways.

Source: signal-cli-jsonrpc(5). Requests run concurrently at the daemon, so answers come
in any order; who needs an order waits for each answer.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Protocol

from sabir.errors import PeerIncompatible, Unavailable
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.verdicts import RpcError

LINE_OCTETS_MAX: Final = 32 * 1024 * 1024
"""One line; files come on connections of their own, the longest else is a list of
contacts."""
CONNECT_S: Final = 10.0
ANSWER_S: Final = 60.0
"""Most requests; sends take as long as Signal's service does."""

Notify = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Takes what was received; while it waits, nothing more is read."""


class Daemon(Protocol):
    """A connection to a daemon, in either of its dialects."""

    async def run(self) -> None:
        """Read until the connection ends; raises `Unavailable` then."""
        ...

    async def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float = ANSWER_S
    ) -> Any:
        """Ask, and return the result."""
        ...

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Say something and wait for no answer."""
        ...

    async def subscribe(self, number: str) -> None:
        """Begin to receive what arrives for an account."""
        ...


async def open_streams(
    where: Endpoint,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a daemon's socket.

    Raises:
        Unavailable: nobody listens there; says how to start the daemon.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            if where.path:
                return await asyncio.open_unix_connection(
                    where.path, limit=LINE_OCTETS_MAX
                )
            return await asyncio.open_connection(
                where.host, where.port, limit=LINE_OCTETS_MAX
            )
    except (OSError, TimeoutError) as error:
        raise away(where, error) from error


def away(where: Endpoint, error: Exception) -> Unavailable:
    """Return the error for a daemon that is not there."""
    option = (
        f"--socket {where.path}" if where.path else f"--tcp {where.host}:{where.port}"
    )
    if where.is_http:
        option = f"--http {where.host}:{where.port}"
    return Unavailable(
        f"no signal-cli daemon answers at {where} ({type(error).__name__}); start it"
        f" with `signal-cli daemon {option} --receive-mode=manual --ignore-stories`"
    )


def request_line(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    """Return a request in its line."""
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return _line(body)


def _line(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


class SocketDaemon:
    """A daemon on a TCP or UNIX socket."""

    def __init__(
        self,
        where: Endpoint,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        notify: Notify,
    ) -> None:
        self._where = where
        self._reader = reader
        self._writer = writer
        self._notify = notify
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._ended = False

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, where: Endpoint, notify: Notify
    ) -> AsyncIterator["SocketDaemon"]:
        """Connect, and close at the end.

        Raises:
            Unavailable: nobody listens there.
        """
        reader, writer = await open_streams(where)
        daemon = cls(where, reader, writer, notify)
        try:
            yield daemon
        finally:
            daemon.close()

    def close(self) -> None:
        """Close the socket; whoever waits gets `Unavailable`."""
        self._ended = True
        self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._lost())
        self._waiting.clear()

    async def run(self) -> None:
        """Read until the connection ends.

        Raises:
            Unavailable: it ended.
            PeerIncompatible: what listens there speaks something else.
        """
        try:
            while line := await self._line():
                await self._take(_read(line))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise self._lost() from error
        finally:
            self.close()
        raise self._lost()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError as error:
            raise PeerIncompatible(
                f"the daemon sent a line of more than {LINE_OCTETS_MAX} octets"
            ) from error

    async def _take(self, message: Mapping[str, Any]) -> None:
        number = message.get("id")
        if message.get("method") == "receive":
            params = message.get("params")
            await self._notify(params if isinstance(params, Mapping) else {})
        elif isinstance(number, int) and number in self._waiting:
            future = self._waiting.pop(number)
            if not future.done():
                future.set_result(message)

    async def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float = ANSWER_S
    ) -> Any:
        """Ask, and return the result.

        Raises:
            RpcError: the daemon refused.
            Unavailable: the connection broke, or no answer came in time.
        """
        if self._ended:
            raise self._lost()
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(request_line(number, method, params))
            async with asyncio.timeout(timeout_s):
                await self._writer.drain()
                answer = await future
        except TimeoutError as error:
            raise Unavailable(
                f"the signal-cli daemon gave no answer to {method} in {timeout_s:.0f} s"
            ) from error
        except OSError as error:
            raise self._lost() from error
        finally:
            self._waiting.pop(number, None)
        return result_of(answer)

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Say something and wait for no answer: who waits cannot read meanwhile."""
        body = {"jsonrpc": "2.0", "method": method, "params": params}
        if not self._ended:
            self._writer.write(_line(body))

    async def subscribe(self, number: str) -> None:
        """Begin to receive what arrives for an account.

        `ack` asks a daemon that can to keep everything until it is acknowledged;
        signal-cli cannot, and ignores it.
        """
        await self.call("subscribeReceive", {"account": number, "ack": True})

    def _lost(self) -> Unavailable:
        return Unavailable(
            f"the signal-cli daemon at {self._where} has gone; see its log"
        )


def result_of(answer: Mapping[str, Any]) -> Any:
    """Return an answer's result.

    Raises:
        RpcError: it is an error.
    """
    error = answer.get("error")
    if isinstance(error, Mapping):
        code, text = error.get("code"), error.get("message")
        raise RpcError(
            code if isinstance(code, int) else 0,
            text if isinstance(text, str) else "",
            error.get("data"),
        )
    return answer.get("result")


def _read(line: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PeerIncompatible(
            "what answers there does not speak JSON-RPC; endpoint must name"
            " signal-cli's --socket or --tcp"
        ) from error
    return message if isinstance(message, dict) else {}


class Conversation:
    """Calls one after the other, without a task of its own: for a login."""

    def __init__(self, where: Endpoint) -> None:
        self._where = where
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._numbers = count(1)

    async def begin(self, method: str, params: Mapping[str, Any]) -> int:
        """Ask, and return the number by which `finish` gets the answer."""
        if self._streams is None:
            self._streams = await open_streams(self._where)
        number = next(self._numbers)
        try:
            self._streams[1].write(request_line(number, method, params))
            await self._streams[1].drain()
        except OSError as error:
            raise self._lost(error) from error
        return number

    async def finish(self, number: int, *, timeout_s: float = ANSWER_S) -> Any:
        """Wait for an answer; others that come meanwhile are not for us.

        Raises:
            RpcError: the daemon refused.
            Unavailable: the connection broke, or no answer came in time.
        """
        assert self._streams is not None
        try:
            async with asyncio.timeout(timeout_s):
                while line := await self._streams[0].readline():
                    message = _read(line)
                    if message.get("id") == number:
                        return result_of(message)
        except (OSError, TimeoutError, ValueError) as error:
            raise self._lost(error) from error
        raise self._lost(EOFError())

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask, and return the result (errors as `begin` and `finish`)."""
        return await self.finish(await self.begin(method, params))

    def close(self) -> None:
        """Close the socket; the next call opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def _lost(self, error: Exception) -> Unavailable:
        self.close()
        return away(self._where, error)
