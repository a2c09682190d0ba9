"""Framing: structs of messages."""

from dataclasses import fields

import pytest
from hypothesis import given

from sabir.mls.codepoints import ContentType, SenderType, WireFormat
from sabir.mls.commit import Commit
from sabir.mls.errors import MlsUnsupported
from sabir.mls.framing import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    AuthenticatedContent,
    Body,
    Content,
    FramedContent,
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    Sender,
    VerifiedContent,
    decode_message,
    encode_message,
    read_authenticated_content,
    read_framed_content,
    read_private_message,
    read_public_message,
)
from sabir.mls.limits import Limits
from sabir.mls.proposals import Remove
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import PROOF
from sabir.mls.welcome import Welcome
from sabir.testing.mls.structs import (
    authenticated_contents,
    bodies,
    fields_of,
    framed_contents,
    private_messages,
    public_messages,
)
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole, uint16, uint64

ALICE = Sender.member(3)
REMOVE = FramedContent(b"group", 7, ALICE, b"aad", Remove(5))
COMMIT = FramedContent(b"group", 7, ALICE, b"aad", Commit(()))
HEAD = b"\x05group" + uint64(7) + b"\x01\x00\x00\x00\x03" + b"\x03aad"


@given(framed_contents)
def test_a_content_reads_as_written(content: FramedContent) -> None:
    again = read_whole(content.raw, read_framed_content)
    assert fields_of(again) == fields_of(content)
    assert again == content


@given(authenticated_contents())
def test_a_signed_content_reads_as_written(content: AuthenticatedContent) -> None:
    again = read_whole(content.raw, read_authenticated_content)
    assert fields_of(again) == fields_of(content)
    assert again == content


@given(public_messages())
def test_a_public_message_reads_as_written(message: PublicMessage) -> None:
    again = read_whole(message.raw, read_public_message)
    assert fields_of(again) == fields_of(message)
    assert again.message.raw == message.message.raw


@given(private_messages)
def test_a_private_message_reads_as_written(message: PrivateMessage) -> None:
    again = read_whole(message.raw, read_private_message)
    assert fields_of(again) == fields_of(message)
    assert again == message


@given(bodies)
def test_a_message_reads_as_written(body: Body) -> None:
    octets = encode_message(body)
    message = decode_message(octets)
    assert fields_of(message.body) == fields_of(body)
    assert message.raw == octets
    assert message.encode() == octets
    assert MlsMessageIn(body).raw == octets
    assert uint16(message.wire_format) == octets[2:4]


@pytest.mark.parametrize(
    ("content", "octets"),
    [
        (b"hello", b"\x01\x05hello"),
        (Remove(5), b"\x02\x00\x03\x00\x00\x00\x05"),
        (Commit(()), b"\x03\x00\x00"),
    ],
)
def test_the_octets_of_a_content_are_those_of_the_rfc(
    content: Content, octets: bytes
) -> None:
    framed = FramedContent(b"group", 7, ALICE, b"aad", content)
    assert framed.raw == HEAD + octets
    assert framed.content_type == octets[0]


def test_the_octets_of_a_sender_are_those_of_the_rfc() -> None:
    assert ALICE.encode() == b"\x01\x00\x00\x00\x03"
    assert Sender(SenderType.EXTERNAL, 1).encode() == b"\x02\x00\x00\x00\x01"
    assert NEW_MEMBER_PROPOSAL.encode() == b"\x03"
    assert NEW_MEMBER_COMMIT.encode() == b"\x04"


def test_a_proposals_reference_is_of_wire_format_content_and_signature() -> None:
    signed = AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, REMOVE, b"sig")
    assert signed.raw == b"\x00\x01" + REMOVE.raw + b"\x03sig"
    message = read_whole(PublicMessage(signed, Tag(b"t")).raw, read_public_message)
    assert message.message.raw == signed.raw


def test_the_transcript_takes_a_commit_without_its_tag() -> None:
    signed = AuthenticatedContent(
        WireFormat.PRIVATE_MESSAGE, COMMIT, b"sig", Tag(b"tag")
    )
    assert signed.raw == b"\x00\x02" + COMMIT.raw + b"\x03sig\x03tag"
    assert signed.confirmed_transcript_input() == b"\x00\x02" + COMMIT.raw + b"\x03sig"


@pytest.mark.parametrize(
    ("sender", "covered"),
    [
        (ALICE, True),
        (Sender(SenderType.EXTERNAL, 1), False),
        (NEW_MEMBER_PROPOSAL, False),
        (NEW_MEMBER_COMMIT, True),
    ],
)
def test_only_outsiders_signatures_leave_out_the_context(
    sender: Sender, covered: bool
) -> None:
    content = FramedContent(b"group", 7, sender, b"", Remove(5))
    expected = b"\x00\x01\x00\x02" + content.raw + (b"context" if covered else b"")
    assert content.signed(WireFormat.PRIVATE_MESSAGE, b"context") == expected


