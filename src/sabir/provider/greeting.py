"""Whether a connection begins as TLS does, before anything is spent on it.

The state of a TLS connection is some 300 KiB here (asyncio's buffers, OpenSSL's), a
socket that waits is next to nothing. So the first octets are looked at, and left, until
a whole ClientHello is there (RFC 8446, 4.1.2, 5.1).
"""

import asyncio
import socket
from typing import Final

HANDSHAKE_RECORD: Final = 22
RECORD_HEAD_OCTETS: Final = 5
RECORD_OCTETS_MAX: Final = 1 << 14
LOOK_S: Final = 0.02
"""Before a second look at a piece of a greeting; doubled each time."""


async def greets_in_tls(accepted: socket.socket) -> bool:
    """Wait for the first record of a connection; False if it is no handshake.

    Raises:
        OSError: the connection broke.
    """
    await _readable(accepted)
    pause_s = LOOK_S
    while True:
        octets = accepted.recv(RECORD_HEAD_OCTETS + RECORD_OCTETS_MAX, socket.MSG_PEEK)
        if not octets or octets[0] != HANDSHAKE_RECORD:
            return False
        if _is_whole(octets):
            return True
        await asyncio.sleep(pause_s)
        pause_s *= 2


def _is_whole(octets: bytes) -> bool:
    if len(octets) < RECORD_HEAD_OCTETS:
        return False
    length = int.from_bytes(octets[3:RECORD_HEAD_OCTETS], "big")
    return len(octets) >= RECORD_HEAD_OCTETS + min(length, RECORD_OCTETS_MAX)


async def _readable(accepted: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(accepted, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(accepted)
