"""Component 0x0003: which media types members of a room understand (D-42)."""

from collections.abc import Iterable
from typing import Final

from sabir.mls.components import MediaType

MIMI_CONTENT: Final = MediaType(b"application/mimi-content")
PLAIN: Final = MediaType(b"text/plain", ((b"charset", b"utf-8"),))
MARKDOWN: Final = MediaType(b"text/markdown", ((b"variant", b"GFM-MIMI"),))
MESSAGE_STATUS: Final = MediaType(b"application/mimi-message-status")

ROOM_MEDIA_TYPES: Final = (MIMI_CONTENT, PLAIN, MARKDOWN)
"""What every member of a room of ours must understand; the first is the default."""

OWN_MEDIA_TYPES: Final = (
    *ROOM_MEDIA_TYPES,
    MESSAGE_STATUS,
    MediaType(b"text/html"),
    MediaType(b"image/jpeg"),
    MediaType(b"image/png"),
)
"""What our agents understand."""

_CASELESS_VALUES: Final = frozenset({b"charset", b"variant"})
"""Parameters whose values are compared without regard to case."""


def _normal(media_type: MediaType) -> tuple[bytes, frozenset[tuple[bytes, bytes]]]:
    parameters = frozenset(
        (
            name.lower(),
            value.lower() if name.lower() in _CASELESS_VALUES else value,
        )
        for name, value in media_type.parameters
    )
    return media_type.name.lower(), parameters


def matches(entry: MediaType, wanted: MediaType) -> bool:
    """Whether an entry of a list stands for a media type.

    An entry without parameters stands for all of its type.
    """
    entry_name, entry_parameters = _normal(entry)
    name, parameters = _normal(wanted)
    return entry_name == name and entry_parameters in (frozenset(), parameters)


def is_supported(wanted: MediaType, entries: Iterable[MediaType]) -> bool:
    """Whether a list of media types covers one."""
    return any(matches(entry, wanted) for entry in entries)
