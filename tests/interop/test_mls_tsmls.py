"""Groups of Sabir's and ts-mls's members live random lives and agree in every epoch.

After each epoch all members have the same epoch authenticator, exported secret, tree
and transcript; each message is read exactly once by everybody who was there, in and out
of order, some after the epoch has changed. A run prints its seed;
`SABIR_SCRIPTS_SEED=<seed>` repeats it.
"""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, seed, settings

from sabir.testing.mls.players import Player, Side, TsMlsPlayer
from sabir.testing.mls.sabir_player import SabirPlayer
from sabir.testing.mls.script_strategies import scripts
from sabir.testing.mls.scripts import Commit, JoinFromOutside, Say, Script, Table
from sabir.testing.mls.tsmls import TsMls

pytestmark = pytest.mark.interop

SHORT: Final = 15
LONG: Final = 500
LONG_OTHER_SUITES: Final = 20

OTHER_SUITES: Final = (2, 3, 4, 5, 6, 7)

EVERYTHING: Final = (
    *(f"commit {what} {side}" for what in ("Add", "Remove", "Psk") for side in Side),
    *(
        f"commit {what} by reference {side}"
        for what in ("Add", "Remove", "Psk", "Update")
        for side in Side
    ),
    *(
        f"propose {what} {side}"
        for what in ("Add", "Remove", "Psk", "Update")
        for side in Side
    ),
    *(
        f"{how} {side}, sponsor {sponsor}"
        for how in ("join from outside", "resync")
        for side in Side
        for sponsor in Side
    ),
    *(
        f"{what} {side}"
        for what in ("join", "removed", "read", "read late")
        for side in Side
    ),
)
"""What many scripts together must have done, each by and with both sides."""


def _play(peer: TsMls, count: int, suites: Sequence[int] = (1,)) -> Counter[str]:
    """Play random scripts; return what happened how often over all of them."""
    chosen = int(os.environ.get("SABIR_SCRIPTS_SEED", time.time_ns()))
    print(f"seed {chosen}")
    total: Counter[str] = Counter()

    @seed(chosen)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts(suites))
    def play(script: Script) -> None:
        table = _table(peer, script.suite)
        table.play(script)
        total["scripts"] += 1
        members = max(total["members"], table.done["members"])
        total.update(table.done)
        total["members"] = members

    play()
    for what, times in sorted(total.items()):
        print(f"{times:7} {what}")
    return total


def _table(peer: TsMls, suite: int) -> Table:
    def make(side: Side, name: str, of: int) -> Player:
        if side is Side.OURS:
            return SabirPlayer(name, of)
        return TsMlsPlayer(name, of, peer)

    return Table(suite, make)


@pytest.mark.timeout(600)
def test_some_random_lives_agree(tsmls: TsMls) -> None:
    total = _play(tsmls, SHORT)
    assert total["scripts"] >= SHORT
    assert total["epochs"] > SHORT


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_five_hundred_random_lives_agree(tsmls: TsMls) -> None:
    total = _play(tsmls, LONG)
    assert total["scripts"] >= LONG
    assert total["members"] == 50
    assert [what for what in EVERYTHING if not total[what]] == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suite", OTHER_SUITES)
def test_random_lives_agree_in_other_suites(tsmls: TsMls, suite: int) -> None:
    assert _play(tsmls, LONG_OTHER_SUITES, (suite,))["scripts"] >= LONG_OTHER_SUITES


@pytest.mark.parametrize("suite", [1, *OTHER_SUITES])
@pytest.mark.parametrize("founder", Side)
def test_both_sides_do_everything_once(tsmls: TsMls, suite: int, founder: Side) -> None:
    """One short life with every step, by either founder, in every suite."""
    other = Side.THEIRS if founder is Side.OURS else Side.OURS

    plain = Commit(
        who=0,
        adds=(),
        removes=(),
        psk=False,
        public=True,
        path=True,
        tree_inside=True,
    )

    def say(who: int, *, late: bool = False) -> Say:
        return Say(who=who, count=3, late=late, order=who)

    table = _table(tsmls, suite)
    table.play(
        Script(
            suite=suite,
            founder=founder,
            first=(other,),
            steps=(
                say(0),
                say(0, late=True),
                say(1, late=True),
                plain,
                replace(plain, who=1, public=False),
                replace(plain, who=1, adds=(founder, other), tree_inside=False),
                say(2),
                JoinFromOutside(side=other, sponsor=0, again=None),
                JoinFromOutside(side=founder, sponsor=1, again=None),
                say(4, late=True),
                JoinFromOutside(side=founder, sponsor=0, again=2),
                replace(plain, removes=(1,), psk=True),
                replace(plain, who=2, removes=(0,)),
                say(0),
            ),
        )
    )
    assert table.done["epochs"] >= 9
    assert {what for what in table.done if what.startswith("read")} == {
        f"{how} {side}" for how in ("read", "read late") for side in Side
    }
