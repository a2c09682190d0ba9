"""As what a file goes: by its type, its size, and what it is for. Pure.

What WhatsApp would refuse as a picture goes as a document: nothing is refused for
its size up to 100 MiB. Limits: Meta's page "Media", read through two vendors
(network_capabilities.json, `whatsapp_cloud_api`).
"""

from dataclasses import dataclass
from typing import Final

from sabir.content.meaning import MediaKind

IMAGE_OCTETS_MAX: Final = 5 * 1024 * 1024
VIDEO_OCTETS_MAX: Final = 16 * 1024 * 1024
AUDIO_OCTETS_MAX: Final = 16 * 1024 * 1024
DOCUMENT_OCTETS_MAX: Final = 100 * 1024 * 1024
STICKER_OCTETS_MAX: Final = 100 * 1024
ANIMATED_OCTETS_MAX: Final = 500 * 1024
WEBP_HEAD_OCTETS: Final = 21
"""RIFF header, chunk header and the flags of VP8X."""

OPUS: Final = "audio/ogg; codecs=opus"
"""The only form of a voice message."""
_IMAGES: Final = frozenset({"image/jpeg", "image/png"})
_VIDEOS: Final = frozenset({"video/mp4", "video/3gpp"})
_AUDIOS: Final = frozenset(
    {"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}
)
_ANIMATION_FLAG: Final = 0x02
"""In the flags of VP8X (RFC 9649 section 2.7.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is sent."""

    kind: str
    """`image`, `video`, `audio`, `document` or `sticker`."""
    content_type: str
    voice: bool = False
    lost: tuple[str, ...] = ()

    @property
    def has_caption(self) -> bool:
        """Tell whether a caption may go with it."""
        return self.kind in {"image", "video", "document"}


def form_of(kind: MediaKind, content_type: str, size: int, *, head: bytes) -> Form:
    """Choose the form of a file.

    Args:
        kind: what it is for.
        content_type: as announced, perhaps with parameters.
        size: octets.
        head: its first `WEBP_HEAD_OCTETS` octets, or all of it.
    """
    main = content_type.partition(";")[0].strip().lower()
    main = main if "/" in main else "application/octet-stream"
    match kind:
        case MediaKind.STICKER if main == "image/webp":
            most = ANIMATED_OCTETS_MAX if is_animated(head) else STICKER_OCTETS_MAX
            if size <= most:
                return Form(kind="sticker", content_type=main)
            return _as_document(main, f"a sticker over {most // 1024} KiB")
        case MediaKind.IMAGE | MediaKind.GIF | MediaKind.STICKER if main in _IMAGES:
            if size <= IMAGE_OCTETS_MAX:
                lost = ("a sticker, as a picture",) * (kind is MediaKind.STICKER)
                return Form(kind="image", content_type=main, lost=lost)
            return _as_document(main, "a picture over 5 MiB")
        case MediaKind.VIDEO | MediaKind.GIF if main in _VIDEOS:
            if size <= VIDEO_OCTETS_MAX:
                lost = ("a GIF, as a video",) * (kind is MediaKind.GIF)
                return Form(kind="video", content_type=main, lost=lost)
            return _as_document(main, "a video over 16 MiB")
        case MediaKind.VOICE | MediaKind.AUDIO if main in _AUDIOS:
            return _audio(kind, main, size)
        case MediaKind.FILE:
            return Form(kind="document", content_type=main)
        case _:
            return _as_document(main, f"{_named(kind)} of type {main}")


def _audio(kind: MediaKind, main: str, size: int) -> Form:
    if size > AUDIO_OCTETS_MAX:
        return _as_document(main, "a sound over 16 MiB")
    if kind is MediaKind.AUDIO:
        return Form(kind="audio", content_type=OPUS if main == "audio/ogg" else main)
    if main == "audio/ogg":
        return Form(kind="audio", content_type=OPUS, voice=True)
    return Form(
        kind="audio", content_type=main, lost=(f"a voice message, as a sound ({main})",)
    )


def _as_document(main: str, what: str) -> Form:
    return Form(kind="document", content_type=main, lost=(f"{what}, as a document",))


def _named(kind: MediaKind) -> str:
    return {
        MediaKind.IMAGE: "a picture",
        MediaKind.GIF: "a GIF",
        MediaKind.VIDEO: "a video",
        MediaKind.AUDIO: "a sound",
        MediaKind.VOICE: "a voice message",
        MediaKind.STICKER: "a sticker",
    }.get(kind, "a file")


def is_animated(head: bytes) -> bool:
    """Tell whether these are the first octets of an animated WebP file."""
    return (
        len(head) >= WEBP_HEAD_OCTETS
        and head[:4] == b"RIFF"
        and head[8:16] == b"WEBPVP8X"
        and bool(head[20] & _ANIMATION_FLAG)
    )
