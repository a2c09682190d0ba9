"""Groups whose handshakes only members and a hub can read."""

from dataclasses import replace

import pytest

from sabir.crypto import hpke
from sabir.crypto.labels import decrypt_with_label, encrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.errors import PeerMisbehaved
from sabir.mls.client import KNOWN_EXTENSIONS, Identity, MlsClient
from sabir.mls.codepoints import WireFormat
from sabir.mls.commit import HPKECiphertext
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsMissing, MlsMisuse, MlsUnsupported
from sabir.mls.extensions import (
    REQUIRED_WIRE_FORMATS,
    SUPPORTED_WIRE_FORMATS,
    Extension,
    Extensions,
    encode_wire_formats,
)
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.group.messages import sign
from sabir.mls.group.process import OwnEcho, StagedCommit
from sabir.mls.proposals import Add, Remove
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.public_store import encode_public_group, read_public_group
from sabir.mls.ratchet import MessageKey
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.semi_private import (
    EXTERNAL_RECEIVERS,
    ExternalReceiver,
    SemiPrivateMessage,
    encode_external_receivers,
)
from sabir.mls.semi_private_protection import Receiver, protect_semi_private
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import Believing, PskTable
from sabir.testing.mls.keys import next_key
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV

FORMATS = encode_wire_formats((WireFormat.SEMI_PRIVATE_MESSAGE,))
LEAF = (Extension(SUPPORTED_WIRE_FORMATS, FORMATS),)
SERVICES = Services(authentication=Believing(), semi_private=True)


class World:
    """Ann and ben in a group that shows its handshakes to a hub."""

    def __init__(self, suite: int = 1, *, receivers: bool = True) -> None:
        self.suite = SUITES[suite]
        private, public = hpke.derive_key_pair(self.suite, bytes(64))
        hub = ExternalReceiver(public, BasicCredential(b"hub"))
        self.receiver = Receiver(hub, Secret(private))
        extensions: Extensions = (Extension(REQUIRED_WIRE_FORMATS, FORMATS),)
        if receivers:
            named = Extension(EXTERNAL_RECEIVERS, encode_external_receivers([hub]))
            extensions = (*extensions, named)
        ann, ben = (self.client(name) for name in ("ann", "ben"))
        self.ann = MlsGroup.create(ENV, ann, b"g", extensions, suite=suite)
        package, secrets = ben.key_package(ENV, suite=suite)
        self.ann.commit(ENV, [Add(package)])
        welcome = self.ann.merge_pending(ENV).welcome
        assert welcome is not None
        self.ben = accept(ben, stage_welcome(ben, welcome, [secrets], member_of=()))
        self.hub = PublicGroup.from_group_info(
            SERVICES, self.ann.group_info(with_tree=True), receiver=self.receiver
        )

    def client(self, name: str) -> MlsClient:
        return MlsClient(
            SERVICES,
            PskTable(),
            [Identity.generate(ENV, self.suite, BasicCredential(name.encode()))],
            extensions=(*KNOWN_EXTENSIONS, EXTERNAL_RECEIVERS),
            leaf_extensions=LEAF,
        )

    def commit(self) -> SemiPrivateMessage:
        """Let ann make a commit, and take it apart."""
        octets = self.ann.commit(ENV).commit
        body = decode_message(octets, semi_private=True).body
        assert isinstance(body, SemiPrivateMessage)
        return body


@pytest.mark.parametrize("suite", SUITES)
def test_members_and_the_hub_follow_what_others_cannot_read(suite: int) -> None:
    world = World(suite)
    proposal = world.ben.propose_update(ENV).message
    assert isinstance(world.ann.process(ENV, proposal), ProposalReceived)
    assert isinstance(world.hub.process(ENV, proposal), ProposalReceived)
    assert isinstance(world.ben.process(ENV, proposal), OwnEcho)
    for group, other in ((world.ann, world.ben), (world.ben, world.ann)):
        commit = group.commit(ENV).commit
        assert commit[2:4] == b"\xfb\x01"
        staged = other.process(ENV, commit)
        assert isinstance(staged, StagedCommit)
        other.merge(ENV, staged)
        assert isinstance(group.process(ENV, commit), OwnEcho)
        group.merge_pending(ENV)
        seen = world.hub.process(ENV, commit)
        assert isinstance(seen, PublicStage)
        world.hub.merge(seen)
        assert other.epoch_authenticator.ct_equal(group.epoch_authenticator)
        assert world.hub.context == group.group_context
    stored = encode_public_group(world.hub)
    world.hub = read_public_group(SERVICES, stored, world.receiver)
    world.hub.process(ENV, world.ann.commit(ENV).commit)


