"""GroupInfo: reading, writing, signing."""

from dataclasses import fields

from hypothesis import given

from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import SUITES
from sabir.mls.extensions import Extension
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import (
    TBS_LABEL,
    GroupInfo,
    GroupInfoIn,
    read_group_info,
    sign_group_info,
)
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import PROOF
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.structs import fields_of, group_infos
from sabir.wire.tls import read_whole

ALICE = Author(SUITES[1])
CONTEXT = GroupContext(1, b"group", 3, b"tree", b"transcript")


@given(group_infos)
def test_a_group_info_reads_as_written(group_info: GroupInfoIn) -> None:
    again = read_whole(group_info.raw, read_group_info)
    assert fields_of(again) == fields_of(group_info)
    assert again == group_info


def test_a_group_info_of_ours_is_signed() -> None:
    unsigned = GroupInfoIn(CONTEXT, (Extension(4, b"\x00"),), Tag(b"tag"), 2, b"")
    signed = sign_group_info(ALICE.suite, ALICE.signature_private, unsigned)
    assert signed.signed() == unsigned.encode_unsigned()
    assert signed.signed() == (
        CONTEXT.raw + b"\x04\x00\x04\x01\x00" + b"\x03tag" + b"\x00\x00\x00\x02"
    )
    assert verify_with_label(
        ALICE.suite,
        ALICE.signature_public,
        TBS_LABEL,
        signed.signed(),
        signed.signature,
    )


def test_a_checked_group_info_is_the_same_one() -> None:
    group_info = GroupInfoIn(CONTEXT, (), Tag(b"tag"), 2, b"signature")
    checked = GroupInfo(group_info, PROOF)
    assert checked == group_info
    for each in fields(GroupInfoIn):
        assert getattr(checked, each.name) is getattr(group_info, each.name)
