"""Groups under bad conditions, against what must be true."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings

from sabir.errors import Error
from sabir.mls.group import process, state
from sabir.mls.group.epoch import GroupState
from sabir.mls.public_group import PublicGroup
from sabir.mls.secret_tree import SecretTree
from sabir.testing.mls.model import Model
from sabir.testing.mls.model_steps import Life
from sabir.testing.mls.model_strategies import lives, long_life

HAPPENS = {
    "agreed",
    "twice",
    "learned a key to join",
    "a proposal is missing",
    "covered",
    "enter late",
    "epoch",
    "external join",
    "followed with what was missing",
    "joined",
    "knows that it is behind",
    "learned a key to follow",
    "loser refused",
    "loser staged",
    "may not send",
    "no second commit",
    "not yet joined",
    "outside",
    "own echo",
    "proposed",
    "proposed too late",
    "read",
    "read again from the store",
    "read by who is behind",
    "read by who is removed",
    "read late",
    "read twice",
    "removed",
    "restart",
    "resync",
    "too early",
    "too late",
    "too late to read",
    "too old",
}
"""What long lives must contain, so that the model is known to have looked."""

SEEDS = range(20, 26)


@pytest.mark.parametrize("private", [False, True])
def test_long_lives_of_up_to_thirty_members(private: bool) -> None:
    done: Counter[str] = Counter()
    for seed in SEEDS:
        model = Model(long_life(seed, 12, 150, private=private), members_max=30)
        model.play()
        done += model.done
    happens = HAPPENS if private else HAPPENS | {"self-remove"}
    assert happens - done.keys() == set()


@settings(
    max_examples=150,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(lives(first_max=8))
def test_members_agree_or_know_that_they_are_behind(life: Life) -> None:
    note(f"seed {life.seed}")
    Model(life, members_max=14).play()


def _nothing(*_: Any) -> None:
    """Do nothing."""


def _itself(state: GroupState, _: int) -> GroupState:
    return state


@pytest.mark.parametrize(
    ("owner", "name", "worse"),
    [
        pytest.param(SecretTree, "consume", _nothing, id="keys are kept"),
        pytest.param(GroupState, "without_expired", _itself, id="epochs are kept"),
        pytest.param(PublicGroup, "keep", _nothing, id="proposals are forgotten"),
        pytest.param(process, "check_epoch", _nothing, id="epochs are not compared"),
        pytest.param(state, "past_row", lambda *_: b"", id="a row is not stored"),
    ],
)
def test_the_model_notices_when(
    owner: object,
    name: str,
    worse: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, name, worse)
    with pytest.raises((AssertionError, Error)):
        play_some()


def play_some() -> None:
    for seed in SEEDS:
        Model(long_life(seed, 6, 150, private=True), members_max=12).play()
