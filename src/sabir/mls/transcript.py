"""Transcript hashes and the tag that confirms them (RFC 9420 sections 6.1 and 8.2)."""

from typing import Final

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.tags import Tag
from sabir.wire.tls import opaque

CONFIRMED_AT_START: Final = b""
"""`confirmed_transcript_hash` of epoch 0. The interim hash of epoch 0 is made of it
with `confirmation_tag` and `interim_hash`, like any other (section 11)."""


def confirmed_hash(suite: CipherSuite, interim: bytes, commit: bytes) -> bytes:
    """Return the confirmed transcript hash of the epoch that a commit begins.

    Args:
        suite: of the group.
        interim: the interim transcript hash of the epoch in which it was sent.
        commit: ConfirmedTranscriptHashInput: the octets of the AuthenticatedContent
            from the wire format up to and with the signature.
    """
    return suite.hash(interim + commit)


def interim_hash(suite: CipherSuite, confirmed: bytes, tag: Tag) -> bytes:
    """Return the interim transcript hash of an epoch.

    Args:
        suite: of the group.
        confirmed: the epoch's confirmed transcript hash.
        tag: the `confirmation_tag` of the commit that began the epoch.
    """
    return suite.hash(confirmed + opaque(tag.octets))


def confirmation_tag(suite: CipherSuite, confirmation: Secret, confirmed: bytes) -> Tag:
    """Return the tag by which a commit, or a GroupInfo, proves the new epoch.

    Args:
        suite: of the group.
        confirmation: `confirmation_key` of the new epoch.
        confirmed: its confirmed transcript hash.
    """
    return Tag(suite.mac(confirmation.reveal(), confirmed))
