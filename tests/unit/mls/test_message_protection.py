"""Protection of messages: what is sent opens, and nothing else does."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.labels import ref_hash
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.codepoints import SenderType, WireFormat
from sabir.mls.commit import Commit, UpdatePath
from sabir.mls.errors import MlsMisuse
from sabir.mls.framing import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    AuthenticatedContent,
    Content,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    VerifiedContent,
    encode_content,
)
from sabir.mls.message_protection import (
    SenderData,
    open_private,
    open_public,
    open_public_without_key,
    open_sender_data,
    proposal_reference,
    protect_private,
    protect_public,
    sender_data_keys,
    sign_content,
    with_confirmation_tag,
)
from sabir.mls.proposals import Add, Remove
from sabir.mls.ratchet import MessageKey
from sabir.mls.tags import Tag
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.rules import violates
from sabir.wire.tls import opaque, uint8, uint64

SUITE = SUITES[1]
ALICE = Author(SUITE)
CONTEXT = b"the GroupContext"
MEMBERSHIP = Secret(b"m" * 32)
SENDER_DATA = Secret(b"s" * 32)
GUARD = b"\x01\x02\x03\x04"
TAG = Tag(b"t" * 32)
COMMIT = Commit((Remove(5),), UpdatePath(ALICE.leaf(), ()))
CONTENTS = [b"hello", Remove(5), COMMIT]
SENDERS = [Sender.member(3), Sender(SenderType.EXTERNAL, 0)]


def message_key(suite: CipherSuite = SUITE) -> MessageKey:
    return MessageKey(7, b"k" * suite.nk, b"n" * suite.nn)


def framed(content: Content, sender: Sender = SENDERS[0]) -> FramedContent:
    return FramedContent(b"group", 9, sender, b"associated", content)


def signed(
    content: Content,
    wire_format: WireFormat = WireFormat.PUBLIC_MESSAGE,
    sender: Sender = SENDERS[0],
    author: Author = ALICE,
) -> VerifiedContent:
    made = sign_content(
        author.suite,
        author.signature_private,
        framed(content, sender),
        wire_format,
        CONTEXT,
    )
    return with_confirmation_tag(made, TAG) if isinstance(content, Commit) else made


def public(content: Content, sender: Sender = SENDERS[0]) -> PublicMessage:
    key = MEMBERSHIP if sender.kind is SenderType.MEMBER else None
    return protect_public(SUITE, signed(content, sender=sender), CONTEXT, key)


def private(content: Content, padding_block_octets: int = 256) -> PrivateMessage:
    return protect_private(
        SUITE,
        signed(content, WireFormat.PRIVATE_MESSAGE),
        message_key(),
        SENDER_DATA,
        GUARD,
        padding_block_octets,
    )


def opened(message: PrivateMessage) -> AuthenticatedContent:
    sender_data = open_sender_data(SUITE, message, SENDER_DATA)
    return open_private(SUITE, message, sender_data, message_key())


def test_a_proposals_reference_names_all_its_octets() -> None:
    proposal = signed(Remove(5))
    assert proposal_reference(SUITE, proposal) == ref_hash(
        SUITE, b"MLS 1.0 Proposal Reference", proposal.raw
    )


# ---- PublicMessage


@pytest.mark.parametrize(
    ("content", "sender"),
    [
        (Remove(5), SENDERS[0]),
        (COMMIT, SENDERS[0]),
        (Remove(5), SENDERS[1]),
        (Add(ALICE.key_package()), NEW_MEMBER_PROPOSAL),
        (COMMIT, NEW_MEMBER_COMMIT),
    ],
)
def test_a_handshake_travels_in_the_clear(content: Content, sender: Sender) -> None:
    message = public(content, sender)
    member = sender.kind is SenderType.MEMBER
    assert (message.membership_tag is not None) is member
    assert open_public(SUITE, message, CONTEXT, MEMBERSHIP) == message.message
    assert open_public_without_key(message) == message.message


def test_a_wrong_membership_tag_is_refused() -> None:
    message = public(Remove(5))
    with violates(Rule.F06):
        open_public(SUITE, message, CONTEXT, Secret(b"other"))
    with violates(Rule.F06):
        open_public(SUITE, message, b"another context", MEMBERSHIP)
    with violates(Rule.F06):
        forged = PublicMessage(message.message, Tag(b""))
        open_public(SUITE, forged, CONTEXT, MEMBERSHIP)


def test_the_membership_tag_covers_signature_and_confirmation_tag() -> None:
    message = public(COMMIT)
    changed = [
        AuthenticatedContent(
            WireFormat.PUBLIC_MESSAGE, message.message.content, b"other", TAG
        ),
        AuthenticatedContent(
            WireFormat.PUBLIC_MESSAGE,
            message.message.content,
            message.message.signature,
            Tag(b"other"),
        ),
    ]
    for content in changed:
        with violates(Rule.F06):
            open_public(
                SUITE,
                PublicMessage(content, message.membership_tag),
                CONTEXT,
                MEMBERSHIP,
            )


def test_a_membership_tag_is_there_exactly_for_members() -> None:
    with violates(Rule.F06):
        open_public_without_key(PublicMessage(signed(Remove(5)), None))
    outside = signed(Remove(5), sender=SENDERS[1])
    with violates(Rule.F06):
        open_public_without_key(PublicMessage(outside, Tag(b"tag")))


def test_application_data_in_the_clear_are_refused() -> None:
    with violates(Rule.F04):
        open_public_without_key(PublicMessage(signed(b"hello"), Tag(b"tag")))
    with pytest.raises(MlsMisuse, match="F04"):
        protect_public(SUITE, signed(b"hello"), CONTEXT, MEMBERSHIP)


def test_parts_that_do_not_fit_are_not_sent() -> None:
    outside = signed(COMMIT, sender=SENDERS[1])
    with pytest.raises(MlsMisuse, match="F05"):
        protect_public(SUITE, outside, CONTEXT, None)
    untagged = sign_content(
        SUITE,
        ALICE.signature_private,
        framed(COMMIT),
        WireFormat.PUBLIC_MESSAGE,
        CONTEXT,
    )
    with pytest.raises(MlsMisuse, match="F08"):
        protect_public(SUITE, untagged, CONTEXT, MEMBERSHIP)


def test_a_members_message_needs_the_membership_key() -> None:
    with pytest.raises(MlsMisuse, match="membership key"):
        protect_public(SUITE, signed(Remove(5)), CONTEXT, None)


def test_what_was_signed_for_one_format_is_not_sent_in_another() -> None:
    for_private = signed(Remove(5), WireFormat.PRIVATE_MESSAGE)
    with pytest.raises(MlsMisuse, match="wire format 2"):
        protect_public(SUITE, for_private, CONTEXT, MEMBERSHIP)
    with pytest.raises(MlsMisuse, match="wire format 1"):
        protect_private(SUITE, signed(Remove(5)), message_key(), SENDER_DATA, GUARD)


# ---- PrivateMessage


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("number", SUITES)
def test_a_content_travels_sealed(number: int, content: Content) -> None:
    author = Author(SUITES[number])
    suite, key = author.suite, message_key(author.suite)
    sent = signed(content, WireFormat.PRIVATE_MESSAGE, author=author)
    message = protect_private(suite, sent, key, SENDER_DATA, GUARD)
    sender_data = open_sender_data(suite, message, SENDER_DATA)
    assert sender_data == SenderData(3, 7, GUARD)
    received = open_private(suite, message, sender_data, key)
    assert received == AuthenticatedContent(
        sent.wire_format, sent.content, sent.signature, sent.confirmation_tag
    )
    assert encode_content(content) not in message.raw


@given(st.binary(max_size=600), st.integers(1, 300))
def test_plaintexts_are_padded_to_whole_blocks(data: bytes, block: int) -> None:
    message = private(data, block)
    aead_tag = 16
    assert (len(message.ciphertext) - aead_tag) % block == 0
    assert opened(message).content.content == data


def test_outsiders_cannot_seal() -> None:
    outside = signed(Remove(5), WireFormat.PRIVATE_MESSAGE, SENDERS[1])
    with pytest.raises(MlsMisuse, match="F05"):
        protect_private(SUITE, outside, message_key(), SENDER_DATA, GUARD)


@pytest.mark.parametrize(
    "changes",
    [
        {"group_id": b"other"},
        {"epoch": 10},
        {"encrypted_sender_data": b""},
        {"encrypted_sender_data": bytes(28)},
        {"ciphertext": bytes(64)},
    ],
)
def test_sender_data_open_only_as_they_were_sealed(changes: dict[str, Any]) -> None:
    message = replace(private(b"hello"), raw=b"", **changes)
    with violates(Rule.F11):
        open_sender_data(SUITE, message, SENDER_DATA)


def test_sender_data_of_another_epoch_do_not_open() -> None:
    with violates(Rule.F11):
        open_sender_data(SUITE, private(b"hello"), Secret(b"o" * 32))


def test_sender_data_of_another_form_are_malformed() -> None:
    message = private(b"hello")
    key, nonce = sender_data_keys(SUITE, SENDER_DATA, message.ciphertext)
    place = opaque(b"group") + uint64(9) + uint8(1)
    for plaintext, rule in ((bytes(11), Rule.C03), (bytes(13), Rule.C05)):
        sealed = SUITE.aead_seal(key, nonce, plaintext, place)
        forged = replace(message, raw=b"", encrypted_sender_data=sealed)
        with violates(rule):
            open_sender_data(SUITE, forged, SENDER_DATA)


def test_a_short_ciphertext_is_sampled_whole() -> None:
    assert sender_data_keys(SUITE, SENDER_DATA, b"short") != sender_data_keys(
        SUITE, SENDER_DATA, b"short" + bytes(27)
    )
    sample = bytes(32)
    assert sender_data_keys(SUITE, SENDER_DATA, sample) == sender_data_keys(
        SUITE, SENDER_DATA, sample + b"beyond"
    )


def test_a_content_opens_only_as_it_was_sealed() -> None:
    message = private(b"hello")
    place = SenderData(3, 7, GUARD)
    key = message_key()
    for forged in (
        replace(message, raw=b"", authenticated_data=b"other"),
        replace(message, raw=b"", group_id=b"other"),
        replace(message, raw=b"", epoch=10),
        replace(message, raw=b"", ciphertext=message.ciphertext[:-1]),
        replace(message, raw=b"", ciphertext=b""),
    ):
        with violates(Rule.F11):
            open_private(SUITE, forged, place, key)
    with violates(Rule.F11):
        open_private(SUITE, message, SenderData(3, 7, bytes(4)), key)
    with violates(Rule.F11):
        open_private(SUITE, message, place, MessageKey(7, b"o" * 16, b"n" * 12))


def sealed(plaintext: bytes) -> PrivateMessage:
    """Seal octets of our choice as the content of a PrivateMessage."""
    guarded = bytes(a ^ b for a, b in zip(b"n" * 12, GUARD + bytes(8), strict=True))
    place = opaque(b"group") + uint64(9) + uint8(1) + opaque(b"associated")
    ciphertext = SUITE.aead_seal(b"k" * 16, guarded, plaintext, place)
    return replace(private(b""), raw=b"", ciphertext=ciphertext)


def test_the_nonce_is_guarded_in_its_first_four_octets() -> None:
    plaintext = opaque(b"hello") + opaque(b"signature")
    received = open_private(
        SUITE, sealed(plaintext), SenderData(3, 7, GUARD), message_key()
    )
    assert received.content.content == b"hello"
    assert received.signature == b"signature"


@pytest.mark.parametrize("padding", [b"\x01", bytes(9) + b"\x80", b"\x01" + bytes(9)])
def test_padding_that_is_not_zero_is_refused(padding: bytes) -> None:
    message = sealed(opaque(b"hello") + opaque(b"signature") + padding)
    with violates(Rule.F10):
        open_private(SUITE, message, SenderData(3, 7, GUARD), message_key())


@pytest.mark.parametrize("plaintext", [b"", b"\x05hell", opaque(b"hello")])
def test_a_content_of_another_form_is_malformed(plaintext: bytes) -> None:
    with violates(Rule.C03):
        open_private(SUITE, sealed(plaintext), SenderData(3, 7, GUARD), message_key())
