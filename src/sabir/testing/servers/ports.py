"""Ports for servers under test: free ones, chosen once, kept over restarts.

- A port stays the same as long as the server's home does, for a client that comes
  back after a restart knows only the old address.
- Ports lie below the kernel's ephemeral range. A port from that range can be lent to
  an outgoing connection while the server is down, even to the very client that is
  trying to come back, and then the server cannot have it again.
- A chosen port is claimed for the life of this process by binding UDP on the same
  number (our servers use TCP only), so that two test runs on one machine never
  choose the same.
"""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sabir.errors import Unavailable

LOOPBACK: Final = "127.0.0.1"

_LOWEST_PORT: Final = 15_000
"""Above the well-known ports of development servers; our choice."""

_EPHEMERAL_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT: Final = 32_768
"""The kernel's default, for systems that do not tell."""

_ATTEMPTS_MAX: Final = 500
"""More failures in a row mean that the machine has no free ports at all."""

_claims: list[int] = []
"""Descriptors of the UDP sockets that mark our ports; closed when the process ends."""


def keep_ports(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Return a free loopback port for every name; the same ones as last time.

    Args:
        file: where the choice is remembered (JSON, name to port).
        names: what each port is for.

    Raises:
        Unavailable: no free port was found.
    """
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        if name not in known:
            known[name] = _claim_free_port()
    file.write_text(json.dumps(known))
    return {name: known[name] for name in names}


def _claim_free_port() -> int:
    highest = _ephemeral_start() - 1
    for _ in range(_ATTEMPTS_MAX):
        port = random.randint(_LOWEST_PORT, max(highest, _LOWEST_PORT + 1000))
        if _claim(port):
            return port
    raise Unavailable(
        f"No free port between {_LOWEST_PORT} and {highest} on {LOOPBACK}; "
        "stop what is listening there."
    )


def _claim(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mark.bind((LOOPBACK, port))
    except OSError:
        mark.close()
        return False
    _claims.append(mark.detach())
    return True


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_DEFAULT
