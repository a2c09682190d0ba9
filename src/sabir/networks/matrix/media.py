"""Files to and from the homeserver, streamed; never a whole file in memory."""

import re
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from sabir.content.meaning import Attachment
from sabir.errors import LocalError, PeerMisbehaved, PolicyRefused, Unavailable
from sabir.networks.api import MediaReader
from sabir.networks.matrix.client import V1, Client, ProxyAnswered, segments
from sabir.networks.matrix.text import one_line

PIECE_OCTETS: Final = 64 * 1024
TRANSFER_TIMEOUT_S: Final = 3_600
"""100 MB at 30 kB/s."""
STALL_TIMEOUT_S: Final = 30
"""Without one octet for so long, a transfer is over."""

PASSING_STATUSES: Final = frozenset({401, 403, 429})
"""Of a proxy: its operator's settings of the moment, not the file's fault."""

_MXC: Final = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")
_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=TRANSFER_TIMEOUT_S, sock_connect=20, sock_read=STALL_TIMEOUT_S
)


async def upload(
    client: Client,
    media: MediaReader | None,
    *,
    attachment: Attachment,
    octets_max: int | None,
) -> str:
    """Upload a file and return its `mxc://` address.

    Synapse refuses chunked encoding, so the length goes first.

    Raises:
        PolicyRefused: larger than the server takes (then nothing was read), or
            than a proxy in front of it; or refused for another lasting reason.
        Unavailable: no answer; it may be tried again.
    """
    if media is None:
        raise LocalError("a file to send came without its octets")
    if octets_max is not None and media.size > octets_max:
        raise PolicyRefused(
            f"the file has {media.size} octets and the homeserver takes {octets_max}; "
            "send a smaller one, or raise max_upload_size on the homeserver"
        )
    content_type = one_line(attachment.part.content_type).encode("ascii", "ignore")
    headers = {
        "Content-Type": content_type.decode() or "application/octet-stream",
        "Content-Length": str(media.size),
    }
    filename = one_line(attachment.part.filename)
    try:
        async with client.transfer(
            "POST",
            "/_matrix/media/v3/upload",
            query={"filename": filename} if filename else None,
            data=media.chunks(),
            headers=headers,
            # While we send, nothing is read: only the total limit can apply.
            timeout=aiohttp.ClientTimeout(total=TRANSFER_TIMEOUT_S, sock_connect=20),
        ) as answer:
            uri = (await answer.json()).get("content_uri")
    except ProxyAnswered as no:
        if not 400 <= no.status < 500 or no.status in PASSING_STATUSES:
            raise
        raise _kept_out(no.status, media.size) from no
    if not isinstance(uri, str) or not _MXC.fullmatch(uri):
        raise PeerMisbehaved("MATRIX-010", "an upload was answered without an address")
    return uri


async def download(
    client: Client, handle: str, *, octets_max: int
) -> AsyncIterator[bytes]:
    """Yield a file in pieces of at most 64 KiB.

    Raises:
        PolicyRefused: not an address of Matrix, or larger than `octets_max`.
        Unavailable: cut off; it may be tried again.
    """
    parts = _MXC.fullmatch(handle)
    if parts is None:
        raise PolicyRefused("this is not the address of a file on Matrix (mxc://...)")
    path = f"{V1}/media/download{segments(parts[1], parts[2])}"
    async with client.transfer("GET", path, timeout=_TIMEOUT) as answer:
        announced = answer.content_length
        if announced is not None and announced > octets_max:
            raise _too_large(announced, octets_max)
        seen = 0
        async for piece in answer.content.iter_chunked(PIECE_OCTETS):
            seen += len(piece)
            if seen > octets_max:
                raise _too_large(seen, octets_max)
            yield piece
        if announced is not None and seen != announced:
            raise Unavailable(f"a file was cut off after {seen} of {announced} octets")


def _kept_out(status: int, octets: int) -> PolicyRefused:
    if status == 413:
        return PolicyRefused(
            f"the file has {octets} octets and the proxy in front of the homeserver "
            "takes fewer (413); raise its limit (nginx: client_max_body_size), or send "
            "a smaller one"
        )
    return PolicyRefused(
        f"the proxy in front of the homeserver refuses uploads ({status}); see that it "
        "passes POST /_matrix/media/ on, then send the file again"
    )


def _too_large(octets: int, octets_max: int) -> PolicyRefused:
    return PolicyRefused(
        f"the file has {octets} octets or more and the limit here is {octets_max}; "
        "raise the limit for files, or ask for a smaller one"
    )
