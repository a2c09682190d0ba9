"""Files to and from Meta, streamed; never a whole file in memory."""

import hashlib
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from yarl import URL

from sabir.errors import PeerMisbehaved, PolicyRefused, Unavailable
from sabir.networks.api import MediaReader
from sabir.networks.whatsapp.client import Client, Json, Rejected, read_answer, refusal
from sabir.networks.whatsapp.config import is_loopback
from sabir.networks.whatsapp.media_rules import (
    DOCUMENT_OCTETS_MAX,
    WEBP_HEAD_OCTETS,
    Form,
)

PIECE_OCTETS: Final = 64 * 1024
TRANSFER_TIMEOUT_S: Final = 3_600
"""100 MiB at 30 kB/s."""
STALL_TIMEOUT_S: Final = 30
"""Without one octet for so long, a download is over."""
MEDIA_HOSTS: Final = (".fbsbx.com", ".facebook.com", ".fbcdn.net", ".whatsapp.net")
"""Where Meta's files are; our token goes nowhere else."""
GONE_CODES: Final = frozenset({100, 131052})


async def head_of(media: MediaReader) -> bytes:
    """Return a file's first octets."""
    head = b""
    async for chunk in media.chunks():
        head += chunk
        if len(head) >= WEBP_HEAD_OCTETS:
            break
    return head[:WEBP_HEAD_OCTETS]


async def upload(
    client: Client, media: MediaReader, form: Form, *, filename: str
) -> str:
    """Upload a file and return Meta's id of it; it is kept there for 14 days.

    Raises:
        PolicyRefused: larger than Meta takes (then nothing is sent), or refused.
        Unavailable: no answer; it may be tried again.
    """
    if media.size > DOCUMENT_OCTETS_MAX:
        raise PolicyRefused(
            f"the file has {media.size} octets and WhatsApp takes "
            f"{DOCUMENT_OCTETS_MAX}; send a link, or a smaller file"
        )
    boundary = f"sabir-{media.sha256.hex()}"  # a file cannot hold its own digest
    before, after = _frame(boundary, form.content_type, filename)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(before) + media.size + len(after)),
    }
    async with client.request(
        "POST",
        client.upload_url(),
        data=_framed(before, media, after),
        headers=headers,
        # While we send, nothing is read: only the total limit can apply.
        timeout=aiohttp.ClientTimeout(total=TRANSFER_TIMEOUT_S, sock_connect=20),
    ) as answer:
        try:
            found = (await read_answer(answer)).get("id")
        except Rejected as no:
            raise PolicyRefused(
                f"WhatsApp does not take the file (type {form.content_type}); send it "
                f"as PDF, JPEG, PNG, MP4, text or an office document: {no}"
            ) from no
    if not isinstance(found, str) or not found:
        raise PeerMisbehaved("WHATSAPP-010", "an upload was answered without an id")
    return found


def _frame(boundary: str, content_type: str, filename: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the file (RFC 7578)."""
    fields = {"messaging_product": "whatsapp", "type": content_type}
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        for name, value in fields.items()
    ]
    quoted = filename.replace("\\", "_").replace('"', "%22")
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{quoted}"\r\nContent-Type: {content_type}\r\n\r\n'
    )
    return "\r\n".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


async def _framed(
    before: bytes, media: MediaReader, after: bytes
) -> AsyncIterator[bytes]:
    yield before
    async for chunk in media.chunks():
        yield chunk
    yield after


async def download(
    client: Client, media_id: str, *, octets_max: int
) -> AsyncIterator[bytes]:
    """Yield a file in pieces of at most 64 KiB; at the end its digest is checked.

    Raises:
        PolicyRefused: larger than `octets_max`, no longer there, at a strange
            address, or not what Meta announced.
        Unavailable: cut off; it may be tried again.
    """
    try:
        found = await client.media(media_id)
    except Rejected as no:
        if no.error.code in GONE_CODES or no.status == 404:
            raise PolicyRefused(
                "the file is no longer at WhatsApp, which keeps files for 14 days; "
                "ask for it again"
            ) from no
        raise
    announced = _size(found)
    if announced is not None and announced > octets_max:
        raise _too_large(announced, octets_max)
    url, digest, seen = _url(client, found), hashlib.sha256(), 0
    timeout = aiohttp.ClientTimeout(
        total=TRANSFER_TIMEOUT_S, sock_connect=20, sock_read=STALL_TIMEOUT_S
    )
    async with client.request("GET", url, timeout=timeout) as answer:
        if answer.status != 200:
            raise _not_given(answer.status)
        length = answer.content_length
        async for piece in answer.content.iter_chunked(PIECE_OCTETS):
            seen += len(piece)
            if seen > octets_max:
                raise _too_large(seen, octets_max)
            digest.update(piece)
            yield piece
    if length is not None and seen != length:
        raise Unavailable(f"a file was cut off after {seen} of {length} octets")
    wanted = _digest(found)
    if wanted is not None and wanted != digest.digest():
        raise PolicyRefused(
            "WhatsApp gave another file than it announced; ask for it again"
        )


def _not_given(status: int) -> Exception:
    if status in {401, 403, 404, 410}:  # the address lives for five minutes
        return Unavailable(f"WhatsApp does not give the file any more ({status})")
    return refusal(None, max(status, 500), "")


def _url(client: Client, found: Json) -> URL:
    text = found.get("url")
    url = URL(text) if isinstance(text, str) else URL()
    host, base = url.host or "", URL(client.base_url)
    ours = url.scheme == "https" and f".{host}".endswith(MEDIA_HOSTS)
    lab = is_loopback(base.host or "") and is_loopback(host)
    if not ours and not lab:
        raise PolicyRefused(
            "WhatsApp names a strange address for the file; it is not visited"
        )
    return url


def _size(found: Json) -> int | None:
    """Return the announced size; Meta writes it as text or as a number."""
    text = str(found.get("file_size", ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _digest(found: Json) -> bytes | None:
    """Return the announced SHA-256: 64 hex digits, or Base64."""
    text = found.get("sha256")
    if not isinstance(text, str):
        return None
    try:
        octets = bytes.fromhex(text) if len(text) == 64 else b64decode(text)
    except ValueError:
        return None
    return octets if len(octets) == 32 else None


def _too_large(octets: int, octets_max: int) -> PolicyRefused:
    return PolicyRefused(
        f"the file has {octets} octets or more and the limit here is {octets_max}; "
        "raise the limit for files, or ask for a smaller one"
    )
