"""Rules E: components, SafeAAD, framing, SelfRemove, wire formats."""

from dataclasses import replace

import pytest

from sabir.mls.codepoints import WireFormat
from sabir.mls.commit import ProposalReference
from sabir.mls.components import (
    APP_COMPONENTS,
    CONTENT_MEDIA_TYPES,
    SAFE_AAD,
    AppDataDictionary,
    ApplicationFraming,
    MediaType,
    dictionary_of,
    encode_components,
    encode_media_types,
    encode_safe_aad,
)
from sabir.mls.extensions import (
    APP_DATA_DICTIONARY,
    REQUIRED_CAPABILITIES,
    REQUIRED_WIRE_FORMATS,
    SUPPORTED_WIRE_FORMATS,
    Extension,
    RequiredCapabilities,
    encode_wire_formats,
)
from sabir.mls.framing import Sender
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import ApplicationMessage
from sabir.mls.group_info import sign_group_info
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    AppEphemeral,
    GroupContextExtensions,
    Remove,
    SelfRemove,
)
from sabir.mls.public_group import PublicGroup
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger, with_extension
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import COMPONENT, Register, World
from sabir.wire.tls import opaque, uint16, vector
from tests.unit.mls.negative.judges import misused, refuse
from tests.unit.mls.negative.test_proposals import (
    key_package,
    leaf_with,
    refuse_alone,
    refuse_commit,
)
from tests.unit.mls.negative.test_trees import info_with

DAVE = 3
UNKNOWN = 0x8002


def dictionary(*entries: tuple[int, bytes]) -> Extension:
    return Extension(APP_DATA_DICTIONARY, AppDataDictionary(entries).encode())


def unsorted(*entries: tuple[int, bytes]) -> Extension:
    data = vector(uint16(number) + opaque(octets) for number, octets in entries)
    return Extension(APP_DATA_DICTIONARY, data)


# ---- dictionaries


@pytest.mark.parametrize("ids", [(2, 1), (1, 1), (1, 3, 2)], ids=str)
def test_e01_a_dictionary_out_of_order_is_refused(
    world: World, carol: Forger, ids: tuple[int, ...]
) -> None:
    bad = unsorted(*((number, b"\x00") for number in ids))
    change = GroupContextExtensions((*carol.context.extensions, bad))
    refuse_commit(world, carol, Rule.E01, change)


@pytest.mark.parametrize("number", [0x0A0A, 0x7A7A])
def test_e15_grease_in_the_group_s_dictionary_is_refused(
    world: World, carol: Forger, number: int
) -> None:
    listed = encode_components((number,))
    for bad in (dictionary((number, b"")), dictionary((APP_COMPONENTS, listed))):
        change = GroupContextExtensions((*carol.context.extensions, bad))
        refuse_commit(world, carol, Rule.E15, change)
    client = world.person("yan").client
    with unchanged(*world.person("yan").belongings()), violates(Rule.E15):
        MlsGroup.create(
            world.env,
            client,
            b"g",
            (dictionary((number, b"")),),
            suite=world.suite.number,
        )


def test_e02_data_of_an_unknown_component_are_refused(
    world: World, carol: Forger
) -> None:
    refuse_alone(world, carol, Rule.E02, AppDataUpdate(UNKNOWN, b"data"))
    refuse_alone(world, carol, Rule.E02, AppEphemeral(UNKNOWN, b"data"))


def test_e03_removing_what_is_not_there_is_refused(world: World, carol: Forger) -> None:
    refuse_commit(world, carol, Rule.E03, AppDataUpdate(COMPONENT, None))


def test_e04_an_update_beside_a_remove_is_refused(world: World, carol: Forger) -> None:
    update, remove = AppDataUpdate(COMPONENT, b"data"), AppDataUpdate(COMPONENT, None)
    refuse_commit(world, carol, Rule.E04, update, remove)
    refuse_commit(world, carol, Rule.E04, remove, update)
    refuse_commit(world, carol, Rule.E04, remove, remove)


def test_e06_what_the_component_refuses_is_refused(world: World, carol: Forger) -> None:
    bad = Register.REFUSED
    refuse_commit(world, carol, Rule.E06, AppDataUpdate(COMPONENT, bad))
    refuse_commit(world, carol, Rule.E06, AppEphemeral(COMPONENT, bad))
    good = AppDataUpdate(COMPONENT, b"good")
    refuse_commit(world, carol, Rule.E06, AppDataUpdate(COMPONENT, bad), good)


def test_e05_the_dictionary_is_changed_by_app_data_update_alone() -> None:
    required = Extension(
        REQUIRED_CAPABILITIES, RequiredCapabilities(proposals=(8,)).encode()
    )
    world = World(extensions=(required, dictionary((COMPONENT, b"old"))))
    carol = Forger(world, "carol")
    old = carol.context.extensions
    touched = (
        with_extension(old, APP_DATA_DICTIONARY, b"\x00"),
        with_extension(old, APP_DATA_DICTIONARY, dictionary((COMPONENT, b"new")).data),
        tuple(each for each in old if each.kind != APP_DATA_DICTIONARY),
    )
    for extensions in touched:
        refuse_commit(world, carol, Rule.E05, GroupContextExtensions(extensions))
    world.commit("carol", [GroupContextExtensions(old)])
    world.commit("carol", [AppDataUpdate(COMPONENT, b"new")])
    found = dictionary_of(world.hub.context.extensions)
    assert found is not None
    assert found.find(COMPONENT) == b"new"
    world.works()


