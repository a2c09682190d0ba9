"""The file of a message, as a handle that can be fetched. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sabir.content.meaning import MediaKind
from sabir.errors import PeerMisbehaved
from sabir.networks.api import NativeMedia
from sabir.networks.telegram.text import one_line

Json = Mapping[str, Any]

FILE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,512}")
"""The Bot API promises nothing but a string; all seen are base64url of up to 110."""
FILENAME_CHARACTERS_MAX: Final = 255
SIZE_MAX: Final = 2**52
"""Bot API: "can be bigger than 2^31, but has at most 52 significant bits"."""

_KINDS: Final[Mapping[str, tuple[MediaKind, str]]] = {
    "animation": (MediaKind.GIF, "video/mp4"),
    "sticker": (MediaKind.STICKER, "image/webp"),
    "voice": (MediaKind.VOICE, "audio/ogg"),
    "video_note": (MediaKind.VIDEO, "video/mp4"),
    "video": (MediaKind.VIDEO, "video/mp4"),
    "live_photo": (MediaKind.VIDEO, "video/mp4"),
    "audio": (MediaKind.AUDIO, "audio/mpeg"),
    "document": (MediaKind.FILE, "application/octet-stream"),
}
"""In this order: an animation comes as a document too."""
_CONTENT_TYPE: Final = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII)


def media_of(message: Json) -> NativeMedia | None:
    """Return the file of a message, None if it has none.

    Raises:
        PeerMisbehaved: TELEGRAM-003, a file without a usable id.
    """
    if "photo" in message and "live_photo" not in message:
        return largest(message["photo"])
    for member, (kind, content_type) in _KINDS.items():
        if member in message:
            return _media(message[member], kind, content_type)
    return None


def largest(sizes: object) -> NativeMedia:
    """Return the largest of the sizes of a picture.

    Raises:
        PeerMisbehaved: TELEGRAM-003.
    """
    usable = (
        [s for s in sizes if isinstance(s, dict)] if isinstance(sizes, list) else []
    )
    if not usable:
        raise PeerMisbehaved("TELEGRAM-003", "a photo without sizes")
    best = max(
        usable, key=lambda s: (_count(s, "width") or 0) * (_count(s, "height") or 0)
    )
    return _media(best, MediaKind.IMAGE, "image/jpeg")


def _media(file: object, kind: MediaKind, content_type: str) -> NativeMedia:
    if not isinstance(file, dict):
        raise PeerMisbehaved("TELEGRAM-003", "a file that is no object")
    handle = file.get("file_id")
    if not isinstance(handle, str) or not FILE_ID.fullmatch(handle):
        raise PeerMisbehaved("TELEGRAM-003", "a file without a usable file_id")
    if kind is MediaKind.STICKER:
        content_type = _sticker_type(file)
    said = file.get("mime_type")
    if isinstance(said, str) and _CONTENT_TYPE.fullmatch(said):
        content_type = said
    filename = file.get("file_name")
    emoji = file.get("emoji") if kind is MediaKind.STICKER else None
    seconds = _count(file, "duration")
    return NativeMedia(
        handle=handle,
        content_type=content_type,
        filename=_filename(filename),
        size=_count(file, "file_size"),
        kind=kind,
        description=one_line(emoji) if isinstance(emoji, str) else "",
        width=_count(file, "width") or _count(file, "length"),
        height=_count(file, "height") or _count(file, "length"),
        duration_ms=None if seconds is None else seconds * 1000,
    )


def _filename(value: object) -> str:
    """Return a file's name without any folder."""
    if not isinstance(value, str):
        return ""
    last = one_line(value).replace("\\", "/").rpartition("/")[2]
    return last[-FILENAME_CHARACTERS_MAX:]


def _sticker_type(sticker: Json) -> str:
    if sticker.get("is_animated") is True:
        return "application/x-tgsticker"
    return "video/webm" if sticker.get("is_video") is True else "image/webp"


def _count(file: Json, member: str) -> int | None:
    number = file.get(member)
    if isinstance(number, int) and not isinstance(number, bool):
        return number if 0 <= number <= SIZE_MAX else None
    return None
