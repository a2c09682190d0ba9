"""The files of a message, as handles that can be fetched. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sabir.content.meaning import MediaKind
from sabir.errors import PeerMisbehaved
from sabir.networks.api import NativeMedia
from sabir.networks.imessage import names, rows
from sabir.networks.imessage.text import one_line

Json = Mapping[str, Any]

FILENAME_CHARACTERS_MAX: Final = 255
FILES_MAX: Final = 100
"""Of one message; Messages stacks some dozens at most."""
_CONTENT_TYPE: Final = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII)
_BY_ENDING: Final = {
    "caf": "audio/x-caf",
    "heic": "image/heic",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mov": "video/quicktime",
    "pdf": "application/pdf",
    "png": "image/png",
    "vcf": "text/vcard",
}
_KINDS: Final = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
}


def media_of(message: Json) -> tuple[NativeMedia, ...]:
    """Return the files of a message.

    Raises:
        PeerMisbehaved: IMESSAGE-003, a file without a usable guid.
    """
    is_voice = message.get("isAudioMessage") is True
    found = rows.files(message)[:FILES_MAX]
    return tuple(_media(file, is_voice=is_voice) for file in found)


def _media(file: Json, *, is_voice: bool) -> NativeMedia:
    handle = file.get("guid")
    if not isinstance(handle, str) or not names.ATTACHMENT.fullmatch(handle):
        raise PeerMisbehaved("IMESSAGE-003", "a file without a usable guid")
    filename = _filename(file.get("transferName"))
    content_type = _content_type(file.get("mimeType"), filename)
    kind = _KINDS.get(content_type.partition("/")[0], MediaKind.FILE)
    if content_type == "image/gif":
        kind = MediaKind.GIF
    if file.get("isSticker") is True:
        kind = MediaKind.STICKER
    elif is_voice and kind is MediaKind.AUDIO:
        kind = MediaKind.VOICE
    return NativeMedia(
        handle=handle,
        content_type=content_type,
        filename=filename,
        size=rows.number(file, "totalBytes") or None,
        kind=kind,
        width=rows.number(file, "width") or None,
        height=rows.number(file, "height") or None,
    )


def _filename(value: object) -> str:
    """Return a file's name without any folder."""
    last = one_line(value).replace("\\", "/").rpartition("/")[2]
    return last[-FILENAME_CHARACTERS_MAX:]


def _content_type(said: object, filename: str) -> str:
    """Return a file's type; the Mac does not always say one (CAF, vCard)."""
    if isinstance(said, str) and _CONTENT_TYPE.fullmatch(said):
        return said.lower()
    ending = filename.rpartition(".")[2].lower()
    return _BY_ENDING.get(ending, "application/octet-stream")
