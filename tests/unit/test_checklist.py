"""Each line of the checklist of phase 1 has a test that is named after its number.

The numbers are those of the design's list of tests for providers, followers and agents,
as far as they belong to the first phase; `sabir conformance` has those that can be run
from outside.
"""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"def test_mc((?:_\d{3})+)_")
PHASE_1 = frozenset(
    {
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        23,
        24,
        25,
        26,
        27,
        28,
        29,
        30,
        31,
        32,
        33,
        34,
        35,
        36,
        37,
        38,
        39,
        40,
        41,
        42,
        43,
        44,
        45,
        46,
        47,
        48,
        49,
        50,
        51,
        53,
        54,
        55,
        56,
        59,
        60,
        61,
        62,
        63,
        64,
        65,
        66,
        67,
        68,
        69,
        70,
        71,
        72,
        73,
        74,
        75,
        76,
        77,
        78,
        79,
        80,
        81,
        82,
        83,
        84,
        85,
        86,
        87,
        88,
        89,
        90,
        91,
        93,
        94,
        95,
        96,
        97,
        98,
        99,
        100,
        101,
        102,
        103,
        104,
        105,
    }
)


def test_each_number_of_phase_1_has_its_test() -> None:
    found = {
        int(number)
        for file in TESTS.rglob("test_*.py")
        for numbers in NAMED.findall(file.read_text())
        for number in numbers.strip("_").split("_")
    }
    assert PHASE_1 - found == set()
