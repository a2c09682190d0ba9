"""message-protection: each content is opened, and sealed for another to open."""

from typing import Final

import pytest

from sabir.crypto.errors import BadKey
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import WireFormat
from sabir.mls.commit import Commit, read_commit
from sabir.mls.errors import MlsMisuse
from sabir.mls.framing import (
    AuthenticatedContent,
    Content,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    VerifiedContent,
    decode_message,
    encode_message,
)
from sabir.mls.group_context import GroupContext
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.message_protection import (
    open_private,
    open_public,
    open_sender_data,
    protect_private,
    protect_public,
    sign_content,
    with_confirmation_tag,
)
from sabir.mls.proposals import read_proposal
from sabir.mls.secret_tree import RatchetKind, SecretTree
from sabir.mls.tags import Tag
from sabir.mls.validation.framing import verify_content
from sabir.testing.mls.keys import next_key
from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)
from sabir.wire.tls import read_whole

SENDER: Final = 1
MEMBERS: Final = 2
GUARD: Final = b"\x01\x02\x03\x04"


@for_each("message-protection")
def test_what_is_protected_can_be_opened(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", cases("message-protection"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    check_can_fail(check, load(case), refusals=(BadKey, KeyError))


def check(vector: Strict) -> None:
    proposal = read_whole(vector.octets("proposal"), read_proposal)
    commit = read_whole(vector.octets("commit"), read_commit)
    application = vector.octets("application")
    for key, content in {
        "proposal_pub": proposal,
        "proposal_priv": proposal,
        "commit_pub": commit,
        "commit_priv": commit,
        "application_priv": application,
    }.items():  # each was sealed with the first generation of a fresh tree
        assert Member(vector).open(vector.octets(key)) == content
    sender, receiver = Member(vector), Member(vector)
    for content in (proposal, commit):
        assert receiver.open(sender.public(content)) == content
        assert receiver.open(sender.private(content)) == content
    assert receiver.open(sender.private(application)) == application
    with pytest.raises(MlsMisuse):
        sender.public(application)


class Member:
    """One who holds the vector's epoch, and the sender's signature key."""

    def __init__(self, vector: Strict) -> None:
        self.suite = SUITES[vector["cipher_suite"]]
        self.context = GroupContext(
            self.suite.number,
            vector.octets("group_id"),
            vector["epoch"],
            vector.octets("tree_hash"),
            vector.octets("confirmed_transcript_hash"),
        )
        # a scalar of suite 5 came without the zero octet in front
        size = self.suite.signature.private_octets
        self.signature_priv = vector.octets("signature_priv").rjust(size, b"\x00")
        self.signature_pub = vector.octets("signature_pub")
        self.sender_data = Secret(vector.octets("sender_data_secret"))
        self.membership = Secret(vector.octets("membership_key"))
        self.tree = SecretTree.new(
            self.suite,
            MEMBERS,
            Secret(vector.octets("encryption_secret")),
            DEFAULT_LIMITS,
        )

    def open(self, octets: bytes) -> Content:
        body = decode_message(octets).body
        if isinstance(body, PublicMessage):
            content = open_public(self.suite, body, self.context.raw, self.membership)
            return self._verified(content)
        assert isinstance(body, PrivateMessage)
        sender_data = open_sender_data(self.suite, body, self.sender_data)
        assert sender_data.leaf_index == SENDER
        peeked = self.tree.peek(
            SENDER, RatchetKind.of(body.content_type), sender_data.generation
        )
        content = open_private(self.suite, body, sender_data, peeked.message_key)
        verified = self._verified(content)
        self.tree.consume(peeked)
        return verified

    def _verified(self, content: AuthenticatedContent) -> Content:
        verified = verify_content(
            self.suite, content, self.context.raw, self.signature_pub
        )
        assert verified.content.group_id == self.context.group_id
        assert verified.content.epoch == self.context.epoch
        assert verified.content.sender == Sender.member(SENDER)
        return verified.content.content

    def public(self, content: Content) -> bytes:
        signed = self._signed(content, WireFormat.PUBLIC_MESSAGE)
        return encode_message(
            protect_public(self.suite, signed, self.context.raw, self.membership)
        )

    def private(self, content: Content) -> bytes:
        signed = self._signed(content, WireFormat.PRIVATE_MESSAGE)
        kind = RatchetKind.of(signed.content.content_type)
        message_key = next_key(self.tree, SENDER, kind)
        return encode_message(
            protect_private(self.suite, signed, message_key, self.sender_data, GUARD)
        )

    def _signed(self, content: Content, wire_format: WireFormat) -> VerifiedContent:
        framed = FramedContent(
            self.context.group_id,
            self.context.epoch,
            Sender.member(SENDER),
            b"associated",
            content,
        )
        signed = sign_content(
            self.suite, self.signature_priv, framed, wire_format, self.context.raw
        )
        if isinstance(content, Commit):
            return with_confirmation_tag(signed, Tag(bytes(self.suite.nh)))
        return signed
