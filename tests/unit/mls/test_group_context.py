"""The GroupContext reads as written."""

from hypothesis import given

from sabir.mls.extensions import Extension
from sabir.mls.group_context import GroupContext, read_group_context
from sabir.testing.mls.structs import fields_of, group_contexts
from sabir.wire.tls import read_whole


@given(group_contexts)
def test_a_group_context_reads_as_written(context: GroupContext) -> None:
    again = read_whole(context.raw, read_group_context)
    assert fields_of(again) == fields_of(context)
    assert again == context


def test_the_octets_are_those_of_the_rfc() -> None:
    context = GroupContext(2, b"id", 3, b"tree", b"hash", (Extension(9, b"x"),))
    assert context.raw == (
        b"\x00\x01\x00\x02\x02id\x00\x00\x00\x00\x00\x00\x00\x03"
        b"\x04tree\x04hash\x04\x00\x09\x01x"
    )
