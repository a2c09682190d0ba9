"""What is said and shown: texts that tend to break, and files with real formats."""

import random
import struct
import zlib
from typing import Final

RIGHT_TO_LEFT: Final = "שלום לכולם, مرحبا بالجميع — mixed with English, (123)!"
EMOJI: Final = "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🧑🏿‍🚀 🇺🇦 1️⃣"
LONG_OCTETS: Final = 20_480
FILE_OCTETS: Final = 20 * 1024 * 1024

_IMAGE_SIDE_PIXELS: Final = 600
"""600 by 600 pixels of noise, 3 octets each: 1.08 MB that no compression shrinks."""

_VOICE_FRAMES: Final = 100
_FRAME_SAMPLES: Final = 960
"""20 ms at 48 kHz."""
_SILENCE: Final = b"\xf8\xff\xfe"
"""A 20 ms Opus frame of silence (RFC 6716 §3.1: CELT, full band, one frame)."""
_FRAMES_PER_PAGE: Final = 50
VOICE_MS: Final = _VOICE_FRAMES * 20


def long_text(name: str) -> str:
    """Return 20 kB of text, lines and umlauts included, of somebody's own."""
    lines, octets, number = [], 0, 0
    while octets < LONG_OCTETS:
        number += 1
        lines.append(f"{name}'s line {number}: the tide höher, the wind stärker …")
        octets += len(lines[-1].encode()) + 1
    return "\n".join(lines)


def image(seed: int) -> bytes:
    """Return a PNG of about 1 MB."""
    side, noise = _IMAGE_SIDE_PIXELS, random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, octets)
        for kind, octets in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(rows, 1)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, octets: bytes) -> bytes:
    checked = kind + octets
    crc = struct.pack(">I", zlib.crc32(checked))
    return struct.pack(">I", len(octets)) + checked + crc


def file(seed: int) -> bytes:
    """Return 20 MB."""
    return random.Random(seed).randbytes(FILE_OCTETS)


def voice() -> bytes:
    """Return two seconds of silence as Ogg Opus (RFC 7845)."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    vendor = b"Sabir"
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + bytes(4)
    pages = [_page([head], 0, 0, 2), _page([tags], 0, 1, 0)]
    for start in range(0, _VOICE_FRAMES, _FRAMES_PER_PAGE):
        end = start + _FRAMES_PER_PAGE
        flags = 4 if end >= _VOICE_FRAMES else 0
        frames = [_SILENCE] * _FRAMES_PER_PAGE
        pages.append(_page(frames, end * _FRAME_SAMPLES, len(pages), flags))
    return b"".join(pages)


def _page(packets: list[bytes], position: int, number: int, flags: int) -> bytes:
    """Return an Ogg page (RFC 3533 §6) of packets shorter than 255 octets."""
    sizes = bytes(len(packet) for packet in packets)
    start = b"OggS" + struct.pack("<BBqII", 0, flags, position, 1, number)
    end = bytes([len(sizes)]) + sizes + b"".join(packets)
    crc = _ogg_crc(start + bytes(4) + end)
    return start + struct.pack("<I", crc) + end


def _ogg_crc(octets: bytes) -> int:
    """Return CRC-32 with the polynomial 0x04c11db7, unreflected, from zero."""
    crc = 0
    for octet in octets:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        crc &= 0xFFFFFFFF
    return crc
