"""Any octets: a content, or the documented error; nothing else, ever.

A run prints its seed; `SABIR_FUZZ_SEED=<seed>` repeats it.
"""

import os
import random
import time
from pathlib import Path

import pytest

from sabir.content import codec
from sabir.wire.errors import Malformed

VECTORS = Path(__file__).parents[1] / "vectors" / "mimi-content"
SHORT = 20_000
LONG = 1_000_000


def _mutated(seed: bytes, dice: random.Random) -> bytes:
    octets = bytearray(seed)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(octets)) if octets else 0
        match dice.randrange(5):
            case 0:
                octets[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                octets[at:at] = dice.randbytes(dice.randint(1, 9))
            case 2:
                del octets[at : at + dice.randint(1, 9)]
            case 3:
                octets[at : at + 1] = bytes([octets[at] ^ (1 << dice.randrange(8))])
            case _:
                octets += octets[at : at + dice.randint(1, 40)]
        if not octets:
            octets = bytearray(b"\x87")
    return bytes(octets)


def _run(count: int) -> dict[str, int]:
    seed = int(os.environ.get("SABIR_FUZZ_SEED", time.time_ns()))
    print(f"seed {seed}")
    dice = random.Random(seed)
    seeds = [file.read_bytes() for file in sorted(VECTORS.glob("*.cbor"))]
    found = {"contents": 0, "refused": 0}
    for number in range(count):
        if number % 4 == 0:
            octets = dice.randbytes(dice.randint(0, 200))
        else:
            octets = _mutated(dice.choice(seeds), dice)
        try:
            content = codec.decode(octets)
        except Malformed:
            found["refused"] += 1
        except Exception as error:
            error.add_note(f"input {number} of seed {seed}: {octets.hex()}")
            raise
        else:
            found["contents"] += 1
            assert codec.encode(content) == octets, octets.hex()
    return found


def test_any_octets_are_decoded_or_refused() -> None:
    found = _run(SHORT)
    assert found["contents"] > SHORT // 100
    assert found["refused"] > SHORT // 2


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_million_octet_strings_are_decoded_or_refused() -> None:
    found = _run(LONG)
    print(found)
    assert sum(found.values()) == LONG
