"""Octets that were changed, cut, or lie about their length, as anybody sends them."""

import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pytest

from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.mls.extensions import Extension
from sabir.mls.framing import PublicMessage, decode_message, encode_message
from sabir.mls.group.group import stage_external_join, stage_welcome
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.proposals import Add, GroupContextExtensions, Remove
from sabir.mls.public_group import PublicGroup
from sabir.mls.validation.key_package import validate_key_package
from sabir.mls.validation.leaf_node import LeafRules
from sabir.mls.validation.rules import Rule
from sabir.mls.waiting import Waiting
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import REGISTRY, World
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, uint16, uint64
from tests.unit.mls.negative.judges import (
    SUITES_TRIED,
    refuse_octets,
    unsupported,
)

REFUSALS: Final = (Malformed, MlsInvalid, MlsUnsupported, MlsMissing)

STRIDES: Final = {1: 1, 2: 13, 4: 13}
"""Every octet for the first suite, some for those that differ in sizes only."""


KINDS: Final = (
    "commit",
    "private commit",
    "external commit",
    "proposal",
    "private proposal",
    "application data",
    "Welcome",
    "GroupInfo",
    "KeyPackage",
)


@dataclass
class Sent:
    """One valid message of each kind, and who judges it."""

    world: World
    messages: dict[str, bytes]
    judges: Mapping[str, Callable[[bytes], object]]


@pytest.fixture(scope="module", params=SUITES_TRIED, ids="suite{}".format)
def sent(request: pytest.FixtureRequest) -> Iterator[Sent]:
    """Return messages that nobody has processed; all still work when all was tried."""
    world = World(request.param)
    carol = world.fork("carol")
    package, secrets = world.person("zoe").key_package()
    proposal = carol.propose(world.env, Remove(3), as_public=True).message
    sealed_proposal = carol.propose(world.env, Remove(3)).message
    carol = world.fork("carol")
    data = carol.encrypt(world.env, b"hello").message
    pending = carol.commit(world.env, [Add(package)], as_public=True, force_path=True)
    welcome = pending.welcome_for_sequencer()
    assert welcome is not None
    sealed = world.fork("carol").commit(world.env).commit
    zoe = world.person("zoe").client
    join = stage_external_join(
        world.env, zoe, world.groups["alice"].group_info(with_tree=True), member_of=()
    )
    rules = LeafRules(suite=world.suite, authentication=world.person("hub").trust)

    def member(message: bytes) -> object:
        return world.groups["bob"].process(world.env, message)

    def joiner(message: bytes) -> object:
        return stage_welcome(zoe, message, [secrets], member_of=())

    def outsider(message: bytes) -> object:
        info = decode_message(message, REGISTRY).body
        assert not isinstance(info, PublicMessage)
        return stage_external_join(world.env, zoe, message, member_of=())

    def server(message: bytes) -> object:
        body = decode_message(message, REGISTRY).body
        if not isinstance(body, KeyPackageIn):
            raise MlsInvalid(Rule.K05, "another kind of message")
        return validate_key_package(body, rules, world.env.now())

    info = world.groups["alice"].group_info(with_tree=True)
    yield Sent(
        world,
        {
            "commit": pending.commit,
            "private commit": sealed,
            "external commit": join.commit,
            "proposal": proposal,
            "private proposal": sealed_proposal,
            "application data": data,
            "Welcome": encode_message(welcome),
            "GroupInfo": encode_message(info),
            "KeyPackage": encode_message(package),
        },
        {
            **dict.fromkeys(KINDS, member),
            "Welcome": joiner,
            "GroupInfo": outsider,
            "KeyPackage": server,
        },
    )
    for group in world.groups.values():
        group.public.pending = Waiting(group.public.services.limits)
    world.works()


PUBLIC: Final = ("commit", "external commit", "proposal")


def flipped(message: bytes, index: int) -> bytes:
    """Change one bit of one octet behind the version and the wire format."""
    changed = bytearray(message)
    changed[index] ^= 1 << index % 8
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_with_any_octet_changed_is_refused(sent: Sent, kind: str) -> None:
    message, judge = sent.messages[kind], sent.judges[kind]
    stride = STRIDES[sent.world.suite.number]
    watched = [sent.world.groups["bob"]]
    with unchanged(*watched):
        for index in range(4, len(message), stride):
            with pytest.raises(REFUSALS):
                judge(flipped(message, index))
    for index in range(4):
        with pytest.raises(MlsUnsupported):
            decode_message(flipped(message, index)[:4] + b"\xff" * 8, REGISTRY)


