"""Nobody sends as another: N01, and the table of senders and contents (6.1)."""

import pytest

from sabir.mls.codepoints import SenderType, WireFormat
from sabir.mls.commit import Commit
from sabir.mls.framing import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    Content,
    Sender,
    encode_message,
)
from sabir.mls.group.external import propose_as_external_sender, propose_to_join
from sabir.mls.message_protection import protect_private, sign_content
from sabir.mls.proposals import Add, ExternalInit, Remove, SelfRemove, Update
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.tags import Tag
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger, signed_by
from sabir.testing.mls.world import World
from tests.unit.mls.negative.judges import lacking, misused, refuse

PRIVATE = WireFormat.PRIVATE_MESSAGE
APPLICATION = RatchetKind.APPLICATION
EXTERNAL = Sender(SenderType.EXTERNAL, 0)
ALICE = 0

# ---- N01: as another member


def as_alice(carol: Forger, content: Content, signature: bytes | None = None) -> bytes:
    """Seal a private message that claims to be alice's; she signs nothing."""
    framed = carol.content(content, sender=Sender.member(ALICE))
    message = carol.authenticated(framed, form=PRIVATE, signature=signature)
    return carol.private(message)


@pytest.mark.parametrize("content", [b"hello", Remove(1), Commit(())], ids=str)
def test_n01_a_private_message_with_an_empty_signature_is_refused(
    world: World, carol: Forger, content: Content
) -> None:
    refuse(world, as_alice(carol, content, signature=b""), Rule.F07, hub=False)


def test_n01_a_private_message_without_a_signature_is_refused(
    world: World, carol: Forger
) -> None:
    framed = carol.content(b"hello", sender=Sender.member(ALICE))
    message = carol.authenticated(framed, form=PRIVATE, signature=b"")
    plaintext = b"\x05hello"
    forged = carol.private(message, plaintext=plaintext)
    refuse(world, forged, Rule.C03, hub=False)
    padded = carol.private(message, plaintext=plaintext.ljust(256, b"\x00"))
    refuse(world, padded, Rule.F07, hub=False)


@pytest.mark.parametrize("content", [b"hello", Remove(1), Commit(())], ids=str)
def test_n01_a_private_message_signed_by_who_sends_it_is_refused(
    world: World, carol: Forger, content: Content
) -> None:
    refuse(world, as_alice(carol, content), Rule.F07, hub=False)


def test_n01_a_signature_of_another_epoch_is_refused(
    world: World, carol: Forger
) -> None:
    alice = world.groups["alice"].state.epoch
    assert alice is not None
    framed = carol.content(b"hello", sender=Sender.member(ALICE))
    other = carol.context.raw.replace(b"\x00", b"\x01", 1)
    signature = signed_by(world.suite, alice.signature_key, framed, other, PRIVATE)
    forged = carol.private(
        carol.authenticated(framed, form=PRIVATE, signature=signature)
    )
    refuse(world, forged, Rule.F07, hub=False)


def test_n01_a_signature_of_another_wire_format_is_refused(
    world: World, carol: Forger
) -> None:
    alice = world.groups["alice"].state.epoch
    assert alice is not None
    framed = carol.content(Remove(1), sender=Sender.member(ALICE))
    context = carol.context.raw
    public = signed_by(world.suite, alice.signature_key, framed, context)
    private = signed_by(world.suite, alice.signature_key, framed, context, PRIVATE)
    sealed = carol.authenticated(framed, form=PRIVATE, signature=public)
    refuse(world, carol.private(sealed), Rule.F07, hub=False)
    clear = carol.authenticated(framed, signature=private)
    refuse(world, carol.public(clear), Rule.F07)


@pytest.mark.parametrize("content", [Remove(1), Commit(())], ids=str)
@pytest.mark.parametrize("signature", [None, b"", b"\x00" * 64], ids=str)
def test_n01_a_public_message_of_another_is_refused(
    world: World, carol: Forger, content: Content, signature: bytes | None
) -> None:
    framed = carol.content(content, sender=Sender.member(ALICE))
    message = carol.authenticated(framed, signature=signature)
    refuse(world, carol.public(message), Rule.F07)


