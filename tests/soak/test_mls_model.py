"""MLS groups of up to 200 members under bad conditions."""

import os
import random
from collections import Counter

import pytest

from sabir.testing.mls.model import Model
from sabir.testing.mls.model_strategies import long_life

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

BIG = 3
SMALL = 150
SUITES = (1, 2, 3, 4, 5, 6, 7)


def seed() -> int:
    chosen = os.environ.get("SABIR_SEED")
    found = int(chosen or int.from_bytes(os.urandom(4), "big"))
    print(f"SABIR_SEED={found}")
    return found


def play(done: Counter[str], number: int, first: int, length: int, most: int) -> None:
    suite = SUITES[number % len(SUITES)] if most < 50 else 1
    print(f"life {number}, suite {suite}")
    life = long_life(number, first, length, private=bool(number % 2), suite=suite)
    model = Model(life, members_max=most)
    model.play()
    done.update(model.done)
    done["members"] = max(done["members"], len(model.hub.now_true.names))


def test_lives_of_two_hundred_members() -> None:
    dice = random.Random(seed())
    done: Counter[str] = Counter()
    for _ in range(BIG):
        play(done, dice.getrandbits(32), 190, 120, 200)
    print(dict(done))
    assert done["members"] > 150


def test_many_lives_of_small_groups_in_all_suites() -> None:
    dice = random.Random(seed())
    done: Counter[str] = Counter()
    for _ in range(SMALL):
        play(done, dice.getrandbits(32), dice.randint(1, 12), 120, 24)
    print(dict(done))
    assert done["epoch"] > SMALL