def test_updates_are_applied_in_order_and_removed_again(own: World) -> None:
    first, second = (AppDataUpdate(COMPONENT, octets) for octets in (b"1", b"2"))
    own.commit("carol", [first, AppEphemeral(COMPONENT, b"hello"), second])
    found = dictionary_of(own.hub.context.extensions)
    assert found is not None
    assert found.entries == ((COMPONENT, b"2"),)
    own.commit("dave", [AppDataUpdate(COMPONENT, None)])
    found = dictionary_of(own.hub.context.extensions)
    assert found is not None
    assert found.entries == ()
    own.works()


# ---- SafeAAD and framing


@pytest.fixture(scope="module")
def framed() -> World:
    """Return a group that frames authenticated data and application data."""
    world = World()
    media = encode_media_types([MediaType(b"text/plain")])
    listed = dictionary((SAFE_AAD, encode_components(())), (CONTENT_MEDIA_TYPES, media))
    old = world.hub.context.extensions
    world.commit("alice", [GroupContextExtensions((*old, listed))])
    return world


def bad_aads() -> dict[str, bytes]:
    one, two = (uint16(number) + opaque(b"x") for number in (1, 2))
    return {
        "none": b"",
        "text": b"hello",
        "unsorted": vector([two, one]),
        "twice": vector([one, one]),
        "cut": vector([one])[:-1],
        "longer": vector([one]) + b"\x00",
    }


@pytest.mark.parametrize("which", bad_aads())
def test_e07_authenticated_data_that_are_no_safe_aad_are_refused(
    framed: World, which: str
) -> None:
    aad = bad_aads()[which]
    carol = Forger(framed, "carol")
    refuse(framed, carol.proposal(Remove(DAVE), aad=aad).message, Rule.E07)
    refuse(framed, carol.commit(path=carol.path(), aad=aad), Rule.E07)
    data = ApplicationFraming(MediaType(b""), b"hello").encode()
    message = carol.authenticated(
        carol.content(data, aad=aad), form=WireFormat.PRIVATE_MESSAGE
    )
    refuse(framed, carol.private(message), Rule.E07, hub=False)
    group = framed.fork("carol")
    with unchanged(group), violates(Rule.E07):
        group.encrypt(framed.env, data, aad=aad)
    with unchanged(group), violates(Rule.E07):
        group.commit(framed.env, aad=aad)
    with unchanged(group), violates(Rule.E07):
        group.propose(framed.env, Remove(DAVE), aad=aad)


def test_e12_application_data_without_a_media_type_are_refused(
    framed: World,
) -> None:
    carol = Forger(framed, "carol")
    aad = encode_safe_aad({})
    right = ApplicationFraming(MediaType(b"text/plain"), b"hello").encode()
    for data in (b"", b"hello", right[:-1], right + b"\x00"):
        message = carol.authenticated(
            carol.content(data, aad=aad), form=WireFormat.PRIVATE_MESSAGE
        )
        refuse(framed, carol.private(message), Rule.E12, hub=False)
        group = framed.fork("carol")
        with unchanged(group), violates(Rule.E12):
            group.encrypt(framed.env, data, aad=aad)
    sent = framed.groups["carol"].encrypt(framed.env, right, aad=aad)
    heard = framed.deliver(sent.message, "carol")["bob"]
    assert isinstance(heard, ApplicationMessage)
    assert heard.data == right


# ---- SelfRemove


def test_e08_a_self_remove_by_value_is_refused(world: World, carol: Forger) -> None:
    refuse_commit(world, carol, Rule.E08, SelfRemove())


def test_e08_a_private_self_remove_is_refused(world: World, carol: Forger) -> None:
    message = carol.authenticated(
        carol.content(SelfRemove()), form=WireFormat.PRIVATE_MESSAGE
    )
    refuse(world, carol.private(message), Rule.E08, hub=False)
    group = world.fork("carol")
    with unchanged(group), violates(Rule.E08):
        group.propose(world.env, SelfRemove())


def test_e09_a_remove_beside_a_self_remove_is_refused(own: World) -> None:
    sent = own.groups["dave"].propose_self_remove(own.env)
    own.deliver(sent.message, "dave")
    assert sent.reference is not None
    carol = Forger(own, "carol")
    by_reference = ProposalReference(sent.reference)
    path = carol.path()
    refuse(own, carol.commit(by_reference, Remove(DAVE), path=path), Rule.E09)
    other = own.groups["erin"].propose(own.env, Remove(DAVE), as_public=True)
    own.deliver(other.message, "erin")
    assert other.reference is not None
    both = carol.commit(ProposalReference(other.reference), by_reference, path=path)
    refuse(own, both, Rule.E09)
    own.commit("carol")
    assert "dave" not in own.groups
    own.works()


