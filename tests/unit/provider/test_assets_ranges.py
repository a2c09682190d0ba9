"""Parts of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.agent_api.assets import content_range
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.assets_ranges import Span, brought_span, wanted_span

WHOLE = Span(0, 100, 100)


@pytest.mark.parametrize(
    ("field", "span"),
    [
        ("", WHOLE),
        ("bytes=0-", WHOLE),
        ("bytes=0-99", WHOLE),
        ("bytes=0-999", WHOLE),
        ("bytes=0-0", Span(0, 1, 100)),
        ("bytes=10-19", Span(10, 20, 100)),
        ("bytes=99-", Span(99, 100, 100)),
        ("bytes=-1", Span(99, 100, 100)),
        ("bytes=-1000", WHOLE),
        # what is not there, or not understood, is no reason to refuse
        ("bytes=100-", WHOLE),
        ("bytes=20-10", WHOLE),
        ("bytes=-0", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=0-1,5-6", WHOLE),
        ("lines=0-1", WHOLE),
        ("bytes=0-" + "9" * 99, WHOLE),
    ],
)
def test_what_is_asked_for(field: str, span: Span) -> None:
    assert wanted_span(field, 100) == span


@given(st.text(max_size=20), st.integers(1, 1_000))
def test_whatever_is_asked_for_lies_in_the_file(field: str, size: int) -> None:
    for text in (field, "bytes=" + field):
        span = wanted_span(text, size)
        assert 0 <= span.start < span.end <= span.size == size


@given(st.integers(0, 99), st.integers(1, 100))
def test_ranges_are_written_as_they_are_read(start: int, length: int) -> None:
    end = min(100, start + length)
    span = brought_span(content_range(start, end, 100), end - start)
    assert span == Span(start, end, 100)
    assert span.content_range() == content_range(start, end, 100)
    assert span.is_whole == (start == 0 and end == 100)


def test_without_a_range_a_request_brings_all() -> None:
    assert brought_span(None, 7) == Span(0, 7, 7)


@pytest.mark.parametrize(
    ("field", "length"),
    [
        (None, None),
        (None, 0),
        ("bytes 0-9/10", None),
        ("bytes 0-9/10", 9),
        ("bytes 5-4/10", 10),
        ("bytes 0-9/9", 10),
        ("bytes */10", 10),
        ("bytes 0-9/*", 10),
        ("nonsense", 10),
    ],
)
def test_heads_that_contradict_themselves(
    field: str | None, length: int | None
) -> None:
    with pytest.raises(Problem) as caught:
        brought_span(field, length)
    assert caught.value.problem is ProblemCode.MALFORMED_BODY