def test_a_checked_content_is_the_same_one() -> None:
    signed = AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, COMMIT, b"s", Tag(b"t"))
    checked = VerifiedContent(signed, PROOF)
    assert checked == signed
    for each in fields(AuthenticatedContent):
        assert getattr(checked, each.name) is getattr(signed, each.name)


@pytest.mark.parametrize("number", [0, 5, 255])
def test_an_unknown_sender_type_is_refused(number: int) -> None:
    octets = b"\x05group" + uint64(7) + bytes((number,)) + b"\x00\x01\x00"
    with pytest.raises(Malformed) as wrong:
        read_whole(octets, read_framed_content)
    assert wrong.value.rule == "C07"


@pytest.mark.parametrize("number", [0, 4, 255])
def test_an_unknown_content_type_is_refused(number: int) -> None:
    kind = bytes((number,))
    with pytest.raises(Malformed) as wrong:
        read_whole(HEAD + kind + b"\x00", read_framed_content)
    assert wrong.value.rule == "C07"
    private = b"\x05group" + uint64(7) + kind + b"\x00\x00\x00"
    with pytest.raises(Malformed) as wrong:
        read_whole(private, read_private_message)
    assert wrong.value.rule == "C07"


def test_a_commit_without_its_tag_is_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(COMMIT.raw + b"\x03sig", read_public_message)
    assert wrong.value.rule == "C03"


def test_a_tag_behind_a_proposal_is_refused() -> None:
    octets = REMOVE.raw + opaque(b"sig") + opaque(b"confirmation")
    with pytest.raises(Malformed) as wrong:
        read_whole(octets + opaque(b"membership"), read_public_message)
    assert wrong.value.rule == "C05"


def test_more_authenticated_data_than_the_limit_is_refused() -> None:
    limits = Limits(authenticated_data_octets_max=2)
    private = PrivateMessage(b"g", 1, ContentType.APPLICATION, b"aad", b"", b"")
    with pytest.raises(Malformed) as wrong:
        read_whole(private.raw, lambda reader: read_private_message(reader, limits))
    assert wrong.value.rule == "C03"
    with pytest.raises(Malformed) as wrong:
        read_whole(
            REMOVE.raw, lambda reader: read_framed_content(reader, limits=limits)
        )
    assert wrong.value.rule == "C03"


@pytest.mark.parametrize("version", [0, 2, 0xFFFF])
def test_another_version_is_unsupported(version: int) -> None:
    with pytest.raises(MlsUnsupported) as wrong:
        decode_message(uint16(version) + uint16(3) + Welcome(1, (), b"").raw)
    assert (wrong.value.what, wrong.value.number) == ("protocol version", version)


@pytest.mark.parametrize("number", [0, 6, 0xFB01])
def test_an_unknown_wire_format_is_unsupported(number: int) -> None:
    with pytest.raises(MlsUnsupported) as wrong:
        decode_message(uint16(1) + uint16(number) + Welcome(1, (), b"").raw)
    assert (wrong.value.what, wrong.value.number) == ("wire format", number)


@pytest.mark.parametrize("number", [0, 3, 4, 5, 0xFB00])
def test_a_signed_content_is_of_a_message(number: int) -> None:
    with pytest.raises(MlsUnsupported):
        read_whole(uint16(number) + REMOVE.raw + b"\x00", read_authenticated_content)


def test_a_message_of_more_octets_than_the_limit_is_refused() -> None:
    private = PrivateMessage(b"g", 1, ContentType.APPLICATION, b"", b"", bytes(99))
    octets = encode_message(private)
    size = len(octets)
    decode_message(octets, limits=Limits(message_octets_max=size))
    with pytest.raises(Malformed) as wrong:
        decode_message(octets, limits=Limits(message_octets_max=size - 1))
    assert wrong.value.rule == "C03"


def test_a_welcome_has_the_limit_of_trees() -> None:
    octets = encode_message(Welcome(1, (), bytes(99)))
    limits = Limits(message_octets_max=1, tree_octets_max=len(octets))
    decode_message(octets, limits=limits)
    with pytest.raises(Malformed) as wrong:
        decode_message(octets, limits=Limits(tree_octets_max=len(octets) - 1))
    assert wrong.value.rule == "C03"


def test_octets_behind_a_message_are_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        decode_message(encode_message(Welcome(1, (), b"")) + b"\x00")
    assert wrong.value.rule == "C05"


def test_no_repr_shows_what_was_said() -> None:
    framed = FramedContent(b"group", 7, ALICE, b"hidden", b"hidden")
    private = PrivateMessage(
        b"g", 1, ContentType.APPLICATION, b"hidden", b"hidden", b"hidden"
    )
    assert "hidden" not in repr(framed) + repr(private) + repr(MlsMessageIn(private))
