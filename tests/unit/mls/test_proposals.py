"""Proposals: each type, and the table of types."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import given

from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import GREASE, ProposalKind, SenderType
from sabir.mls.errors import MlsUnsupported
from sabir.mls.extensions import Extension
from sabir.mls.limits import Limits
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    Add,
    AppDataUpdate,
    AppEphemeral,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ProposalType,
    ReInit,
    Remove,
    SelfRemove,
    Update,
    read_proposal,
)
from sabir.mls.psk_ids import ExternalPsk
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.structs import fields_of, proposals
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint16

ALICE = Author(SUITES[1])
PACKAGE = ALICE.key_package()
LEAF = ALICE.leaf()

EXAMPLES = [
    (Add(PACKAGE), b"\x00\x01" + PACKAGE.raw),
    (Update(LEAF), b"\x00\x02" + LEAF.raw),
    (Remove(5), b"\x00\x03\x00\x00\x00\x05"),
    (PreSharedKey(ExternalPsk(b"id", b"n")), b"\x00\x04\x01\x02id\x01n"),
    (
        ReInit(b"id", 3, (Extension(9, b""),)),
        b"\x00\x05\x02id\x00\x01\x00\x03\x03\x00\x09\x00",
    ),
    (ExternalInit(b"kem"), b"\x00\x06\x03kem"),
    (GroupContextExtensions((Extension(9, b""),)), b"\x00\x07\x03\x00\x09\x00"),
    (AppDataUpdate(32, b"new"), b"\x00\x08\x00\x20\x01\x03new"),
    (AppDataUpdate(32, None), b"\x00\x08\x00\x20\x02"),
    (AppEphemeral(32, b"data"), b"\x00\x09\x00\x20\x04data"),
    (SelfRemove(), b"\x00\x0a"),
]


@pytest.mark.parametrize(
    ("proposal", "octets"), EXAMPLES, ids=lambda value: type(value).__name__
)
def test_the_octets_are_those_of_the_specifications(
    proposal: Proposal, octets: bytes
) -> None:
    assert proposal.raw == octets
    again = read_whole(octets, read_proposal)
    assert again.raw == octets
    assert fields_of(again) == fields_of(proposal)


@given(proposals)
def test_a_proposal_reads_as_written(proposal: Proposal) -> None:
    again = read_whole(proposal.raw, read_proposal)
    assert fields_of(again) == fields_of(proposal)
    assert again == proposal


@pytest.mark.parametrize("operation", [0, 3, 255])
def test_an_unknown_operation_on_data_is_refused(operation: int) -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(b"\x00\x08\x00\x20" + bytes((operation,)), read_proposal)
    assert wrong.value.rule == "C07"


@pytest.mark.parametrize("kind", [0, 11, 0xF001, *sorted(GREASE)])
def test_a_type_that_is_not_in_the_table_is_unsupported(kind: int) -> None:
    with pytest.raises(MlsUnsupported) as wrong:
        read_whole(uint16(kind) + opaque(b"body"), read_proposal)
    assert (wrong.value.what, wrong.value.number) == ("proposal type", kind)


@dataclass(frozen=True, slots=True, eq=False)
class Wave(Proposal):
    kind: ClassVar[int] = 0xF001

    name: bytes
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        return opaque(self.name)


def read_wave(reader: Reader, limits: Limits) -> Wave:
    del limits
    return Wave(reader.opaque())


def test_an_application_adds_a_type_of_its_own() -> None:
    wave = ProposalType(0xF001, read_wave, frozenset({SenderType.MEMBER}))
    registry = STANDARD_PROPOSALS.with_types(wave)
    octets = b"\xf0\x01\x02hi"
    again = read_whole(octets, lambda reader: read_proposal(reader, registry))
    assert isinstance(again, Wave)
    assert (again.name, again.raw) == (b"hi", octets)
    assert registry.type_of(0xF001) is wave
    assert registry.type_of(1) is STANDARD_PROPOSALS.type_of(1)
    with pytest.raises(MlsUnsupported):
        STANDARD_PROPOSALS.type_of(0xF001)


def test_the_table_is_that_of_the_specifications() -> None:
    kinds = {known.kind for known in STANDARD_PROPOSALS.types.values()}
    assert kinds == set(ProposalKind)

    def those(asked: str) -> set[int]:
        return {
            known.kind
            for known in STANDARD_PROPOSALS.types.values()
            if getattr(known, asked)
        }

    # RFC 9420 section 17.4, column "Path Required"; mls-extensions for 8 to 10
    assert those("needs_path") == {2, 3, 6, 7, 10}
    assert those("by_value") == kinds - {ProposalKind.SELF_REMOVE}
    # RFC 9420 section 12.2, mls-extensions 4.7 and 4.8
    assert those("in_external_commit") == {3, 4, 6, 8, 9}


def test_outsiders_send_what_the_specifications_let_them() -> None:
    def senders(kind: int) -> frozenset[SenderType]:
        return STANDARD_PROPOSALS.type_of(kind).senders

    outside = {kind for kind in ProposalKind if SenderType.EXTERNAL in senders(kind)}
    assert outside == {1, 3, 4, 5, 7, 8, 9}
    joining = {
        kind for kind in ProposalKind if SenderType.NEW_MEMBER_PROPOSAL in senders(kind)
    }
    assert joining == {ProposalKind.ADD}
    assert senders(ProposalKind.EXTERNAL_INIT) == frozenset()
