"""RatchetTreeOption and PartialGroupInfo."""

import pytest

from sabir.mls.errors import MlsUnsupported
from sabir.mls.extensions import Extension
from sabir.mls.tree_options import (
    PartialGroupInfo,
    RatchetTreeOption,
    TreePresence,
    read_partial_group_info,
    read_tree_option,
)
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole


def read_option(octets: bytes) -> RatchetTreeOption:
    return read_whole(octets, lambda reader: read_tree_option(reader, 100))


@pytest.mark.parametrize("tree", [None, b"\x00", b"\x03abc"])
def test_a_tree_option_reads_as_written(tree: bytes | None) -> None:
    assert read_option(RatchetTreeOption(tree).encode()) == RatchetTreeOption(tree)


def test_the_octets_of_a_tree_option_are_those_of_the_draft() -> None:
    assert RatchetTreeOption(None).encode() == b"\x04"
    assert RatchetTreeOption(b"\x03abc").encode() == b"\x01\x03abc"


@pytest.mark.parametrize("number", [2, 3])
def test_forms_whose_signature_nothing_defines_are_unsupported(number: int) -> None:
    with pytest.raises(MlsUnsupported):
        read_option(bytes((number,)))


@pytest.mark.parametrize("number", [0, 5, 255])
def test_unknown_forms_are_malformed(number: int) -> None:
    with pytest.raises(Malformed) as wrong:
        read_option(bytes((number,)))
    assert wrong.value.rule == "C07"


def test_a_tree_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        read_tree_option(
            Reader(RatchetTreeOption(b"\x40\x65" + bytes(101)).encode()), 100
        )
    assert wrong.value.rule == "C03"


def test_a_partial_group_info_reads_as_written() -> None:
    written = PartialGroupInfo(
        TreePresence.ADDED, (Extension(4, b"\x01k"), Extension(0x0A0A, b"")), b"signed"
    )
    octets = written.encode()
    assert octets.hex() == "03" + "08" + "0004" + "02016b" + "0a0a" + "00" + "06" + (
        b"signed".hex()
    )
    assert read_whole(octets, read_partial_group_info) == written


def test_an_unknown_presence_is_malformed() -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(b"\x04\x00\x00", read_partial_group_info)
    assert wrong.value.rule == "C07"


def test_presence_says_whether_this_epoch_has_the_tree() -> None:
    assert [presence.now for presence in TreePresence] == [False, True, False, True]
