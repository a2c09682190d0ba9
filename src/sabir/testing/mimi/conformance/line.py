"""HTTP without help: what is sent is what a check says, octet by octet."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sabir.testing.mimi.conformance.finding import Broken

CONNECT_S: Final = 10.0
ANSWER_S: Final = 40.0
"""A little more than a request may take (D-07)."""
ANSWER_OCTETS_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP.
        fields: by lower-case name.
        body: whole.
        took_s: seconds.
    """

    status: int
    fields: Mapping[str, str]
    body: bytes
    took_s: float

    def document(self) -> dict[str, Any]:
        """Return the body as a JSON object; empty if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """Return the code of a problem document, or an empty string."""
        return str(self.document().get("code", ""))

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"{self.status} {self.code}".strip()


class Line:
    """One connection to one host, opened again when it is closed.

    Args:
        host: name in the certificate and in Host.
        address: where to connect.
        context: TLS.
    """

    def __init__(
        self, host: str, address: tuple[str, int], context: ssl.SSLContext
    ) -> None:
        self._host = host
        self._address = address
        self._context = context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, octets: bytes) -> Reply:
        """Send a request, return the answer.

        Raises:
            Broken: there is none.
        """
        reused = self._streams is not None
        try:
            return await self._ask(octets)
        except (OSError, EOFError) as error:  # an idle connection may be closed
            self.close()
            if not reused:
                raise Broken(f"no answer: {type(error).__name__} {error}") from None
        try:
            return await self._ask(octets)
        except (OSError, EOFError) as error:
            self.close()
            raise Broken(f"no answer: {type(error).__name__} {error}") from None

    async def burst(self, octets: bytes, count: int) -> list[Reply]:
        """Send the same request many times at once, return all answers.

        Raises:
            Broken: one is missing.
        """
        self.close()
        try:
            reader, writer = await self.connect()
            writer.write(octets * count)
            return [await read_reply(reader) for _ in range(count)]
        except (OSError, EOFError) as error:
            raise Broken(f"no answer: {type(error).__name__} {error}") from None
        finally:
            self.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the connection, unless it is.

        Raises:
            OSError: it cannot be.
        """
        if self._streams is None:
            async with asyncio.timeout(CONNECT_S):
                self._streams = await asyncio.open_connection(
                    *self._address,
                    ssl=self._context,
                    server_hostname=self._host,
                    limit=1 << 20,
                )
        return self._streams

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self, octets: bytes) -> Reply:
        reader, writer = await self.connect()
        writer.write(octets)
        with contextlib.suppress(ConnectionError):  # it may answer before all is sent
            async with asyncio.timeout(ANSWER_S):
                await writer.drain()
        reply = await read_reply(reader)
        if reply.fields.get("connection", "").lower() == "close":
            self.close()
        return reply


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """Read an answer.

    Raises:
        OSError, EOFError: it does not come, or is no HTTP/1.1.
    """
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(ANSWER_S):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields: dict[str, str] = {}
            for line in filter(None, lines):
                name, _, value = line.partition(":")
                fields.setdefault(name.strip().lower(), value.strip())
            status = int(first.split()[1])
            body = await _read_body(reader, status, fields)
        except (ValueError, IndexError, asyncio.LimitOverrunError) as error:
            raise OSError(f"no HTTP: {error}") from None
    took = asyncio.get_running_loop().time() - began
    return Reply(status=status, fields=fields, body=body, took_s=took)


async def _read_body(
    reader: asyncio.StreamReader, status: int, fields: Mapping[str, str]
) -> bytes:
    if status < 200 or status in {204, 304}:
        return b""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        found = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            found += await reader.readexactly(size)
            await reader.readline()
            if len(found) > ANSWER_OCTETS_MAX:
                raise OSError("an answer too large")
        await reader.readline()
        return found
    length = fields.get("content-length")
    if length is None:
        return await reader.read(ANSWER_OCTETS_MAX)
    return await reader.readexactly(min(int(length), ANSWER_OCTETS_MAX))


def host_and_path(url: str) -> tuple[str, int, str]:
    """Return host, port, and path with query of a URL."""
    parts = urlsplit(url)
    path = url.partition("//")[2].partition("/")[2]
    return parts.hostname or "", parts.port or 443, "/" + path
