"""Extensions: the list, and what is read out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import (
    APPLICATION_ID,
    EXTERNAL_PUB,
    EXTERNAL_SENDERS,
    EXTERNAL_SENDERS_MAX,
    REQUIRED_CAPABILITIES,
    REQUIRED_WIRE_FORMATS,
    SUPPORTED_WIRE_FORMATS,
    Extension,
    Extensions,
    ExternalSender,
    RequiredCapabilities,
    application_id_of,
    encode_extensions,
    encode_external_senders,
    encode_wire_formats,
    external_pub_of,
    external_senders_of,
    find_extension,
    read_extensions,
    required_capabilities_of,
    wire_formats_of,
)
from sabir.mls.limits import Limits
from sabir.testing.mls.structs import credentials, extensions, octets, uint16s
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole

NUMBERS = st.lists(uint16s, max_size=4).map(tuple)


@given(extensions)
def test_a_list_reads_as_written(listed: Extensions) -> None:
    assert read_whole(encode_extensions(listed), read_extensions) == listed


def test_equal_lists_are_one_object_and_long_ones_are_not_kept() -> None:
    short = encode_extensions([Extension(9, b"abc")])
    assert read_whole(short, read_extensions) is read_whole(short, read_extensions)
    long = encode_extensions([Extension(9, bytes(5000))])
    first, second = read_whole(long, read_extensions), read_whole(long, read_extensions)
    assert first == second
    assert first is not second


@pytest.mark.parametrize("size", [0, 5000])
def test_a_type_twice_is_refused(size: int) -> None:
    twice = [Extension(9, bytes(size)), Extension(9, b"")]
    with pytest.raises(Malformed) as wrong:
        read_whole(encode_extensions(twice), read_extensions)
    assert wrong.value.rule == "C10"


def test_more_extensions_than_the_limit_are_refused() -> None:
    three = encode_extensions(Extension(kind, b"") for kind in range(3))

    def read(count: int) -> Extensions:
        limits = Limits(extensions_per_list_max=count)
        return read_whole(three, lambda reader: read_extensions(reader, limits))

    assert len(read(3)) == 3
    with pytest.raises(Malformed) as wrong:
        read(2)
    assert wrong.value.rule == "C03"


def test_unknown_types_are_kept_as_they_came() -> None:
    listed = (Extension(0x0A0A, b"grease"), Extension(0xF000, b"private"))
    assert read_whole(encode_extensions(listed), read_extensions) == listed


def test_what_is_not_there_is_not_found() -> None:
    assert find_extension((Extension(9, b"x"),), 8) is None
    assert find_extension((Extension(8, b"y"), Extension(9, b"x")), 9) == b"x"
    assert required_capabilities_of(()) is None
    assert external_senders_of(()) == ()
    assert external_pub_of(()) is None
    assert application_id_of(()) is None
    assert wire_formats_of((), SUPPORTED_WIRE_FORMATS) == ()


@given(NUMBERS, NUMBERS, NUMBERS)
def test_required_capabilities_read_as_written(
    kinds: tuple[int, ...], proposals: tuple[int, ...], credentials: tuple[int, ...]
) -> None:
    required = RequiredCapabilities(kinds, proposals, credentials)
    listed = (Extension(REQUIRED_CAPABILITIES, required.encode()),)
    assert required_capabilities_of(listed) == required


@given(st.lists(st.builds(ExternalSender, octets, credentials), max_size=3).map(tuple))
def test_external_senders_read_as_written(senders: tuple[ExternalSender, ...]) -> None:
    listed = (Extension(EXTERNAL_SENDERS, encode_external_senders(senders)),)
    assert external_senders_of(listed) == senders


def test_more_external_senders_than_the_limit_are_refused() -> None:
    sender = ExternalSender(b"key", BasicCredential(b"bot"))

    def read(count: int) -> tuple[ExternalSender, ...]:
        octets = encode_external_senders([sender] * count)
        return external_senders_of((Extension(EXTERNAL_SENDERS, octets),))

    assert len(read(EXTERNAL_SENDERS_MAX)) == EXTERNAL_SENDERS_MAX
    with pytest.raises(Malformed) as wrong:
        read(EXTERNAL_SENDERS_MAX + 1)
    assert wrong.value.rule == "C03"


def test_external_senders_are_a_vector_of_key_and_credential() -> None:
    sender = ExternalSender(b"key", BasicCredential(b"bot"))
    assert encode_external_senders([sender]) == b"\x0a\x03key\x00\x01\x03bot"


@given(octets)
def test_a_key_and_an_id_read_as_written(data: bytes) -> None:
    assert external_pub_of((Extension(EXTERNAL_PUB, opaque(data)),)) == data
    assert application_id_of((Extension(APPLICATION_ID, opaque(data)),)) == data


@pytest.mark.parametrize("kind", [SUPPORTED_WIRE_FORMATS, REQUIRED_WIRE_FORMATS])
def test_wire_formats_read_as_written(kind: int) -> None:
    listed = (Extension(kind, encode_wire_formats((0xFB01, 7))),)
    assert wire_formats_of(listed, kind) == (0xFB01, 7)


def test_octets_behind_a_typed_extension_are_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        external_pub_of((Extension(EXTERNAL_PUB, opaque(b"key") + b"more"),))
    assert wrong.value.rule == "C05"
