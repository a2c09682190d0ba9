"""A request with a file as multipart/form-data (RFC 7578), its length known. Pure."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sabir.networks.telegram.render import FilePart


class Form:
    """Parameters, then one file.

    Args:
        params: of the method; what is no text goes as JSON ("Making requests").
        file: name and type of the file.
        boundary: 1 to 70 letters and digits that are in none of the parts.
    """

    def __init__(
        self, params: Mapping[str, Any], file: FilePart, boundary: str
    ) -> None:
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            f"{_text(value)}\r\n"
            for name, value in params.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{file.member}"; '
            f'filename="{_escaped(file.filename)}"\r\n'
            f"Content-Type: {file.content_type}\r\n\r\n"
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def octets(self, file_octets: int) -> int:
        """Return the length of the whole body."""
        return len(self._head) + file_octets + len(self._tail)

    async def body(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the body, with the file's octets as they come."""
        yield self._head
        async for chunk in chunks:
            yield chunk
        yield self._tail


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _escaped(filename: str) -> str:
    """Return a file's name as browsers write it (HTML, "Multipart form data")."""
    for char, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A"), ("\\", "_")):
        filename = filename.replace(char, code)
    return filename
