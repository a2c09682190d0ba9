from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.labels import expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.frontier import Frontier
from sabir.mls.tree_math import left, right, root

SUITE = SUITES[1]
ROOT = b"\x05" * 32


def whole_tree(leaf_count: int) -> dict[int, bytes]:
    """Every secret of the tree, from the root down."""
    secrets = {root(leaf_count): ROOT}
    waiting = [root(leaf_count)]
    while waiting:
        node = waiting.pop()
        if node % 2 == 0:
            continue
        for child, side in ((left(node), b"left"), (right(node), b"right")):
            secrets[child] = expand_with_label(
                SUITE, secrets[node], b"tree", side, SUITE.nh
            )
            waiting.append(child)
    return secrets


def above(node: int, leaf_count: int) -> set[int]:
    """The node and all above it."""
    found, at = set(), root(leaf_count)
    while at != node:
        found.add(at)
        at = left(at) if node < at else right(at)
    return found | {node}


@given(st.integers(0, 6).flatmap(lambda bits: st.permutations(range(1 << bits))))
def test_leaves_come_in_any_order_and_nothing_above_one_stays(
    order: list[int],
) -> None:
    secrets = whole_tree(len(order))
    frontier = Frontier.whole(SUITE, len(order), Secret(ROOT))
    gone: set[int] = set()
    for leaf in order:
        before = dict(frontier.nodes)
        descent = frontier.descend(leaf)
        assert descent is not None
        assert frontier.nodes == before, "descending changes nothing"
        assert descent.secret == secrets[2 * leaf]
        assert frontier.take(descent)
        gone |= above(2 * leaf, len(order))
        assert not gone & frontier.nodes.keys()
        assert all(secrets[node] == kept for node, kept in frontier.nodes.items())
        assert frontier.descend(leaf) is None
    assert frontier.nodes == {}


def test_a_way_that_was_gone_by_another_leaf_is_not_gone_again() -> None:
    frontier = Frontier.whole(SUITE, 4, Secret(ROOT))
    first, second = frontier.descend(0), frontier.descend(3)
    assert first is not None
    assert second is not None
    assert frontier.take(first)
    after = dict(frontier.nodes)
    assert not frontier.take(second)
    assert frontier.nodes == after
    again = frontier.descend(3)
    assert again is not None
    assert again.secret == second.secret
    assert frontier.take(again)


def test_there_is_no_way_to_a_leaf_outside_the_tree() -> None:
    frontier = Frontier.whole(SUITE, 4, Secret(ROOT))
    assert frontier.descend(4) is None
    assert frontier.descend(0xFFFF_FFFF) is None


def test_no_secret_is_in_the_text_of_a_descent() -> None:
    descent = Frontier.whole(SUITE, 4, Secret(ROOT)).descend(0)
    assert repr(descent) == "Descent(start=3)"
