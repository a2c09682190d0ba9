"""Names of ghosts: who is meant, and by whose word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.ghosts import Ghost, ghost_uri, ghosts_of_gateway, read_ghost
from sabir.mimi.uris import Kind, parse_uri, user_uri
from sabir.wire.errors import Malformed

ADA = "mimi://a.example/u/ada"
BOB = "@bob:example.org"

segments = st.text("abcXYZ019._~!$&'()*+,;=:@-", min_size=1, max_size=24).filter(
    lambda text: text not in {".", ".."}
)
natives = st.text(min_size=1, max_size=200)
networks = st.sampled_from(["matrix", "xmpp", "sms", "memory-a", "x"])


def test_a_ghost_is_named_by_network_gateway_and_native_id() -> None:
    uri = ghost_uri(ADA, "matrix", BOB)
    assert uri == "mimi://matrix.ghosts.a.example/u/ada:%40bob%3Aexample.org"
    assert read_ghost(uri) == Ghost(uri, "matrix", ADA, BOB)


@given(segments, networks, natives)
def test_every_name_is_an_identifier_and_says_what_it_was_made_of(
    segment: str, network: str, native: str
) -> None:
    gateway = user_uri("a.example", segment)
    uri = ghost_uri(gateway, network, native)
    assert parse_uri(uri, Kind.USER).domain == f"{network}.ghosts.a.example"
    ghost = read_ghost(uri)
    assert ghost is not None
    assert (ghost.network, ghost.gateway) == (network, gateway)
    assert ghost.native in {"", native}
    assert ghost.native or len(uri) <= 512


@given(st.sets(st.tuples(segments, networks, natives), min_size=2, max_size=8))
def test_no_two_have_one_name(several: set[tuple[str, str, str]]) -> None:
    names = {
        ghost_uri(user_uri("a.example", segment), network, native)
        for segment, network, native in several
    }
    assert len(names) == len(several)


def test_an_id_that_is_too_long_goes_in_as_its_digest() -> None:
    long, other = "é" * 300, "é" * 299 + "e"
    ghost = read_ghost(ghost_uri(ADA, "matrix", long))
    assert ghost is not None
    assert (ghost.native, ghost.gateway) == ("", ADA)
    assert ghost_uri(ADA, "matrix", long) != ghost_uri(ADA, "matrix", other)
    # What looks like a digest is encoded, and is none.
    digest = ghost.uri.rpartition("=")[2]
    assert ghost_uri(ADA, "matrix", f"={digest}") != ghost.uri


def test_half_a_surrogate_is_no_reason_to_fail() -> None:
    assert read_ghost(ghost_uri(ADA, "sms", "\ud800")) is not None


@pytest.mark.parametrize(
    ("gateway", "network", "rule"),
    [
        (ADA, "Matrix", "MIMI-401"),
        (ADA, "a.b", "MIMI-401"),
        (ADA, "", "MIMI-401"),
        (ADA, "-x", "MIMI-401"),
        (f"mimi://{'a.' * 120}example/u/ada", "matrix", "MIMI-401"),
        ("mimi://a.example/r/tea", "matrix", "MIMI-002"),
        ("a.example", "matrix", "MIMI-001"),
    ],
)
def test_what_can_have_no_ghosts_is_refused(
    gateway: str, network: str, rule: str
) -> None:
    with pytest.raises(Malformed) as caught:
        ghost_uri(gateway, network, BOB)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    "user",
    [
        ADA,
        "mimi://a.example/d/ada/1",
        "mimi://matrix.ghosts.a.example/u/ada",
        "mimi://matrix.ghosts.a.example/u/:bob",
        "mimi://matrix.ghosts.a.example/u/ada:",
        "mimi://x.matrix.ghosts.a.example/u/ada:bob",
        "mimi://ghosts.a.example/u/ada:bob",
        "nonsense",
    ],
)
def test_who_has_another_name_is_no_ghost(user: str) -> None:
    assert read_ghost(user) is None


def test_the_ghosts_of_one_gateway_are_told_from_all_others() -> None:
    eve = "mimi://a.example/u/eve"
    bob, zoe = ghost_uri(ADA, "matrix", BOB), ghost_uri(ADA, "xmpp", "zoe@x.example")
    users = [ADA, eve, bob, zoe, ghost_uri(eve, "matrix", BOB)]
    assert [each.uri for each in ghosts_of_gateway(users, ADA)] == [bob, zoe]
    assert [each.uri for each in ghosts_of_gateway(users, ADA, "xmpp")] == [zoe]
