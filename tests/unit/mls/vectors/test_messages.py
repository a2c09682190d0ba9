"""messages: every kind is read, and each part inside is written from its fields."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from sabir.errors import Error
from sabir.mls.codepoints import ProposalKind, WireFormat
from sabir.mls.commit import read_commit
from sabir.mls.framing import decode_message
from sabir.mls.proposals import read_proposal
from sabir.mls.ratchet_tree import read_ratchet_tree
from sabir.mls.welcome import read_group_secrets
from sabir.testing.mls.structs import fields_of, parts_of
from sabir.testing.mls.vectors import Case, Strict, cases, for_each, load
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole, uint16

MESSAGES: Final = {
    "mls_welcome": WireFormat.WELCOME,
    "mls_group_info": WireFormat.GROUP_INFO,
    "mls_key_package": WireFormat.KEY_PACKAGE,
    "public_message_application": WireFormat.PUBLIC_MESSAGE,
    "public_message_proposal": WireFormat.PUBLIC_MESSAGE,
    "public_message_commit": WireFormat.PUBLIC_MESSAGE,
    "private_message": WireFormat.PRIVATE_MESSAGE,
}
PROPOSALS: Final = {
    "add_proposal": ProposalKind.ADD,
    "update_proposal": ProposalKind.UPDATE,
    "remove_proposal": ProposalKind.REMOVE,
    "pre_shared_key_proposal": ProposalKind.PRE_SHARED_KEY,
    "re_init_proposal": ProposalKind.RE_INIT,
    "external_init_proposal": ProposalKind.EXTERNAL_INIT,
    "group_context_extensions_proposal": ProposalKind.GROUP_CONTEXT_EXTENSIONS,
}


@for_each("messages")
def test_each_kind_is_read_and_written(vector: Strict) -> None:
    for key, wire_format in MESSAGES.items():
        message = decode_message(vector.octets(key))
        assert message.wire_format is wire_format
        assert message.raw == vector.octets(key)
        check_parts(message)
    for key, kind in PROPOSALS.items():
        octets = uint16(kind) + vector.octets(key)
        proposal = read_whole(octets, read_proposal)
        assert proposal.kind == kind
        assert proposal.raw == octets
        check_parts(proposal)
    check_parts(read_whole(vector.octets("commit"), read_commit))
    secrets = read_whole(vector.octets("group_secrets"), read_group_secrets)
    assert secrets.encode() == vector.octets("group_secrets")
    tree = read_whole(vector.octets("ratchet_tree"), read_ratchet_tree)
    assert tree.encode() == vector.octets("ratchet_tree")


def check_parts(value: object) -> None:
    """Write each struct inside from its own fields."""
    for part in parts_of(value):
        assert part.encode() == part.raw


CASES: Final = cases("messages", first=True)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_cut_short_is_refused(case: Case) -> None:
    for octets, read in readers(load(case)):
        for size in range(len(octets)):
            with pytest.raises(Malformed):
                read(octets[:size])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_octets_behind_a_message_are_refused(case: Case) -> None:
    for octets, read in readers(load(case)):
        with pytest.raises(Malformed) as wrong:
            read(octets + b"\x00")
        assert wrong.value.rule == "C05"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_changed_octet_is_refused_or_gives_another_value(case: Case) -> None:
    for octets, read in readers(load(case)):
        original = fields_of(read(octets))
        for place in range(len(octets)):
            changed = bytearray(octets)
            changed[place] ^= 1
            try:
                value = read(bytes(changed))
            except Error:
                continue
            assert fields_of(value) != original


def readers(vector: Strict) -> Iterator[tuple[bytes, Callable[[bytes], object]]]:
    """Return each kind but the tree, and what reads it."""
    for key in MESSAGES:
        yield vector.octets(key), decode_message
    for key, kind in PROPOSALS.items():
        yield uint16(kind) + vector.octets(key), whole(read_proposal)
    yield vector.octets("commit"), whole(read_commit)
    yield vector.octets("group_secrets"), whole(read_group_secrets)


def whole(read: Callable[[Reader], object]) -> Callable[[bytes], object]:
    return lambda octets: read_whole(octets, read)
