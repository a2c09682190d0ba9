"""A member that signs whatever it likes: messages that break one rule each.

It knows all that a member knows, so what it makes is right in everything that the test
does not change: signature, membership tag, path, keys.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sabir.crypto import hpke
from sabir.crypto.labels import derive_secret, encrypt_with_label, sign_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import LeafNodeSource, WireFormat
from sabir.mls.commit import (
    Commit,
    HPKECiphertext,
    ProposalOrRef,
    UpdatePath,
    UpdatePathNode,
)
from sabir.mls.extensions import Extension, Extensions
from sabir.mls.framing import (
    TBS_LABEL,
    AuthenticatedContent,
    Content,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    encode_content,
    encode_message,
)
from sabir.mls.group.epoch import Epoch
from sabir.mls.group.group import MlsGroup
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNode, LeafNodeIn, sign_leaf_node
from sabir.mls.message_protection import (
    SenderData,
    proposal_reference,
    sender_data_keys,
)
from sabir.mls.next_epoch import provisional_context
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import Proposal
from sabir.mls.ratchet import MessageKey
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.tags import Tag
from sabir.mls.transition import Applied, apply_list
from sabir.mls.treekem import CreatedPath, create_path
from sabir.mls.validation.proof import PROOF
from sabir.testing.mls.world import Clock, Person, World
from sabir.wire.tls import opaque, uint8, uint64

NO_TAG: Final = Tag(bytes(32))
"""In place of a confirmation tag that nobody is to look at."""

ChangeLeaf = Callable[[LeafNodeIn], LeafNodeIn]
"""Changes a leaf before it is signed."""


def as_is(leaf: LeafNodeIn) -> LeafNodeIn:
    """Change nothing."""
    return leaf


@dataclass(frozen=True, slots=True)
class Forged:
    """A proposal that was sent, as commits name it."""

    message: bytes
    reference: bytes


def signed_by(
    suite: CipherSuite,
    key: Secret,
    content: FramedContent,
    context: bytes,
    form: WireFormat = WireFormat.PUBLIC_MESSAGE,
) -> bytes:
    """Sign a content, whoever may send it."""
    signed = content.signed(form, context)
    return sign_with_label(suite, key.reveal(), TBS_LABEL, signed)


class Forger:
    """A member's group in the wrong hands.

    Args:
        world: where it is a member.
        name: of the member, whose own group is left as it is.
    """

    def __init__(self, world: World, name: str) -> None:
        self.env: Clock = world.env
        self.person: Person = world.person(name)
        self.group: MlsGroup = world.fork(name)

    @property
    def epoch(self) -> Epoch:
        """Return the current epoch, with its secrets."""
        epoch = self.group.state.epoch
        assert epoch is not None
        return epoch

    @property
    def suite(self) -> CipherSuite:
        """Return the group's suite."""
        return self.epoch.public.suite

    @property
    def context(self) -> GroupContext:
        """Return the GroupContext."""
        return self.group.group_context

    @property
    def leaf(self) -> LeafNode:
        """Return the own leaf."""
        leaf = self.group.public.tree.leaf(self.group.own_leaf)
        assert leaf is not None
        return leaf

    # ---- messages

    def content(
        self,
        content: Content,
        *,
        sender: Sender | None = None,
        epoch: int | None = None,
        group_id: bytes | None = None,
        aad: bytes = b"",
    ) -> FramedContent:
        """Frame a content, as a message of this epoch of ours unless said."""
        context = self.context
        return FramedContent(
            context.group_id if group_id is None else group_id,
            context.epoch if epoch is None else epoch,
            Sender.member(self.group.own_leaf) if sender is None else sender,
            aad,
            content,
        )

    def authenticated(
        self,
        framed: FramedContent,
        *,
        key: Secret | None = None,
        signature: bytes | None = None,
        tag: Tag = NO_TAG,
        form: WireFormat = WireFormat.PUBLIC_MESSAGE,
        context: bytes | None = None,
    ) -> AuthenticatedContent:
        """Sign a content with our key, another, or not at all."""
        if signature is None:
            signature = signed_by(
                self.suite,
                self.epoch.signature_key if key is None else key,
                framed,
                self.context.raw if context is None else context,
                form,
            )
        is_commit = isinstance(framed.content, Commit)
        return AuthenticatedContent(form, framed, signature, tag if is_commit else None)

    def public(
        self, message: AuthenticatedContent, *, membership: Tag | None = None
    ) -> bytes:
        """Send in the clear, with the membership tag that fits unless said."""
        return encode_message(
            PublicMessage(message, membership or self.tag_of(message))
        )

    def tag_of(self, message: AuthenticatedContent) -> Tag:
        """Compute the membership tag."""
        signed = message.content.signed(message.wire_format, self.context.raw)
        key = self.epoch.secrets.membership.reveal()
        return Tag(self.suite.mac(key, signed + message.auth()))

    def outside(self, message: AuthenticatedContent) -> bytes:
        """Send in the clear without a membership tag, as one who is no member."""
        return encode_message(PublicMessage(message, None))

    def private(
        self,
        message: AuthenticatedContent,
        *,
        leaf: int | None = None,
        generation: int | None = None,
        padding: bytes = b"",
        plaintext: bytes | None = None,
    ) -> bytes:
        """Seal for the members, as whatever leaf and generation, with its own key.

        Args:
            message: signed, or not.
            leaf: to claim in the sender data; ours unless said.
            generation: to claim; the leaf's next unless said.
            padding: behind the content.
            plaintext: in place of all of it.
        """
        framed = message.content
        leaf = framed.sender.index if leaf is None else leaf
        kind = RatchetKind.of(framed.content_type)
        tree = self.epoch.secret_tree
        if generation is None:
            generation = tree.generation(leaf, kind)
        key = tree.peek(leaf, kind, generation).message_key
        return self.seal(message, leaf, key, padding, plaintext)

    def seal(
        self,
        message: AuthenticatedContent,
        leaf: int,
        key: MessageKey,
        padding: bytes = b"",
        plaintext: bytes | None = None,
        generation: int | None = None,
    ) -> bytes:
        """Seal with a key that need not be the one claimed."""
        framed, suite = message.content, self.suite
        if plaintext is None:
            plaintext = encode_content(framed.content) + message.auth() + padding
        place = (
            opaque(framed.group_id) + uint64(framed.epoch) + uint8(framed.content_type)
        )
        associated = place + opaque(framed.authenticated_data)
        ciphertext = suite.aead_seal(key.key, key.nonce, plaintext, associated)
        claimed = key.generation if generation is None else generation
        data = SenderData(leaf, claimed, bytes(4)).encode()
        sender_key, nonce = sender_data_keys(
            suite, self.epoch.secrets.sender_data, ciphertext
        )
        return encode_message(
            PrivateMessage(
                framed.group_id,
                framed.epoch,
                framed.content_type,
                framed.authenticated_data,
                suite.aead_seal(sender_key, nonce, data, place),
                ciphertext,
            )
        )

    # ---- proposals and commits

    def proposal(self, proposal: Proposal, *, aad: bytes = b"") -> Forged:
        """Propose something in the clear, without looking at it."""
        message = self.authenticated(self.content(proposal, aad=aad))
        return Forged(self.public(message), proposal_reference(self.suite, message))

    def commit(
        self,
        *items: ProposalOrRef,
        path: UpdatePath | None = None,
        tag: Tag = NO_TAG,
        aad: bytes = b"",
    ) -> bytes:
        """Commit something in the clear, without looking at it."""
        framed = self.content(Commit(items, path), aad=aad)
        return self.public(self.authenticated(framed, tag=tag))

    def applied(self, proposals: Iterable[Proposal] = ()) -> Applied:
        """Apply proposals by value to a copy of the group."""
        sender = Sender.member(self.group.own_leaf)
        listed = ProposalList([Proposed(item, sender) for item in proposals])
        services = self.group.public.services
        public = self.epoch.public
        return apply_list(public, listed, sender, services, self.env.now())

    def signed_leaf(
        self,
        change: ChangeLeaf = as_is,
        *,
        source: LeafNodeSource = LeafNodeSource.COMMIT,
        parent_hash: bytes | None = None,
        key: Secret | None = None,
        leaf_index: int | None = None,
    ) -> LeafNodeIn:
        """Sign our next leaf, with a fresh encryption key, changed as wanted."""
        fresh = replace_leaf(
            self.leaf,
            encryption_key=self.fresh_key(),
            source=source,
            lifetime=None,
            parent_hash=parent_hash,
        )
        return self.sign_leaf(change(fresh), key=key, leaf_index=leaf_index)

    def sign_leaf(
        self,
        leaf: LeafNodeIn,
        *,
        key: Secret | None = None,
        leaf_index: int | None = None,
    ) -> LeafNodeIn:
        """Sign a leaf for its place, ours unless said."""
        private = self.epoch.signature_key if key is None else key
        place = self.group.own_leaf if leaf_index is None else leaf_index
        group_id = self.context.group_id
        return sign_leaf_node(self.suite, private.reveal(), leaf, group_id, place)

    def fresh_key(self) -> bytes:
        """Return a new HPKE public key, whose private key nobody has."""
        octets = self.env.random(self.suite.kem.private_octets)
        return hpke.derive_key_pair(self.suite, octets)[1]

    def path(
        self, proposals: Iterable[Proposal] = (), change: ChangeLeaf = as_is
    ) -> UpdatePath:
        """Make a path that is right but for its leaf."""
        return self.created(proposals, change).path

    def created(
        self, proposals: Iterable[Proposal] = (), change: ChangeLeaf = as_is
    ) -> CreatedPath:
        """Make a path that is right but for its leaf, with its secrets."""
        applied = self.applied(proposals)

        def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            leaf = replace_leaf(
                self.leaf,
                encryption_key=encryption_key,
                source=LeafNodeSource.COMMIT,
                lifetime=None,
                parent_hash=parent_hash,
            )
            return LeafNode(self.sign_leaf(change(leaf)), PROOF)

        def make_context(tree_hash: bytes) -> bytes:
            new = provisional_context(applied)
            return replace(new, tree_hash=tree_hash, raw=b"").raw

        return create_path(
            self.env,
            applied.tree,
            self.group.own_leaf,
            make_leaf,
            make_context,
            applied.new_leaves,
        )

    def path_with(self, steps: Sequence[tuple[bytes, bytes]]) -> UpdatePath:
        """Make a path of these public keys and path secrets, from below.

        Parent hashes and seals are right, whether or not a key is its secret's.
        """
        applied, own = self.applied(), self.group.own_leaf
        tree = applied.tree
        path = tree.filtered_path(own)
        parent_hash = tree.draft_path(own, [public for public, _ in steps])
        leaf = self.signed_leaf(parent_hash=parent_hash)
        tree.finish_path(own, LeafNode(leaf, PROOF))
        new = provisional_context(applied)
        context = replace(new, tree_hash=tree.tree_hash(), raw=b"").raw
        nodes = [
            UpdatePathNode.of(
                public,
                [
                    self._sealed(tree.encryption_key(node), context, secret)
                    for node in tree.resolution(copath)
                ],
            )
            for (public, secret), (_, copath) in zip(steps, path, strict=True)
        ]
        return UpdatePath(leaf, tuple(nodes))

    def _sealed(
        self, key: bytes | None, context: bytes, secret: bytes
    ) -> HPKECiphertext:
        assert key is not None
        label = b"UpdatePathNode"
        return HPKECiphertext(
            *encrypt_with_label(self.suite, key, label, context, secret)
        )

    def steps(self) -> list[tuple[bytes, bytes]]:
        """Return public keys and path secrets that belong together, for our path."""
        secret = self.env.random(self.suite.nh)
        found = []
        for _ in self.epoch.public.tree.filtered_path(self.group.own_leaf):
            node_secret = derive_secret(self.suite, secret, b"node")
            found.append((hpke.derive_key_pair(self.suite, node_secret)[1], secret))
            secret = derive_secret(self.suite, secret, b"path")
        return found


def replace_leaf(leaf: LeafNodeIn, **changes: Any) -> LeafNodeIn:
    """Return an unsigned leaf with other fields."""
    names = [name for name in LeafNodeIn.__slots__ if name not in {"raw", "signature"}]
    fields: dict[str, Any] = {name: getattr(leaf, name) for name in names} | changes
    return LeafNodeIn(**fields, signature=b"")


def with_extension(extensions: Extensions, kind: int, data: bytes) -> Extensions:
    """Return extensions with one set."""
    return (
        *(extension for extension in extensions if extension.kind != kind),
        Extension(kind, data),
    )
