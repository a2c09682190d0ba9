"""Application components: the octets, and where they lie."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mls import components, limits
from sabir.mls.components import (
    APP_COMPONENTS,
    CONTENT_MEDIA_TYPES,
    LAST_RESORT_EXTENSION,
    LAST_RESORT_KEY_PACKAGE,
    SAFE_AAD,
    AppDataDictionary,
    ApplicationFraming,
    MediaType,
)
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import APP_DATA_DICTIONARY, Extension, Extensions
from sabir.mls.group_context import GroupContext
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole

Parse = Callable[[Reader], Any]

IDS = st.integers(0, 0xFFFF)
ENTRIES = st.dictionaries(IDS, st.binary(max_size=20), max_size=6)


def dictionary(entries: dict[int, bytes]) -> AppDataDictionary:
    return AppDataDictionary(tuple(sorted(entries.items())))


def context_with(entries: dict[int, bytes]) -> GroupContext:
    extension = Extension(APP_DATA_DICTIONARY, dictionary(entries).encode())
    return GroupContext(1, b"g", 0, b"", b"", (extension,))


EMPTY = GroupContext(1, b"g", 0, b"", b"")


@given(ENTRIES)
def test_a_dictionary_reads_as_written(entries: dict[int, bytes]) -> None:
    written = dictionary(entries)
    assert read_whole(written.encode(), components.read_dictionary) == written


@given(ENTRIES, IDS, st.binary(max_size=8))
def test_entries_are_replaced_and_removed_in_order(
    entries: dict[int, bytes], number: int, data: bytes
) -> None:
    changed = dictionary(entries).with_entry(number, data)
    assert changed == dictionary({**entries, number: data})
    assert changed.find(number) == data
    assert changed.without(number).find(number) is None


@pytest.mark.parametrize("octets", ["060001000001 00", "06000200 000100"])
def test_unsorted_or_double_entries_break_e01(octets: str) -> None:
    with pytest.raises(MlsInvalid) as wrong:
        read_whole(bytes.fromhex(octets), components.read_dictionary)
    assert wrong.value.rule == Rule.E01.name


def test_the_octets_of_a_dictionary_are_those_of_the_draft() -> None:
    assert dictionary({3: b"x", 1: b""}).encode().hex() == "07000100000301" + "78"


def test_a_dictionary_is_appended_where_there_is_none_and_else_stays_in_place() -> None:
    other: Extensions = (Extension(0x0003, b""), Extension(0x0005, b""))
    appended = components.with_dictionary(other, dictionary({1: b"a"}))
    assert [extension.kind for extension in appended] == [3, 5, 6]
    first = (appended[2], *other)
    again = components.with_dictionary(first, dictionary({1: b"b"}))
    assert [extension.kind for extension in again] == [6, 3, 5]
    assert components.component_of(again, 1) == b"b"
    assert components.component_of(again, 2) is None
    assert components.component_of(other, 1) is None


def test_both_marks_of_last_resort_are_read() -> None:
    mark = dictionary({LAST_RESORT_KEY_PACKAGE: b""}).encode()
    assert components.is_last_resort((Extension(APP_DATA_DICTIONARY, mark),))
    assert components.is_last_resort((Extension(LAST_RESORT_EXTENSION, b""),))
    assert not components.is_last_resort((Extension(APP_DATA_DICTIONARY, b"\x00"),))


@given(st.lists(IDS, max_size=5))
def test_lists_of_components_read_as_written(ids: list[int]) -> None:
    data = components.encode_components(ids)
    context = context_with({APP_COMPONENTS: data})
    found = components.listed_components(context.extensions, APP_COMPONENTS)
    assert found == tuple(ids)
    assert components.listed_components(context.extensions, SAFE_AAD) == ()


def test_grease_is_known_by_its_octets() -> None:
    assert components.is_grease(0x0A0A)
    assert components.is_grease(0x7A7A)
    assert not components.is_grease(0x0A1A)


@given(ENTRIES)
def test_safe_aad_reads_as_written(items: dict[int, bytes]) -> None:
    assert components.read_safe_aad(components.encode_safe_aad(items), 1000) == items


def test_safe_aad_out_of_order_or_behind_something_is_refused() -> None:
    with pytest.raises(MlsInvalid) as wrong:
        components.read_safe_aad(bytes.fromhex("06000200000100"), 1000)
    assert wrong.value.rule == Rule.E07.name
    with pytest.raises(Malformed):
        components.read_safe_aad(b"\x00 hello", 1000)
    with pytest.raises(Malformed):
        components.read_safe_aad(components.encode_safe_aad({1: bytes(2000)}), 1000)


def test_a_group_frames_its_aad_when_the_component_is_there_even_empty() -> None:
    assert components.requires_safe_aad(context_with({SAFE_AAD: b"\x00"}))
    assert not components.requires_safe_aad(context_with({1: b"\x00"}))
    assert not components.requires_safe_aad(EMPTY)


TEXT = MediaType(b"text/plain", ((b"charset", b"UTF-8"),))
CBOR = MediaType(b"application/cbor")


def test_media_types_read_as_written() -> None:
    data = components.encode_media_types((TEXT, CBOR))
    assert read_whole(data, components.read_media_types) == (TEXT, CBOR)
    extensions = context_with({CONTENT_MEDIA_TYPES: data}).extensions
    assert components.media_types_of(extensions) == (TEXT, CBOR)
    assert components.media_types_of(()) is None


def test_an_empty_list_of_media_types_breaks_e12() -> None:
    with pytest.raises(MlsInvalid) as wrong:
        read_whole(b"\x00", components.read_media_types)
    assert wrong.value.rule == Rule.E12.name


LISTS: dict[str, tuple[Parse, Callable[[int], bytes], int]] = {
    "entries": (
        components.read_dictionary,
        lambda count: dictionary(dict.fromkeys(range(count), b"")).encode(),
        limits.COMPONENTS_MAX,
    ),
    "octets of entries": (
        components.read_dictionary,
        lambda size: dictionary({1: bytes(size - 6)}).encode(),
        limits.DICTIONARY_OCTETS_MAX,
    ),
    "components": (
        components.read_components,
        lambda count: components.encode_components(range(count)),
        limits.COMPONENTS_MAX,
    ),
    "SafeAAD": (
        lambda reader: components.read_safe_aad(reader.data, 1 << 16),
        lambda count: components.encode_safe_aad(dict.fromkeys(range(count), b"")),
        limits.COMPONENTS_MAX,
    ),
    "media types": (
        components.read_media_types,
        lambda count: components.encode_media_types([CBOR] * count),
        limits.MEDIA_TYPES_MAX,
    ),
    "octets of media types": (
        components.read_media_types,
        lambda size: components.encode_media_types(
            [MediaType(bytes(61))] * (size // 64)
        ),
        limits.MEDIA_TYPES_OCTETS_MAX,
    ),
    "parameters": (
        components.read_media_type,
        lambda count: MediaType(b"a/b", ((b"c", b"d"),) * count).encode(),
        limits.MEDIA_TYPE_PARAMETERS_MAX,
    ),
    "octets of parameters": (
        components.read_media_type,
        lambda size: MediaType(b"a/b", ((b"", bytes(size - 3)),)).encode(),
        limits.MEDIA_TYPE_OCTETS_MAX,
    ),
    "octets of a name": (
        components.read_media_type,
        lambda size: MediaType(bytes(size)).encode(),
        limits.MEDIA_TYPE_OCTETS_MAX,
    ),
}
"""What reads a list, what writes one of some length, and how long it may be."""


@pytest.mark.parametrize("name", LISTS)
def test_each_list_has_a_limit(name: str) -> None:
    read, write, most = LISTS[name]
    read(Reader(write(most)))
    with pytest.raises(Malformed) as wrong:
        read(Reader(write(most + 64)))
    assert wrong.value.rule == "C03"


def test_a_long_dictionary_is_read_each_time_and_nothing_of_it_is_kept() -> None:
    long = context_with({7: bytes(100_000)})
    first = components.dictionary_of(long.extensions)
    assert first is not None
    assert first is not components.dictionary_of(long.extensions)
    short = context_with({7: bytes(1_000)})
    kept = components.dictionary_of(short.extensions)
    assert kept is components.dictionary_of(short.extensions)


def test_framed_data_bring_their_media_type_or_mean_the_groups_first() -> None:
    listed = components.encode_media_types((TEXT, CBOR))
    context = context_with({CONTENT_MEDIA_TYPES: listed})
    framed = ApplicationFraming(CBOR, b"hello")
    assert components.read_application_framing(context, framed.encode()) == framed
    short = ApplicationFraming(MediaType(b""), b"hello").encode()
    assert components.read_application_framing(context, short) == ApplicationFraming(
        TEXT, b"hello"
    )
    with pytest.raises(Malformed):
        components.read_application_framing(context, b"hello")


def test_data_in_groups_without_media_types_are_not_framed() -> None:
    assert components.read_application_framing(EMPTY, b"hello") is None


def test_the_label_of_a_component_is_the_drafts_struct() -> None:
    label = components.component_label(0x0102, b"op")
    assert label == b"\x0dMLS Component\x01\x02\x02op"
