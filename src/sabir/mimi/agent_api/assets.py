"""Files: `POST /assets`, `GET /uploads/{key}`, `GET /assets` (section 8, 7.8).

An upload is one request with all octets, or several with a `Content-Range` each, one
after the other under the same idempotency key. A broken one goes on where the provider
says that it ended.
"""

from collections.abc import Sequence
from typing import Final

from sabir.mimi.agent_api.forms import Form, Octets
from sabir.mimi.agent_api.paths import ASSETS, PREFIX, query

UPLOAD: Final = f"{PREFIX}/uploads/{{key}}"
WAYS: Final = ("local", "hub", "direct")
"""How a provider gets a file: its own, through the room's hub, from the file's host."""


class AssetStored(Form, frozen=True, kw_only=True):
    """201: the file is there.

    Attributes:
        url: where anybody gets it.
        size: octets.
        sha256: of them.
        expires_ms: until when, ms since 1970.
    """

    url: str
    size: int
    sha256: Octets
    expires_ms: int


class UploadState(Form, frozen=True, kw_only=True):
    """202 for a part, or the answer to `GET /uploads/{key}`.

    Attributes:
        offset: octets that are there; the upload goes on with the next one.
    """

    offset: int


def content_range(start: int, end: int, size: int) -> str:
    """Return the field `Content-Range` for the octets from `start` and before `end`."""
    return f"bytes {start}-{end - 1}/{size}"


def download_path(url: str, ways: Sequence[str], hub: str) -> str:
    """Return path and query of `GET /assets`.

    Args:
        url: of the file.
        ways: as `member.assets.AssetPermit` has them, the best first.
        hub: domain of the room's hub.
    """
    return ASSETS + query(url=url, via=",".join(ways), hub=hub)
