"""Asking a server whether it is ready: a question and its answer, not an open port."""

import asyncio
from typing import Final

from sabir.testing.servers.ports import LOOPBACK

_ANSWER_TIMEOUT_S: Final = 2.0
"""One question; whoever asks repeats it until its own deadline."""

_ANSWER_OCTETS_MAX: Final = 16_384
"""Stream headers and HTTP heads are far smaller."""


async def answers_http(port: int, path: str) -> bool:
    """Say whether an HTTP server on loopback answers this path with a success."""
    request = f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n"
    return (await _ask(port, request, b"\r\n"))[9:10] == b"2"


async def answers_anything_http(port: int) -> bool:
    """Say whether an HTTP server on loopback answers at all, be it an error."""
    request = f"GET / HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n"
    return (await _ask(port, request, b"\r\n")).startswith(b"HTTP/")


async def answers_client_stream(port: int, domain: str) -> bool:
    """Say whether an XMPP server offers stream features to a client (RFC 6120 §4.3)."""
    return b"features>" in await _ask(port, _stream("client", domain), b"features>")


async def answers_component_stream(port: int, jid: str) -> bool:
    """Say whether an XMPP server opens a stream to this component (XEP-0114 §3)."""
    answer = await _ask(port, _stream("component:accept", jid), b">", skip=b"?>")
    return b"id=" in answer and b"stream:error" not in answer


def _stream(kind: str, to: str) -> str:
    return (
        f"<?xml version='1.0'?><stream:stream to='{to}' version='1.0' "
        f"xmlns='jabber:{kind}' xmlns:stream='http://etherx.jabber.org/streams'>"
    )


async def _ask(port: int, question: str, until: bytes, skip: bytes = b"") -> bytes:
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(question.encode())
                return await _read_until(reader, until, skip)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def _read_until(reader: asyncio.StreamReader, until: bytes, skip: bytes) -> bytes:
    answer = b""
    while until not in answer.rpartition(skip)[2] if skip else until not in answer:
        chunk = await reader.read(_ANSWER_OCTETS_MAX)
        answer += chunk
        if not chunk or len(answer) > _ANSWER_OCTETS_MAX:
            break
    return answer
