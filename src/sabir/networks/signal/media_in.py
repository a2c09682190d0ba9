"""The files of a message, as handles that can be fetched. Pure.

A handle is JSON: `{"id": ..., "chat": ...}` for an attachment, `{"pack": ...,
"sticker": ...}` for a sticker.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sabir.content.meaning import MediaKind
from sabir.errors import PeerMisbehaved, PolicyRefused
from sabir.networks.api import ChatId, NativeMedia
from sabir.networks.signal.names import place
from sabir.networks.signal.text import one_line

Json = Mapping[str, Any]

LONG_TEXT: Final = "text/x-signal-plain"
"""The whole of a long text; the daemon has put it into `message` already."""
FILES_MAX: Final = 32
"""Signal's apps send no more at once."""
FILENAME_CHARACTERS_MAX: Final = 255
COUNT_MAX: Final = 2**40

_ID: Final = re.compile(r"[A-Za-z0-9._=+/-]{1,256}")
"""The daemon's file name: the id on Signal's server, perhaps with an extension."""
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,64}")
_CONTENT_TYPE: Final = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII)
_KINDS: Final = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
}


def files_of(message: Json, chat: ChatId) -> tuple[NativeMedia, ...]:
    """Return the files of a message, and its sticker.

    Raises:
        PeerMisbehaved: SIGNAL-003, a file without a usable id.
    """
    entries = message.get("attachments")
    found = [
        _file(entry, chat)
        for entry in (entries[:FILES_MAX] if isinstance(entries, list) else ())
        if not (isinstance(entry, dict) and entry.get("contentType") == LONG_TEXT)
    ]
    if (sticker := message.get("sticker")) is not None:
        found.append(_sticker(sticker))
    return tuple(found)


def _file(entry: object, chat: ChatId) -> NativeMedia:
    if not isinstance(entry, dict):
        raise PeerMisbehaved("SIGNAL-003", "a file that is no object")
    name = entry.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise PeerMisbehaved("SIGNAL-003", "a file without a usable id")
    said = entry.get("contentType")
    content_type = "application/octet-stream"
    if isinstance(said, str) and _CONTENT_TYPE.fullmatch(said):
        content_type = said.lower()
    kind = _KINDS.get(content_type.partition("/")[0], MediaKind.FILE)
    return NativeMedia(
        handle=json.dumps({"id": name, "chat": chat}, separators=(",", ":")),
        content_type=content_type,
        filename=_filename(entry.get("filename")),
        size=_count(entry, "size"),
        kind=MediaKind.GIF if content_type == "image/gif" else kind,
        description=one_line(entry.get("caption")),
        width=_count(entry, "width"),
        height=_count(entry, "height"),
    )


def _sticker(sticker: object) -> NativeMedia:
    pack = sticker.get("packId") if isinstance(sticker, dict) else None
    number = sticker.get("stickerId") if isinstance(sticker, dict) else None
    if not isinstance(pack, str) or not _HEX.fullmatch(pack):
        raise PeerMisbehaved("SIGNAL-003", "a sticker without a usable pack")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise PeerMisbehaved("SIGNAL-003", "a sticker without a number")
    return NativeMedia(
        handle=json.dumps({"pack": pack, "sticker": number}, separators=(",", ":")),
        content_type="image/webp",
        kind=MediaKind.STICKER,
    )


def _filename(value: object) -> str:
    """Return a file's name without any folder."""
    last = one_line(value).replace("\\", "/").rpartition("/")[2]
    return last[-FILENAME_CHARACTERS_MAX:]


def _count(entry: Json, member: str) -> int | None:
    number = entry.get(member)
    if isinstance(number, int) and not isinstance(number, bool):
        return number if 0 <= number <= COUNT_MAX else None
    return None


def request_of(handle: str) -> tuple[str, dict[str, Any]]:
    """Return method and parameters that fetch a file.

    Raises:
        PolicyRefused: this is no handle of ours.
    """
    try:
        parts = json.loads(handle)
    except (ValueError, RecursionError):
        parts = None
    match parts:
        case {"id": str(name), "chat": str(chat)}:
            where = place(ChatId(chat))
            params: dict[str, Any] = {"id": name}
            if where.group is not None:
                params["groupId"] = where.group
            else:
                params["recipient"] = where.person
            return "getAttachment", params
        case {"pack": str(pack), "sticker": int(number)}:
            return "getSticker", {"packId": pack, "stickerId": number}
        case _:
            raise PolicyRefused("this is no file of a Signal message")
