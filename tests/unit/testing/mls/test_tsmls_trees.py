"""What ts-mls refuses; `tests/interop/test_tsmls.py` shows it (TS8 and TS13)."""

import pytest

from sabir.testing.mls.players import Add, Remove
from sabir.testing.mls.sabir_player import SabirPlayer
from sabir.testing.mls.tsmls_trees import (
    refused_by_tsmls,
    root_is_left_out,
    unmerged_leaves,
)


def _founder(members: int, *, path: bool) -> tuple[SabirPlayer, list[SabirPlayer]]:
    """Make a group by one commit; with a path, if wanted, by the founder after it."""
    founder = SabirPlayer("founder", 1)
    founder.create(b"tree")
    others = [SabirPlayer(f"{number}", 1) for number in range(1, members)]
    _commit(founder, *(Add(other.key_package()) for other in others))
    if path:
        _commit(founder, path=True)
    return founder, others


def _commit(founder: SabirPlayer, *changes: Add | Remove, path: bool = False) -> None:
    founder.commit(changes, public=True, path=path, tree_inside=True)


def _add_one(founder: SabirPlayer, name: str) -> None:
    _commit(founder, Add(SabirPlayer(name, 1).key_package()))


def test_a_tree_without_parents_is_never_refused() -> None:
    founder, _ = _founder(5, path=False)
    assert unmerged_leaves(founder.tree()) == set()
    for adds in range(9):
        assert not refused_by_tsmls(founder.tree(), adds)


def test_one_unmerged_leaf_is_listed_everywhere_above() -> None:
    founder, _ = _founder(7, path=True)
    _add_one(founder, "one")
    assert unmerged_leaves(founder.tree()) == {7}
    assert not refused_by_tsmls(founder.tree(), 0)


def test_two_leaves_with_different_nodes_above_are_refused() -> None:
    founder, _ = _founder(8, path=True)
    for leaf in (2, 7):
        _commit(founder, Remove(leaf))
    assert not refused_by_tsmls(founder.tree(), 1)
    assert refused_by_tsmls(founder.tree(), 2)
    _add_one(founder, "one")
    _add_one(founder, "other")
    assert unmerged_leaves(founder.tree()) == {2, 7}
    assert refused_by_tsmls(founder.tree(), 0)


def test_leaves_beyond_the_edge_of_the_tree_get_new_parents() -> None:
    founder, _ = _founder(8, path=True)
    assert not refused_by_tsmls(founder.tree(), 3)


@pytest.mark.parametrize("leaves", [(0, 1), (0, 3), (1, 2), (3, 7, 8), (0, 200)])
def test_a_path_with_somebody_in_either_half_has_the_root(leaves: list[int]) -> None:
    assert not root_is_left_out(leaves)


@pytest.mark.parametrize("leaves", [(2, 3), (4, 5), (5, 7), (128, 200)])
def test_a_path_beside_an_empty_half_leaves_out_the_root(leaves: list[int]) -> None:
    assert root_is_left_out(leaves)