def test_n01_there_is_no_way_to_send_unsigned(world: World) -> None:
    names = {
        name
        for function in (sign_content, protect_private)
        for name in function.__annotations__
    }
    assert not {name for name in names if "unsigned" in name or "skip" in name}
    assert protect_private.__annotations__["message"].__name__ == "VerifiedContent"
    with misused("signed for", world.groups["alice"]):
        carol = Forger(world, "carol")
        signed = sign_content(
            world.suite,
            carol.epoch.signature_key.reveal(),
            carol.content(b"hello"),
            WireFormat.PUBLIC_MESSAGE,
            carol.context.raw,
        )
        key = carol.epoch.secret_tree.peek(2, APPLICATION, 0).message_key
        protect_private(
            world.suite, signed, key, carol.epoch.secrets.sender_data, bytes(4)
        )


# ---- leaves that are nobody's


@pytest.mark.parametrize("leaf", [5, 7, 8, 0xFFFF_FFFF])
def test_f03_a_blank_leaf_sends_nothing(world: World, carol: Forger, leaf: int) -> None:
    sender = Sender.member(leaf)
    public = carol.authenticated(carol.content(Remove(1), sender=sender))
    refuse(world, carol.public(public), Rule.F03)
    private = carol.authenticated(carol.content(b"hello", sender=sender), form=PRIVATE)
    key = carol.epoch.secret_tree.peek(2, APPLICATION, 0).message_key
    refuse(world, carol.seal(private, leaf, key), Rule.F03, hub=False)


# ---- every cell of sender and content (F05)

COMMIT = Commit(())


@pytest.mark.parametrize(
    ("sender", "content"),
    [
        (EXTERNAL, COMMIT),
        (NEW_MEMBER_PROPOSAL, Remove(1)),
        (NEW_MEMBER_PROPOSAL, SelfRemove()),
        (NEW_MEMBER_PROPOSAL, ExternalInit(b"")),
        (NEW_MEMBER_PROPOSAL, COMMIT),
        (NEW_MEMBER_COMMIT, Remove(1)),
        (NEW_MEMBER_COMMIT, COMMIT),
    ],
    ids=str,
)
def test_f05_what_a_sender_may_not_send_is_refused(
    world: World, carol: Forger, sender: Sender, content: Content
) -> None:
    framed = carol.content(content, sender=sender)
    key = world.clerk.private if sender.kind is SenderType.EXTERNAL else None
    message = carol.authenticated(framed, key=key)
    refuse(world, carol.outside(message), Rule.F05)


def test_f05_a_new_member_proposes_no_update_of_a_leaf(
    world: World, carol: Forger
) -> None:
    update = Update(carol.leaf)
    framed = carol.content(update, sender=NEW_MEMBER_PROPOSAL)
    refuse(world, carol.outside(carol.authenticated(framed)), Rule.F05)


@pytest.mark.parametrize(
    "sender", [EXTERNAL, NEW_MEMBER_PROPOSAL, NEW_MEMBER_COMMIT, Sender.member(1)]
)
def test_f04_nobody_sends_application_data_in_the_clear(
    world: World, carol: Forger, sender: Sender
) -> None:
    message = carol.authenticated(carol.content(b"hello", sender=sender))
    member = sender.kind is SenderType.MEMBER
    forged = carol.public(message) if member else carol.outside(message)
    refuse(world, forged, Rule.F04)


# ---- tags, groups


def test_f06_a_wrong_membership_tag_is_refused(world: World, carol: Forger) -> None:
    message = carol.authenticated(carol.content(Remove(1)))
    right = carol.tag_of(message).octets
    for wrong in (bytes(len(right)), right[:-1], right + b"\x00", b""):
        forged = carol.public(message, membership=Tag(wrong))
        refuse(world, forged, Rule.F06, hub=False)


def test_f01_a_message_to_another_group_is_refused(world: World, carol: Forger) -> None:
    public = carol.content(Remove(1), group_id=b"elsewhere")
    refuse(world, carol.public(carol.authenticated(public)), Rule.F01)
    private = carol.content(b"hello", group_id=b"elsewhere")
    message = carol.authenticated(private, form=PRIVATE)
    refuse(world, carol.private(message), Rule.F01, hub=False)


