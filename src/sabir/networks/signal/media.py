"""Files: from the daemon piece by piece; to it by path, or inside of the request."""

import asyncio
import base64
import binascii
import json
import mimetypes
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sabir.content.meaning import Attachment
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import IdempotencyKey, MediaReader
from sabir.networks.signal.capabilities import DATA_URI_OCTETS_MAX, FILE_OCTETS_MAX
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.http import answer_octets
from sabir.networks.signal.rpc import away, open_streams, request_line, result_of
from sabir.networks.signal.text import one_line

READ_OCTETS: Final = 48 * 1024
"""Of base64 at a time: 36 KiB of a file."""
HEAD_OCTETS: Final = 32 * 1024
"""A line that is longer without an end holds a large file."""
FETCH_S: Final = 60.0
"""Without an octet; the daemon may have to fetch the file from Signal first."""
BY_PATH_OCTETS_MIN: Final = 1024 * 1024
"""From here on a file goes by path where there is a folder for it."""
FILENAME_CHARACTERS_MAX: Final = 120

_FILE: Final = re.compile(rb'"result"\s*:\s*\{\s*"data"\s*:\s*"')
_BROKEN_OFF: Final = "the daemon broke off in the middle of a file"


# ---- in


async def fetch(
    where: Endpoint, method: str, params: Mapping[str, Any], *, octets_max: int
) -> AsyncIterator[bytes]:
    """Yield the octets of an answer `{"data": base64}`, on a connection of its own.

    Nothing is held but the piece at hand, however long the answer's line is.

    Raises:
        PolicyRefused: larger than `octets_max`.
        RpcError: the daemon has no such file.
        Unavailable: no answer, or cut off.
    """
    source = answer_octets if where.is_http else _socket_octets
    octets = source(where, request_line(1, method, params))
    total = 0
    async for piece in _pieces(octets):
        total += len(piece)
        if total > octets_max:
            raise PolicyRefused(f"larger than {octets_max} octets")
        yield piece


async def _pieces(octets: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the file in an answer; lines that are no answer are passed over.

    A long line that is none (a message that somebody sent meanwhile) is read whole.
    """
    rest = b""
    async for more in octets:
        rest += more
        while b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            if (whole := _small(line)) is not None:
                yield whole
                return
        if len(rest) < HEAD_OCTETS:
            continue
        if (start := _FILE.search(rest, 0, HEAD_OCTETS)) is not None:
            async for piece in _long(rest[start.end() :], octets):
                yield piece
            return
    if rest and (whole := _small(rest)) is not None:  # HTTP ends without a newline
        yield whole
        return
    raise Unavailable(_BROKEN_OFF)


def _small(line: bytes) -> bytes | None:
    """Return the file in a whole line, None if the line is not our answer."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Unavailable(_BROKEN_OFF) from error
    if not isinstance(message, dict) or message.get("id") != 1:
        return None
    result = result_of(message)
    data = result.get("data") if isinstance(result, dict) else None
    if not isinstance(data, str):
        raise Unavailable("the daemon answered with something that is no file")
    return _decoded(data.encode(errors="replace"))


async def _long(text: bytes, octets: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a file whose base64 began with `text`; it ends with a quotation mark."""
    while b'"' not in text:
        usable = len(text) - len(text) % 4
        yield _decoded(text[:usable])
        more = await anext(octets, b"")
        if not more:
            raise Unavailable(_BROKEN_OFF)
        text = text[usable:] + more
    yield _decoded(text.partition(b'"')[0])


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Unavailable("the daemon's file is not base64") from error


async def _socket_octets(where: Endpoint, line: bytes) -> AsyncIterator[bytes]:
    reader, writer = await open_streams(where)
    try:
        writer.write(line)
        while True:
            async with asyncio.timeout(FETCH_S):
                octets = await reader.read(READ_OCTETS)
            if not octets:
                return
            yield octets
    except (OSError, TimeoutError) as error:
        raise away(where, error) from error
    finally:
        writer.close()


# ---- out


@asynccontextmanager
async def attachment(
    file: Attachment, octets: MediaReader, key: IdempotencyKey, folder: Path | None
) -> AsyncIterator[str]:
    """Give the value of `attachment`: a path, or a data URI. A path is gone afterwards.

    Raises:
        PolicyRefused: too large; says what can be done.
        Unavailable: the folder cannot be written.
    """
    if octets.size > FILE_OCTETS_MAX:
        raise PolicyRefused(
            f"the file has {octets.size} octets, Signal takes {FILE_OCTETS_MAX}; send a"
            " smaller one"
        )
    if folder is None or octets.size < BY_PATH_OCTETS_MIN:
        yield await _data_uri(file, octets)
        return
    place = folder / key
    try:
        yield await _written(place, file, octets)
    except OSError as error:
        raise Unavailable(
            f"files_dir {folder} cannot be written ({error.strerror}); make room, or"
            " let this user write there"
        ) from error
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


async def _data_uri(file: Attachment, octets: MediaReader) -> str:
    if octets.size > DATA_URI_OCTETS_MAX:
        raise PolicyRefused(
            f"the file has {octets.size} octets; above {DATA_URI_OCTETS_MAX} the"
            " account needs files_dir, a folder that Sabir and the daemon share"
        )
    data = b"".join([chunk async for chunk in octets.chunks()])
    kind = file.part.content_type.partition(";")[0] or "application/octet-stream"
    name = quote(_filename(file), safe="")
    text = base64.b64encode(data).decode()
    return f"data:{kind};filename={name};base64,{text}"


async def _written(place: Path, file: Attachment, octets: MediaReader) -> str:
    """Write a file where the daemon finds it; it reads type and name off the path."""
    await asyncio.to_thread(place.mkdir, mode=0o750, parents=True, exist_ok=True)
    path = place / _filename(file)
    with path.open("wb") as out:
        async for chunk in octets.chunks():
            await asyncio.to_thread(out.write, chunk)
    return str(path)


def _filename(file: Attachment) -> str:
    """Return a name without a folder, with the ending of its type."""
    kind = file.part.content_type.partition(";")[0]
    name = one_line(file.part.filename).replace("\\", "/").rpartition("/")[2]
    name = name.lstrip(".")[-FILENAME_CHARACTERS_MAX:] or "file"
    if "." not in name:
        name += mimetypes.guess_extension(kind) or ""
    return name
