"""JSON from a homeserver, however deeply an event in it is nested.

Anybody in a room can send such an event; the homeserver repeats what we do not take,
and everything behind it would wait for ever. What is nested too deeply means nothing
to us: it is cut out, and the rest is read.
"""

import json
import re
from typing import Any, Final

import structlog

DEPTH_MAX: Final = 100
"""Kept of what is too deep to be read at once (in Python about 1,000 levels, less
those of the call); real events have about ten."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)

_log = structlog.get_logger(__name__)


def read_json(octets: bytes) -> Any:
    """Read JSON; if it is nested too deeply to be read, without its deepest parts.

    Raises:
        ValueError: not JSON.
    """
    try:
        return json.loads(octets)
    except RecursionError:
        pass
    body = json.loads(pruned(octets))
    _log.warning("deeply_nested_part_dropped", octets=len(octets))
    return body


def pruned(octets: bytes, *, depth_max: int = DEPTH_MAX) -> bytes:
    """Return JSON with every array and object below `depth_max` levels as null.

    What is not JSON stays something that is not JSON.
    """
    kept, depth, start = bytearray(), 0, 0
    for token in _TOKEN.finditer(octets):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == depth_max + 1:
                kept += octets[start : token.start()]
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth == depth_max:
                kept += b"null"
                start = token.end()
    return bytes(kept + octets[start:] if depth <= depth_max else kept)
