"""What a group's own lists may hold: the limit is the same by whatever way they grow.

A list that a commit may make too long for its readers would end the group.
"""

import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from sabir.crypto import hpke
from sabir.errors import PeerMisbehaved
from sabir.mls.components import (
    APP_COMPONENTS,
    CONTENT_MEDIA_TYPES,
    SAFE_AAD,
    AppDataDictionary,
    MediaType,
    encode_components,
    encode_media_types,
    encode_safe_aad,
)
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import APP_DATA_DICTIONARY, Extension
from sabir.mls.group.group import MlsGroup
from sabir.mls.limits import (
    COMPONENTS_MAX,
    DICTIONARY_OCTETS_MAX,
    EXTERNAL_RECEIVERS_MAX,
    MEDIA_TYPE_OCTETS_MAX,
    MEDIA_TYPE_PARAMETERS_MAX,
    MEDIA_TYPES_MAX,
    MEDIA_TYPES_OCTETS_MAX,
)
from sabir.mls.proposals import AppDataUpdate, GroupContextExtensions, Remove
from sabir.mls.semi_private import (
    EXTERNAL_RECEIVERS,
    ExternalReceiver,
    encode_external_receivers,
)
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import COMPONENT, World
from sabir.wire.tls import opaque, uint64, varint
from tests.unit.mls.negative.judges import refuse
from tests.unit.mls.negative.test_proposals import refuse_commit
from tests.unit.mls.negative.test_semi_private import make

PLAIN: Final = MediaType(b"a/b")
"""In six octets."""


def dictionary(*entries: tuple[int, bytes]) -> Extension:
    return Extension(APP_DATA_DICTIONARY, AppDataDictionary(entries).encode())


def media(*media_types: MediaType) -> Extension:
    return dictionary((CONTENT_MEDIA_TYPES, encode_media_types(media_types)))


def parameters(count: int, octets: int = 0) -> MediaType:
    """Make a type with so many parameters; one of them has a value so long."""
    more = ((b"", b""),) * (count - 1)
    return MediaType(b"a/b", ((b"", bytes(octets)), *more))


def ids(count: int) -> tuple[int, ...]:
    """List ids that are not GREASE; an id may stand there twice."""
    return tuple(range(0x8000, 0x8000 + count))


def entries(count: int) -> Extension:
    return dictionary(*((number, b"") for number in ids(count)))


