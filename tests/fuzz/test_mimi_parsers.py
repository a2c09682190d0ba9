"""Any octets, at every parser of rooms: a value, or `Malformed`; nothing else.

What is accepted is the one encoding of its value. No input makes a parser take memory
out of proportion to its length, or to its limit.

A run prints its seed; `SABIR_FUZZ_SEED=<seed>` repeats it.
"""

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from sabir.mimi.components.asset_policy import decode_asset_policy
from sabir.mimi.components.base_policy import BaseRoomPolicy, decode_base_room_policy
from sabir.mimi.components.expiration import (
    MessageExpiration,
    decode_message_expiration,
)
from sabir.mimi.components.franking_agent import FrankingAgent, decode_franking_agent
from sabir.mimi.components.metadata import RoomMetadata, decode_room_metadata
from sabir.mimi.components.optionality import Optionality
from sabir.mimi.components.participants import (
    Participant,
    ParticipantList,
    ParticipantListUpdate,
    decode_participant_list,
    decode_participant_list_update,
)
from sabir.mimi.components.roles import RoleData, decode_role_data
from sabir.mimi.components.status_policy import (
    StatusNotificationPolicy,
    decode_status_policy,
)
from sabir.mimi.directory import Directory, decode_directory, our_templates
from sabir.mimi.franking import franking_aad, tag_of
from sabir.mimi.genesis import new_asset_policy
from sabir.mimi.template_names import TemplateName
from sabir.mimi.templates import TEMPLATES
from sabir.mimi.uris import parse_uri
from sabir.mls.errors import MlsInvalid, MlsUnsupported
from sabir.wire.errors import Malformed
from tests.unit.mimi.structs.examples import ALICE, BOB, EXAMPLES, HUB, PHONE, ROOM

SHORT: Final = 500
"""Inputs for each parser in `make test`."""
LONG: Final = 1_000_000
"""Inputs for each parser in `make soak`."""

GROWTH_MAX: Final = 4
"""How many times its own size an input may take that claims more than it has."""
DENSE_GROWTH_MAX: Final = 64
"""The same for one made of the smallest elements: each becomes an object."""
SLACK_OCTETS: Final = 64 << 10
"""What a call takes whatever its input: frames, errors, caches that grow."""


@dataclass(frozen=True)
class Parser:
    """What reads, what writes, what is refused, and an example or more.

    `write` is None where a value does not say all that was read.
    """

    parse: Callable[[bytes], Any]
    examples: tuple[bytes, ...]
    write: Callable[[Any], bytes] | None = lambda value: bytes(value.encode())
    refusals: tuple[type[Exception], ...] = (Malformed,)


def _structs() -> dict[str, Parser]:
    """Return a parser for each struct of an endpoint, with all of its examples."""
    octets: dict[Any, list[bytes]] = {}
    names: dict[Any, str] = {}
    for name, example in EXAMPLES.items():
        octets.setdefault(example.decode, []).append(example.value.encode())
        names.setdefault(example.decode, name.partition(",")[0])
    return {names[read]: Parser(read, tuple(found)) for read, found in octets.items()}


MLS: Final = (Malformed, MlsInvalid, MlsUnsupported)
"""What is inside a group is judged by MLS as well."""


def _component(parse: Callable[[bytes], Any], value: Any) -> Parser:
    return Parser(parse, (bytes(value.encode()),), refusals=MLS)


DIRECTORY: Final = Directory(
    templates=our_templates("https://a.example"), profiles=("mimi06-a",), suites=(1,)
)

PARSERS: Final[dict[str, Parser]] = {
    **_structs(),
    "ParticipantListData": _component(
        decode_participant_list,
        ParticipantList((Participant(ALICE, 2), Participant(BOB, 3))),
    ),
    "ParticipantListUpdate": _component(
        decode_participant_list_update,
        ParticipantListUpdate(((2, 1),), (0, 4), (Participant(ALICE, 4),)),
    ),
    "RoomMetaData": _component(
        decode_room_metadata, RoomMetadata(room_uri=ROOM, name="Tea")
    ),
    "RoleData": _component(
        decode_role_data, RoleData(TEMPLATES[TemplateName.DM].roles.roles[:2])
    ),
    "BaseRoomPolicy": _component(
        decode_base_room_policy,
        BaseRoomPolicy(policy_components=(0x25, 0x28), max_users=9),
    ),
    "AssetPolicy": _component(
        decode_asset_policy, new_asset_policy({"a.example": ["assets.a.example"]})
    ),
    "StatusNotificationPolicy": _component(
        decode_status_policy,
        StatusNotificationPolicy(Optionality.OPTIONAL, Optionality.FORBIDDEN),
    ),
    "MessageExpiration": _component(
        decode_message_expiration,
        MessageExpiration(Optionality.OPTIONAL, 60, 3_600, None),
    ),
    "FrankingAgentData": _component(
        decode_franking_agent, FrankingAgent(HUB.signature_key, HUB.credential)
    ),
    "FrankAAD": Parser(tag_of, (franking_aad(bytes(32)), b"\x00"), None),
    "identifier": Parser(
        parse_uri,
        (ALICE.encode(), PHONE.encode(), ROOM.encode(), b"mimi://a.example"),
        lambda uri: bytes(uri.text.encode()),
    ),
    "directory": Parser(decode_directory, (DIRECTORY.encode(),), None),
}

