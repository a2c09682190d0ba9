"""H05, and what holds for PrivateMessages, for those that a hub can read, too."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.mls.codepoints import WireFormat
from sabir.mls.commit import Commit
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.mls.extensions import (
    REQUIRED_WIRE_FORMATS,
    SUPPORTED_WIRE_FORMATS,
    Extension,
    encode_wire_formats,
)
from sabir.mls.framing import (
    AuthenticatedContent,
    Content,
    Sender,
    VerifiedContent,
    decode_message,
    encode_message,
)
from sabir.mls.proposals import Remove, SelfRemove
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.semi_private import (
    EXTERNAL_RECEIVERS,
    ExternalReceiver,
    SemiPrivateMessage,
    encode_external_receivers,
)
from sabir.mls.semi_private_protection import Receiver, protect_semi_private
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import World
from sabir.wire.errors import Malformed
from tests.unit.mls.negative.judges import SUITES_TRIED, refuse

SEMI: Final = WireFormat.SEMI_PRIVATE_MESSAGE
FORMATS: Final = encode_wire_formats((SEMI,))
ALICE, CAROL, DAVE = 0, 2, 3


def make(suite: int) -> World:
    """Make a group that shows its handshakes to a hub."""
    ikm = bytes(64)
    private, public = hpke.derive_key_pair(World(suite, names=("a",)).suite, ikm)
    hub = ExternalReceiver(public, BasicCredential(b"hub"))
    world = World(
        suite,
        extensions=(
            Extension(REQUIRED_WIRE_FORMATS, FORMATS),
            Extension(EXTERNAL_RECEIVERS, encode_external_receivers([hub])),
        ),
        leaf_extensions=(Extension(SUPPORTED_WIRE_FORMATS, FORMATS),),
        semi_private=True,
    )
    world.hub.receiver = Receiver(hub, Secret(private))
    return world


@pytest.fixture(scope="module", params=SUITES_TRIED, ids="suite{}".format)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a group that works to the end."""
    made = make(request.param)
    yield made
    made.works()


@pytest.fixture
def carol(world: World) -> Forger:
    return Forger(world, "carol")


def seal(
    world: World, carol: Forger, message: AuthenticatedContent, context: bytes = b""
) -> SemiPrivateMessage:
    """Seal whatever carol likes, with her own next key."""
    assert world.hub.receiver is not None
    key = carol.epoch.secret_tree.peek(CAROL, RatchetKind.HANDSHAKE, 0).message_key
    return protect_semi_private(
        world.suite,
        VerifiedContent(message, PROOF),
        key,
        carol.epoch.secrets.sender_data,
        bytes(4),
        context or carol.context.raw,
        [world.hub.receiver.receiver],
    )


def forged(
    world: World, carol: Forger, content: Content, signature: bytes | None = None
) -> bytes:
    message = carol.authenticated(
        carol.content(content), form=SEMI, signature=signature
    )
    return encode_message(seal(world, carol, message))


def genuine(world: World) -> bytes:
    return world.fork("carol").commit(world.env).commit


def test_what_is_right_is_accepted_by_members_and_the_hub(world: World) -> None:
    """Guard of this file."""
    message = genuine(world)
    assert message[2:4] == b"\xfb\x01"
    world.fork("bob").process(world.env, message)
    hub = world.fork_hub()
    hub.receiver = world.hub.receiver
    hub.process(world.env, message)


@pytest.mark.parametrize("content", [Remove(DAVE), Commit(())], ids=str)
def test_f07_a_signature_that_is_none_is_refused(
    world: World, carol: Forger, content: Content
) -> None:
    for signature in (b"", bytes(64)):
        refuse(world, forged(world, carol, content, signature), Rule.F07)


def test_f07_a_signature_over_another_form_is_refused(
    world: World, carol: Forger
) -> None:
    for form in (WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE):
        other = carol.authenticated(carol.content(Remove(DAVE)), form=form)
        message = forged(world, carol, Remove(DAVE), other.signature)
        refuse(world, message, Rule.F07)


def test_f07_nobody_sends_as_another(world: World, carol: Forger) -> None:
    """The hub is told who by the sender's own word, and then by the signature."""
    framed = carol.content(Remove(DAVE), sender=Sender.member(ALICE))
    message = carol.authenticated(framed, form=SEMI)
    forgery = encode_message(seal(world, carol, message))
    refuse(world, forgery, Rule.F07, members=False)
    # members look up alice's key, which is another one than carol's
    refuse(world, forgery, Rule.H05, hub=False)


def test_h05_another_content_than_announced_is_refused(
    world: World, carol: Forger
) -> None:
    message = carol.authenticated(carol.content(Remove(DAVE)), form=SEMI)
    sealed = seal(world, carol, message, b"another context")
    refuse(world, encode_message(sealed), Rule.H05)


def test_h05_another_key_than_announced_is_refused(world: World, carol: Forger) -> None:
    """The hub does not get so far: what is sealed to it names the hash."""
    message = carol.authenticated(carol.content(Remove(DAVE)), form=SEMI)
    sealed = seal(world, carol, message)
    other = replace(sealed, partial_context_hash=bytes(world.suite.nh), raw=b"")
    refuse(world, encode_message(other), Rule.H05, hub=False)
    refuse(world, encode_message(other), Rule.F11, members=False)


def test_e08_a_semi_private_self_remove_is_refused(world: World, carol: Forger) -> None:
    refuse(world, forged(world, carol, SelfRemove()), Rule.E08)


def test_o03_a_wrong_tag_is_found_by_members(world: World, carol: Forger) -> None:
    commit = Commit((), carol.path())
    framed = carol.content(commit)
    message = carol.authenticated(framed, form=SEMI, tag=Tag(bytes(world.suite.nh)))
    forgery = encode_message(seal(world, carol, message))
    refuse(world, forgery, Rule.O03, hub=False)
    hub = world.fork_hub()
    hub.receiver = world.hub.receiver
    hub.process(world.env, forgery)


def test_d02_f02_a_replay_is_refused() -> None:
    own = make(1)
    carol = own.groups["carol"]
    message = carol.propose(own.env, Remove(DAVE)).message
    for name in ("alice", "bob", "dave", "erin"):
        own.groups[name].process(own.env, message)
    refuse(own, message, Rule.D02, hub=False)
    own.commit("alice", references=())
    refuse(own, message, Rule.F02)


def test_any_octet_changed_is_refused(world: World) -> None:
    message = genuine(world)
    stride = 1 if world.suite.number == 1 else 13
    refusals = (Malformed, MlsInvalid, MlsMissing, MlsUnsupported)
    bob = world.groups["bob"]
    with unchanged(bob, world.hub):
        for index in range(4, len(message), stride):
            changed = bytearray(message)
            changed[index] ^= 1 << index % 8
            with pytest.raises(refusals):
                bob.process(world.env, bytes(changed))


def test_any_prefix_is_malformed(world: World) -> None:
    message = genuine(world)
    for size in range(4, len(message), 7):
        with pytest.raises(Malformed):
            decode_message(message[:size], semi_private=True)


def test_a_flag_that_is_down_knows_no_such_message(world: World) -> None:
    with pytest.raises(MlsUnsupported):
        decode_message(genuine(world))
