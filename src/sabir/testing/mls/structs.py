"""Hypothesis strategies for every struct of MLS, and ways to look into one.

The values are well formed, not valid: keys and signatures are any octets. For tests
of codecs and for fuzzing.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sabir.crypto.secrets import Secret
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import ContentType, LeafNodeSource, SenderType, WireFormat
from sabir.mls.commit import (
    Commit,
    HPKECiphertext,
    ProposalOrRef,
    ProposalReference,
    UpdatePath,
    UpdatePathNode,
)
from sabir.mls.credentials import (
    BasicCredential,
    Credential,
    CredentialBinding,
    MultiCredential,
    X509Credential,
)
from sabir.mls.extensions import Extension, Extensions
from sabir.mls.framing import (
    AuthenticatedContent,
    Body,
    Content,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
)
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.leaf_node import LeafNodeIn, Lifetime
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    AppEphemeral,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.psk_ids import (
    ApplicationPsk,
    ExternalPsk,
    PreSharedKeyID,
    ResumptionPsk,
    ResumptionUsage,
)
from sabir.mls.struct import Struct
from sabir.mls.tags import Tag
from sabir.mls.welcome import EncryptedGroupSecrets, GroupSecrets, Welcome

octets: Final = st.binary(max_size=80)
uint16s: Final = st.integers(0, 0xFFFF)
uint32s: Final = st.integers(0, 0xFFFF_FFFF)
uint64s: Final = st.integers(0, (1 << 64) - 1)
tags: Final = octets.map(Tag)
_numbers: Final = st.lists(uint16s, max_size=4).map(tuple)

plain_credentials: SearchStrategy[Credential] = st.one_of(
    st.builds(BasicCredential, octets),
    st.builds(X509Credential, st.lists(octets, max_size=3).map(tuple)),
)
_bindings: Final = st.builds(
    CredentialBinding, uint16s, plain_credentials, octets, octets
)
credentials: SearchStrategy[Credential] = st.one_of(
    plain_credentials,
    st.builds(
        MultiCredential, st.lists(_bindings, max_size=2).map(tuple), st.booleans()
    ),
)
extensions: SearchStrategy[Extensions] = st.lists(
    st.builds(Extension, uint16s, octets),
    max_size=3,
    unique_by=lambda extension: extension.kind,
).map(tuple)
capabilities: Final = st.builds(
    Capabilities, _numbers, _numbers, _numbers, _numbers, _numbers
)


@st.composite
def leaf_nodes(draw: st.DrawFn) -> LeafNodeIn:
    """Draw a leaf node of any source."""
    source = draw(st.sampled_from(LeafNodeSource))
    lifetime = parent_hash = None
    if source is LeafNodeSource.KEY_PACKAGE:
        lifetime = Lifetime(draw(uint64s), draw(uint64s))
    elif source is LeafNodeSource.COMMIT:
        parent_hash = draw(octets)
    return LeafNodeIn(
        draw(octets),
        draw(octets),
        draw(credentials),
        draw(capabilities),
        source,
        lifetime,
        parent_hash,
        draw(extensions),
        draw(octets),
    )


key_packages: Final = st.builds(
    KeyPackageIn, uint16s, octets, leaf_nodes(), extensions, octets, uint16s
)
group_contexts: Final = st.builds(
    GroupContext, uint16s, octets, uint64s, octets, octets, extensions, uint16s
)
psk_ids: SearchStrategy[PreSharedKeyID] = st.one_of(
    st.builds(ExternalPsk, octets, octets),
    st.builds(ResumptionPsk, st.sampled_from(ResumptionUsage), octets, uint64s, octets),
    st.builds(ApplicationPsk, uint16s, octets, octets),
)
proposals: SearchStrategy[Proposal] = st.one_of(
    st.builds(Add, key_packages),
    st.builds(Update, leaf_nodes()),
    st.builds(Remove, uint32s),
    st.builds(PreSharedKey, psk_ids),
    st.builds(ReInit, octets, uint16s, extensions, uint16s),
    st.builds(ExternalInit, octets),
    st.builds(GroupContextExtensions, extensions),
    st.builds(AppDataUpdate, uint16s, st.none() | octets),
    st.builds(AppEphemeral, uint16s, octets),
    st.builds(SelfRemove),
)
hpke_ciphertexts: Final = st.builds(HPKECiphertext, octets, octets)
update_path_nodes: Final = st.builds(
    UpdatePathNode.of, octets, st.lists(hpke_ciphertexts, max_size=3)
)
update_paths: Final = st.builds(
    UpdatePath, leaf_nodes(), st.lists(update_path_nodes, max_size=3).map(tuple)
)
_items: SearchStrategy[ProposalOrRef] = st.one_of(
    proposals, st.builds(ProposalReference, octets)
)
commits: Final = st.builds(
    Commit, st.lists(_items, max_size=3).map(tuple), st.none() | update_paths
)
group_infos: Final = st.builds(
    GroupInfoIn, group_contexts, extensions, tags, uint32s, octets
)
welcomes: Final = st.builds(
    Welcome,
    uint16s,
    st.lists(
        st.builds(EncryptedGroupSecrets, octets, hpke_ciphertexts), max_size=3
    ).map(tuple),
    octets,
)
_secrets: Final = octets.map(Secret)
group_secrets: Final = st.builds(
    GroupSecrets,
    _secrets,
    st.none() | _secrets,
    st.lists(psk_ids, max_size=3).map(tuple),
)


@st.composite
def senders(draw: st.DrawFn) -> Sender:
    """Draw a sender of any type; those without index have index 0."""
    kind = draw(st.sampled_from(SenderType))
    indexed = kind in {SenderType.MEMBER, SenderType.EXTERNAL}
    return Sender(kind, draw(uint32s) if indexed else 0)


contents: SearchStrategy[Content] = st.one_of(octets, proposals, commits)
framed_contents: Final = st.builds(
    FramedContent, octets, uint64s, senders(), octets, contents
)


@st.composite
def authenticated_contents(
    draw: st.DrawFn, wire_format: WireFormat = WireFormat.PUBLIC_MESSAGE
) -> AuthenticatedContent:
    """Draw a content with a signature, and a tag if it is a commit."""
    content = draw(framed_contents)
    tag = draw(tags) if isinstance(content.content, Commit) else None
    return AuthenticatedContent(wire_format, content, draw(octets), tag)


@st.composite
def public_messages(draw: st.DrawFn) -> PublicMessage:
    """Draw a PublicMessage, with a membership tag if it is a member's."""
    message = draw(authenticated_contents())
    member = message.content.sender.kind is SenderType.MEMBER
    return PublicMessage(message, draw(tags) if member else None)