BITS: Final = tuple(1 << bit for bit in range(8))
LENGTHS: Final = (
    *(b"\x00", b"\x01", b"\x02", b"\x3f", b"\x40\x00", b"\x40\x40", b"\x7f\xff"),
    *(b"\x80\x00\x40\x00", b"\xbf\xff\xff\xff", b"\xc0", b"\xff"),
)
"""Lengths at the edges of their forms, and beyond; booleans, small enumerations."""


def _mutated(seed: bytes, dice: random.Random) -> bytes:
    octets = bytearray(seed)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(octets) + 1)
        stop = at + dice.randint(1, 12)
        changed = dice.choice(
            (
                dice.randbytes(1),
                dice.choice(LENGTHS),
                bytes(octet ^ dice.choice(BITS) for octet in octets[at : at + 1]),
                octets[at:stop] * 2,
                b"",
            )
        )
        octets[at : dice.choice((at, at + 1, stop))] = changed
    return bytes(octets)


def _inputs(parser: Parser, count: int, dice: random.Random) -> Iterator[bytes]:
    for number in range(count):
        if number % 5 == 0:
            yield dice.randbytes(dice.randint(0, 120))
        else:
            yield _mutated(dice.choice(parser.examples), dice)


def _run(parser: Parser, count: int) -> dict[str, int]:
    seed = int(os.environ.get("SABIR_FUZZ_SEED", time.time_ns()))
    print(f"seed {seed}")
    found = {"values": 0, "refused": 0}
    for octets in _inputs(parser, count, random.Random(seed)):
        try:
            value = parser.parse(octets)
        except parser.refusals:
            found["refused"] += 1
        except Exception as error:
            error.add_note(f"seed {seed}: {octets.hex()}")
            raise
        else:
            found["values"] += 1
            if parser.write is not None:
                assert parser.write(value) == octets, f"seed {seed}: {octets.hex()}"
    return found


@pytest.mark.parametrize("name", PARSERS)
def test_mc_015_any_octets_are_a_value_or_malformed(name: str) -> None:
    found = _run(PARSERS[name], SHORT)
    assert found["refused"] > SHORT // 10
    assert sum(found.values()) == SHORT


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PARSERS)
def test_mc_015_a_million_octet_strings_are_values_or_malformed(name: str) -> None:
    found = _run(PARSERS[name], LONG)
    print(found)
    assert sum(found.values()) == LONG


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def _peak(parser: Parser, octets: bytes) -> int:
    """Return how much memory parsing took at most, in octets."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        kept = parser.parse(octets)
    except parser.refusals:
        kept = None
    peak = tracemalloc.get_traced_memory()[1] - before
    del kept
    return peak


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", PARSERS)
def test_mc_015_claimed_lengths_take_no_memory(name: str) -> None:
    """2^30-1 octets claimed, ten there: at every place of the examples, and nested."""
    bomb = b"\xbf\xff\xff\xff"
    parser = PARSERS[name]
    for octets in parser.examples:
        head = octets[:300]
        inputs = [head[:at] + bomb + bytes(10) for at in range(0, len(head), 2)]
        inputs += [head[:at] + bomb * 50 for at in range(0, len(head), 11)]
        for bad in inputs:
            assert _peak(parser, bad) < GROWTH_MAX * len(bad) + SLACK_OCTETS, bad.hex()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", PARSERS)
def test_mc_015_many_small_elements_take_memory_in_proportion(name: str) -> None:
    """A long vector of each of some octets, at places of an example."""
    parser = PARSERS[name]
    octets = parser.examples[0][:240]
    size = 20_000
    head = (0x8000_0000 | size).to_bytes(4, "big")
    for filler in (b"\0", b"\1\0", b"\0\1", b"\2\0"):
        body = head + (filler * size)[:size]
        for at in range(0, len(octets), 5):
            bad = octets[:at] + body
            peak = _peak(parser, bad)
            assert peak < DENSE_GROWTH_MAX * len(bad) + SLACK_OCTETS, (at, filler)