@pytest.mark.parametrize("kind", PUBLIC)
def test_a_hub_misses_nothing_but_what_only_members_can_check(
    sent: Sent, kind: str
) -> None:
    """The tags at the end: of a commit both, of a proposal that of membership."""
    message, world = sent.messages[kind], sent.world
    tag = 1 + world.suite.nh
    if world.suite.nh > 63:
        tag += 1
    unseen = {"commit": 2 * tag, "external commit": tag, "proposal": tag}[kind]
    with unchanged(world.hub):
        for index in range(4, len(message) - unseen, STRIDES[world.suite.number]):
            with pytest.raises(REFUSALS):
                world.hub.process(world.env, flipped(message, index))


def test_a_hub_begins_with_no_changed_group_info(sent: Sent) -> None:
    message, world = sent.messages["GroupInfo"], sent.world
    for index in range(4, len(message), 7 * STRIDES[world.suite.number]):
        with pytest.raises(REFUSALS):
            follow(world, flipped(message, index))


def follow(world: World, message: bytes) -> PublicGroup:
    body = decode_message(message, REGISTRY).body
    assert isinstance(body, GroupInfoIn)
    return PublicGroup.from_group_info(world.hub.services, body)


# ---- truncation


@pytest.mark.parametrize("kind", KINDS)
def test_every_prefix_of_a_message_is_malformed(sent: Sent, kind: str) -> None:
    message = sent.messages[kind]
    for size in range(0, len(message), STRIDES[sent.world.suite.number]):
        with pytest.raises(Malformed) as wrong:
            decode_message(message[:size], REGISTRY)
        assert wrong.value.rule in {"C03", "C04"}


@pytest.mark.parametrize("kind", KINDS)
def test_c05_octets_behind_a_message_are_refused(sent: Sent, kind: str) -> None:
    message, judge = sent.messages[kind], sent.judges[kind]
    for more in (b"\x00", b"\x01\x02", message):
        with unchanged(sent.world.groups["bob"]), violates(Rule.C05):
            judge(message + more)


# ---- lengths

HUGE: Final = b"\xbf\xff\xff\xff"
"""A length of 2^30 - 1."""

HEADS: Final = {
    "PublicMessage": b"\x00\x01\x00\x01",
    "PrivateMessage": b"\x00\x01\x00\x02",
    "Welcome": b"\x00\x01\x00\x03\x00\x01",
    "GroupInfo": b"\x00\x01\x00\x04\x00\x01\x00\x01",
    "KeyPackage": b"\x00\x01\x00\x05\x00\x01\x00\x01",
}


@pytest.mark.parametrize("kind", HEADS)
def test_c03_a_length_beyond_the_input_costs_nothing(world: World, kind: str) -> None:
    message = HEADS[kind] + HUGE + bytes(10)
    refuse_octets(world, message, Rule.C03)  # what is made once is made now
    bob = world.groups["bob"]
    with unchanged(bob):
        tracemalloc.start()
        with violates(Rule.C03):
            bob.process(world.env, message)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8_192, "an exception with its text, and nothing for the vector"


@pytest.mark.parametrize("kind", HEADS)
def test_c01_lengths_in_more_octets_than_needed_are_refused(
    world: World, kind: str
) -> None:
    for wrong in (b"\x40\x3f", b"\x40\x00", b"\x80\x00\x3f\xff", b"\x80\x00\x00\x00"):
        refuse_octets(world, HEADS[kind] + wrong + bytes(20_000), Rule.C01)


@pytest.mark.parametrize("kind", HEADS)
def test_c02_the_prefix_that_means_nothing_is_refused(world: World, kind: str) -> None:
    for wrong in (b"\xc0", b"\xff\xff\xff\xff"):
        refuse_octets(world, HEADS[kind] + wrong + bytes(20_000), Rule.C02)


def public_commit(body: bytes) -> bytes:
    """Frame the octets of a commit."""
    head = opaque(b"the group") + uint64(5) + b"\x01" + bytes(4) + opaque(b"")
    tail = opaque(bytes(64)) + opaque(bytes(32)) + opaque(bytes(32))
    return HEADS["PublicMessage"] + head + b"\x03" + body + tail


