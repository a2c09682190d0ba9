"""A request with a file as multipart/form-data (RFC 7578), its length known. Pure."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from sabir.networks.imessage.render import FilePart

MEMBER: Final = "attachment"


class Form:
    """Texts, then one file.

    Args:
        fields: names and texts.
        file: name and type of the file.
        boundary: 1 to 70 letters and digits that are in none of the parts.
    """

    def __init__(
        self, fields: Mapping[str, str], file: FilePart, boundary: str
    ) -> None:
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            f"{value}\r\n"
            for name, value in fields.items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{MEMBER}"; '
            f'filename="{_escaped(file.filename)}"\r\n'
            f"Content-Type: {file.content_type}\r\n\r\n"
        )
        self._head = head.encode()
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


def _escaped(filename: str) -> str:
    """Return a file's name as browsers write it (HTML, "Multipart form data")."""
    for char, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        filename = filename.replace(char, code)
    return filename
