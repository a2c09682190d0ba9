"""Ids of ghosts: stable, within the grammar, within the limits, never the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.matrix.ghosts import USER_ID_OCTETS_MAX, ghost_localpart

GRAMMAR = re.compile(r"[a-z0-9._=/+-]+")


def local(uri: str, *, server_name: str = "example.org") -> str:
    return ghost_localpart(uri, prefix="sabir_", server_name=server_name)


def test_an_id_is_readable_and_escapes_what_the_grammar_forbids() -> None:
    assert local("xmpp:sea@muc.example.org/Ada") == (
        "sabir_xmpp=3asea=40muc.example.org/=41da"
    )


def test_an_equals_sign_is_escaped_so_that_ids_stay_apart() -> None:
    assert local("a=41") != local("aA")


def test_a_long_id_is_hashed_and_looks_like_no_escape() -> None:
    assert re.fullmatch(r"sabir_=h[0-9a-f]{32}", local("x" * 300))
    assert re.fullmatch(
        r"sabir_=h[0-9a-f]{32}", local("x" * 150, server_name="y" * 150)
    )


@given(st.text(), st.text(), st.integers(1, 200))
def test_ids_are_valid_and_different_people_have_different_ids(
    one: str, other: str, server_octets: int
) -> None:
    server = "s" * server_octets
    first = local(one, server_name=server)
    assert GRAMMAR.fullmatch(first)
    assert len(f"@{first}:{server}") <= USER_ID_OCTETS_MAX
    if one != other:
        assert first != local(other, server_name=server)
