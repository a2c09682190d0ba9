"""As what a file goes, by its type, its size and what it is for."""

import pytest

from sabir.content.meaning import MediaKind
from sabir.networks.whatsapp.media_rules import form_of, is_animated

MIB = 1024 * 1024
STILL = b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00"
MOVING = STILL[:-1] + b"\x02"


@pytest.mark.parametrize(
    ("kind", "content_type", "size", "head", "form"),
    [
        (MediaKind.IMAGE, "image/jpeg", 5 * MIB, b"", "image"),
        (MediaKind.IMAGE, "IMAGE/PNG; q=1", 1, b"", "image"),
        (MediaKind.IMAGE, "image/jpeg", 5 * MIB + 1, b"", "document"),
        (MediaKind.IMAGE, "image/webp", 1, b"", "document"),
        (MediaKind.GIF, "image/gif", 1, b"", "document"),
        (MediaKind.GIF, "video/mp4", 1, b"", "video"),
        (MediaKind.VIDEO, "video/3gpp", 16 * MIB, b"", "video"),
        (MediaKind.VIDEO, "video/mp4", 16 * MIB + 1, b"", "document"),
        (MediaKind.VIDEO, "video/webm", 1, b"", "document"),
        (MediaKind.AUDIO, "audio/mpeg", 16 * MIB, b"", "audio"),
        (MediaKind.AUDIO, "audio/mpeg", 16 * MIB + 1, b"", "document"),
        (MediaKind.AUDIO, "audio/wav", 1, b"", "document"),
        (MediaKind.VOICE, "audio/mp4", 1, b"", "audio"),
        (MediaKind.STICKER, "image/webp", 100 * 1024, STILL, "sticker"),
        (MediaKind.STICKER, "image/webp", 100 * 1024 + 1, STILL, "document"),
        (MediaKind.STICKER, "image/webp", 500 * 1024, MOVING, "sticker"),
        (MediaKind.STICKER, "image/webp", 500 * 1024 + 1, MOVING, "document"),
        (MediaKind.STICKER, "image/png", 1, b"", "image"),
        (MediaKind.FILE, "image/jpeg", 1, b"", "document"),
        (MediaKind.FILE, "nonsense", 1, b"", "document"),
    ],
)
def test_each_file_has_its_form(
    kind: MediaKind, content_type: str, size: int, head: bytes, form: str
) -> None:
    found = form_of(kind, content_type, size, head=head)
    assert found.kind == form
    expected = {MediaKind.FILE: "document"}.get(kind)
    if form == "document" and expected is None:
        assert "as a document" in found.lost[0]


def test_only_ogg_is_a_voice_message() -> None:
    voice = form_of(MediaKind.VOICE, "audio/ogg", 1, head=b"")
    assert (voice.voice, voice.content_type) == (True, "audio/ogg; codecs=opus")
    assert not voice.lost
    other = form_of(MediaKind.VOICE, "audio/aac", 1, head=b"")
    assert not other.voice
    assert other.lost


def test_a_file_of_no_type_is_octets() -> None:
    assert form_of(MediaKind.FILE, "x", 1, head=b"").content_type == (
        "application/octet-stream"
    )


def test_animation_is_a_flag_of_the_file() -> None:
    assert is_animated(MOVING)
    assert not is_animated(STILL)
    assert not is_animated(MOVING[:-1])
    assert not is_animated(b"GIF89a" + bytes(30))
