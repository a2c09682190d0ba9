"""Whose asset hosts a provider looks up before it asks a room about a handshake."""

from collections.abc import Iterator

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.asset_policy import read_asset_policy
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.update import HandshakeBundle, ProposalBundle
from sabir.mls.commit import Commit, ProposalReference
from sabir.mls.framing import PublicMessage
from sabir.mls.proposals import AppDataUpdate, Proposal
from sabir.wire.errors import Malformed


def providers_named(bundle: HandshakeBundle) -> frozenset[str]:
    """Return the providers that a new asset policy names, known ones, too (D-37)."""
    found: set[str] = set()
    for proposal in _proposals(bundle):
        if (
            isinstance(proposal, AppDataUpdate)
            and proposal.component_id == ComponentId.ASSET_POLICY
            and proposal.update is not None
        ):
            try:
                policy = decode_whole(proposal.update, read_asset_policy)
            except Malformed:
                continue  # the room refuses it
            found.update(entry.provider for entry in policy.upload_domains)
    return frozenset(found)


def _proposals(bundle: HandshakeBundle) -> Iterator[Proposal]:
    messages = [bundle.message]
    if isinstance(bundle, ProposalBundle):
        messages += bundle.more
    for message in messages:
        if not isinstance(message.body, PublicMessage):
            continue
        content = message.body.message.content.content
        if isinstance(content, Proposal):
            yield content
        elif isinstance(content, Commit):
            yield from (
                item
                for item in content.proposals
                if not isinstance(item, ProposalReference)
            )
