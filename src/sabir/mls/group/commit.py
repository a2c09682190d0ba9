"""Making a commit and the Welcome that goes with it (RFC 9420 section 12.4.1).

The same for a member's commit, for the first commit of a group that continues
another, and for who joins by themselves; they differ in `Draft`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sabir.crypto.labels import encrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.client import Identity
from sabir.mls.codepoints import LeafNodeSource, WireFormat
from sabir.mls.commit import Commit, HPKECiphertext, ProposalOrRef, read_commit
from sabir.mls.credentials import Credential
from sabir.mls.effects import Effects
from sabir.mls.env import Env
from sabir.mls.extensions import Extensions
from sabir.mls.framing import MESSAGE_HEAD_OCTETS, FramedContent, VerifiedContent
from sabir.mls.group.epoch import Epoch
from sabir.mls.group.export import group_info_of
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.key_schedule import (
    joiner_secret,
    new_epoch,
    welcome_key_and_nonce,
    welcome_secret,
    zero_secret,
)
from sabir.mls.leaf_node import LeafNode, LeafNodeIn, sign_leaf_node
from sabir.mls.message_protection import sign_content, with_confirmation_tag
from sabir.mls.next_epoch import (
    effects_of,
    new_context,
    new_public_epoch,
    provisional_context,
)
from sabir.mls.own_limits import check_octets, check_readable
from sabir.mls.psk import PskStore, find_psks, psk_secret
from sabir.mls.services import Services
from sabir.mls.transcript import confirmation_tag
from sabir.mls.transition import (
    Applied,
    check_credentials_supported,
    check_path_leaf,
)
from sabir.mls.treekem import CreatedPath, PrivateKeys, create_path
from sabir.mls.validation.commit import needs_path
from sabir.mls.validation.leaf_node import check_defaults_unlisted
from sabir.mls.welcome import EncryptedGroupSecrets, GroupSecrets, Welcome

_WELCOME: Final = b"Welcome"
"""Label of the sealed group secrets."""


@dataclass(frozen=True, slots=True, eq=False)
class NewLeaf:
    """What our leaf says from now on.

    Attributes:
        signature_public: key of the credential.
        signature_key: the same, private.
        credential: whom it shows.
        capabilities: what we support.
        extensions: of the leaf.
    """

    signature_public: bytes
    signature_key: Secret
    credential: Credential
    capabilities: Capabilities
    extensions: Extensions

    @classmethod
    def like(cls, leaf: LeafNode, signature_key: Secret) -> "NewLeaf":
        """Keep what a leaf says."""
        return cls(
            leaf.signature_key,
            signature_key,
            leaf.credential,
            leaf.capabilities,
            leaf.extensions,
        )

    def with_identity(self, identity: Identity) -> "NewLeaf":
        """Show another credential or signature key."""
        return replace(
            self,
            signature_public=identity.public,
            signature_key=identity.private,
            credential=identity.credential,
        )

    def sign(
        self,
        suite: CipherSuite,
        encryption_key: bytes,
        source: LeafNodeSource,
        group_id: bytes,
        leaf_index: int,
        parent_hash: bytes | None = None,
    ) -> LeafNodeIn:
        """Make and sign the leaf, of source update or commit."""
        leaf = LeafNodeIn(
            encryption_key,
            self.signature_public,
            self.credential,
            self.capabilities,
            source,
            None,
            parent_hash,
            self.extensions,
            b"",
        )
        check_defaults_unlisted(leaf)
        private = self.signature_key.reveal()
        return sign_leaf_node(suite, private, leaf, group_id, leaf_index)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """All that a commit is made from.

    Attributes:
        applied: its proposals, on a tree of their own.
        items: the same, as the commit has them.
        leaf: what our leaf says in the path.
        signer: private key that signs the commit.
        init: the init secret of the epoch that ends, or of an external commit.
        psks: where keys are found.
        form: in which the commit is sent.
        aad: that goes with it.
        force_path: have a path even where none is needed.
        keys: our private keys so far; None for who joins.
        tree_in_welcome: put the ratchet tree into the Welcome.
    """

    applied: Applied
    items: Sequence[ProposalOrRef]
    leaf: NewLeaf
    signer: Secret
    init: Secret
    psks: PskStore
    form: WireFormat
    aad: bytes = b""
    force_path: bool = False
    keys: PrivateKeys | None = None
    tree_in_welcome: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drafted:
    """A commit of ours, with the epoch that it begins.

    Attributes:
        message: the commit, signed and confirmed, not protected yet.
        epoch: that it begins.
        effects: what it does.
        welcome: for those whom it adds; None when it adds nobody.
    """

    message: VerifiedContent
    epoch: Epoch
    effects: Effects
    welcome: Welcome | None


def draft_commit(env: Env, services: Services, draft: Draft) -> Drafted:
    """Make a commit. Nothing but `draft.applied.tree` changes.

    Raises:
        MlsInvalid: our new leaf or the list is none that others accept.
        MlsMissing: a PSK is not at hand.
        MlsMisuse: the commit or its Welcome is more than receivers would read.
    """
    applied, limits = draft.applied, services.limits
    before = applied.before
    suite = before.suite
    psks = find_psks(draft.psks, [psk.psk for psk in applied.proposals.psks])
    leaf: LeafNode | None = None
    created: CreatedPath | None = None
    if draft.force_path or needs_path(applied.proposals, services.proposals):
        created, leaf = _make_path(env, services, draft)
    commit = Commit(tuple(draft.items), None if created is None else created.path)
    check_readable(
        "this commit",
        commit.raw,
        lambda reader: read_commit(reader, services.proposals, limits),
    )
    context = before.context
    framed = FramedContent(
        context.group_id, context.epoch, applied.committer, draft.aad, commit
    )
    signed = sign_content(suite, draft.signer.reveal(), framed, draft.form, context.raw)
    new = new_context(applied, provisional_context(applied), signed)
    commit_secret = zero_secret(suite) if created is None else created.commit_secret
    joiner = joiner_secret(suite, draft.init, commit_secret, new.raw)
    psk = psk_secret(suite, psks)
    secrets = new_epoch(suite, joiner, psk, new.raw)
    tag = confirmation_tag(
        suite, secrets.kept.confirmation, new.confirmed_transcript_hash
    )
    epoch = Epoch.of(
        new_public_epoch(applied, new, tag),
        _keys_after(draft, created),
        secrets,
        draft.signer if created is None else draft.leaf.signature_key,
        limits,
    )
    welcome = None
    if applied.added:
        welcome = _make_welcome(
            draft,
            group_info_of(epoch, with_tree=draft.tree_in_welcome, with_external=False),
            joiner,
            welcome_secret(suite, joiner, psk),
            created,
        )
        octets = MESSAGE_HEAD_OCTETS + len(welcome.raw)
        check_octets("a Welcome", octets, limits.tree_octets_max)
    return Drafted(
        message=with_confirmation_tag(signed, tag),
        epoch=epoch,
        effects=effects_of(applied, leaf, own_leaf=None),
        welcome=welcome,
    )


def _make_path(
    env: Env, services: Services, draft: Draft
) -> tuple[CreatedPath, LeafNode]:
    applied = draft.applied
    before, place = applied.before, applied.committer_leaf
    made: list[LeafNode] = []

    def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        leaf = draft.leaf.sign(
            before.suite,
            encryption_key,
            LeafNodeSource.COMMIT,
            before.context.group_id,
            place,
            parent_hash,
        )
        made.append(check_path_leaf(applied, leaf, services))
        return made[0]

    def make_context(tree_hash: bytes) -> bytes:
        return replace(provisional_context(applied), tree_hash=tree_hash, raw=b"").raw

    created = create_path(
        env, applied.tree, place, make_leaf, make_context, applied.new_leaves
    )
    check_credentials_supported(applied.tree, made, before.tree)
    return created, made[0]


def _keys_after(draft: Draft, created: CreatedPath | None) -> PrivateKeys:
    if created is not None:
        return created.keys
    assert draft.keys is not None
    return draft.keys.kept(draft.applied.tree)


def _make_welcome(
    draft: Draft,
    group_info: GroupInfoIn,
    joiner: Secret,
    welcome: Secret,
    created: CreatedPath | None,
) -> Welcome:
    """Seal the new epoch to those whom the commit adds."""
    psks = tuple(proposal.psk for proposal in draft.applied.proposals.psks)
    joiners = []
    for added in draft.applied.added:
        path = None if created is None else created.secret_for(added.leaf_index)
        joiners.append((added.key_package, GroupSecrets(joiner, path, psks)))
    return seal_welcome(draft.applied.before.suite, group_info, welcome, joiners)


def seal_welcome(
    suite: CipherSuite,
    group_info: GroupInfoIn,
    welcome: Secret,
    joiners: Iterable[tuple[KeyPackageIn, GroupSecrets]],
) -> Welcome:
    """Seal an epoch to those who join in it (section 12.4.3.1).

    Args:
        suite: of the group.
        group_info: signed.
        welcome: the `welcome_secret` of the epoch.
        joiners: each with what it is told.
    """
    key, nonce = welcome_key_and_nonce(suite, welcome)
    sealed_info = suite.aead_seal(key, nonce, group_info.raw, b"")
    entries = []
    for package, secrets in joiners:
        sealed = encrypt_with_label(
            suite, package.init_key, _WELCOME, sealed_info, secrets.encode()
        )
        entries.append(
            EncryptedGroupSecrets(package.reference(suite), HPKECiphertext(*sealed))
        )
    return Welcome(suite.number, tuple(entries), sealed_info)


def part_of_welcome(welcome: Welcome, references: Iterable[bytes]) -> Welcome:
    """Return a Welcome for some of its joiners, e.g. those of one provider.

    Args:
        welcome: for all.
        references: of the key packages of those.
    """
    wanted = set(references)
    entries = tuple(entry for entry in welcome.secrets if entry.new_member in wanted)
    return Welcome(welcome.cipher_suite, entries, welcome.encrypted_group_info)
