"""Directories: what is read, what is refused, how templates are filled."""

import json

import pytest

from sabir.mimi.directory import (
    DIRECTORY_OCTETS_MAX,
    Directory,
    Endpoint,
    decode_directory,
    expand,
    host_of,
    our_templates,
)
from sabir.wire.errors import Malformed

OURS = Directory(
    templates=our_templates("https://mimi.a.example"),
    profiles=("mimi06-a",),
    suites=(1,),
    domains=("a.example",),
    asset_domains=("assets.a.example",),
    ohttp_gateway="https://mimi.a.example/.well-known/ohttp-gateway",
    contact="mailto:abuse@a.example",
)


def test_mc_005_ten_endpoints_go_out_and_come_back() -> None:
    assert decode_directory(OURS.encode()) == OURS
    document = json.loads(OURS.encode())
    assert len(document) == 11
    assert document["update"] == "https://mimi.a.example/v1/update/{roomId}"
    assert document["requestConsent"].endswith("/requestConsent/{targetDomain}")
    assert not OURS.is_bare


def test_a_bare_peer_offers_what_it_names() -> None:
    bare = decode_directory(b'{"notify": "https://h.example/n", "future": 1}')
    assert bare.is_bare
    assert bare.templates == {Endpoint.NOTIFY: "https://h.example/n"}
    assert bare.encode() == b'{"notify": "https://h.example/n"}'


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"update": 1}',
        b'{"x-sabir": []}',
        b'{"x-sabir": {"profiles": "mimi06-a"}}',
        b'{"x-sabir": {"contact": 1}}',
        b"[" * 100_000,
        b'{"a": "' + b"x" * DIRECTORY_OCTETS_MAX + b'"}',
        json.dumps({"x-sabir": {"domains": ["a"] * 257}}).encode(),
        json.dumps({"update": "https://a/" + "x" * 3_000}).encode(),
    ],
)
def test_what_is_no_directory(octets: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        decode_directory(octets)
    assert caught.value.rule == "MIMI-350"


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/{roomId}",
        "https:///x",
        "/v1/update/{roomId}",
        "https://user@a.example/x",
        "https://a.example/x#f",
        "https://{roomId}.example/x",
        "https://a.example/{roomId",
        "https://a.example/{+roomId}",
        "https://a.example:99999/x",
        "https://a.example:0/x",
        "https://a.example/x y",
        "https://a.example/\u00e9",
        "https://[::1/x",
    ],
)
def test_what_is_no_template(url: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_directory(json.dumps({"update": url}).encode())
    assert caught.value.rule == "MIMI-351"


def test_mc_006_values_are_encoded_but_for_the_unreserved() -> None:
    values = {"roomId": "mimi://a.example/r/clubhouse"}
    template = OURS.templates[Endpoint.UPDATE]
    assert expand(template, values, "").endswith(
        "/mimi%3A%2F%2Fa.example%2Fr%2Fclubhouse"
    )
    odd = expand("https://x/{roomId}", {"roomId": "a@b~-._\u00e9 %2F"}, "")
    assert odd == "https://x/a%40b~-._%C3%A9%20%252F"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("https://x/{recipient}", "https://x/default"),
        ("https://x/notify", "https://x/notify"),
        ("https://x/{a}/{a}", "https://x/default/default"),
        ("https://x/{roomId}?t={roomId}", "https://x/room?t=room"),
    ],
)
def test_d_08_unknown_and_missing_variables(template: str, filled: str) -> None:
    assert expand(template, {"roomId": "room"}, "default") == filled


def test_several_variables_must_be_known() -> None:
    with pytest.raises(Malformed) as caught:
        expand("https://x/{roomId}/{other}", {"roomId": "room"}, "default")
    assert caught.value.rule == "MIMI-352"


def test_hosts_are_lower_case() -> None:
    assert host_of("https://A.Example:8443/x") == "a.example"