def test_e10_a_second_self_remove_is_refused(own: World) -> None:
    """Ours is misuse; of another's two only one can be committed."""
    dave = own.groups["dave"]
    forger = Forger(own, "dave")
    first = dave.propose_self_remove(own.env)
    own.deliver(first.message, "dave")
    with misused("E10", dave):
        dave.propose_self_remove(own.env, aad=b"again")
    second = forger.proposal(SelfRemove(), aad=b"again")
    for name in ("alice", "bob", "carol", "erin"):
        own.groups[name].process(own.env, second.message)
    own.hub.process(own.env, second.message)
    assert first.reference is not None
    carol = Forger(own, "carol")
    both = carol.commit(
        ProposalReference(first.reference),
        ProposalReference(second.reference),
        path=carol.path(),
    )
    refuse(own, both, Rule.Q03)


def test_f07_a_self_remove_in_another_s_name_is_refused(
    world: World, carol: Forger
) -> None:
    framed = carol.content(SelfRemove(), sender=Sender.member(DAVE))
    refuse(world, carol.public(carol.authenticated(framed)), Rule.F07)


# ---- what all must support

PRIVATE_FORMAT = 0xF0F0


def test_e11_wire_formats_that_not_all_support_are_refused(
    world: World, carol: Forger
) -> None:
    required = Extension(REQUIRED_WIRE_FORMATS, encode_wire_formats((PRIVATE_FORMAT,)))
    change = GroupContextExtensions((*carol.context.extensions, required))
    refuse_commit(world, carol, Rule.E11, change)


def test_e11_a_new_member_supports_the_wire_formats() -> None:
    supported = Extension(
        SUPPORTED_WIRE_FORMATS, encode_wire_formats((PRIVATE_FORMAT,))
    )
    required = Extension(REQUIRED_WIRE_FORMATS, encode_wire_formats((PRIVATE_FORMAT,)))
    world = World(extensions=(required,), leaf_extensions=(supported,))
    carol = Forger(world, "carol")
    without = Add(key_package(world, "zoe", leaf_with(extensions=())))
    refuse_commit(world, carol, Rule.E11, without)
    path = carol.path(change=leaf_with(extensions=()))
    refuse(world, carol.commit(path=path), Rule.E11)
    world.add("alice", "zoe")
    world.works()


def test_e13_components_that_not_all_support_are_refused(
    world: World, carol: Forger
) -> None:
    listed = encode_components((COMPONENT,))
    for number in (APP_COMPONENTS, SAFE_AAD):
        change = GroupContextExtensions(
            (*carol.context.extensions, dictionary((number, listed)))
        )
        refuse_commit(world, carol, Rule.E13, change)


def test_e13_a_new_member_supports_the_components() -> None:
    listed = dictionary((APP_COMPONENTS, encode_components((COMPONENT,))))
    world = World(extensions=(listed,), leaf_extensions=(listed,))
    carol = Forger(world, "carol")
    without = Add(key_package(world, "zoe", leaf_with(extensions=())))
    refuse_commit(world, carol, Rule.E13, without)
    path = carol.path(change=leaf_with(extensions=()))
    refuse(world, carol.commit(path=path), Rule.E13)
    world.works()


def test_a_tree_of_members_without_support_is_refused(world: World) -> None:
    """As a founder might who did not ask its members."""
    listed = encode_components((COMPONENT,))
    alice = world.groups["alice"]
    epoch = alice.state.epoch
    assert epoch is not None
    right = info_with(world, lambda world, tree: None)
    for extension, rule in (
        (dictionary((APP_COMPONENTS, listed)), Rule.E13),
        (
            Extension(REQUIRED_WIRE_FORMATS, encode_wire_formats((PRIVATE_FORMAT,))),
            Rule.E11,
        ),
        (unsorted((2, b"\x00"), (1, b"\x00")), Rule.E01),
        (dictionary((0x0A0A, b"")), Rule.E15),
    ):
        extensions = (*right.group_context.extensions, extension)
        context = replace(right.group_context, extensions=extensions, raw=b"")
        forged = sign_group_info(
            world.suite,
            epoch.signature_key.reveal(),
            replace(right, group_context=context, raw=b""),
        )
        with unchanged(world.hub), violates(rule):
            PublicGroup.from_group_info(world.hub.services, forged)


# ---- safe export


def test_e14_a_component_s_secret_is_exported_once(own: World) -> None:
    for group in own.groups.values():
        group.safe_export(COMPONENT)
        with misused("E14", group):
            group.safe_export(COMPONENT)
        group.safe_export(UNKNOWN)
    loaded = own.fork("bob")
    with misused("E14", loaded):
        loaded.safe_export(COMPONENT)
    own.commit("alice")
    secrets = [group.safe_export(COMPONENT) for group in own.groups.values()]
    assert all(secret.ct_equal(secrets[0]) for secret in secrets)