private_messages: Final = st.builds(
    PrivateMessage,
    octets,
    uint64s,
    st.sampled_from(ContentType),
    octets,
    octets,
    octets,
)
bodies: SearchStrategy[Body] = st.one_of(
    public_messages(), private_messages, welcomes, group_infos, key_packages
)


def fields_of(value: object) -> object:
    """Return what a struct holds besides `raw`, as plain nested values."""
    if isinstance(value, tuple):
        return tuple(fields_of(item) for item in value)
    if isinstance(value, Tag):
        return value.octets
    if isinstance(value, Secret):
        return value.reveal()
    names = _names(value)
    if not names:
        return value
    return type(value).__name__, {
        name: fields_of(getattr(value, name)) for name in names
    }


def parts_of(value: object) -> Iterator[Struct]:
    """Find all structs inside a value, and itself."""
    if isinstance(value, tuple):
        for item in value:
            yield from parts_of(item)
        return
    if isinstance(value, Struct):
        yield value
    for name in _names(value):
        yield from parts_of(getattr(value, name))


def _names(value: object) -> list[str]:
    if isinstance(value, LeafNodeIn):
        return [name for name in LeafNodeIn.__slots__ if name != "raw"]
    if is_dataclass(value):
        return [field.name for field in fields(value) if field.name != "raw"]
    return []
