"""Message ids as the official vectors print them."""

import re
from pathlib import Path

from sabir.content import codec
from sabir.content.ids import message_id

VECTORS = Path(__file__).parents[2] / "vectors" / "mimi-content"
_PRINTED = re.compile(r"message\s?ID\s*=\s*h'([0-9a-f\s#]+)'", re.IGNORECASE)


def test_the_official_vectors_have_the_ids_that_are_printed() -> None:
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
        assert message_id(sender, room, raw, content.salt).hex() == expected, file.name
        checked += 1
    assert checked == 14
