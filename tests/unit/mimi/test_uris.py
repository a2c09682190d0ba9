"""D-10, D-11, D-12: identifiers, one way of writing each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.uris import (
    Kind,
    MimiUri,
    device_uri,
    domain_of,
    group_uri,
    new_segment,
    parse_uri,
    provider_uri,
    room_of_group,
    room_uri,
    user_of,
    user_uri,
)
from sabir.wire.errors import Malformed


def refuses(rule: str) -> "pytest.RaisesExc[Malformed]":
    return pytest.raises(Malformed, match=rule)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mimi://a.example", (None, ())),
        ("mimi://localhost/u/ann", (Kind.USER, ("ann",))),
        ("mimi://xn--bcher-kva.example/d/ann/1", (Kind.DEVICE, ("ann", "1"))),
        ("mimi://a.example/d/ClientA1", (Kind.DEVICE, ("ClientA1",))),
        ("mimi://a.example/r/club%20house", (Kind.ROOM, ("club%20house",))),
        ("mimi://a.example/g/tea.1", (Kind.GROUP, ("tea.1",))),
        ("mimi://a.example/p/x!$&'()*+,;=:@~_-", (Kind.PSEUDONYM, None)),
        ("mimi://a.example/t/...", (Kind.TEAM, ("...",))),
    ],
)
def test_an_identifier_is_taken_apart_and_kept(
    text: str, parts: tuple[Kind | None, tuple[str, ...] | None]
) -> None:
    found = parse_uri(text)
    assert found == parse_uri(text.encode())
    assert found.text == text
    assert found.kind is parts[0]
    if parts[1] is not None:
        assert found.segments == parts[1]
    assert domain_of(text) == found.domain


@pytest.mark.parametrize(
    "text",
    [
        *("", "mimi:", "mimi://", "MIMI://a.example", "https://a.example/u/ann"),
        *("mimi://A.example/u/ann", "mimi://a.example./u/ann", "mimi://-a/u/ann"),
        *("mimi://a.example:443/u/ann", "mimi://x@a.example/u/ann", "mimi://a..b"),
        *("mimi://a.example/", "mimi://a.example/u", "mimi://a.example/u/"),
        *("mimi://a.example/x/ann", "mimi://a.example/u/ann/1"),
        *("mimi://a.example/d/ann/1/2", "mimi://a.example/d/ann/"),
        *("mimi://a.example/u/ann?x", "mimi://a.example/u/ann#x"),
        *("mimi://a.example/u/.", "mimi://a.example/u/..", "mimi://a.example/u/a b"),
        *("mimi://a.example/u/%2f", "mimi://a.example/u/%2", "mimi://a.example/u/%41"),
        *("mimi://a.example/u/%7E", "mimi://a.example/u/ä", f"mimi://{'a' * 64}.b"),
        "mimi://" + ".".join(["a" * 63] * 4),
        "mimi://a.example/u/" + "x" * 494,
    ],
)
def test_mimi_001_what_is_no_identifier(text: str) -> None:
    with refuses("MIMI-001"):
        parse_uri(text)


def test_the_longest_identifier() -> None:
    assert parse_uri("mimi://a.example/u/" + "x" * 493).kind is Kind.USER


def test_mimi_002_another_kind() -> None:
    user = "mimi://a.example/u/ann"
    assert parse_uri(user, Kind.USER, Kind.PSEUDONYM).kind is Kind.USER
    for text in (user, "mimi://a.example"):
        with refuses("MIMI-002"):
            parse_uri(text, Kind.ROOM)


def test_an_unknown_form_has_a_domain_still() -> None:
    assert domain_of("mimi://a.example/whatever?this=is") == "a.example"
    for text in ("mimi://?", "mimi:/a.example", "a.example"):
        with refuses("MIMI-001"):
            domain_of(text)


def test_a_client_names_its_user() -> None:
    assert user_of("mimi://a.example/d/ann/1") == "mimi://a.example/u/ann"
    assert user_of("mimi://a.example/u/ann") == "mimi://a.example/u/ann"
    for text in ("mimi://a.example/d/ClientA1", "mimi://a.example/p/ann"):
        with refuses("MIMI-002"):
            user_of(text)


def test_a_group_is_that_of_its_room() -> None:
    room = room_uri("hub.example", "tea")
    assert room == "mimi://hub.example/r/tea"
    assert group_uri(room) == "mimi://hub.example/g/tea"
    assert group_uri(room, 2) == "mimi://hub.example/g/tea.2"
    assert room_of_group(group_uri(room).encode()) == room
    with refuses("MIMI-002"):
        group_uri(group_uri(room))
    with refuses("MIMI-002"):
        room_of_group(room.encode())


@given(st.binary(min_size=1, max_size=32), st.binary(min_size=1, max_size=16))
def test_what_we_make_is_read(one: bytes, two: bytes) -> None:
    user, device = new_segment(lambda _: one, 0), new_segment(lambda _: two, 0)
    client = device_uri("a.example", user, device)
    assert parse_uri(client) == MimiUri(
        client, "a.example", Kind.DEVICE, (user, device)
    )
    assert user_of(client) == user_uri("a.example", user)
    assert parse_uri(provider_uri("a.example")).kind is None


def test_a_new_segment_has_as_many_octets_as_asked() -> None:
    assert len(new_segment(bytes, 16)) == 22
    assert len(new_segment(bytes, 8)) == 11


@given(st.text() | st.text("mimi:/aud.%2F"))
def test_mc_015_any_text_is_an_identifier_or_malformed(text: str) -> None:
    try:
        found = parse_uri(f"mimi://{text}")
    except Malformed:
        return
    assert found.text == f"mimi://{text}"
    assert found.domain == domain_of(found.text)