def test_nested_lengths_are_checked_against_what_is_around_them() -> None:
    inside = HUGE + bytes(10)
    for message in (
        public_commit(HUGE + bytes(10)),
        public_commit(opaque(b"\x01\x00\x06" + inside)),
        public_commit(opaque(b"\x01\x00\x07" + opaque(b"\x00\x01" + inside))),
        public_commit(opaque(b"\x02" + inside)),
    ):
        with pytest.raises(Malformed) as wrong:
            decode_message(message)
        assert wrong.value.rule in {"C03", "C04"}


def test_memory_stays_below_a_few_times_the_input() -> None:
    """Four for what is flat; in a handshake each struct around keeps its octets."""
    head = opaque(b"g") + uint64(1) + b"\x01" + opaque(b"") + opaque(bytes(28))
    message = HEADS["PrivateMessage"] + head + opaque(bytes(200_000))
    nested = public_commit(opaque(b"\x01\x00\x06" + opaque(bytes(200_000))) + b"\x00")
    for each, times in ((message, 4), (nested, 7), (nested[:-1], 7)):
        tracemalloc.start()
        with suppress(Malformed):
            decode_message(each)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < times * len(each)


def test_c03_more_proposals_than_the_limit_are_refused(own: World) -> None:
    remove = b"\x01\x00\x03\x00\x00\x00\x01"
    more = public_commit(opaque(remove * 4_097) + b"\x00")
    refuse_octets(own, more, Rule.C03)
    decode_message(public_commit(opaque(remove * 4_096) + b"\x00"))


def test_c04_an_odd_number_of_octets_is_no_vector_of_uint16(own: World) -> None:
    leaf = (
        opaque(b"encryption key") + opaque(b"signature key") + uint16(1) + opaque(b"")
    )
    odd = leaf + opaque(b"\x00\x01\x00")
    message = HEADS["KeyPackage"] + opaque(b"init key") + odd + bytes(40)
    refuse_octets(own, message, Rule.C04)


def test_c06_a_presence_octet_is_zero_or_one(own: World) -> None:
    for presence in (2, 3, 0x80, 0xFF):
        message = public_commit(opaque(b"") + bytes([presence]))
        refuse_octets(own, message, Rule.C06)


@pytest.mark.parametrize("number", [0, 5, 0xFF])
def test_c07_unknown_kinds_are_refused(world: World, number: int) -> None:
    octet = bytes([number])
    group = opaque(b"the group") + uint64(5)
    content = b"\x01" + bytes(4) + opaque(b"")
    for message in (
        HEADS["PublicMessage"] + group + octet + bytes(40),  # sender
        HEADS["PublicMessage"] + group + content + octet + bytes(40),  # content
        HEADS["PrivateMessage"] + group + octet + bytes(40),  # content
        public_commit(opaque(octet + bytes(40)) + b"\x00"),  # proposal or reference
        public_commit(opaque(b"\x01\x00\x04" + octet + bytes(3)) + b"\x00"),  # PSK
    ):
        refuse_octets(world, message, Rule.C07)


def test_c08_versions_and_wire_formats_that_we_do_not_know_are_unsupported(
    sent: Sent,
) -> None:
    bob = sent.world.groups["bob"]
    message = sent.messages["commit"]
    for version in (0, 2, 0xFFFF):
        with unsupported("protocol version", version, bob):
            bob.process(sent.world.env, uint16(version) + message[2:])
    for number in (0, 6, 0xF0F0):
        with unsupported("wire format", number, bob):
            bob.process(sent.world.env, uint16(1) + uint16(number) + message[4:])


def test_c10_an_extension_twice_is_refused(sent: Sent) -> None:
    carol = Forger(sent.world, "carol")
    twice = (Extension(0xF0AB, b""), Extension(0xF0AB, b""))
    for message in (
        carol.proposal(GroupContextExtensions(twice)).message,
        carol.commit(GroupContextExtensions(twice), path=carol.path()),
    ):
        with unchanged(sent.world.groups["bob"]), violates(Rule.C10):
            sent.world.groups["bob"].process(sent.world.env, message)
        with unchanged(sent.world.hub), violates(Rule.C10):
            sent.world.hub.process(sent.world.env, message)
