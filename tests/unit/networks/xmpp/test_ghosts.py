"""JIDs and nicks of ghosts."""

from hypothesis import given
from hypothesis import strategies as st
from slixmpp.jid import JID

from sabir.networks.xmpp.ghosts import (
    LISTENER,
    LOCAL_OCTETS_MAX,
    NICK_LENGTH_MAX,
    escape,
    ghost_local,
    nick,
    nick_choices,
)


def test_reserved_characters_are_escaped_as_xep_0106_says() -> None:
    assert escape("d'artagnan") == "d\\27artagnan"
    assert escape('call me "ishmael"') == "call\\20me\\20\\22ishmael\\22"
    assert (
        ghost_local("matrix:u/ada:example.org") == "matrix\\3au\\2fada\\3aexample.org"
    )


@given(st.text(min_size=1, max_size=400))
def test_every_uri_gives_an_address_that_servers_accept(uri: str) -> None:
    local = ghost_local(uri)
    assert len(local.encode()) <= LOCAL_OCTETS_MAX
    assert local == local.lower()
    assert local != LISTENER
    # slixmpp applies nodeprep, as servers do
    assert JID(f"{local}@gw.example.org").node == local


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_uris_never_share_a_ghost(one: str, other: str) -> None:
    if one != other:
        assert ghost_local(one) != ghost_local(other)


def test_letter_case_is_not_lost() -> None:
    assert ghost_local("m:Ada") != ghost_local("m:ada")
    assert ghost_local(LISTENER) != LISTENER


def accepted(text: str) -> bool:
    """Whether resourceprep lets a nick through unchanged, as servers apply it."""
    return JID(f"room@muc.example.org/{text}").resource == text


@given(st.text(max_size=200), st.text(max_size=10))
def test_every_name_gives_nicks_that_servers_accept(name: str, network: str) -> None:
    chosen = nick(name)
    assert 0 < len(chosen) <= NICK_LENGTH_MAX
    choices = list(nick_choices(name, network))
    assert choices[0] == chosen
    assert len(choices) == len(set(choices))
    assert all(accepted(choice) for choice in choices[:3])


def test_names_of_the_other_direction_stay_readable() -> None:
    assert nick("\u05d0\u05d3\u05d4") == "\u05d0\u05d3\u05d4"
    assert nick("Ada \u05d0\u05d3\u05d4 (work)") == "\u05d0\u05d3\u05d4"
    assert accepted(list(nick_choices("\u05d0\u05d3\u05d4", "matrix"))[1])
    assert nick("A\ufffd\x00\u202eda \U0001f99c") == "Ada"


def test_nicks_are_tried_in_order() -> None:
    choices = list(nick_choices("Ada\nL.", "matrix"))
    assert choices[:3] == ["Ada L.", "Ada L. (matrix)", "Ada L. (matrix) 2"]
    assert len(choices) == len(set(choices))
    assert nick("\u202e\x00") == "someone"
