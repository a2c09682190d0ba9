"""Octets that somebody has altered never do more to a hub than be refused."""

from contextlib import suppress
from functools import cache
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.mimi.structs.group_info import decode_group_info_request
from sabir.mimi.structs.submit import decode_submit_request
from sabir.mimi.structs.update import decode_handshake_bundle
from sabir.testing.mimi.hub_harness import HubHarness, listed
from sabir.wire.errors import Malformed
from tests.unit.mimi.hub.scenes import ANN, BEN, ORDINARY, of_four

EVE: Final = "e.example:eve"
BEN2: Final = f"{BEN}/2"


@cache
def scene() -> tuple[HubHarness, dict[str, tuple[str, bytes]]]:
    """Return a room and good requests, each with its provider."""
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    adding = (listed(added=[(EVE, ORDINARY)]), hub.package(EVE))
    requests = {
        "message": ("a.example", hub.message(ANN).encode()),
        "commit": ("a.example", hub.committed(ANN, *adding).encode()),
        "join": ("b.example", hub.joining(BEN2, seen).encode()),
        "groupInfo": ("b.example", hub.group_info_request(BEN2)[0].encode()),
        "leave": ("b.example", hub.proposed(BEN, *hub.leaving(BEN)).encode()),
    }
    return hub, requests


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_altered_requests_are_answered_and_change_nothing(data: st.DataObject) -> None:
    hub, requests = scene()
    name = data.draw(st.sampled_from(sorted(requests)))
    source, octets = requests[name]
    altered = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(altered) - 1))
        altered[place] ^= data.draw(st.integers(1, 255))
    before, last_at = hub.room.encode(), hub.room.last_at
    with suppress(Malformed):  # answered with 400
        ask(hub, name, source, bytes(altered))
    assert (hub.room.encode(), hub.room.last_at) == (before, last_at)


def ask(hub: HubHarness, name: str, source: str, octets: bytes) -> None:
    now_ms, room = hub.now_ms, hub.room
    if name == "message":
        room.submit(now_ms, source, decode_submit_request(octets))
    elif name == "groupInfo":
        room.group_info(now_ms, source, decode_group_info_request(octets))
    else:
        room.update(now_ms, source, decode_handshake_bundle(octets), hub.facts)


def test_the_unaltered_requests_are_good() -> None:
    hub, requests = scene()
    for name in ("commit", "join", "leave"):
        source, octets = requests[name]
        bundle = decode_handshake_bundle(octets)
        outcome = hub.room.update(hub.now_ms, source, bundle, hub.facts)
        assert outcome.change is not None, name
