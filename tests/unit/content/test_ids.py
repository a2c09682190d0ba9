"""Message ids as the official vectors print them."""

import re
from pathlib import Path

from sabir.content import codec
from sabir.content.ids import message_id

VECTORS = Path(__file__).parents[2] / "vectors" / "mimi-content"
_PRINTED = re.compile(r"message\s?ID\s*=\s*h'([0-9a-f\s#]+)'", re.IGNORECASE)


def test_mc_093_the_official_vectors_have_the_ids_that_are_printed() -> None:
    checked = 0
    for file in VECTORS.glob("*.cbor"):
        printed = _PRINTED.search(file.with_suffix(".edn").read_text())
        if printed is None:  # only implied-original, which is no message
            assert file.stem == "implied-original"
            continue
        raw = file.read_bytes()
        content = codec.decode(raw)
        sender, room = content.extensions[1], content.extensions[2]
        assert isinstance(sender, str)
        assert isinstance(room, str)
        expected = re.sub(r"[\s#]", "", printed[1])
        assert len(expected) == 64, file.name
        assert message_id(sender, room, raw, content.salt).hex() == expected, file.name
        checked += 1
    assert checked == 14


def test_the_implied_fields_name_the_id_only_in_the_text() -> None:
    original = codec.decode((VECTORS / "original.cbor").read_bytes())
    raw = (VECTORS / "original.cbor").read_bytes()
    found = message_id(
        "mimi://example.com/u/alice-smith",
        "mimi://example.com/r/engineering_team",
        raw,
        original.salt,
    )
    text = (VECTORS / "implied-original.edn").read_text()
    assert found.hex() in re.sub(r"\s", "", text)
    assert bytes(found) not in (VECTORS / "implied-original.cbor").read_bytes()


def test_lengths_keep_sender_and_room_apart() -> None:
    salt = bytes(16)
    assert message_id("ab", "c", b"", salt) != message_id("a", "bc", b"", salt)
