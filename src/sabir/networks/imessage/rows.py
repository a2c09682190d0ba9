"""What a message of BlueBubbles says of itself, read with care. Pure."""

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from sabir.networks.api import ChatId, NativeId
from sabir.networks.imessage import names
from sabir.networks.imessage.text import words

Json = Mapping[str, Any]

NUMBER_MAX: Final = 2**62
REVISION_CHARACTERS: Final = 16
APPLE_EPOCH_MS: Final = 978_307_200_000


def number(row: Json, member: str) -> int:
    """Return a number that is not below 0; 0 if it is none."""
    value = row.get(member)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= NUMBER_MAX else 0
    return 0


def guid(row: Json) -> NativeId | None:
    """Return a message's guid."""
    return names.guid(row.get("guid"))


def rowid(row: Json) -> int:
    """Return the position of a message in this Mac's database."""
    return number(row, "originalROWID")


def is_own(row: Json) -> bool:
    """Tell whether the owner sent it, from here or from another device."""
    return row.get("isFromMe") is True


def chat_of(row: Json) -> ChatId | None:
    """Return the chat of a message; None if the answer does not say."""
    chats = row.get("chats")
    first = chats[0] if isinstance(chats, list) and chats else None
    found = first.get("guid") if isinstance(first, dict) else None
    return ChatId(found) if isinstance(found, str) and found else None


def files(row: Json) -> list[Json]:
    """Return the attachments of a message, without what only Messages can read."""
    found = row.get("attachments")
    return [
        each
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
        and each.get("hideAttachment") is not True
        and not str(each.get("transferName")).endswith(".pluginPayloadAttachment")
    ]


def apple_time(at_ms: int) -> int:
    """Return a time in the unit of `chat.db`: nanoseconds since 2001."""
    return max(at_ms - APPLE_EPOCH_MS, 0) * 1_000_000


# ---- changes


def retracted_parts(row: Json) -> tuple[int, ...]:
    """Return which parts of a message were taken back."""
    info = row.get("messageSummaryInfo")
    first = info[0] if isinstance(info, list) and info else info
    parts = first.get("retractedParts") if isinstance(first, dict) else None
    return tuple(
        part
        for part in (parts if isinstance(parts, list) else ())
        if part.__class__ is int
    )


def is_edited(row: Json) -> bool:
    """Tell whether a message was changed or taken back."""
    return number(row, "dateEdited") > 0 or number(row, "dateRetracted") > 0


def is_unsent(row: Json) -> bool:
    """Tell whether nothing of a message is left."""
    if not is_edited(row):
        return False
    return not words(row.get("text")) and (
        bool(retracted_parts(row)) or not row.get("attachments")
    )


def revision(row: Json) -> str:
    """Return what tells one change of a message from another."""
    parts = ",".join(map(str, retracted_parts(row)))
    said = f"{row.get('text')}\0{number(row, 'dateEdited')}\0{parts}"
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:REVISION_CHARACTERS]


# ---- is it the one that we sent


def text_mark(text: str) -> str:
    """Return what tells texts apart that Apple may have normalised."""
    normal = unicodedata.normalize("NFC", " ".join(words(text).split()))
    return _digest(f"text\0{normal}")


def file_mark(filename: str) -> str:
    """Return what tells files apart: the name without its ending."""
    stem = filename.rpartition(".")[0] or filename
    return _digest(f"file\0{unicodedata.normalize('NFC', stem).lower()}")


def tapback_mark(kind: str, target: str) -> str:
    """Return what tells tapbacks apart."""
    return _digest(f"tapback\0{kind}\0{target}")


def mark_of(row: Json) -> str:
    """Return the mark of a message, to be compared with that of a send."""
    kind, about = row.get("associatedMessageType"), row.get("associatedMessageGuid")
    target = names.target(about)
    if isinstance(kind, str) and target is not None:
        return tapback_mark(kind, target)
    for file in files(row):
        return file_mark(str(file.get("transferName")))
    return text_mark(str(row.get("text") or ""))


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]