def test_a_hub_without_the_key_cannot_follow() -> None:
    world = World()
    commit = world.ann.commit(ENV).commit
    world.hub.receiver = None
    with pytest.raises(MlsMisuse):
        world.hub.process(ENV, commit)
    stranger = replace(world.receiver.receiver, credential=BasicCredential(b"other"))
    world.hub.receiver = Receiver(stranger, world.receiver.private_key)
    with pytest.raises(MlsMissing):
        world.hub.process(ENV, commit)
    private, _ = hpke.derive_key_pair(world.suite, b"\x01" * 64)
    world.hub.receiver = Receiver(world.receiver.receiver, Secret(private))
    with violates(Rule.F11):
        world.hub.process(ENV, commit)


def test_without_receivers_or_with_a_public_commit_nothing_is_semi_private() -> None:
    world = World(receivers=False)
    assert world.ann.commit(ENV).commit[2:4] == b"\x00\x02"
    world = World()
    assert world.ann.commit(ENV, as_public=True).commit[2:4] == b"\x00\x01"
    assert world.ben.encrypt(ENV, b"hello").message[2:4] == b"\x00\x02"


def test_with_the_flag_down_they_are_unsupported() -> None:
    world = World()
    plain = Services(authentication=Believing())
    hub = PublicGroup(plain, world.hub.epoch, receiver=world.receiver)
    with pytest.raises(MlsUnsupported):
        hub.process(ENV, world.ann.commit(ENV).commit)


def test_messages_of_other_groups_and_epochs_are_refused() -> None:
    world = World()
    message = world.commit()
    for changed, rule in (
        (replace(message, group_id=b"other", raw=b""), Rule.F01),
        (replace(message, epoch=0, raw=b""), Rule.F02),
    ):
        for group in (world.ben, world.hub):
            with violates(rule):
                group.process(ENV, encode_message(changed))


def test_what_receivers_get_is_what_members_get() -> None:
    """A sender cannot bind the keys or the content to anything else."""
    world = World()
    message = world.commit()
    for changed in (
        replace(message, partial_context_hash=bytes(32), raw=b""),
        replace(message, framed_content_tbs_hash=bytes(32), raw=b""),
        replace(message, authenticated_data=b"x", raw=b""),
    ):
        for group in (world.ben, world.hub):
            with pytest.raises(PeerMisbehaved, match=r"H05|F11"):
                group.process(ENV, encode_message(changed))


def test_keys_of_other_lengths_or_senders_are_refused() -> None:
    world = World()
    message = world.commit()
    context = b"\x01g" + bytes(7) + b"\x01" + b"\x20" + message.partial_context_hash
    label = b"SemiPrivateMessageReceiver"
    sealed = message.keys[0].sealed
    keys = decrypt_with_label(
        world.suite,
        world.receiver.private_key.reveal(),
        label,
        context,
        sealed.kem_output,
        sealed.ciphertext,
    )
    for wrong in (
        b"\x0f" + keys[2:],  # a shorter key
        keys[:-1] + b"\x01",  # another sender
    ):
        again = encrypt_with_label(
            world.suite, world.receiver.receiver.public_key, label, context, wrong
        )
        entry = replace(message.keys[0], sealed=HPKECiphertext(*again))
        changed = replace(message, keys=(entry,), raw=b"")
        with violates(Rule.H05):
            world.hub.process(ENV, encode_message(changed))


def test_a_damaged_ciphertext_opens_for_nobody() -> None:
    world = World()
    message = world.commit()
    damaged = message.ciphertext[:-1] + bytes((message.ciphertext[-1] ^ 1,))
    changed = encode_message(replace(message, ciphertext=damaged, raw=b""))
    for group in (world.ben, world.hub):
        with violates(Rule.F11):
            group.process(ENV, changed)


def test_to_a_receiver_without_a_key_or_to_none_nothing_is_sealed() -> None:
    world = World()
    epoch = world.ann.state.epoch
    assert epoch is not None
    form = WireFormat.SEMI_PRIVATE_MESSAGE
    message = sign(epoch, SERVICES, Remove(1), b"", form)
    key = MessageKey(0, bytes(16), bytes(12))
    known = (world.suite, message, key, epoch.sender_data, bytes(4), b"")
    with pytest.raises(MlsMisuse):
        protect_semi_private(*known, [])
    bad = ExternalReceiver(b"no key", BasicCredential(b"hub"))
    with violates(Rule.L14):
        protect_semi_private(*known, [world.receiver.receiver, bad])


def test_another_content_under_the_same_hash_is_found() -> None:
    """A sender who binds one content and seals another is refused by everybody."""
    world = World()
    epoch = world.ann.state.epoch
    assert epoch is not None
    form = WireFormat.SEMI_PRIVATE_MESSAGE
    message = sign(epoch, SERVICES, Remove(1), b"", form)
    key = next_key(epoch.secret_tree, 0, RatchetKind.HANDSHAKE)
    sealed = protect_semi_private(
        world.suite,
        message,
        key,
        epoch.sender_data,
        bytes(4),
        b"another context",
        [world.receiver.receiver],
    )
    for group in (world.ben, world.hub):
        with violates(Rule.H05):
            group.process(ENV, encode_message(sealed))
