"""Numbers of RFC 9420 section 17 and of mls-extensions, by registry.

Closed sets are enumerations; what others may extend is a plain number, so that an
unknown one can be kept.
"""

from enum import IntEnum
from typing import Final

MLS10: Final = 1
"""The only protocol version (section 6)."""


class WireFormat(IntEnum):
    """What an MLSMessage holds (section 6)."""

    PUBLIC_MESSAGE = 1
    PRIVATE_MESSAGE = 2
    WELCOME = 3
    GROUP_INFO = 4
    KEY_PACKAGE = 5
    SEMI_PRIVATE_MESSAGE = 0xFB01
    """Private number; behind a flag, see `sabir.mls.semi_private`."""


class ContentType(IntEnum):
    """What a FramedContent holds (section 6)."""

    APPLICATION = 1
    PROPOSAL = 2
    COMMIT = 3


class SenderType(IntEnum):
    """Who sent a FramedContent (section 6)."""

    MEMBER = 1
    EXTERNAL = 2
    NEW_MEMBER_PROPOSAL = 3
    NEW_MEMBER_COMMIT = 4


class LeafNodeSource(IntEnum):
    """Where a leaf node came from (section 7.2)."""

    KEY_PACKAGE = 1
    UPDATE = 2
    COMMIT = 3


class ProposalKind(IntEnum):
    """Proposal types that we know (section 17.4 and mls-extensions)."""

    ADD = 1
    UPDATE = 2
    REMOVE = 3
    PRE_SHARED_KEY = 4
    RE_INIT = 5
    EXTERNAL_INIT = 6
    GROUP_CONTEXT_EXTENSIONS = 7
    APP_DATA_UPDATE = 8
    APP_EPHEMERAL = 9
    SELF_REMOVE = 0x000A


class CredentialKind(IntEnum):
    """Credential types that we know (section 17.5 and mls-extensions)."""

    BASIC = 1
    X509 = 2
    MULTI = 3
    WEAK_MULTI = 4


DEFAULT_PROPOSALS: Final = frozenset(range(1, 8))
"""Every client supports them; capabilities do not list them (section 7.2)."""

DEFAULT_EXTENSIONS: Final = frozenset(range(1, 6))
"""Every client supports them; capabilities do not list them (section 7.2)."""

GREASE: Final = frozenset(0x0A0A + 0x1010 * step for step in range(15))
"""Numbers that mean nothing and keep others tolerant (section 13.5)."""
