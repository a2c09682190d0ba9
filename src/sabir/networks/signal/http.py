"""The daemon's other dialect: requests by POST, what arrives as server-sent events.

Source: signal-cli's `HttpServerHandler`: `/api/v1/rpc`, `/api/v1/events?account=`.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import count
from typing import Any, Final

import aiohttp

from sabir.errors import PeerIncompatible, Unavailable
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.rpc import (
    ANSWER_S,
    CONNECT_S,
    LINE_OCTETS_MAX,
    Notify,
    away,
    request_line,
    result_of,
)

SILENCE_S: Final = 60.0
"""The daemon says something every 15 s, if only a comment."""
READ_OCTETS: Final = 48 * 1024
EVENT_OCTETS_MAX: Final = LINE_OCTETS_MAX


class HttpDaemon:
    """A daemon behind `--http`."""

    def __init__(
        self,
        where: Endpoint,
        session: aiohttp.ClientSession,
        number: str,
        notify: Notify,
    ) -> None:
        self._where = where
        self._session = session
        self._number = number
        self._notify = notify
        self._numbers = count(1)
        self._ended = False

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, where: Endpoint, number: str, notify: Notify
    ) -> AsyncIterator["HttpDaemon"]:
        """Make sure that a daemon answers, and close at the end.

        Raises:
            Unavailable: nobody listens there.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            daemon = cls(where, session, number, notify)
            try:
                async with session.get(f"{where.url}/api/v1/check") as answer:
                    if not answer.ok:
                        raise PeerIncompatible(
                            f"what answers at {where} is no signal-cli daemon"
                        )
                yield daemon
            except (aiohttp.ClientError, TimeoutError) as error:
                raise away(where, error) from error
            finally:
                daemon.close()

    def close(self) -> None:
        """End; calls raise `Unavailable` from now on."""
        self._ended = True

    async def run(self) -> None:
        """Read events until the connection ends.

        Raises:
            Unavailable: it ended.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=SILENCE_S)
        try:
            async with self._session.get(
                f"{self._where.url}/api/v1/events",
                params={"account": self._number},
                timeout=timeout,
                read_bufsize=EVENT_OCTETS_MAX,
            ) as answer:
                if not answer.ok:
                    raise Unavailable(
                        f"the daemon gives no events (status {answer.status})"
                    )
                await self._read(answer)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise away(self._where, error) from error
        finally:
            self.close()
        raise away(self._where, EOFError())

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        data: list[str] = []
        async for line in answer.content:
            text = line.decode(errors="replace").rstrip("\r\n")
            if text.startswith("data:"):
                data.append(text.removeprefix("data:").removeprefix(" "))
            elif not text and data:
                params = json.loads("\n".join(data))
                data = []
                await self._notify(params if isinstance(params, Mapping) else {})

    async def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float = ANSWER_S
    ) -> Any:
        """Ask, and return the result (see `rpc.Daemon.call`)."""
        if self._ended:
            raise away(self._where, EOFError())
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        try:
            async with self._session.post(
                f"{self._where.url}/api/v1/rpc",
                data=BytesIO(request_line(next(self._numbers), method, params)),
                headers={"Content-Type": "application/json"},
                timeout=timeout,
            ) as answer:
                message = json.loads(await answer.read() or b"{}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise away(self._where, error) from error
        return result_of(message if isinstance(message, dict) else {})

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Nothing: what this dialect sends cannot be acknowledged."""

    async def subscribe(self, number: str) -> None:
        """Nothing: the stream of events is the subscription."""


async def answer_octets(where: Endpoint, line: bytes) -> AsyncIterator[bytes]:
    """Yield the octets of one answer as they come.

    Raises:
        Unavailable: no answer, or cut off.
    """
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=SILENCE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{where.url}/api/v1/rpc", data=line) as answer,
        ):
            async for octets in answer.content.iter_chunked(READ_OCTETS):
                yield octets
    except (aiohttp.ClientError, TimeoutError) as error:
        raise away(where, error) from error
