"""Rules E, one by one."""

import pytest

from sabir.mls.codepoints import SenderType, WireFormat
from sabir.mls.components import (
    APP_COMPONENTS,
    CONTENT_MEDIA_TYPES,
    SAFE_AAD,
    AppDataDictionary,
    ApplicationFraming,
    MediaType,
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
    Extensions,
    RequiredCapabilities,
    encode_wire_formats,
)
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import AppDataUpdate
from sabir.mls.validation import components as rules
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV, client

ANN = Sender.member(0)


def dictionary(entries: dict[int, bytes]) -> Extensions:
    data = AppDataDictionary(tuple(sorted(entries.items()))).encode()
    return (Extension(APP_DATA_DICTIONARY, data),)


def leaf(extensions: Extensions) -> LeafNodeIn:
    who = client("ann", leaf_extensions=extensions)
    return who.key_package(ENV, suite=1)[0].leaf_node


def context(extensions: Extensions) -> GroupContext:
    return GroupContext(1, b"g", 0, b"", b"", extensions)


def test_a_component_is_known_or_the_proposal_refused() -> None:
    with violates(Rule.E02):
        rules.known_component({}, 7)


def test_only_what_is_there_is_removed() -> None:
    rules.check_update_removes_something(dictionary({7: b""}), 7)
    for extensions in ((), dictionary({8: b""})):
        with violates(Rule.E03):
            rules.check_update_removes_something(extensions, 7)


def updates(*pairs: tuple[int, bytes | None]) -> ProposalList:
    return ProposalList(
        Proposed(AppDataUpdate(component, update), ANN) for component, update in pairs
    )


def test_updates_are_collected_by_component_in_order() -> None:
    found = rules.updates_by_component(
        updates((7, b"1"), (8, None), (7, b"2"), (9, b""))
    )
    assert found == {7: [b"1", b"2"], 8: [None], 9: [b""]}


@pytest.mark.parametrize(
    "pairs", [((7, b"1"), (7, None)), ((7, None), (7, b"1")), ((7, None), (7, None))]
)
def test_a_remove_stands_alone(pairs: tuple[tuple[int, bytes | None], ...]) -> None:
    with violates(Rule.E04):
        rules.updates_by_component(updates(*pairs))


def test_the_dictionary_belongs_to_app_data_update_where_that_is_required() -> None:
    required = Extension(
        REQUIRED_CAPABILITIES, RequiredCapabilities(proposals=(8,)).encode()
    )
    other = Extension(REQUIRED_CAPABILITIES, RequiredCapabilities().encode())
    data = dictionary({7: b""})
    rules.check_dictionary_untouched((required, *data), (*data, required))
    rules.check_dictionary_untouched(data, ())
    rules.check_dictionary_untouched((other, *data), ())
    for new in ((required,), (required, *dictionary({7: b"x"}))):
        with violates(Rule.E05):
            rules.check_dictionary_untouched((required, *data), new)
    with violates(Rule.E05):
        rules.check_dictionary_untouched((required,), data)


def test_a_self_remove_comes_from_a_member_in_the_clear() -> None:
    rules.check_self_remove_form(ANN, WireFormat.PUBLIC_MESSAGE)
    with violates(Rule.E08):
        rules.check_self_remove_form(ANN, WireFormat.PRIVATE_MESSAGE)
    with violates(Rule.E08):
        rules.check_self_remove_form(
            Sender(SenderType.EXTERNAL, 0), WireFormat.PUBLIC_MESSAGE
        )


def test_authenticated_data_are_framed_where_the_group_says_so() -> None:
    framed = context(dictionary({SAFE_AAD: encode_components(())}))
    rules.check_safe_aad(context(()), b"anything", DEFAULT_LIMITS)
    rules.check_safe_aad(framed, encode_safe_aad({7: b"x"}), DEFAULT_LIMITS)
    for wrong in (b"", b"anything", bytes.fromhex("06000700000700")):
        with violates(Rule.E07):
            rules.check_safe_aad(framed, wrong, DEFAULT_LIMITS)


def test_application_data_are_framed_where_the_group_says_so() -> None:
    media_types = encode_media_types([MediaType(b"text/plain")])
    framed = context(dictionary({CONTENT_MEDIA_TYPES: media_types}))
    rules.check_framing(context(()), b"anything")
    good = ApplicationFraming(MediaType(b""), b"hello").encode()
    rules.check_framing(framed, good)
    with violates(Rule.E12):
        rules.check_framing(framed, good + b"\x00")


def test_the_groups_dictionary_is_sorted_and_has_no_grease() -> None:
    rules.check_dictionary(())
    rules.check_dictionary(dictionary({7: b"", 8: b""}))
    unsorted = (Extension(APP_DATA_DICTIONARY, bytes.fromhex("06000800000700")),)
    with violates(Rule.E01):
        rules.check_dictionary(unsorted)
    for entries in (
        {0x1A1A: b""},
        {APP_COMPONENTS: encode_components((7, 0x0A0A))},
        {SAFE_AAD: encode_components((0x2A2A,))},
    ):
        with violates(Rule.E15):
            rules.check_dictionary(dictionary(entries))


def test_members_support_the_required_wire_formats() -> None:
    def group(*numbers: int) -> Extensions:
        return (Extension(REQUIRED_WIRE_FORMATS, encode_wire_formats(numbers)),)

    supported = leaf((Extension(SUPPORTED_WIRE_FORMATS, encode_wire_formats((9,))),))
    rules.check_members(group(9, 1), [supported, supported])
    rules.check_members((), [leaf(())])
    rules.check_members(group(2), [leaf(())])
    with violates(Rule.E11):
        rules.check_members(group(9), [supported, leaf(())])


@pytest.mark.parametrize("listed", [APP_COMPONENTS, SAFE_AAD])
def test_members_support_the_listed_components(listed: int) -> None:
    group = dictionary({listed: encode_components((7, 8))})
    able = leaf(dictionary({listed: encode_components((8, 0x0A0A, 7))}))
    rules.check_members(group, [able])
    for unable in (leaf(()), leaf(dictionary({listed: encode_components((7,))}))):
        with violates(Rule.E13):
            rules.check_members(group, [able, unable])