LISTS: Final[dict[str, tuple[Callable[[int], Extension], int]]] = {
    "entries": (entries, COMPONENTS_MAX),
    "components": (
        lambda count: dictionary((APP_COMPONENTS, encode_components(ids(count)))),
        COMPONENTS_MAX,
    ),
    "safe AAD components": (
        lambda count: dictionary((SAFE_AAD, encode_components(ids(count)))),
        COMPONENTS_MAX,
    ),
    "media types": (lambda count: media(*[PLAIN] * count), MEDIA_TYPES_MAX),
    "octets of media types": (
        lambda size: media(*[parameters(1, 1_000)] * (size // 1_010)),
        MEDIA_TYPES_OCTETS_MAX,
    ),
    "parameters": (lambda count: media(parameters(count)), MEDIA_TYPE_PARAMETERS_MAX),
    "octets of parameters": (
        lambda size: media(parameters(1, size - 3)),
        MEDIA_TYPE_OCTETS_MAX,
    ),
    "octets of a name": (
        lambda size: media(MediaType(bytes(size))),
        MEDIA_TYPE_OCTETS_MAX,
    ),
}
"""A group's list of some length, and how long it may be."""

PER_MEMBER: Final = ("components", "safe AAD components")
"""Each member must support what stands there: none of ours does."""


def one_more(name: str) -> Extension:
    make_list, most = LISTS[name]
    return make_list(most + 1_100 if name == "octets of media types" else most + 1)


@pytest.mark.parametrize("name", LISTS)
def test_c03_a_list_in_the_group_s_dictionary_has_a_limit(name: str) -> None:
    world = World()
    carol = Forger(world, "carol")
    old = carol.context.extensions
    rule = Rule.C04 if name in ELEMENTS else Rule.C03
    change = GroupContextExtensions((*old, one_more(name)))
    refuse_commit(world, carol, rule, change)
    alice = world.groups["alice"]
    with unchanged(alice), violates(rule):
        alice.commit(world.env, [change])
    make_list, most = LISTS[name]
    if name not in PER_MEMBER:
        world.commit("alice", [GroupContextExtensions((*old, make_list(most)))])
        world.commit("bob", force_path=True)
        world.check()


ELEMENTS: Final = ("parameters", "octets of parameters", "octets of a name")
"""Inside another list, what is too long is called C04, an element that does not fit."""


@pytest.mark.parametrize("name", LISTS)
def test_c03_nobody_founds_a_group_with_such_a_list(name: str) -> None:
    world = World(names=("alice",))
    rule = Rule.C04 if name in ELEMENTS else Rule.C03
    client = world.person("alice").client
    with unchanged(world.groups["alice"]), violates(rule):
        MlsGroup.create(world.env, client, b"g", (one_more(name),))


def test_c03_an_empty_list_of_media_types_is_refused(
    world: World, carol: Forger
) -> None:
    old = carol.context.extensions
    refuse_commit(world, carol, Rule.E12, GroupContextExtensions((*old, media())))


def test_c03_no_update_makes_a_dictionary_that_nobody_can_read() -> None:
    """As many entries as may be, and then one more; so with octets."""
    full = dictionary(*((number, b"") for number in range(0x8100, 0x8100 + 1_024)))
    room = AppDataDictionary(((0x8100, b""),)).encode()
    long = dictionary((0x8100, bytes(DICTIONARY_OCTETS_MAX - len(room) - 6 - 100)))
    for extension, size in ((full, 0), (long, 200)):
        world = World(names=("alice", "bob", "carol"), extensions=(extension,))
        carol = Forger(world, "carol")
        update = AppDataUpdate(COMPONENT, bytes(size))
        message = carol.commit(update)
        bob, alice = world.groups["bob"], world.groups["alice"]
        for judge in (bob, world.hub):
            with unchanged(judge), violates(Rule.C03):
                judge.process(world.env, message)
        with unchanged(alice), violates(Rule.C03):
            alice.commit(world.env, [update])
        world.works()


def test_c03_safe_aad_has_as_many_items_as_a_dictionary(own: World) -> None:
    framed = dictionary((SAFE_AAD, encode_components(())))
    old = own.hub.context.extensions
    own.commit("alice", [GroupContextExtensions((*old, framed))])
    carol = Forger(own, "carol")
    most, more = (
        encode_safe_aad(dict.fromkeys(ids(count), b""))
        for count in (COMPONENTS_MAX, COMPONENTS_MAX + 1)
    )
    refuse(own, carol.proposal(Remove(3), aad=more).message, Rule.E07)
    own.fork("bob").process(own.env, carol.proposal(Remove(3), aad=most).message)


# ---- who may read handshakes


def receivers(world: World, count: int) -> Extension:
    public = [
        hpke.derive_key_pair(world.suite, number.to_bytes(64, "big"))[1]
        for number in range(count)
    ]
    named = [ExternalReceiver(key, BasicCredential(b"hub")) for key in public]
    return Extension(EXTERNAL_RECEIVERS, encode_external_receivers(named))


def with_receivers(carol: Forger, new: Extension) -> GroupContextExtensions:
    rest = (each for each in carol.context.extensions if each.kind != new.kind)
    return GroupContextExtensions((*rest, new))


def test_c03_external_receivers_have_a_limit() -> None:
    world = make(1)
    carol = Forger(world, "carol")
    more = with_receivers(carol, receivers(world, EXTERNAL_RECEIVERS_MAX + 1))
    refuse_commit(world, carol, Rule.C03, more)
    with unchanged(world.groups["alice"]), violates(Rule.C03):
        world.groups["alice"].commit(world.env, [more])
    most = with_receivers(carol, receivers(world, EXTERNAL_RECEIVERS_MAX))
    world.commit("alice", [most])
    sealed = world.groups["alice"].commit(world.env).commit
    bob = world.groups["bob"]
    bob.process(world.env, sealed)


def test_l14_an_external_receiver_has_a_key() -> None:
    """Each handshake is sealed to it: nobody could send one."""
    world = make(1)
    carol = Forger(world, "carol")
    bad = ExternalReceiver(b"no key", BasicCredential(b"hub"))
    data = encode_external_receivers([bad])
    change = with_receivers(carol, Extension(EXTERNAL_RECEIVERS, data))
    refuse_commit(world, carol, Rule.L14, change)
    client = world.person("alice").client
    with unchanged(world.groups["alice"]), violates(Rule.L14):
        MlsGroup.create(world.env, client, b"h", change.extensions)


# ---- memory


def spent(judge: Callable[[bytes], object], message: bytes) -> int:
    """Return how many octets refusing a message took at most."""
    tracemalloc.start()
    with pytest.raises(PeerMisbehaved):
        judge(message)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


SIZE: Final = 4_000_000
"""As much as a message may have, but for what is around it."""


def repeated(component_id: int, element: bytes) -> Extension:
    count = SIZE // len(element)
    data = varint(count * len(element)) + element * count
    return dictionary((component_id, data))


def test_a_list_in_a_group_s_context_takes_no_more_memory_than_other_octets(
    own: World,
) -> None:
    """Of the smallest elements, which take up to forty times their size when read."""
    carol, bob = Forger(own, "carol"), own.groups["bob"]

    def message(extension: Extension) -> bytes:
        return carol.commit(GroupContextExtensions((extension,)), path=carol.path())

    def judge(octets: bytes) -> object:
        return bob.process(own.env, octets)

    entry = Extension(APP_DATA_DICTIONARY, varint(SIZE // 3 * 3) + bytes(SIZE // 3 * 3))
    flat = spent(judge, message(dictionary((0x0A0A, bytes(SIZE)))))
    for dense in (
        entry,
        repeated(APP_COMPONENTS, b"\x80\x00"),
        repeated(SAFE_AAD, b"\x80\x00"),
        repeated(CONTENT_MEDIA_TYPES, b"\x00\x00"),
        repeated(CONTENT_MEDIA_TYPES, b"\x00" + varint(2_000) + bytes(2_000)),
    ):
        assert spent(judge, message(dense)) < flat + (1 << 20)


def test_the_keys_of_a_semi_private_message_take_no_more_memory_than_its_text() -> None:
    """Nobody asks who sent it before it is read."""
    world = make(1)
    bob = world.groups["bob"]

    def message(keys: bytes, text: bytes) -> bytes:
        head = opaque(bob.group_id) + uint64(bob.epoch) + b"\x02\x00\x00"
        return b"\x00\x01\xfb\x01" + head + keys + b"\x00\x00" + opaque(text)

    def judge(octets: bytes) -> object:
        return bob.process(world.env, octets)

    count = SIZE // 3 * 3
    flat = spent(judge, message(b"\x00", bytes(SIZE)))
    dense = spent(judge, message(varint(count) + bytes(count), b""))
    assert dense < flat + (1 << 20)
