"""What Meta's codes mean: who has to act, and in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.whatsapp.verdicts import (
    CODES,
    Blame,
    GraphError,
    graph_error,
    judge,
    sentence,
)


@pytest.mark.parametrize(
    ("code", "status", "blame"),
    [
        (190, 401, Blame.TOKEN),
        (10, 403, Blame.TOKEN),
        (200, 403, Blame.TOKEN),
        (299, 403, Blame.TOKEN),
        (4, 400, Blame.WAIT),
        (80007, 400, Blame.WAIT),
        (130429, 400, Blame.WAIT),
        (131056, 400, Blame.WAIT),
        (131047, 400, Blame.REFUSED),
        (131026, 400, Blame.REFUSED),
        (100, 400, Blame.REFUSED),
        (-1, 401, Blame.TOKEN),
        (-1, 429, Blame.WAIT),
        (-1, 503, Blame.WAIT),
        (12345, 400, Blame.REFUSED),
    ],
)
def test_each_code_says_who_acts(code: int, status: int, blame: Blame) -> None:
    verdict = judge(GraphError(code=code), status=status)
    assert verdict.blame is blame
    assert (verdict.wait_ms is not None) is (blame is Blame.WAIT)


def test_what_meta_calls_transient_is_tried_again() -> None:
    transient = GraphError(code=131026, is_transient=True)
    assert judge(transient).blame is Blame.WAIT
    assert judge(GraphError(code=190, is_transient=True)).blame is Blame.TOKEN


def test_every_sentence_names_the_code() -> None:
    for code, verdict in CODES.items():
        error = GraphError(code=code, trace="AbC")
        assert sentence(error, verdict).endswith(f"(code {code}, trace AbC)")


def test_a_title_is_shown_without_the_number_in_it() -> None:
    error = graph_error({"code": 5, "message": "to 4915112345678\nrefused"})
    assert error.title == "to 49… refused"
    assert judge(error).words.endswith("to 49… refused")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("code", "message", "title", "fbtrace_id", "is_transient"), JSON
        ),
    )
    | JSON
)
def test_any_error_object_can_be_judged(found: object) -> None:
    error = graph_error(found)
    assert sentence(error, judge(error))