def test_f10_padding_that_says_something_is_refused(
    world: World, carol: Forger
) -> None:
    message = carol.authenticated(carol.content(b"hello"), form=PRIVATE)
    forged = carol.private(message, padding=b"\x00\x01")
    refuse(world, forged, Rule.F10, hub=False)


def test_f11_another_key_than_claimed_is_refused(world: World, carol: Forger) -> None:
    message = carol.authenticated(carol.content(b"hello"), form=PRIVATE)
    key = carol.epoch.secret_tree.peek(2, APPLICATION, 3).message_key
    forged = carol.seal(message, 2, key, generation=4)
    refuse(world, forged, Rule.F11, hub=False)


# ---- from outside


def test_f09_an_external_sender_out_of_range_is_refused(world: World) -> None:
    for index in (1, 0xFFFF_FFFF):
        message = propose_as_external_sender(
            world.suite, world.hub.context, index, world.clerk.private, Remove(1)
        )
        refuse(world, message, Rule.F09)


def test_f07_an_external_sender_signs_itself(world: World, carol: Forger) -> None:
    message = propose_as_external_sender(
        world.suite, world.hub.context, 0, carol.epoch.signature_key, Remove(1)
    )
    refuse(world, message, Rule.F07)


@pytest.mark.parametrize(
    ("proposal", "rule"),
    [
        (SelfRemove(), Rule.E08),
        (ExternalInit(b"kem output"), Rule.Q09),
    ],
    ids=str,
)
def test_p09_an_external_sender_sends_what_is_allowed(
    world: World, carol: Forger, proposal: Content, rule: Rule
) -> None:
    framed = carol.content(proposal, sender=EXTERNAL)
    message = carol.authenticated(framed, key=world.clerk.private)
    refuse(world, carol.outside(message), rule)


def test_p09_an_external_sender_updates_no_leaf(world: World, carol: Forger) -> None:
    framed = carol.content(Update(carol.leaf), sender=EXTERNAL)
    message = carol.authenticated(framed, key=world.clerk.private)
    refuse(world, carol.outside(message), Rule.P09)


def test_f07_who_asks_to_join_signs_with_the_key_package_s_key(
    world: World, carol: Forger
) -> None:
    package, _ = world.person("zoe").key_package()
    add = Add(package)
    forged = propose_to_join(
        world.suite, world.hub.context, carol.epoch.signature_key, add
    )
    refuse(world, forged, Rule.F07)


def test_l01_a_credential_that_is_not_believed_is_refused(
    world: World, carol: Forger
) -> None:
    package, _ = world.person("impostor").key_package()
    for name in ("bob", "erin", "hub"):
        world.person(name).trust.refused.add(b"impostor")
    asked = propose_to_join(
        world.suite,
        world.hub.context,
        world.person("impostor").identity.private,
        Add(package),
    )
    refuse(world, asked, Rule.L01)
    refuse(world, carol.proposal(Add(package)).message, Rule.L01)
    refuse(world, carol.commit(Add(package)), Rule.L01)


def test_only_a_group_s_messages_are_processed(world: World) -> None:
    package, _ = world.person("zoe").key_package()
    message = encode_message(package)
    with misused("no group message", world.groups["bob"]):
        world.groups["bob"].process(world.env, message)
    with misused("PublicMessages", world.hub):
        world.hub.process(world.env, message)


def test_an_epoch_ahead_is_missing_and_leaves_no_trace(
    world: World, carol: Forger
) -> None:
    for epoch in (carol.context.epoch + 1, (1 << 64) - 1):
        for content in (Remove(1), Commit(())):
            framed = carol.content(content, epoch=epoch)
            message = carol.public(carol.authenticated(framed))
            with lacking("ahead", world.groups["bob"]):
                world.groups["bob"].process(world.env, message)
            with lacking("ahead", world.hub):
                world.hub.process(world.env, message)
        framed = carol.content(b"hello", epoch=epoch)
        sealed = carol.private(carol.authenticated(framed, form=PRIVATE))
        with lacking("ahead", world.groups["bob"]):
            world.groups["bob"].process(world.env, sealed)
