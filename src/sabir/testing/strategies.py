"""Hypothesis strategies: CBOR values, MIMI parts and contents, damaged octets.

Everything drawn from `values` and `contents` is what a peer may send; `damaged`
makes of it what a peer must not.
"""

from typing import Any

from hypothesis import strategies as st

from sabir.content.model import (
    Content,
    Expiry,
    ExternalPart,
    MessageId,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
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


@st.composite
def damaged(draw: st.DrawFn, octets: st.SearchStrategy[bytes]) -> bytes:
    """Draw octets, then change, insert, drop or repeat a few of them."""
    found = bytearray(draw(octets))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(found)))
        stop = min(len(found), start + draw(st.integers(0, 4)))
        instead = draw(st.binary(max_size=4) | st.just(bytes(found[start:stop]) * 2))
        found[start:stop] = instead
    return bytes(found)


_u8 = st.integers(0, 255)
_short = st.text(max_size=6)
_octets = st.binary(max_size=6)
message_ids = st.binary(min_size=31, max_size=31).map(lambda b: MessageId(b"\x01" + b))

_leaves: st.SearchStrategy[Part] = st.one_of(
    st.builds(NullPart, disposition=_u8, language=_short),
    st.builds(
        SinglePart,
        disposition=_u8,
        language=_short,
        content_type=_short,
        content=_octets,
    ),
    st.builds(
        ExternalPart,
        disposition=_u8,
        language=_short,
        content_type=_short,
        url=_short.map(lambda text: "https:" + text),
        expires=st.integers(0, 2**32 - 1),
        size=st.integers(0, 2**64 - 1),
        enc_alg=st.integers(1, 2**16 - 1),
        key=_octets,
        nonce=_octets,
        aad=_octets,
        hash_alg=_u8,
        content_hash=_octets,
        description=_short,
        filename=_short,
    ),
)


def _multi(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    return st.builds(
        MultiPart,
        disposition=_u8,
        language=_short,
        semantics=st.sampled_from(PartSemantics),
        parts=st.lists(inner, min_size=2, max_size=3).map(tuple),
    )


_level3 = st.one_of(_leaves, _multi(_leaves))
_level2 = st.one_of(_leaves, _multi(_level3))
parts = st.one_of(_leaves, _multi(_level2))

_names = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1).filter(lambda n: n not in {1, 2, 5}),
    st.text(min_size=1, max_size=6),
)
contents = st.builds(
    Content,
    salt=st.binary(min_size=16, max_size=16),
    replaces=st.none() | message_ids,
    topic_id=_octets,
    expires=st.none()
    | st.builds(Expiry, relative=st.booleans(), time_s=st.integers(0, 2**32 - 1)),
    in_reply_to=st.none() | message_ids,
    extensions=st.dictionaries(_names, scalars, max_size=3),
    body=parts,
)
