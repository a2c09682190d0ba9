import zlib

from sabir.testing.demo import samples


def test_the_long_texts_are_20_kb_and_each_of_its_own() -> None:
    text = samples.long_text("Alice")
    assert 20_480 <= len(text.encode()) < 20_600
    assert samples.long_text("Xenia") != text


def test_the_image_is_a_png_of_about_1_mb_with_all_its_pixels() -> None:
    image = samples.image(1)
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert 1_000_000 <= len(image) < 1_200_000
    length = int.from_bytes(image[33:37])
    assert image[37:41] == b"IDAT"
    assert len(zlib.decompress(image[41 : 41 + length])) == 600 * (1 + 3 * 600)
    assert samples.image(2) != image


def test_the_file_has_20_mb() -> None:
    assert len(samples.file(3)) == 20 * 1024 * 1024


def test_the_voice_note_is_ogg_opus_of_two_seconds() -> None:
    pages = samples.voice().split(b"OggS")[1:]
    assert pages[0][24:].startswith(b"OpusHead")
    assert pages[1][24:].startswith(b"OpusTags")
    assert pages[0][1] == 2  # the stream begins
    assert pages[-1][1] == 4  # and ends
    assert int.from_bytes(pages[-1][2:10], "little") == 2 * 48_000
    assert samples.VOICE_MS == 2_000
    for page in pages:
        whole = b"OggS" + page
        assert samples._ogg_crc(whole[:22] + bytes(4) + whole[26:]) == (
            int.from_bytes(whole[22:26], "little")
        )


def test_the_checksum_is_that_of_rfc_3533() -> None:
    # polynomial 0x04c11db7, unreflected, from zero, known as CRC-32/CKSUM's core
    assert samples._ogg_crc(b"123456789") == 0x89A1897F
