"""Small files that travel inside a content instead of behind a URL.

Marked by a `data:` URL (RFC 2397) in `ExternalPart.url`. It is made only here and
never fetched: `octets` gives what it holds.
"""

from base64 import b64decode, b64encode
from typing import Final

from sabir.content.model import ExternalPart

_PREFIX: Final = "data:;base64,"


def inline_part(
    octets: bytes, *, content_type: str, filename: str = "", language: str = ""
) -> ExternalPart:
    """Return a part that holds its octets itself."""
    return ExternalPart(
        content_type=content_type,
        url=_PREFIX + b64encode(octets).decode(),
        size=len(octets),
        filename=filename,
        language=language,
    )


def inline_octets(part: ExternalPart) -> bytes | None:
    """Return the octets a part holds itself, None if they are behind its URL."""
    if not part.url.startswith(_PREFIX):
        return None
    try:
        return b64decode(part.url[len(_PREFIX) :], validate=True)
    except ValueError:
        return None
