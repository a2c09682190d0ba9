"""Rules F: each is broken here."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import ContentType, SenderType, WireFormat
from sabir.mls.commit import Commit, UpdatePath
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsMissing
from sabir.mls.extensions import ExternalSender
from sabir.mls.framing import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    AuthenticatedContent,
    Content,
    FramedContent,
    PrivateMessage,
    Sender,
)
from sabir.mls.leaf_node import LeafNode
from sabir.mls.message_protection import sign_content, with_confirmation_tag
from sabir.mls.proposals import Add, Remove
from sabir.mls.tags import Tag
from sabir.mls.validation.framing import (
    check_epoch,
    check_external_sender,
    check_group_id,
    check_member,
    check_not_application,
    check_padding,
    check_parts_fit,
    check_sender,
    check_tag_place,
    signer_key,
    verify_content,
)
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.rules import violates

SUITE = SUITES[1]
ALICE, BOB = Author(SUITE), Author(SUITE, b"bob")
CONTEXT = b"the GroupContext"
MEMBER = Sender.member(3)
EXTERNAL = Sender(SenderType.EXTERNAL, 1)
PUBLIC, PRIVATE = WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE
TAG = Tag(b"tag")

REMOVE = Remove(5)
ADD = Add(BOB.key_package())
COMMIT = Commit(())
WITH_PATH = Commit((), UpdatePath(BOB.leaf(), ()))


def framed(content: Content, sender: Sender = MEMBER, epoch: int = 9) -> FramedContent:
    return FramedContent(b"group", epoch, sender, b"", content)


def message(
    content: Content, sender: Sender = MEMBER, wire_format: WireFormat = PUBLIC
) -> AuthenticatedContent:
    tag = TAG if isinstance(content, Commit) else None
    return AuthenticatedContent(wire_format, framed(content, sender), b"", tag)


def test_f01_another_group_is_refused() -> None:
    check_group_id(b"group", b"group")
    with violates(Rule.F01):
        check_group_id(b"other", b"group")


@pytest.mark.parametrize("content", [b"hello", REMOVE, COMMIT])
def test_f02_all_contents_of_the_current_epoch_are_accepted(content: Content) -> None:
    check_epoch(framed(content), 9)


@pytest.mark.parametrize("content", [REMOVE, COMMIT])
def test_f02_a_handshake_of_a_past_epoch_is_refused(content: Content) -> None:
    with violates(Rule.F02):
        check_epoch(framed(content, epoch=8), 9, kept={8})


def test_f02_application_data_of_a_kept_epoch_are_accepted() -> None:
    check_epoch(framed(b"hello", epoch=8), 9, kept={8})
    private = PrivateMessage(b"group", 8, ContentType.APPLICATION, b"", b"", b"")
    check_epoch(private, 9, kept={8})
    with pytest.raises(MlsMissing, match="epoch 7, 2 back"):
        check_epoch(framed(b"hello", epoch=7), 9, kept={8})


@pytest.mark.parametrize("epoch", [10, (1 << 64) - 1])
@pytest.mark.parametrize("content", [b"hello", COMMIT])
def test_f02_an_epoch_to_come_is_missing(content: Content, epoch: int) -> None:
    with pytest.raises(MlsMissing, match=f"epoch {epoch}"):
        check_epoch(framed(content, epoch=epoch), 9)


def test_f03_a_blank_leaf_sends_nothing() -> None:
    leaf = LeafNode(ALICE.leaf(), PROOF)
    assert check_member(leaf, 3) is leaf
    with violates(Rule.F03):
        check_member(None, 3)


def test_f04_application_data_in_the_clear_are_refused() -> None:
    check_not_application(message(REMOVE))
    check_not_application(message(COMMIT))
    with violates(Rule.F04):
        check_not_application(message(b"hello"))


CONTENTS: dict[str, Content] = {
    "application": b"hello",
    "remove": REMOVE,
    "add": ADD,
    "commit": COMMIT,
    "commit with path": WITH_PATH,
}
FITTING = {
    MEMBER: set(CONTENTS),
    EXTERNAL: {"remove", "add"},
    NEW_MEMBER_PROPOSAL: {"add"},
    NEW_MEMBER_COMMIT: {"commit with path"},
}


@pytest.mark.parametrize("wire_format", [PUBLIC, PRIVATE])
@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("sender", FITTING, ids=lambda sender: sender.kind.name)
def test_f05_each_sender_sends_what_the_table_says(
    sender: Sender, name: str, wire_format: WireFormat
) -> None:
    sent = message(CONTENTS[name], sender, wire_format)
    sealed_by_outsider = wire_format is PRIVATE and sender is not MEMBER
    if name in FITTING[sender] and not sealed_by_outsider:
        check_sender(sent)
        check_parts_fit(sent)
        return
    with violates(Rule.F05):
        check_sender(sent)
    with violates(Rule.F05):
        check_parts_fit(sent)


def test_f08_a_tag_is_there_exactly_in_commits() -> None:
    check_tag_place(AuthenticatedContent(PUBLIC, framed(COMMIT), b"", TAG))
    check_tag_place(AuthenticatedContent(PUBLIC, framed(REMOVE), b""))
    with violates(Rule.F08):
        check_tag_place(AuthenticatedContent(PUBLIC, framed(COMMIT), b""))
    with violates(Rule.F08):
        check_tag_place(AuthenticatedContent(PUBLIC, framed(REMOVE), b"", TAG))
    with violates(Rule.F08):
        check_parts_fit(AuthenticatedContent(PRIVATE, framed(b"hello"), b"", TAG))


SENDERS = [
    ExternalSender(b"first", BasicCredential(b"bot")),
    ExternalSender(b"second", BasicCredential(b"hub")),
]


def test_f09_an_external_sender_has_an_index_of_the_list() -> None:
    assert check_external_sender(SENDERS, 1) is SENDERS[1]
    with violates(Rule.F09):
        check_external_sender(SENDERS, 2)
    with violates(Rule.F09):
        check_external_sender((), 0)


def test_f10_padding_is_zero() -> None:
    check_padding(b"")
    check_padding(bytes(300))
    with violates(Rule.F10):
        check_padding(bytes(300) + b"\x01" + bytes(300))


def test_the_key_is_that_of_whom_the_sender_names() -> None:
    alice = LeafNode(ALICE.leaf(), PROOF)
    bobs = BOB.signature_public
    assert signer_key(message(REMOVE), alice, ()) == ALICE.signature_public
    assert signer_key(message(REMOVE, EXTERNAL), None, SENDERS) == b"second"
    assert signer_key(message(ADD, NEW_MEMBER_PROPOSAL), None, ()) == bobs
    assert signer_key(message(WITH_PATH, NEW_MEMBER_COMMIT), None, ()) == bobs


def test_who_names_no_key_is_refused() -> None:
    with violates(Rule.F03):
        signer_key(message(REMOVE), None, ())
    with violates(Rule.F09):
        signer_key(message(REMOVE, Sender(SenderType.EXTERNAL, 2)), None, SENDERS)
    for body in (REMOVE, COMMIT):
        with violates(Rule.F05):
            signer_key(message(body, NEW_MEMBER_PROPOSAL), None, ())


@pytest.mark.parametrize("number", SUITES)
@pytest.mark.parametrize("wire_format", [PUBLIC, PRIVATE])
def test_f07_a_right_signature_is_accepted(
    number: int, wire_format: WireFormat
) -> None:
    author = Author(SUITES[number])
    signed = sign_content(
        author.suite, author.signature_private, framed(REMOVE), wire_format, CONTEXT
    )
    verified = verify_content(author.suite, signed, CONTEXT, author.signature_public)
    assert verified == signed


def signed_commit() -> AuthenticatedContent:
    signed = sign_content(
        SUITE, ALICE.signature_private, framed(COMMIT), PUBLIC, CONTEXT
    )
    return with_confirmation_tag(signed, TAG)


def test_f07_a_signature_is_only_right_for_what_was_signed() -> None:
    signed = signed_commit()
    content, signature = signed.content, signed.signature
    verify_content(SUITE, signed, CONTEXT, ALICE.signature_public)
    forged = [
        AuthenticatedContent(PUBLIC, content, b"", TAG),
        AuthenticatedContent(PUBLIC, content, bytes(64), TAG),
        AuthenticatedContent(PUBLIC, content, signature[:-1], TAG),
        AuthenticatedContent(PRIVATE, content, signature, TAG),
        AuthenticatedContent(PUBLIC, framed(WITH_PATH), signature, TAG),
        AuthenticatedContent(PUBLIC, framed(COMMIT, Sender.member(0)), signature, TAG),
        AuthenticatedContent(PUBLIC, framed(COMMIT, epoch=10), signature, TAG),
    ]
    for other in forged:
        with violates(Rule.F07):
            verify_content(SUITE, other, CONTEXT, ALICE.signature_public)


@pytest.mark.parametrize("key", [BOB.signature_public, b"", bytes(31), bytes(32)])
def test_f07_a_signature_is_only_right_by_its_key(key: bytes) -> None:
    with violates(Rule.F07):
        verify_content(SUITE, signed_commit(), CONTEXT, key)


def test_f07_a_members_signature_is_only_right_in_its_epoch() -> None:
    with violates(Rule.F07):
        verify_content(
            SUITE, signed_commit(), b"another epoch's", ALICE.signature_public
        )


def test_a_signature_makes_up_for_nothing_else() -> None:
    signed = sign_content(
        SUITE, ALICE.signature_private, framed(COMMIT), PUBLIC, CONTEXT
    )
    with violates(Rule.F08):
        verify_content(SUITE, signed, CONTEXT, ALICE.signature_public)
    outside = framed(COMMIT, EXTERNAL)
    signed = sign_content(SUITE, ALICE.signature_private, outside, PUBLIC, CONTEXT)
    with violates(Rule.F05):
        verify_content(SUITE, signed, CONTEXT, ALICE.signature_public)
