"""Strategies for CBOR values."""

from typing import Any

from hypothesis import strategies as st

from sabir.wire.cbor import INT_MIN, UINT_MAX, Tag

keys = st.one_of(
    st.integers(INT_MIN, UINT_MAX), st.text(max_size=8), st.binary(max_size=8)
)
scalars = st.one_of(
    st.integers(INT_MIN, UINT_MAX),
    st.text(max_size=12),
    st.binary(max_size=12),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.builds(Tag, st.integers(4, UINT_MAX), inner),
    ),
    max_leaves=12,
)
